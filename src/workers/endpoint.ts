import { setImmediate } from 'node:timers/promises';
import { delay } from '../core/abort.js';
import type { Tool } from '../tools/tool.js';
import type { ToolMaker } from './as-tool.js';
import { type HealthState, openChannel, type WorkerChannel } from './channel.js';
import type { Log, WorkerCredentials } from './credentials.js';
import { createEndpointBreaker } from './endpoint-breaker.js';
import { toFailure, WorkerFailure } from './failures.js';
import type { Capability } from './generated/paf/worker/v1/Capability.js';
import type { TaskEvent } from './generated/paf/worker/v1/TaskEvent.js';
import { toStruct } from './struct.js';
import type { WorkerAddress, WorkerCapability, WorkerStatus, WorkerTask } from './worker.js';

export type EndpointTimes = {
  /** between two pings on a connection, which are answered below the worker's own code */
  keepaliveMs: number;
  /** without an answer to a ping the connection is given up */
  keepaliveTimeoutMs: number;
  /** how long a worker that fails again and again gets no tasks */
  restMs: number;
};

export type EndpointOptions = {
  credentials: WorkerCredentials;
  serverName: string | undefined;
  toTool: ToolMaker;
  log: Log;
  times: EndpointTimes;
};

/** One worker: its health and what it can do, watched as long as it is configured. */
export interface Endpoint {
  readonly address: WorkerAddress;
  status(): WorkerStatus;
  /** of a worker that takes tasks now; otherwise none */
  tools(): Tool[];
  /** tasks under way */
  readonly outstanding: number;
  canTake(taskType: string): boolean;
  /** Hands a task over; throws a WorkerFailure, or the reason of the signal. */
  run<T>(
    task: WorkerTask,
    read: (events: AsyncIterable<TaskEvent>) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  start(): void;
  /** Resolves when the watch is over; tasks under way may go on. */
  close(): Promise<void>;
}

const firstRetryMs = 250;
const longestRetryMs = 4_000;
/** The state of a worker that is not being watched for is asked for this often; so often it answers something, too. */
const checkMs = 5_000;
const answerTimeoutMs = 5_000;
const mostCapabilities = 100;

/** It is closed when it was replaced and its last call has ended: gRPC cuts off calls when a channel closes. */
type Connection = {
  channel: WorkerChannel;
  /** with which it was made */
  credentials: object;
  calls: number;
  isRetired: boolean;
  /** it was of use */
  hasWorked: boolean;
};
type Offer = { listed: WorkerCapability[]; types: Set<string>; tools: Tool[] };

export function createEndpoint(address: WorkerAddress, options: EndpointOptions): Endpoint {
  const { credentials, log, times } = options;
  const { endpoint: name } = address;
  const closing = new AbortController();
  const breaker = createEndpointBreaker(times.restMs);
  let running = Promise.resolve();
  let rotation = new AbortController();
  let connection: Connection | undefined;
  let status: WorkerStatus['status'] = 'unavailable';
  let error: string | undefined;
  let offer: Offer = { listed: [], types: new Set(), tools: [] };
  let outstanding = 0;

  const facts = () => ({
    isTls: credentials.isTls,
    hasClientCertificate: credentials.hasClientCertificate,
    hasWorked: connection?.hasWorked ?? false,
    ownProblem: credentials.problem(),
  });

  async function keepWatched(): Promise<void> {
    let retryMs = firstRetryMs;
    const stopListening = credentials.onChange(() => rotation.abort());
    while (!closing.signal.aborted) {
      rotation = new AbortController();
      const both = AbortSignal.any([closing.signal, rotation.signal]);
      let servingMs = Number.POSITIVE_INFINITY;
      const reason = await session(() => {
        servingMs = performance.now();
      }, both).then(
        () => undefined,
        (thrown) => (both.aborted ? undefined : toFailure(thrown, facts()).message),
      );
      // one that is lost again and again is not asked again at once
      if (performance.now() - servingMs > longestRetryMs || reason === undefined) retryMs = firstRetryMs;
      if (reason !== undefined) noteFailure(reason);
      if (!rotation.signal.aborted) await delay(retryMs, both).catch(() => {});
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
    stopListening();
    retire();
  }

  function noteFailure(reason: string): void {
    if (reason !== error) log.warn({ worker: name, reason }, 'worker unavailable');
    status = 'unavailable';
    error = reason;
  }

  /** Watches the worker until that fails. */
  async function session(onServing: () => void, signal: AbortSignal): Promise<void> {
    const used = connect();
    const { channel } = used;
    const ending = new AbortController();
    const either = AbortSignal.any([signal, ending.signal]);
    let last: HealthState | undefined;
    let hasNoWatch = false;
    const onHealth = async (state: HealthState) => {
      if (state === last) return;
      last = state;
      if (state !== 'SERVING') {
        noteNotServing(state);
        return;
      }
      const { capabilities } = await channel.listCapabilities(answerTimeoutMs, either);
      const found = await toOffer(capabilities, either);
      // it may have changed its mind meanwhile
      if (last !== state) return;
      used.hasWorked = true;
      offer = found;
      noteServing();
      onServing();
    };
    const watch = async () => {
      const states = channel.watch(either);
      for (;;) {
        const next = await states.next().catch((thrown) => {
          if (thrown instanceof WorkerFailure && thrown.kind === 'unimplemented') return undefined;
          throw thrown;
        });
        hasNoWatch = next === undefined;
        if (next === undefined) return;
        if (next.done) throw new WorkerFailure('lost', 'ended the watch of its health');
        await onHealth(next.value);
      }
    };
    const check = async () => {
      for (;;) {
        const isBusy = (thrown: unknown) => thrown instanceof WorkerFailure && thrown.kind === 'deadline';
        const state = await channel.check(answerTimeoutMs, either).catch((thrown) => {
          if (last !== undefined && isBusy(thrown)) return undefined;
          throw thrown;
        });
        if (state !== undefined && (hasNoWatch || last === undefined)) await onHealth(state);
        await delay(checkMs, either);
      }
    };
    const both = [watch().then(() => new Promise<never>(() => {})), check()];
    try {
      await Promise.race(both);
    } finally {
      ending.abort(new Error('the watch is over'));
      for (const each of both) each.catch(() => {});
    }
  }

  function noteNotServing(state: HealthState): void {
    const reason =
      state === 'SERVICE_UNKNOWN' ? 'does not serve paf.worker.v1.WorkerAgent' : 'takes no tasks now';
    if (reason !== error) log.warn({ worker: name, reason }, 'worker not serving');
    status = 'not_serving';
    error = reason;
  }

  function noteServing(): void {
    const isBack = error !== undefined;
    const fields = { worker: name, tools: offer.tools.length };
    if (status !== 'serving') log.info(fields, isBack ? 'worker back' : 'worker connected');
    status = 'serving';
    error = undefined;
  }

  async function toOffer(given: Capability[], signal: AbortSignal): Promise<Offer> {
    const made: Offer = { listed: [], types: new Set(), tools: [] };
    for (const one of given.slice(0, mostCapabilities)) {
      // a hundred schemas take a while to check, and runs are under way
      await setImmediate(undefined, { signal });
      const { capability, tool } = options.toTool(one);
      const isTwice = made.types.has(capability.taskType);
      made.listed.push(
        isTwice ? { ...capability, tool: undefined, problem: 'it is listed twice' } : capability,
      );
      if (!tool || isTwice) continue;
      made.types.add(capability.taskType);
      made.tools.push(tool);
    }
    return made;
  }

  /** The connection with the newest certificates. Calls under way on the one before go on. */
  function connect(): Connection {
    const current = credentials.current();
    if (!current) throw new WorkerFailure('lost', `cannot be reached: ${credentials.problem()}`);
    if (connection?.credentials === current) return connection;
    retire();
    const { serverName } = options;
    const channel = openChannel(address, { credentials: current, serverName, facts, ...times });
    connection = { channel, credentials: current, calls: 0, isRetired: false, hasWorked: false };
    return connection;
  }

  function retire(): void {
    if (!connection) return;
    connection.isRetired = true;
    closeIfIdle(connection);
    connection = undefined;
  }

  return {
    address,
    get outstanding() {
      return outstanding;
    },
    status: () => ({
      endpoint: name,
      status,
      error,
      outstanding,
      capabilities: offer.listed,
    }),
    tools: () => (status === 'serving' ? offer.tools : []),
    canTake: (taskType) => status === 'serving' && offer.types.has(taskType) && !breaker.isResting(),
    async run(task, read, signal) {
      const used = connect();
      used.calls++;
      outstanding++;
      try {
        const start = () => used.channel.execute(toRequest(task), toHeaders(task), task.deadlineAt, signal);
        return await breaker.run(() => read(start()));
      } finally {
        outstanding--;
        used.calls--;
        closeIfIdle(used);
      }
    },
    start() {
      running = keepWatched();
    },
    async close() {
      closing.abort(new Error('the worker is no longer watched'));
      await running;
      // a task that came now would open a connection that nobody closes
      status = 'unavailable';
    },
  };
}

function closeIfIdle(connection: Connection): void {
  if (connection.isRetired && connection.calls === 0) connection.channel.close();
}

function toRequest({ id, type, payload, deadlineAt }: WorkerTask) {
  const leftMs = Math.max(deadlineAt - Date.now(), 0);
  return {
    taskId: id,
    taskType: type,
    payload: { structured: toStruct(payload) },
    timeout: { seconds: Math.floor(leftMs / 1000), nanos: (leftMs % 1000) * 1_000_000 },
  };
}

function toHeaders({ runId, requestId, trace, caller }: WorkerTask): Record<string, string> {
  return {
    'x-run-id': runId,
    ...(requestId !== undefined && { 'x-request-id': requestId }),
    ...trace,
    'x-caller-tenant': caller.tenant,
    'x-caller-subject': caller.subject,
    'x-caller-roles': caller.roles.join(','),
  };
}
