import type { RunBounded } from '../tools/check-schema.js';
import type { Tool } from '../tools/tool.js';
import type { Resolve } from './addresses.js';
import type { Log } from './credentials.js';
import type { EndpointTimes } from './endpoint.js';
import type { WorkerPool } from './pool.js';
import type { TaskOutcome, WorkerSecurity, WorkerStatus, WorkerTarget } from './worker.js';

export type WorkersOptions = {
  targets: WorkerTarget[];
  security: WorkerSecurity;
  /** the longest time that a task may take, a second worker included */
  timeoutMs: number;
  runBounded: RunBounded;
  /** no line holds what a worker wrote */
  log: Log;
  onTask: (taskType: string, outcome: TaskOutcome, durationMs: number) => void;
  times?: Partial<EndpointTimes>;
  resolve?: Resolve;
};

/** Agents in other processes, reached over gRPC, whose task types are tools. */
export interface Workers {
  /** A tool for each task type that a worker takes now. Does not throw. */
  list(): Tool[];
  /** of every worker, in the order of the configuration */
  status(): WorkerStatus[];
  /** Connects in the background; nothing waits for a worker. */
  start(): void;
  /** Resolves when nothing is watched any more. */
  close(): Promise<void>;
}

export function createWorkers(options: WorkersOptions): Workers {
  const { targets } = options;
  let pool: WorkerPool | undefined;
  let starting: Promise<void> | undefined;
  let isClosed = false;

  /** gRPC is loaded by those only who have a worker to reach. */
  async function startAll(): Promise<void> {
    const { createWorkerPool } = await import('./pool.js');
    if (isClosed) return;
    pool = createWorkerPool(options);
    await pool.start();
  }

  return {
    list: () => pool?.list() ?? [],
    status: () => pool?.status() ?? targets.map(({ endpoint }) => notReached(endpoint)),
    start() {
      if (targets.length > 0) starting ??= startAll();
    },
    async close() {
      isClosed = true;
      await starting;
      await pool?.close();
    },
  };
}

function notReached(endpoint: string): WorkerStatus {
  return { endpoint, status: 'unavailable', error: undefined, outstanding: 0, capabilities: [] };
}
