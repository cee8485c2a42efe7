import {
  Client,
  type ProgressCallback,
  SSEClientTransport,
  type Transport,
} from '@modelcontextprotocol/client';
import { raceAbort } from '../../core/abort.js';
import type { TraceContext } from '../../core/trace.js';
import { pinTo } from '../../outgoing/fetch.js';
import { boundMessages } from './bound-messages.js';
import { isGone, isSessionLost, isTimeout, McpFailure, reasonOf, statusOf } from './failures.js';
import { HttpTransport } from './http-transport.js';
import { deliverInOrder } from './in-order.js';
import type { McpServerConfig } from './mcp-server.js';
import { StdioTransport } from './stdio-transport.js';

export type ConnectionOptions = {
  version: string;
  fetch: typeof globalThis.fetch;
  /** the longest time from the start of a server to its answer to `initialize` */
  connectTimeoutMs: number;
};

/** Where a server finds the id of the request that a call is for. */
const requestIdKey = 'paf/request_id';

type ToolCallRequest = {
  name: string;
  args: Record<string, unknown>;
  /** both are told to the server in `_meta` */
  trace: TraceContext | undefined;
  requestId: string | undefined;
};

/** An initialised session with a server, until it ends for whatever reason. */
export interface Connection {
  readonly client: Client;
  readonly transport: McpServerConfig['transport'];
  /** resolves with the reason when the connection ends; calls under way are rejected then */
  readonly ended: Promise<string>;
  /** The raw result of a tool. Rejects when the server goes away, and soon after the signal aborts. */
  callTool(call: ToolCallRequest, onProgress: ProgressCallback, signal: AbortSignal): Promise<unknown>;
  /** Whether this failure of a call means that the server no longer knows the session. */
  isSessionLost(error: unknown): boolean;
  /** Ends the connection without a word to the server; the reason is then that of `ended`. */
  drop(reason: string): Promise<void>;
  /** Takes leave of the server and ends the connection. */
  close(): Promise<void>;
}

/** While a call is pending its server is asked this often whether it is still there. */
const busyPingMs = 1_000;
const idlePingMs = 10_000;
/** After two pings without an answer: a server that works on a call may have no time for them. */
const patientPingMs = 30_000;
const busyPingTimeoutMs = 1_500;
const idlePingTimeoutMs = 5_000;
const goodbyeTimeoutMs = 500;
/** The longest delay that a timer takes: the loop owns the time limit of a call. */
const noTimeoutMs = 2 ** 31 - 1;

/** Takes any result: one odd tool must not cost a server. What is used of it is checked where it is used. */
export const anything = {
  '~standard': { version: 1, vendor: 'paf-core-agent', validate: (value: unknown) => ({ value }) },
} as const;

/** Connects and initialises. Rejects, leaving nothing behind, when that fails or takes too long. */
export async function connect(
  server: McpServerConfig,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  if (server.transport === 'stdio') return open(new StdioTransport(server), 'stdio', options, signal);
  const { url, headers } = server;
  const fetch = boundMessages(pinTo(url, options.fetch));
  const sse = () => new SSEClientTransport(new URL(url), { requestInit: { headers }, fetch });
  if (server.transport === 'sse') return open(sse(), 'sse', options, signal);
  try {
    return await open(new HttpTransport(url, headers, fetch), 'http', options, signal);
  } catch (error) {
    if (!speaksOlderTransport(error)) throw error;
    return await open(sse(), 'sse', options, signal).catch(() => {
      throw error;
    });
  }
}

/** @see https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#backwards-compatibility */
function speaksOlderTransport(error: unknown): boolean {
  const status = statusOf(error) ?? 0;
  return status >= 400 && status < 500 && ![401, 403, 407, 429].includes(status);
}

