import type { TraceContext } from '../../core/trace.js';
import type { Tool, ToolResult } from '../tool.js';

/** How one server is reached, and who may use it. The texts of `env` and `headers` are secrets. */
export type McpServerConfig = {
  name: string;
  /** callers who hold one of these are offered its tools; absent: everybody is */
  roles?: readonly string[];
} & (
  | {
      transport: 'stdio';
      command: string;
      args: string[];
      /** the whole environment of the process */
      env: Record<string, string>;
      cwd: string | undefined;
    }
  | {
      /** http falls back to sse where the server answers that it does not know Streamable HTTP */
      transport: 'http' | 'sse';
      url: string;
      headers: Record<string, string>;
    }
);

export type McpServerStatus = {
  name: string;
  transport: McpServerConfig['transport'];
  /** connecting: for the first time */
  status: 'connected' | 'connecting' | 'unavailable';
  /** why it is not connected, in plain words */
  error: string | undefined;
  /** the names under which its tools are offered */
  tools: string[];
  /** tools that cannot be offered, and why */
  dropped: DroppedTool[];
  /** URIs */
  resources: string[];
  prompts: string[];
};

export type DroppedTool = { name: string; reason: string };

/** One call of a tool of a server. */
type McpCall = {
  /** the server's own name of the tool */
  tool: string;
  transport: McpServerConfig['transport'];
  /** undefined: a process of ours */
  url: string | undefined;
  /** where the call belongs */
  trace: TraceContext | undefined;
};

/** Watches calls to servers from outside: `call` is given the trace that is told to the server. */
export type McpCallFollower = (
  about: McpCall,
  call: (trace: TraceContext | undefined) => Promise<ToolResult>,
  signal: AbortSignal,
) => Promise<ToolResult>;

/** What a server offers. */
export type Listing = { tools: Tool[]; dropped: DroppedTool[]; resources: string[]; prompts: string[] };

export const emptyListing: Listing = { tools: [], dropped: [], resources: [], prompts: [] };
