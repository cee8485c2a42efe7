import { runTools } from '../agent/run-tools.js';
import { everyRole } from '../core/caller.js';
import { type ImageContent, type TextContent, type ToolResultMessage, textOf } from '../core/message.js';
import type { AgentTool } from '../tools/define-tool.js';
import type { McpServers } from '../tools/mcp/mcp-servers.js';
import { toolNameOf } from '../tools/mcp/tool-name.js';
import type { Tool, ToolProgress } from '../tools/tool.js';
import type { MCPServerSettings } from './agent-config.js';
import { toTool } from './agent-tool.js';

export type ToolExecutorOptions = {
  /** milliseconds that a call of `execute` may be silent; default: 120,000 */
  timeoutMs?: number;
};

export type RegisterOptions = {
  signal?: AbortSignal;
  /** milliseconds until the tools must be listed; default: 30,000 */
  timeoutMs?: number;
};

export type ExecuteOptions = { signal?: AbortSignal; onProgress?: (progress: ToolProgress) => void };

/** What a tool came to. */
export type ToolOutcome = {
  /** the texts of the content */
  text: string;
  content: (TextContent | ImageContent)[];
  /** the tool failed or refused; the text says why */
  isError: boolean;
  /** for programs: no model sees it */
  details?: unknown;
};

/** npx may have to fetch the server first. */
const registerTimeoutMs = 30_000;
const executeTimeoutMs = 120_000;

const caller = { tenant: 'default', subject: 'library', roles: [everyRole] };

/** The tools of a program: its own and those of MCP servers, for itself and for its agents. */
export class ToolExecutor {
  private readonly own = new Map<string, Tool>();
  private readonly servers = new Map<string, McpServers>();
  private isClosed = false;

  constructor(private readonly options: ToolExecutorOptions = {}) {}

  /** Adds a tool of the program's own. */
  register(tool: AgentTool | Tool): void {
    if (this.own.has(tool.name)) throw new Error(`There is a tool named "${tool.name}" already.`);
    this.own.set(tool.name, toTool(tool));
  }

  /**
   * Starts or reaches an MCP server. Resolves when its tools are listed, and keeps it connected from then on; rejects,
   * leaving nothing behind, when it cannot be used.
   */
  async registerMCP(
    name: string,
    server: MCPServerSettings,
    { signal, timeoutMs = registerTimeoutMs }: RegisterOptions = {},
  ): Promise<void> {
    const { createConfiguredMcpServers } = await import('../services.js');
    const { loadConfigFromProcess, mcpServerFromProcess } = await import('../config.js');
    // nothing may be waited for between these and taking the name
    if (this.isClosed) throw new Error('This ToolExecutor is closed.');
    if (this.servers.has(name)) throw new Error(`There is an MCP server named "${name}" already.`);
    const config = { ...loadConfigFromProcess().config, mcpServers: [mcpServerFromProcess(name, server)] };
    const quiet = { info() {}, warn() {} };
    const servers = createConfiguredMcpServers(config, quiet, { connectTimeoutMs: timeoutMs });
    this.servers.set(name, servers);
    servers.start();
    const limit = AbortSignal.timeout(timeoutMs);
    // how it went is in the status
    await servers.tried(signal ? AbortSignal.any([signal, limit]) : limit).catch(() => {});
    const [status] = servers.status();
    if (status?.status === 'connected' && !signal?.aborted) return;
    this.servers.delete(name);
    await servers.close();
    signal?.throwIfAborted();
    const reason = status?.error ?? `its tools were not listed within ${timeoutMs / 1000} seconds`;
    throw new Error(`The MCP server "${name}" cannot be used: ${reason}.`);
  }

  /** Every tool under its whole name, which is `<server>__<tool>` for those of MCP servers. */
  list(): Tool[] {
    return [...this.own.values(), ...[...this.servers.values()].flatMap((servers) => servers.list())];
  }

  /**
   * Runs a tool. The name of an MCP server's tool may go without its server where that is unambiguous. A tool that fails is
   * an outcome with `isError`; a name that is not known rejects, and so does an aborted signal, with its reason.
   */
  async execute(
    name: string,
    args: Record<string, unknown> = {},
    { signal = new AbortController().signal, onProgress }: ExecuteOptions = {},
  ): Promise<ToolOutcome> {
    const tool = this.find(name);
    const run = {
      runId: `run_${crypto.randomUUID().replaceAll('-', '')}`,
      caller,
      tools: new Map([[tool.name, tool]]),
      timeoutMs: this.options.timeoutMs ?? executeTimeoutMs,
    };
    const call = {
      type: 'toolCall',
      id: `call_${crypto.randomUUID()}`,
      name: tool.name,
      arguments: args,
    } as const;
    signal.throwIfAborted();
    const failed = new AbortController();
    const steps = runTools(run, [call], AbortSignal.any([signal, failed.signal]));
    let step = await steps.next();
    while (!step.done) {
      if (step.value.type === 'tool-progress') {
        const { type: _type, id: _id, name: _name, ...progress } = step.value;
        try {
          onProgress?.(progress);
        } catch (error) {
          // nobody waits for the tool any more: it must not work on
          failed.abort(error);
        }
      }
      step = await steps.next();
    }
    failed.signal.throwIfAborted();
    const [{ content, isError, details }] = step.value as [ToolResultMessage];
    return { text: textOf(content), content, isError, ...(details === undefined ? {} : { details }) };
  }

  /** Resolves when no connection and no process of an MCP server is left. */
  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.servers.values()].map((servers) => servers.close()));
    this.servers.clear();
  }

  private find(name: string): Tool {
    const tools = this.list();
    const exact = tools.find((tool) => tool.name === name);
    if (exact) return exact;
    const fitting = [...this.servers].flatMap(([server, servers]) => {
      const whole = toolNameOf(server, name);
      return servers.list().filter((tool) => tool.name === whole);
    });
    const [only] = fitting;
    if (only && fitting.length === 1) return only;
    if (fitting.length > 1) throw new Error(`Several tools are named "${name}": ${namesOf(fitting)}.`);
    throw new Error(`There is no tool named "${name}"; there is: ${namesOf(tools)}.`);
  }
}

function namesOf(tools: Tool[]): string {
  return tools.map(({ name }) => name).join(', ') || 'none';
}
