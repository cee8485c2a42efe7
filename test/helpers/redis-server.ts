import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

/** Tests that need Redis are left out where it is not installed; scripts/test.sh says so, and installs it where it may. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

export type RedisServer = {
  url: string;
  port: number;
  /** Ends the server; what it held is gone unless `keep` was asked for. */
  stop(): Promise<void>;
  /** Starts it again on the same port, with what it has on its disk. */
  start(): Promise<void>;
  /** Stops it from answering without closing a connection. */
  pause(): void;
  resume(): void;
};

/** A real Redis of its own on a free port. Every write is on its disk before it answers. */
export async function useRedis(
  onFinished: (close: () => Promise<void>) => void = onTestFinished,
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const settings = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always', '--dir', folder];
    const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', ...settings]);
    child = server;
    const lines = createInterface({ input: server.stdout });
    for await (const line of lines) if (line.includes('Ready to accept connections')) break;
    server.stdout.resume();
  }

  async function stop(): Promise<void> {
    const server = child;
    if (!server || server.exitCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGCONT');
    server.kill('SIGTERM');
    await ended;
  }

  await start();
  onFinished(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    start,
    stop,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
