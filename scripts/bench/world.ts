import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { LoadJob, LoadReply, LoadResult } from './load.ts';
import { type Processes, printedUrl, scriptPath } from './processes.ts';

export type TargetName = 'direct' | 'pipe' | 'service';

/** Something that answers requests: the fake LLM itself, or what stands before it. */
export type Target = {
  name: TargetName;
  pid: number;
  origin: string;
  path: string;
  deltaMark: string;
  endMarks: string[];
  body(prompt: string): string;
  stop(): Promise<void>;
};

export type WorldOptions = {
  /** the service's built entry */
  entry: string;
  isPinned: boolean;
  profileFolder?: string | undefined;
};

/** The processes of one bench run. What is measured has core 0 to itself when pinned. */
export type World = {
  direct: Target;
  startPipe(): Promise<Target>;
  startService(): Promise<Target>;
  load(job: Omit<LoadJob, 'id'>): Promise<LoadResult>;
};

export async function createWorld(processes: Processes, options: WorldOptions): Promise<World> {
  const cores = availableParallelism();
  const core = (wanted: number) => (options.isPinned ? Math.min(wanted, cores - 1) : undefined);
  const llm = processes.start('fake LLM', [scriptPath('../fake-llm.ts'), '--port', '0'], { core: core(1) });
  const llmOrigin = await ready(processes, printedUrl(llm));
  const loader = processes.start('load', [scriptPath('./load.ts')], { core: core(2), ipc: true });
  return {
    direct: chatCompletions('direct', llm, llmOrigin, processes),
    async startPipe() {
      const args = [scriptPath('./pipe-proxy.ts'), llmOrigin];
      const pipe = processes.start('pipe', args, { core: core(0) });
      return chatCompletions('pipe', pipe, await ready(processes, printedUrl(pipe)), processes);
    },
    startService: () => startService(processes, options, llmOrigin, core(0)),
    load: loadRunner(loader),
  };
}

function chatCompletions(
  name: TargetName,
  child: ChildProcess,
  origin: string,
  processes: Processes,
): Target {
  return {
    name,
    pid: child.pid ?? 0,
    origin,
    path: '/v1/chat/completions',
    deltaMark: '"delta":{"content":',
    endMarks: ['"finish_reason":"stop"', 'data: [DONE]\n\n'],
    body: (prompt) =>
      JSON.stringify({
        model: 'fake-model',
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: 'user', content: prompt }],
      }),
    stop: () => processes.stop(child),
  };
}

async function startService(
  processes: Processes,
  { entry, profileFolder }: WorldOptions,
  llmOrigin: string,
  core: number | undefined,
): Promise<Target> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  // An empty working folder: no .env of the user's is read.
  const cwd = mkdtempSync(join(tmpdir(), 'bench-'));
  const profile = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const child = processes.start('service', ['--max-semi-space-size=8', ...profile, entry], {
    cwd,
    core,
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      MAX_CONCURRENT_REQUESTS: '2000',
      OPENAI_BASE_URL: `${llmOrigin}/v1`,
      LLM_MODEL: 'fake-model',
    },
  });
  child.once('exit', () => rmSync(cwd, { recursive: true, force: true }));
  await ready(processes, serviceReady(origin));
  return {
    name: 'service',
    pid: child.pid ?? 0,
    origin,
    path: '/api/chat/stream',
    deltaMark: 'event: content\n',
    endMarks: ['event: complete\n', 'data: [DONE]\n\n'],
    body: (prompt) => JSON.stringify({ message: prompt }),
    stop: () => processes.stop(child),
  };
}

async function serviceReady(origin: string): Promise<void> {
  for (;;) {
    const response = await fetch(`${origin}/api/health/ready`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return;
    await wait(100);
  }
}

const startLimitMs = 20_000;

async function ready<T>(processes: Processes, started: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const tooLate = wait(startLimitMs, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`a process was not ready within ${startLimitMs / 1000} s`);
  });
  tooLate.catch(() => {});
  return Promise.race([started, processes.failure, tooLate]).finally(() => limit.abort());
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Sends jobs to the load process; several may run at once. */
function loadRunner(loader: ChildProcess): World['load'] {
  const waiting = new Map<number, PromiseWithResolvers<LoadResult>>();
  let lastId = 0;
  loader.on('message', (reply: LoadReply) => {
    const job = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('error' in reply) job?.reject(new Error(reply.error));
    else job?.resolve(reply.result);
  });
  return (job) => {
    lastId += 1;
    const outcome = Promise.withResolvers<LoadResult>();
    waiting.set(lastId, outcome);
    loader.send({ ...job, id: lastId } satisfies LoadJob);
    return outcome.promise;
  };
}
