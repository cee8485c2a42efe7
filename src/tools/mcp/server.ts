import type { ProgressCallback } from '@modelcontextprotocol/client';
import { delay, raceAbort } from '../../core/abort.js';
import type { TraceContext } from '../../core/trace.js';
import type { RunBounded } from '../check-schema.js';
import type { Tool, ToolContext, ToolResult } from '../tool.js';
import { type Connection, connect } from './connection.js';
import { discover } from './discover.js';
import { reasonOf, serverWordsOf } from './failures.js';
import {
  emptyListing,
  type McpCallFollower,
  type McpServerConfig,
  type McpServerStatus,
} from './mcp-server.js';
import { failure, toResult } from './to-result.js';

export type McpServerOptions = {
  /** of this service, as the servers are told */
  version: string;
  fetch: typeof globalThis.fetch;
  runBounded: RunBounded;
  /** no line holds what a server wrote */
  log: Record<'info' | 'warn', (fields: Record<string, unknown>, message: string) => void>;
  connectTimeoutMs?: number;
  follow?: McpCallFollower | undefined;
};

/** One server: connected whenever that is possible, and its tools as it last listed them. */
export interface McpServer {
  list(): Tool[];
  status(): McpServerStatus;
  /** resolves when the first try to connect is over, however it ended */
  readonly tried: Promise<void>;
  /** Connects in the background. */
  start(): void;
  /** Resolves when the connection is closed and a server that is our process is gone. */
  close(): Promise<void>;
}

/** As long as a server may take to answer `initialize`. */
const defaultConnectTimeoutMs = 10_000;
const firstRetryMs = 250;
const longestRetryMs = 8_000;
/** A connection that held this long was a good one: the next retry is soon again. */
const steadyMs = 10_000;
/** How long a call waits for a new session when the server forgot the old one. */
const newSessionMs = 4_000;
/** Notices of changes that come together lead to one look. */
const refreshDelayMs = 200;
const mostProgressChars = 1_000;
const listChanges = [
  'notifications/tools/list_changed',
  'notifications/resources/list_changed',
  'notifications/prompts/list_changed',
] as const;

/** What a call needs of its context. */
type CallContext = {
  via: Connection;
  trace: TraceContext | undefined;
  requestId?: string | undefined;
  onProgress: ToolContext['onProgress'];
};

