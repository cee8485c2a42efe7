import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { createFetch } from '../../src/outgoing/fetch.ts';
import { runBounded } from '../../src/pipeline/run-bounded.ts';
import type { RunBounded } from '../../src/tools/check-schema.ts';
import type { McpServerConfig, McpServerStatus } from '../../src/tools/mcp/mcp-server.ts';
import { createMcpServers, type McpServers } from '../../src/tools/mcp/mcp-servers.ts';
import type { Tool, ToolProgress, ToolResult } from '../../src/tools/tool.ts';

const require = createRequire(import.meta.url);

/** The files of real servers, for `node`. */
export const everythingFile = require.resolve('@modelcontextprotocol/server-everything/dist/index.js');
export const filesystemFile = require.resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
export const oddFile = fileURLToPath(new URL('../fixtures/mcp/odd-server.ts', import.meta.url));

export const patient = { timeout: 15_000, interval: 10 };

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

export function stdioServer(name: string, args: string[], env: Record<string, string> = {}): McpServerConfig {
  return { name, transport: 'stdio', command: process.execPath, args, env, cwd: undefined };
}

export type OddServer = {
  config: McpServerConfig;
  /** the lines of what it received and noted, over all of its starts */
  notes(): string[];
  /** of its processes, the last one at the end */
  pids(): number[];
};

/** The misbehaving server of test/fixtures/mcp in one of its modes. */
export function oddServer(mode: string, name = 'odd'): OddServer {
  const log = join(temporaryDirectory(), 'log');
  const notes = () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []);
  return {
    config: stdioServer(name, ['--no-warnings', oddFile, mode, log]),
    notes,
    pids: () => notes().flatMap((line) => (line.startsWith('start ') ? [Number(line.slice(6))] : [])),
  };
}

export type LogLine = { level: string; message: string } & Record<string, unknown>;

export type TestMcp = McpServers & {
  logs: LogLine[];
  statusOf(name: string): McpServerStatus;
  /** resolves with the status of a server once it is this one */
  until(name: string, status: McpServerStatus['status']): Promise<McpServerStatus>;
  tool(name: string): Tool;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<ToolResult>;
};

export type CallOptions = { signal?: AbortSignal; onProgress?: (progress: ToolProgress) => void };

/** Servers that are started and, when the test ends, closed. */
export function useMcp(
  servers: McpServerConfig[],
  options: { connectTimeoutMs?: number; isTlsVerified?: boolean; runBounded?: RunBounded } = {},
): TestMcp {
  const logs: LogLine[] = [];
  const note = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void logs.push({ level, message, ...fields });
  const { isTlsVerified = true, ...others } = options;
  const mcp = createMcpServers({
    servers,
    version: '1.2.3',
    fetch: createFetch(undefined, { isTlsVerified }),
    runBounded,
    log: { info: note('info'), warn: note('warn') },
    ...others,
  });
  onTestFinished(() => mcp.close());
  mcp.start();
  const statusOf = (name: string) => {
    const found = mcp.status().find((each) => each.name === name);
    if (!found) throw new Error(`no server ${name}`);
    return found;
  };
  const tool = (name: string) => {
    const found = mcp.list().find((each) => each.name === name);
    if (!found) throw new Error(`no tool ${name}`);
    return found;
  };
  return {
    ...mcp,
    logs,
    statusOf,
    tool,
    until: (name, status) =>
      vi.waitFor(() => {
        const now = statusOf(name);
        if (now.status !== status) throw new Error(`${name} is ${now.status}: ${now.error}`);
        return now;
      }, patient),
    async call(name, args = {}, { signal = AbortSignal.timeout(15_000), onProgress = () => {} } = {}) {
      const caller = { tenant: 'default', subject: 'test', roles: [] };
      return tool(name).execute(args, { runId: 'run', callId: 'call', caller, onProgress }, signal);
    },
  };
}

export type HttpServer = { url: string; port: number; child: ChildProcess; kill(): Promise<void> };

/** server-everything over HTTP, on a port of its own or on a given one. */
export async function startEverything(
  transport: 'streamableHttp' | 'sse',
  port?: number,
): Promise<HttpServer> {
  const taken = port ?? (await freePort());
  const child = spawn(process.execPath, [everythingFile, transport], {
    env: { PORT: String(taken) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk) => {
      output += chunk;
      if (/listening|running on port/i.test(output)) resolve();
    });
    child.once('exit', () => reject(new Error(`server-everything ended: ${output}`)));
  });
  const path = transport === 'sse' ? 'sse' : 'mcp';
  return { url: `http://127.0.0.1:${taken}/${path}`, port: taken, child, kill };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Whether a process exists; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export const textsOf = (result: ToolResult) =>
  result.content.map((block) => (block.type === 'text' ? block.text : block.mimeType));
