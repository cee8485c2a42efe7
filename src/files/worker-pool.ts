import { Worker } from 'node:worker_threads';
import { Fault } from '../core/errors.js';
import { FileProblem } from './problem.js';
import type { FileJob } from './read-file.js';
import type { WorkerAnswer } from './worker.js';

export type PoolOptions = {
  size: number;
  /** milliseconds that a job may take once it has a thread */
  timeLimitMs: number;
  /** of JavaScript values in one thread */
  heapMegabytes: number;
  /** bytes of buffers in one thread, such as inflated streams of a PDF */
  bufferBytes: number;
  /** milliseconds after which a thread without work ends and gives its memory back */
  idleMs: number;
};

/** Threads that read files; each does one job at a time. */
export interface WorkerPool {
  /**
   * Carries out a job; the buffers in `moved` no longer belong to the caller. Throws a `FileProblem` when the thread dies or
   * runs over a limit, or the abort reason, which also stops the thread.
   */
  run(job: FileJob, moved: ArrayBuffer[], signal: AbortSignal): Promise<WorkerAnswer>;
  /** Ends all threads; the jobs that are left fail. */
  close(): Promise<void>;
}

type Task = {
  job: FileJob;
  moved: ArrayBuffer[];
  resolve(answer: WorkerAnswer): void;
  reject(error: unknown): void;
};

const watchIntervalMs = 250;

/** The sources import each other as `.js`, which is right for what is built from them only. */
const isSource = import.meta.url.endsWith('.ts');
const sourceHook = `data:text/javascript,${encodeURIComponent(
  `import { registerHooks } from 'node:module';
   registerHooks({ resolve(name, context, next) {
     const isLocal = name.startsWith('.') && !context.parentURL?.includes('/node_modules/');
     return next(isLocal ? name.replace(/\\.js$/, '.ts') : name, context);
   } });`,
)}`;

function startWorker(options: PoolOptions): Worker {
  const worker = new Worker(new URL(isSource ? './worker.ts' : './worker.js', import.meta.url), {
    execArgv: isSource ? ['--import', sourceHook] : [],
    // parsers have no business with the settings, some of which are secret
    env: {},
    stdout: true,
    stderr: true,
    resourceLimits: {
      maxOldGenerationSizeMb: options.heapMegabytes,
      maxYoungGenerationSizeMb: 32,
      stackSizeMb: 4,
    },
  });
  // what parsers print may be parts of files
  worker.stdout.resume();
  worker.stderr.resume();
  return worker;
}

/** One thread and what it is doing. */
class Seat {
  task: Task | undefined;
  /** its thread is about to end, so it takes no more jobs */
  private isEnding = false;
  private readonly worker: Worker;
  private readonly options: PoolOptions;
  private readonly onFree: () => void;
  private timer: NodeJS.Timeout | undefined;
  private watch: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions, onFree: () => void, onEnd: (seat: Seat) => void) {
    this.options = options;
    this.onFree = onFree;
    this.worker = startWorker(options);
    this.worker.on('message', (answer: WorkerAnswer) => this.settle((task) => task.resolve(answer)));
    this.worker.on('error', (error: Error & { code?: string }) => {
      this.isEnding = true;
      const isMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      const problem = isMemory ? 'needs too much memory to be read' : 'cannot be read; it may be damaged';
      this.settle((task) => task.reject(new FileProblem(problem, error)));
    });
    this.worker.on('exit', () => {
      onEnd(this);
      this.settle((task) => task.reject(new FileProblem('cannot be read; it may be damaged')));
    });
    this.rest();
  }

  get isFree(): boolean {
    return this.task === undefined && !this.isEnding;
  }

  start(task: Task): void {
    this.task = task;
    clearTimeout(this.timer);
    this.worker.ref();
    const { timeLimitMs } = this.options;
    this.timer = setTimeout(
      () => this.stop(new FileProblem(`takes more than ${timeLimitMs / 1000} seconds to read`)),
      timeLimitMs,
    );
    this.watch = setInterval(() => void this.checkMemory(), watchIntervalMs);
    this.worker.postMessage(task.job, task.moved);
  }

  /** Ends the thread, and its job with the error. */
  stop(error: unknown): Promise<unknown> {
    this.isEnding = true;
    this.settle((task) => task.reject(error));
    clearTimeout(this.timer);
    return this.worker.terminate();
  }

  private async checkMemory(): Promise<void> {
    const { task } = this;
    // rejects when the thread is gone, which its own events report; Node before 22.16 cannot tell
    const heap = await this.worker.getHeapStatistics?.().catch(() => undefined);
    if (this.task !== task || !heap || heap.external_memory <= this.options.bufferBytes) return;
    await this.stop(new FileProblem('needs too much memory to be read'));
  }

  private settle(end: (task: Task) => void): void {
    const { task } = this;
    this.task = undefined;
    clearTimeout(this.timer);
    clearInterval(this.watch);
    if (!task) return;
    this.rest();
    end(task);
    this.onFree();
  }

  private rest(): void {
    this.worker.unref();
    this.timer = setTimeout(() => void this.stop(undefined), this.options.idleMs).unref();
  }
}

export function createWorkerPool(options: PoolOptions): WorkerPool {
  const seats = new Set<Seat>();
  const queue: Task[] = [];
  let isClosed = false;

  function pump(): void {
    while (queue.length > 0 && !isClosed) {
      const seat = [...seats].find(({ isFree }) => isFree) ?? addSeat();
      if (!seat) return;
      seat.start(queue.shift() as Task);
    }
  }

  function addSeat(): Seat | undefined {
    if (seats.size >= options.size) return undefined;
    const seat = new Seat(options, pump, (ended) => {
      seats.delete(ended);
      pump();
    });
    seats.add(seat);
    return seat;
  }

  function drop(task: Task, reason: unknown): void {
    const waiting = queue.indexOf(task);
    if (waiting !== -1) queue.splice(waiting, 1);
    const seat = [...seats].find((candidate) => candidate.task === task);
    if (seat) {
      // its thread may be deep in a parser: another one takes the next job
      seats.delete(seat);
      void seat.stop(reason);
      pump();
    } else task.reject(reason);
  }

  return {
    async run(job, moved, signal) {
      signal.throwIfAborted();
      if (isClosed) throw new Fault('shutting_down', 'The service is shutting down.');
      const { promise, resolve, reject } = Promise.withResolvers<WorkerAnswer>();
      const task = { job, moved, resolve, reject };
      const onAbort = () => drop(task, signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(task);
      pump();
      try {
        return await promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    async close() {
      isClosed = true;
      const fault = new Fault('shutting_down', 'The service is shutting down.');
      for (const task of queue.splice(0)) task.reject(fault);
      await Promise.all([...seats].map((seat) => seat.stop(fault)));
    },
  };
}
