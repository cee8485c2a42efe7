import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { TestService } from '../helpers/service.ts';

export type ServiceProcess = Pick<TestService, 'url'> & {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** resolves with the exit code, or the signal that ended it */
  readonly exited: Promise<number | string>;
  /** resolves when stdout holds this */
  waitForOutput(pattern: RegExp): Promise<void>;
  /** nobody reads its stdout any more, as behind a pipe whose reader is gone */
  closeOutput(): void;
  kill(signal: NodeJS.Signals): void;
};

/** The built service in a process of its own, which the test's end kills. `env` is its whole environment. */
export function spawnService(
  env: Record<string, string> = {},
  atEnd: (close: () => void) => void = onTestFinished,
): Omit<ServiceProcess, 'url'> {
  return spawnBuilt('main', { HOST: '127.0.0.1', PORT: '0', ...env }, atEnd);
}

/** A program of `dist` in a process of its own, which the test's end kills, or another one. */
export function spawnBuilt(
  name: 'main' | 'worker-main',
  env: Record<string, string>,
  atEnd: (close: () => void) => void = onTestFinished,
): Omit<ServiceProcess, 'url'> {
  const program = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, ['--max-semi-space-size=8', program], {
    env,
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  atEnd(() => void child.kill('SIGKILL'));
  const stdout = collect(child, 'stdout');
  const stderr = collect(child, 'stderr');
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    pid: child.pid ?? 0,
    stdout: stdout.text,
    stderr: stderr.text,
    exited,
    waitForOutput: stdout.waitFor,
    closeOutput: () => void child.stdout?.destroy(),
    kill: (signal) => child.kill(signal),
  };
}

/** Like `spawnService`, and waits until it is ready. */
export async function startProcess(
  env: Record<string, string> = {},
  atEnd?: (close: () => void) => void,
): Promise<ServiceProcess> {
  const service = spawnService(env, atEnd);
  const ready = /ready on (http:\/\/localhost:\d+)/;
  const stopped = service.exited.then((code) => {
    throw new Error(`the service ended with ${code}: ${service.stderr()}`);
  });
  await Promise.race([service.waitForOutput(ready), stopped]);
  stopped.catch(() => {});
  const port = /localhost:(\d+)/.exec(service.stdout())?.[1];
  return { ...service, url: `http://127.0.0.1:${port}` };
}

function collect(child: ChildProcess, name: 'stdout' | 'stderr') {
  let text = '';
  const checks = new Set<() => void>();
  child[name]?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    for (const check of checks) check();
  });
  const waitFor = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!pattern.test(text)) return;
        checks.delete(check);
        resolve();
      };
      checks.add(check);
      check();
    });
  return { text: () => text, waitFor };
}

/** Megabytes of memory that a process holds now, and the most it ever held. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}