export function createMcpServer(config: McpServerConfig, options: McpServerOptions): McpServer {
  const { name, roles } = config;
  const { log, connectTimeoutMs = defaultConnectTimeoutMs } = options;
  const closing = new AbortController();
  const { signal: closed } = closing;
  const { promise: tried, resolve: onTried } = Promise.withResolvers<void>();
  let running = Promise.resolve();
  let listing = emptyListing;
  let connection: Connection | undefined;
  let connected = Promise.withResolvers<Connection>();
  let error: string | undefined;
  /** whose list is to be looked at again */
  let due: Connection['client'] | undefined;
  let looking = Promise.resolve();

  async function keepConnected(): Promise<void> {
    let retryMs = firstRetryMs;
    while (!closed.aborted) {
      const reason = await session(() => {
        retryMs = firstRetryMs;
      });
      if (closed.aborted) break;
      if (reason !== error) log.warn({ mcp_server: name, reason }, 'MCP server unavailable');
      error = reason;
      onTried();
      await delay(retryMs, closed).catch(() => {});
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
    onTried();
  }

  /** One connection from its start to its end; returns why it ended. */
  async function session(onSteady: () => void): Promise<string> {
    let opened: Connection | undefined;
    const steady = setTimeout(() => connection && onSteady(), steadyMs).unref();
    try {
      opened = await connect(config, { ...options, connectTimeoutMs }, closed);
      const { client } = opened;
      for (const change of listChanges) client.setNotificationHandler(change, () => refreshSoon(client));
      // a schema that took too long to check may do better now
      listing = { ...listing, dropped: [] };
      await refresh(client);
      connection = opened;
      connected.resolve(opened);
      const isBack = error !== undefined;
      error = undefined;
      onTried();
      const fields = { mcp_server: name, transport: opened.transport, tools: listing.tools.length };
      log.info(
        { ...fields, dropped: listing.dropped.length },
        isBack ? 'MCP server back' : 'MCP server connected',
      );
      return await raceAbort(opened.ended, closed);
    } catch (thrown) {
      return reasonOf(thrown);
    } finally {
      clearTimeout(steady);
      if (opened && connection === opened) forget();
      await opened?.close();
    }
  }

  function forget(): void {
    connection = undefined;
    connected = Promise.withResolvers();
  }

  /** Looks at the lists, one look after the other: the newest counts. */
  function refresh(client: Connection['client'], onBegin = () => {}): Promise<void> {
    const { runBounded } = options;
    const look = async () => {
      onBegin();
      listing = await discover(
        client,
        { server: name, roles, execute: call, runBounded, last: listing },
        closed,
      );
    };
    looking = looking.then(look, look);
    return looking;
  }

  function refreshSoon(client: Connection['client']): void {
    if (due === client) return;
    due = client;
    // a notice that comes after the look has begun means another one
    const settle = () => {
      if (due === client) due = undefined;
    };
    const look = async () => {
      await delay(refreshDelayMs, closed);
      await refresh(client, settle);
    };
    look().catch((thrown) => {
      settle();
      if (!closed.aborted) log.warn({ mcp_server: name, reason: reasonOf(thrown) }, 'MCP tools not listed');
    });
  }

  async function call(
    tool: string,
    args: Record<string, unknown>,
    context: ToolContext,
    signal: AbortSignal,
  ): Promise<ToolResult> {
    if (!connection)
      return failure(`The MCP server "${name}" is not available: ${error ?? 'not connected yet'}.`);
    const via = connection;
    const { transport } = via;
    const { trace } = context;
    const ask = (told: TraceContext | undefined) =>
      request(tool, args, { ...context, via, trace: told }, signal);
    const url = config.transport === 'stdio' ? undefined : config.url;
    return options.follow ? options.follow({ tool, transport, url, trace }, ask, signal) : ask(trace);
  }

  async function request(
    tool: string,
    args: Record<string, unknown>,
    context: CallContext,
    signal: AbortSignal,
  ): Promise<ToolResult> {
    let used = context.via;
    const onProgress: ProgressCallback = ({ progress, total, message }) =>
      context.onProgress({
        progress,
        ...(total !== undefined && { total }),
        message: (message ?? '').slice(0, mostProgressChars),
      });
    try {
      for (let isRetry = false; ; isRetry = true) {
        try {
          const { trace, requestId } = context;
          return toResult(await used.callTool({ name: tool, args, trace, requestId }, onProgress, signal));
        } catch (thrown) {
          if (isRetry || !used.isSessionLost(thrown)) throw thrown;
          used = await newSession(used, signal);
        }
      }
    } catch (thrown) {
      signal.throwIfAborted();
      // what a server answers is for the model, like a result
      const words = serverWordsOf(thrown);
      if (words !== undefined) return failure(words);
      return failure(`The call to the MCP server "${name}" failed: ${reasonOf(thrown)}.`);
    }
  }

  /** The session after the one that the server forgot, as it does when it restarts. */
  async function newSession(lost: Connection, signal: AbortSignal): Promise<Connection> {
    if (connection === lost) {
      forget();
      await lost.drop('it no longer knows the session');
    }
    const either = AbortSignal.any([signal, closed, AbortSignal.timeout(newSessionMs)]);
    return raceAbort(connected.promise, either);
  }

  return {
    list: () => listing.tools,
    status: () => ({
      name,
      transport: connection?.transport ?? config.transport,
      status: connection ? 'connected' : error === undefined ? 'connecting' : 'unavailable',
      error: connection ? undefined : error,
      tools: listing.tools.map((tool) => tool.name),
      dropped: listing.dropped,
      resources: listing.resources,
      prompts: listing.prompts,
    }),
    tried,
    start() {
      running = keepConnected();
    },
    async close() {
      closing.abort(new Error('the service is closing'));
      await running;
    },
  };
}
