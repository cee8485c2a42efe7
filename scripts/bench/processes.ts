import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

type StartOptions = {
  env?: Record<string, string>;
  cwd?: string;
  /** the core to run on, where `taskset` exists */
  core?: number | undefined;
  ipc?: boolean;
};

export type Processes = {
  /** starts a Node process; its unexpected end fails the bench */
  start(name: string, args: string[], options?: StartOptions): ChildProcess;
  stop(child: ChildProcess): Promise<void>;
  stopAll(): Promise<void>;
  /** never resolves; rejects when a process ended on its own */
  readonly failure: Promise<never>;
};

export const hasTaskset = spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;

export function scriptPath(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

export function createProcesses(): Processes {
  const running = new Set<ChildProcess>();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});

  const stop = async (child: ChildProcess): Promise<void> => {
    if (!running.delete(child)) return;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  };
  return {
    start(name, args, { core, ipc = false, env, cwd } = {}) {
      const [command = '', ...rest] =
        core === undefined
          ? [process.execPath, ...args]
          : ['taskset', '-c', String(core), process.execPath, ...args];
      const stdio: SpawnOptions['stdio'] = ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])];
      const child = spawn(command, rest, { stdio, cwd, env: { ...baseEnvironment(), ...env } });
      running.add(child);
      const complaint = lastOutput(child);
      child.once('error', (error) => failure.reject(error));
      child.once('exit', (code, signal) => {
        if (running.has(child))
          failure.reject(new Error(`${name} ended (${signal ?? code})\n${complaint()}`));
      });
      return child;
    },
    stop,
    stopAll: async () => {
      await Promise.all([...running].map(stop));
    },
    failure: failure.promise,
  };
}

/** Nothing of the caller's settings reaches what is measured. */
function baseEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', NODE_ENV: 'production' };
}

function lastOutput(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      text = (text + data).slice(-2000);
    });
  }
  return () => text;
}

/** The URL in the line that a process prints when it is ready. */
export function printedUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (data) => {
      text += data;
      const url = /http:\/\/[\d.]+:\d+/.exec(text)?.[0];
      if (url && text.includes('\n')) resolve(url);
    });
  });
}
