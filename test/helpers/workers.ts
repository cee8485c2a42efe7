import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { runBounded } from '../../src/pipeline/run-bounded.ts';
import type { ToolProgress, ToolResult } from '../../src/tools/tool.ts';
import type { TaskOutcome, WorkerStatus } from '../../src/workers/worker.ts';
import { createWorkers, type Workers, type WorkersOptions } from '../../src/workers/workers.ts';

const oddFile = fileURLToPath(new URL('../fixtures/workers/odd-worker.ts', import.meta.url));

export const patient = { timeout: 15_000, interval: 10 };

export type WorkerProcess = {
  endpoint: string;
  port: number;
  child: ChildProcess;
  /** what it wrote so far, in lines */
  notes: string[];
  until(line: RegExp): Promise<string>;
  /** a line on its input */
  tell(line: string): void;
  kill(): Promise<void>;
};

/** A process that says on which port it listens; killed when the test ends. */
async function startProcess(
  args: string[],
  env: Record<string, string>,
  port: RegExp,
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  const notes: string[] = [];
  let rest = '';
  let errors = '';
  child.stdin.on('error', () => {});
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  child.stdout.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    notes.push(...lines);
  });
  const until = (line: RegExp) =>
    vi.waitFor(() => {
      const found = notes.find((each) => line.test(each));
      if (found === undefined) throw new Error(`no ${line} in ${JSON.stringify(notes)} ${errors}`);
      return found;
    }, patient);
  const taken = Number(port.exec(await until(port))?.[1]);
  return {
    endpoint: `127.0.0.1:${taken}`,
    port: taken,
    child,
    notes,
    until,
    tell: (line) => void child.stdin.write(`${line}\n`),
    kill,
  };
}

/** The misbehaving worker of test/fixtures/workers. */
export const startOddWorker = (env: Record<string, string> = {}): Promise<WorkerProcess> =>
  startProcess(['--no-warnings', oddFile], env, /^port (\d+)$/);

type LogLine = { level: string; message: string } & Record<string, unknown>;

export type TestWorkers = Workers & {
  logs: LogLine[];
  outcomes: [taskType: string, outcome: TaskOutcome][];
  statusOf(endpoint: string): WorkerStatus;
  until(endpoint: string, status: WorkerStatus['status']): Promise<WorkerStatus>;
  call(taskType: string, args?: object, options?: CallOptions): Promise<ToolResult>;
};

type CallOptions = {
  signal?: AbortSignal;
  onProgress?: (progress: ToolProgress) => void;
  deadlineAt?: number;
};

const targetOf = (endpoint: string, isName = false) => {
  const [, host = '', port] = /^(?:dns:\/\/\/)?(.*):(\d+)$/.exec(endpoint) ?? [];
  return { endpoint, host, port: Number(port), isName };
};

/** Workers that are started and, when the test ends, closed. */
export function useWorkers(endpoints: string[], options: Partial<WorkersOptions> = {}): TestWorkers {
  const logs: LogLine[] = [];
  const outcomes: TestWorkers['outcomes'] = [];
  const note = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void logs.push({ level, message, ...fields });
  const workers = createWorkers({
    targets: endpoints.map((endpoint) => targetOf(endpoint, endpoint.startsWith('dns:'))),
    security: { kind: 'plaintext' },
    timeoutMs: 10_000,
    runBounded,
    log: { info: note('info'), warn: note('warn') },
    onTask: (taskType, outcome) => void outcomes.push([taskType, outcome]),
    ...options,
  });
  onTestFinished(() => workers.close());
  workers.start();
  const statusOf = (endpoint: string) => {
    const found = workers.status().find((each) => each.endpoint === endpoint);
    if (!found) throw new Error(`no worker ${endpoint}`);
    return found;
  };
  return {
    ...workers,
    logs,
    outcomes,
    statusOf,
    until: (endpoint, status) =>
      vi.waitFor(() => {
        const now = statusOf(endpoint);
        if (now.status !== status) throw new Error(`${endpoint} is ${now.status}: ${now.error}`);
        return now;
      }, patient),
    async call(taskType, args = {}, { signal = AbortSignal.timeout(15_000), ...options } = {}) {
      const tool = workers.list().find(({ name }) => name === `worker__${taskType}`);
      if (!tool) throw new Error(`no tool for ${taskType}`);
      const caller = { tenant: 'acme', subject: 'Jö 100%', roles: ['reader', 'writer'] };
      const ids = { runId: 'run-1', requestId: 'request-1', callId: 'call' };
      const context = { ...ids, caller, onProgress: () => {}, ...options };
      return tool.execute({ ...args }, context, signal);
    },
  };
}

export const textOf = ({ content }: ToolResult) =>
  content.map((block) => (block.type === 'text' ? block.text : block.mimeType)).join('\n');

type Proxy = { endpoint: string; freeze(): void };

/** Passes bytes on until it freezes: connections stay open and nothing gets through any more. */
export async function startProxy(port: number): Promise<Proxy> {
  const sockets: Socket[] = [];
  let isFrozen = false;
  const server = createServer((client) => {
    const upstream = createConnection(port, '127.0.0.1');
    sockets.push(client, upstream);
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (chunk) => isFrozen || to.write(chunk));
      from.on('error', () => {});
      from.on('close', () => isFrozen || to.destroy());
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const taken = typeof address === 'object' && address ? address.port : 0;
  const freeze = () => {
    isFrozen = true;
  };
  return { endpoint: `127.0.0.1:${taken}`, freeze };
}
