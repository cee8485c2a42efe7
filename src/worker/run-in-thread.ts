import { Worker } from 'node:worker_threads';
import type { TaskStep } from './tasks/task.js';
import type { ThreadJob, ThreadMessage } from './tasks/thread.js';

export type TaskOutcome =
  | { type: 'result'; result: Record<string, unknown> }
  | { type: 'refusal'; message: string }
  | { type: 'error'; code: 'OUT_OF_MEMORY' | 'INTERNAL'; message: string; cause: unknown };

const heapMegabytes = 1024;

/**
 * Runs a task in a thread of its own, so that the process answers meanwhile and an abort, which throws its reason, acts at
 * once whatever the task is doing.
 */
export async function runInThread(
  job: ThreadJob,
  onStep: (step: TaskStep) => void,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  signal.throwIfAborted();
  const isSource = import.meta.url.endsWith('.ts');
  const thread = new Worker(new URL(`./tasks/thread.${isSource ? 'ts' : 'js'}`, import.meta.url), {
    workerData: job,
    // a task has no business with the settings, some of which are secret
    env: {},
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
  });
  const { promise, resolve, reject } = Promise.withResolvers<TaskOutcome>();
  // what is printed there may be a part of the data
  thread.stdout.resume();
  thread.stderr.resume();
  thread.on('message', (message: ThreadMessage) => {
    if (message.type === 'step') onStep(message.step);
    else resolve(message);
  });
  thread.on('error', (error) => resolve(toError(error)));
  thread.on('exit', () => resolve(toError(undefined)));
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    thread.removeAllListeners('message');
    void thread.terminate();
  }
}

function toError(cause: unknown): TaskOutcome {
  const isMemory = (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
  if (isMemory)
    return { type: 'error', code: 'OUT_OF_MEMORY', message: 'The task needs too much memory.', cause };
  return { type: 'error', code: 'INTERNAL', message: 'The task failed inside the worker.', cause };
}
