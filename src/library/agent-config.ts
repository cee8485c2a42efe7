import type { Config } from '../config.js';
import type { Effort } from '../core/message.js';
import type { SessionManager } from '../sessions/session-manager.js';
import type { ModelRouter } from './model-router.js';
import type { ToolExecutor } from './tool-executor.js';

export type EffortLevel = Effort;

/** How an MCP server is reached: a program that is started, or an address. `${NAME}` in `env` and `headers` is a variable. */
export type MCPServerSettings =
  | { type?: 'stdio'; command: string; args?: string[]; env?: Record<string, string>; cwd?: string }
  | { type?: 'http' | 'sse'; url: string; headers?: Record<string, string> };

export type MCPServerConfig = MCPServerSettings & {
  name: string;
  /** callers of an AgentServer who hold one of these are offered its tools; absent: everybody is */
  roles?: string[];
};

/** What is absent is as the settings say. */
export interface AgentConfig {
  /** in place of the usual first words of the system prompt */
  systemPrompt?: string;
  /** most calls of the model in one run; default: MAX_TURNS, 10 */
  maxTurns?: number;
  /** default: DEFAULT_EFFORT, standard */
  defaultEffort?: EffortLevel;
  /** in place of those of MCP_SERVERS */
  mcpServers?: MCPServerConfig[];
}

/** What an AgentServer and an AgentRuntime are made of. */
export type AgentParts = {
  /** the way to the models, made by `createModelRouter`; default: what the environment names */
  llm?: ModelRouter;
  /** default: one as the environment says */
  sessionManager?: SessionManager;
  /** its tools come beside the built-in ones and those of the configured MCP servers */
  toolExecutor?: ToolExecutor;
  config?: AgentConfig;
};

/** The services of a program: what is given over what the environment says, which is read now. */
export async function openServices(parts: AgentParts, changes: (config: Config) => Partial<Config>) {
  const [{ loadConfigFromProcess, mcpServerFromProcess, ConfigError }, { createServices, createTracingOf }] =
    await Promise.all([import('../config.js'), import('../services.js')]);
  const { config: given = {}, llm, sessionManager, toolExecutor } = parts;
  const { config, warnings } = llm ? { config: llm.config, warnings: [] } : loadConfigFromProcess();
  const { maxTurns = config.maxTurns, defaultEffort = config.defaultEffort, systemPrompt } = given;
  if (!Number.isInteger(maxTurns) || maxTurns < 1) {
    throw new ConfigError(['config.maxTurns must be a whole number from 1']);
  }
  const mcpServers =
    given.mcpServers?.map(({ name, ...server }) => mcpServerFromProcess(name, server)) ?? config.mcpServers;
  const all: Config = { ...config, maxTurns, defaultEffort, mcpServers };
  const services = createServices({ ...all, ...changes(all) }, undefined, {
    sessions: sessionManager,
    tools: toolExecutor,
    systemPrompt,
    tracing: await createTracingOf(all),
  });
  return { services, warnings };
}
