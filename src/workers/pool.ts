import { randomUUID } from 'node:crypto';
import type { Tool, ToolContext, ToolResult } from '../tools/tool.js';
import { followName, resolveHost } from './addresses.js';
import { createToolMaker, readEvents, type ToolMaker } from './as-tool.js';
import { createCredentials } from './credentials.js';
import { createEndpoint, type Endpoint } from './endpoint.js';
import { WorkerFailure } from './failures.js';
import { failure } from './to-result.js';
import type { TaskOutcome, WorkerAddress, WorkerStatus, WorkerTask } from './worker.js';
import type { WorkersOptions } from './workers.js';

export interface WorkerPool {
  list(): Tool[];
  status(): WorkerStatus[];
  /** Resolves when nothing waits for the first reading of files any more. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What a configured target stands for now. */
type Slot = { endpoints: Endpoint[]; error: string | undefined };

/** A worker that is lost is replaced once. */
const mostWorkers = 2;

const defaultTimes = { keepaliveMs: 10_000, keepaliveTimeoutMs: 10_000, restMs: 10_000 };

export function createWorkerPool(options: WorkersOptions): WorkerPool {
  const { targets, timeoutMs, security, log, onTask, resolve = resolveHost } = options;
  const closing = new AbortController();
  const credentials = createCredentials(security, log);
  const toTool: ToolMaker = createToolMaker(runTask, timeoutMs, options.runBounded);
  const slots = targets.map((): Slot => ({ endpoints: [], error: undefined }));
  const ending = new Set<Promise<unknown>>();
  const endpoints = () => slots.flatMap((slot) => slot.endpoints);

  function open(address: WorkerAddress, host: string): Endpoint {
    const serverName = serverNameFor(address, host);
    const endpoint = createEndpoint(address, {
      credentials,
      serverName,
      toTool,
      log,
      times: { ...defaultTimes, ...options.times },
    });
    endpoint.start();
    return endpoint;
  }

  /** A certificate is for the name that was configured, not for the addresses behind it. */
  function serverNameFor(address: WorkerAddress, host: string): string | undefined {
    if (security.kind === 'plaintext') return undefined;
    return security.serverName ?? (address.host === host ? undefined : host);
  }

  function update(slot: Slot, host: string, addresses: WorkerAddress[] | undefined): void {
    slot.error = addresses ? undefined : 'is not there: its host is not known';
    if (!addresses) return;
    const known = new Map(slot.endpoints.map((endpoint) => [endpoint.address.endpoint, endpoint]));
    slot.endpoints = addresses.map((address) => known.get(address.endpoint) ?? open(address, host));
    for (const endpoint of known.values()) if (!slot.endpoints.includes(endpoint)) forget(endpoint);
  }

  function forget(endpoint: Endpoint): void {
    const closed = endpoint.close().finally(() => ending.delete(closed));
    ending.add(closed);
  }

  /** The one with the fewest tasks under way; of several, the first. */
  function choose(taskType: string, tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    const able = endpoints().filter((each) => each.canTake(taskType) && !tried.has(each));
    return able.toSorted((left, right) => left.outstanding - right.outstanding)[0];
  }

  async function runTask(
    type: string,
    payload: Record<string, unknown>,
    context: ToolContext,
    signal: AbortSignal,
  ): Promise<ToolResult> {
    const startedMs = performance.now();
    const ended = (outcome: TaskOutcome) => onTask(type, outcome, performance.now() - startedMs);
    const task = toTask(type, payload, context);
    try {
      const { result, outcome } = await delegate(task, context, signal);
      ended(outcome);
      return result;
    } catch (error) {
      ended(signal.aborted ? 'cancelled' : 'broken');
      throw error;
    }
  }

  function toTask(type: string, payload: Record<string, unknown>, context: ToolContext): WorkerTask {
    const { runId, requestId, trace, caller, deadlineAt = Number.POSITIVE_INFINITY } = context;
    const ownDeadline = Date.now() + timeoutMs;
    return {
      id: randomUUID(),
      type,
      payload,
      deadlineAt: Math.min(ownDeadline, deadlineAt),
      runId,
      requestId,
      trace,
      caller,
    };
  }

  async function delegate(task: WorkerTask, context: ToolContext, signal: AbortSignal): Promise<Delegated> {
    const startedAt = Date.now();
    const tried = new Set<Endpoint>();
    let lost: WorkerFailure | undefined;
    for (;;) {
      signal.throwIfAborted();
      const endpoint = choose(task.type, tried);
      if (!endpoint) return noWorker(lost);
      tried.add(endpoint);
      try {
        const result = await endpoint.run(task, (events) => readEvents(events, context), signal);
        return { result, outcome: result.isError ? 'failed' : 'ok' };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof WorkerFailure)) throw error;
        const { kind, message: reason } = error;
        const isReplaceable = kind === 'lost' || kind === 'full';
        const fields = { worker: endpoint.address.endpoint, task_id: task.id, task_type: task.type, reason };
        log.warn(fields, 'worker task failed');
        if (!isReplaceable || tried.size >= mostWorkers)
          return toFailedCall(error, task.deadlineAt - startedAt);
        lost = error;
        context.onProgress({ message: 'The worker was lost: another one is asked' });
      }
    }
  }

  return {
    list: () => endpoints().flatMap((endpoint) => endpoint.tools()),
    status: () => slots.flatMap((slot, index) => statusOf(slot, targets[index]?.endpoint ?? '')),
    async start() {
      await credentials.start();
      for (const [index, target] of targets.entries()) {
        const slot = slots[index] as Slot;
        const onAddresses = (addresses: WorkerAddress[] | undefined) => update(slot, target.host, addresses);
        if (!target.isName) onAddresses([target]);
        else ending.add(followName(target, resolve, onAddresses, closing.signal));
      }
    },
    async close() {
      closing.abort(new Error('the service is closing'));
      credentials.close();
      await Promise.all([...ending, ...endpoints().map((endpoint) => endpoint.close())]);
    },
  };
}

type Delegated = { result: ToolResult; outcome: TaskOutcome };

function statusOf({ endpoints, error }: Slot, configured: string): WorkerStatus[] {
  if (endpoints.length > 0) return endpoints.map((endpoint) => endpoint.status());
  return [{ endpoint: configured, status: 'unavailable', error, outstanding: 0, capabilities: [] }];
}

function noWorker(lost: WorkerFailure | undefined): Delegated {
  if (lost) {
    const text = `The worker ${lost.message}, and there is no other one that could do the task.`;
    return { result: failure(text), outcome: 'lost' };
  }
  return { result: failure('No worker can take the task now.'), outcome: 'unavailable' };
}

/** The run may end before the longest time of a task is over. */
const secondsOf = (ms: number) => Math.max(Math.round(ms / 100), 0) / 10;

function toFailedCall({ kind, message, workerWords }: WorkerFailure, givenMs: number): Delegated {
  switch (kind) {
    case 'deadline':
      return {
        result: failure(`The worker did not finish within ${secondsOf(givenMs)} seconds.`),
        outcome: 'deadline',
      };
    case 'lost':
    case 'full':
      return { result: failure(`The worker ${message}.`), outcome: 'lost' };
    case 'refused':
    case 'unimplemented': {
      const words = workerWords ? `: ${workerWords}` : '.';
      return { result: failure(`The worker ${message}${words}`), outcome: 'refused' };
    }
    case 'broken':
    case 'oversized':
      return { result: failure(`The worker ${message}.`), outcome: 'broken' };
    default:
      return kind satisfies never;
  }
}
