import {
  type CallOptions,
  type ChannelCredentials,
  type ClientReadableStream,
  Metadata,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { type ConnectionFacts, toFailure } from './failures.js';
import type { ListCapabilitiesResponse } from './generated/paf/worker/v1/ListCapabilitiesResponse.js';
import type { TaskEvent } from './generated/paf/worker/v1/TaskEvent.js';
import type { TaskRequestInput } from './generated/paf/worker/v1/TaskRequest.js';
import { loadWorkerProto, workerServiceName } from './proto.js';
import type { WorkerAddress } from './worker.js';

export type ChannelOptions = {
  credentials: ChannelCredentials;
  /** what the worker's certificate must be for; undefined: its host */
  serverName: string | undefined;
  /** asked whenever a call fails */
  facts: () => ConnectionFacts;
  keepaliveMs: number;
  keepaliveTimeoutMs: number;
};

export type HealthState = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN' | 'UNKNOWN';

/** The connection to one worker, made when it is needed and made anew when it was lost. All failures are WorkerFailures. */
export interface WorkerChannel {
  check(timeoutMs: number, signal: AbortSignal): Promise<HealthState>;
  /** The state now and whenever it changes, until the connection is lost. */
  watch(signal: AbortSignal): AsyncGenerator<HealthState, void>;
  listCapabilities(timeoutMs: number, signal: AbortSignal): Promise<ListCapabilitiesResponse>;
  /**
   * The events of a task until the worker ends the call. The call is cancelled as soon as the signal aborts; when its
   * reader leaves earlier, the worker has a moment to end it.
   */
  execute(request: TaskRequestInput, headers: Headers, deadlineAt: number, signal: AbortSignal): Events;
  /** Calls under way may be cut off. */
  close(): void;
}

type Headers = Record<string, string>;
type Events = AsyncGenerator<TaskEvent, void>;

/** Of one message, in either direction. */
const maxMessageBytes = 4 * 1024 * 1024;
const firstReconnectMs = 250;
/** Left alone it grows to two minutes. */
const longestReconnectMs = 4_000;
/** How long a worker may take to end a call after its last event. */
const endGraceMs = 1_000;

let loaded: ReturnType<typeof loadWorkerProto> | undefined;

export function openChannel(address: WorkerAddress, options: ChannelOptions): WorkerChannel {
  loaded ??= loadWorkerProto();
  const { facts, serverName } = options;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const client = new loaded.WorkerAgent(`${host}:${address.port}`, options.credentials, {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': options.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.initial_reconnect_backoff_ms': firstReconnectMs,
    'grpc.max_reconnect_backoff_ms': longestReconnectMs,
    // a worker that is lost is replaced by another one, which the library knows nothing of
    'grpc.enable_retries': 0,
    // proxies are for model providers
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
    ...(serverName !== undefined && { 'grpc.ssl_target_name_override': serverName }),
  });
  const { Check, Watch } = healthService as typeof healthService & Record<'Check' | 'Watch', HealthMethod>;

  return {
    check: (timeoutMs, signal) =>
      unary<HealthAnswer>(
        (done) =>
          client.makeUnaryRequest(
            Check.path,
            Check.requestSerialize,
            Check.responseDeserialize as (bytes: Buffer) => HealthAnswer,
            { service: workerServiceName },
            { deadline: Date.now() + timeoutMs },
            done,
          ),
        facts,
        signal,
      ).then(({ status }) => status),
    async *watch(signal) {
      const call = client.makeServerStreamRequest(
        Watch.path,
        Watch.requestSerialize,
        Watch.responseDeserialize as (bytes: Buffer) => HealthAnswer,
        { service: workerServiceName },
      );
      for await (const { status } of follow(call, facts, signal)) yield status;
    },
    listCapabilities: (timeoutMs, signal) =>
      unary<ListCapabilitiesResponse>(
        (done) =>
          client.listCapabilities({}, { deadline: Date.now() + timeoutMs } satisfies CallOptions, done),
        facts,
        signal,
      ),
    execute: (request, headers, deadlineAt, signal) =>
      follow(client.executeTask(request, toMetadata(headers), { deadline: deadlineAt }), facts, signal),
    close: () => client.close(),
  };
}

type HealthMethod = (typeof healthService)[string];
type HealthAnswer = { status: HealthState };
type Done<T> = (error: unknown, answer?: T) => void;

function unary<T>(
  start: (done: Done<T>) => { cancel(): void },
  facts: () => ConnectionFacts,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const call = start((error, answer) => {
      signal.removeEventListener('abort', onAbort);
      if (signal.aborted) reject(signal.reason);
      else if (error || answer === undefined) reject(toFailure(error, facts()));
      else resolve(answer);
    });
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

async function* follow<T>(
  call: ClientReadableStream<T>,
  facts: () => ConnectionFacts,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  let isEnded = false;
  // an error that comes when nobody reads any more is of no interest, and would end the process
  call.on('error', () => {
    isEnded = true;
  });
  call.once('end', () => {
    isEnded = true;
  });
  const onAbort = () => call.cancel();
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as T;
  } catch (error) {
    signal.throwIfAborted();
    throw toFailure(error, facts());
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!isEnded) leave(call);
  }
}

/** Lets the worker end the call, and cancels it when it does not. What still comes is thrown away. */
function leave(call: ClientReadableStream<unknown>): void {
  const timer = setTimeout(() => call.cancel(), endGraceMs);
  const stop = () => clearTimeout(timer);
  call.once('end', stop);
  call.once('error', stop);
  call.resume();
}

function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    // the headers of a trace are ASCII, and what they say is not ours to encode
    metadata.set(name, name.startsWith('x-') ? toHeaderValue(value) : value);
  }
  return metadata;
}

/** Percent-encodes what gRPC takes in no header, and the percent sign. */
function toHeaderValue(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x20-\x24\x26-\x7e]/gu, (character) => {
    const bytes = [...Buffer.from(character)];
    return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  });
}
