import type { Caller } from '../core/caller.js';
import type { TraceContext } from '../core/trace.js';

/** Where a worker listens. */
export type WorkerAddress = {
  /** as configured, or the address that a name was resolved to: how the worker is called in logs and in its status */
  endpoint: string;
  host: string;
  port: number;
};

/** What WORKER_AGENT_ENDPOINTS names: one worker, or with `isName` all that a name stands for. */
export type WorkerTarget = WorkerAddress & { isName: boolean };

/** How the connections are secured. */
export type WorkerSecurity =
  | { kind: 'plaintext' }
  | {
      kind: 'tls';
      caFile: string;
      /** shown to workers that ask for one */
      client: { certFile: string; keyFile: string } | undefined;
      /** what the workers' certificates must be for, in place of the host */
      serverName: string | undefined;
    };

/** One type of task, as a worker offers it. */
export type WorkerCapability = {
  taskType: string;
  description: string;
  version: string;
  /** the name of its tool; undefined when it cannot be offered */
  tool: string | undefined;
  /** why it cannot be offered */
  problem: string | undefined;
};

export type WorkerStatus = {
  endpoint: string;
  /** not_serving: reached, and takes no tasks now */
  status: 'serving' | 'not_serving' | 'unavailable';
  /** why it does not serve, in plain words; undefined also while it is being reached for the first time */
  error: string | undefined;
  /** tasks under way */
  outstanding: number;
  /** those last listed */
  capabilities: WorkerCapability[];
};

/** A task for whichever worker can do it. */
export type WorkerTask = {
  /** the same for a second worker that takes the task over */
  id: string;
  type: string;
  payload: Record<string, unknown>;
  /** epoch milliseconds */
  deadlineAt: number;
  runId: string;
  requestId: string | undefined;
  trace: TraceContext | undefined;
  caller: Caller;
};

/** How a task ended: a closed set, for metrics. */
export type TaskOutcome =
  | 'ok'
  | 'failed'
  | 'refused'
  | 'broken'
  | 'lost'
  | 'deadline'
  | 'cancelled'
  | 'unavailable';
