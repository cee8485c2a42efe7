import type { Tool } from '../tool.js';

/** How one server is reached. The texts of `env` and `headers` are secrets. */
export type McpServerConfig =
  | {
      name: string;
      transport: 'stdio';
      command: string;
      args: string[];
      /** the whole environment of the process */
      env: Record<string, string>;
      cwd: string | undefined;
    }
  | {
      name: string;
      /** http falls back to sse where the server answers that it does not know Streamable HTTP */
      transport: 'http' | 'sse';
      url: string;
      headers: Record<string, string>;
    };

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

/** What a server offers. */
export type Listing = { tools: Tool[]; dropped: DroppedTool[]; resources: string[]; prompts: string[] };

export const emptyListing: Listing = { tools: [], dropped: [], resources: [], prompts: [] };