async function open(
  transport: Transport,
  kind: McpServerConfig['transport'],
  { version, connectTimeoutMs }: ConnectionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const client = new Client({ name: 'paf-core-agent', version });
  deliverInOrder(transport);
  const timeout = AbortSignal.timeout(connectTimeoutMs);
  try {
    // the SDK limits the answer to initialize only, not what is sent before and after it
    await raceAbort(
      client.connect(transport, { timeout: connectTimeoutMs }),
      AbortSignal.any([signal, timeout]),
    );
  } catch (error) {
    await transport.close().catch(() => {});
    if (signal.aborted) throw signal.reason;
    if (timeout.aborted || isTimeout(error)) {
      throw new McpFailure(`it did not answer initialize within ${connectTimeoutMs / 1000} seconds`);
    }
    const { endReason } = transport as Partial<StdioTransport>;
    throw endReason === undefined ? error : new McpFailure(endReason);
  }
  return watch(client, transport, kind);
}

function watch(client: Client, transport: Transport, kind: McpServerConfig['transport']): Connection {
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<string>();
  let endReason: string | undefined;
  let pending = 0;
  let isChecking = false;
  let unanswered = 0;
  let askedMs = performance.now();

  async function drop(reason: string): Promise<void> {
    if (endReason !== undefined) return;
    endReason = reason;
    clearInterval(timer);
    // the SDK rejects what is under way when its transport closes
    await transport.close().catch(() => {});
    onEnded(reason);
  }

  /** Asks the server for a sign of life; ends the connection when there is none to be had. */
  async function check(): Promise<void> {
    if (isChecking || endReason !== undefined) return;
    isChecking = true;
    await ping();
    // the second goes over a new connection, which a host that is gone does not take
    if (unanswered === 1 && endReason === undefined) await ping();
    askedMs = performance.now();
    isChecking = false;
  }

  async function ping(): Promise<void> {
    try {
      await client.ping({ timeout: pending > 0 ? busyPingTimeoutMs : idlePingTimeoutMs });
      unanswered = 0;
    } catch (error) {
      const isUnanswered = isTimeout(error);
      unanswered = isUnanswered ? unanswered + 1 : 0;
      if (isGone(error) || (isUnanswered && pending === 0)) await drop(reasonOf(error));
    }
  }

  const timer = setInterval(() => {
    const busyMs = unanswered > 1 ? patientPingMs : busyPingMs;
    if (performance.now() - askedMs >= (pending > 0 ? busyMs : idlePingMs)) void check();
  }, busyPingMs).unref();
  // a process that ends says so itself
  if (kind === 'stdio') clearInterval(timer);
  client.onerror = () => {
    if (kind !== 'stdio') void check();
  };
  client.onclose = () => {
    const { endReason: processEnd } = transport as Partial<StdioTransport>;
    void drop(processEnd ?? 'it closed the connection');
  };

  return {
    client,
    transport: kind,
    ended,
    isSessionLost: (error) => isSessionLost(error, transport.sessionId),
    async callTool({ name, args, trace, requestId }, onProgress, signal) {
      signal.throwIfAborted();
      const cancel = new AbortController();
      // the reason goes to the server
      const onAbort = () => cancel.abort('the call was cancelled');
      signal.addEventListener('abort', onAbort, { once: true });
      pending++;
      askedMs = performance.now();
      try {
        const meta = { ...trace, ...(requestId !== undefined && { [requestIdKey]: requestId }) };
        const hasMeta = Object.keys(meta).length > 0;
        const params = { name, arguments: args, ...(hasMeta && { _meta: meta }) };
        return await client.request({ method: 'tools/call', params }, anything, {
          signal: cancel.signal,
          timeout: noTimeoutMs,
          resetTimeoutOnProgress: true,
          onprogress: onProgress,
        });
      } catch (error) {
        if (endReason !== undefined)
          throw new McpFailure(`the server went away during the call: ${endReason}`);
        throw error;
      } finally {
        pending--;
        signal.removeEventListener('abort', onAbort);
      }
    },
    drop,
    async close() {
      if (endReason === undefined && transport instanceof HttpTransport) {
        const goodbye = transport.terminateSession().catch(() => {});
        await raceAbort(goodbye, AbortSignal.timeout(goodbyeTimeoutMs)).catch(() => {});
      }
      await drop('this service closed the connection');
    },
  };
}
