import { raceAbort } from '../../core/abort.js';
import { type Caller, mayUse } from '../../core/caller.js';
import type { Tool } from '../tool.js';
import type { McpServerConfig, McpServerStatus } from './mcp-server.js';
import type { McpServer, McpServerOptions } from './server.js';

export type McpServersOptions = McpServerOptions & { servers: McpServerConfig[] };

/** The tools of any number of MCP servers, each kept connected on its own. */
export interface McpServers {
  /** The tools of all servers, also of those that are away for now. Does not throw. */
  list(): Tool[];
  /** of every configured server, in the order of the configuration */
  status(): McpServerStatus[];
  /** of those whose tools the caller may use */
  statusFor(caller: Caller): McpServerStatus[];
  /** Resolves when every server that was started is connected or could not be reached at the first try. */
  tried(signal: AbortSignal): Promise<void>;
  /** Connects in the background; nothing waits for a server. */
  start(): void;
  /** Resolves when all connections are closed and no process that was started is left. */
  close(): Promise<void>;
}

export function createMcpServers({ servers, ...options }: McpServersOptions): McpServers {
  let started: McpServer[] = [];
  let starting: Promise<void> | undefined;
  let isClosed = false;

  /** The SDK is loaded by those only who have a server to reach. */
  async function startAll(): Promise<void> {
    const { createMcpServer } = await import('./server.js');
    if (isClosed) return;
    started = servers.map((server) => createMcpServer(server, options));
    for (const server of started) server.start();
  }

  const statusOf = (server: McpServerConfig) =>
    started[servers.indexOf(server)]?.status() ?? notStarted(server);

  return {
    list: () => started.flatMap((server) => server.list()),
    status: () => servers.map(statusOf),
    statusFor: (caller) => servers.filter(({ roles }) => mayUse(caller, roles)).map(statusOf),
    async tried(signal) {
      await raceAbort(Promise.resolve(starting), signal);
      await raceAbort(Promise.all(started.map((server) => server.tried)), signal);
    },
    start() {
      if (servers.length > 0) starting ??= startAll();
    },
    async close() {
      isClosed = true;
      await starting;
      await Promise.all(started.map((server) => server.close()));
    },
  };
}

function notStarted({ name, transport }: McpServerConfig): McpServerStatus {
  return {
    name,
    transport,
    status: 'connecting',
    error: undefined,
    tools: [],
    dropped: [],
    resources: [],
    prompts: [],
  };
}
