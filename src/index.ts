export type { Caller } from './core/caller.js';
export { everyRole } from './core/caller.js';
export type {
  ExitReason,
  ImageContent,
  TextContent,
  ThinkingContent,
  ToolCall,
} from './core/message.js';
export { createMessageQueue, type MessageQueue, type QueueMode } from './core/message-queue.js';
export type { AgentOptions, AgentState } from './library/agent.js';
export type {
  AgentConfig,
  AgentParts,
  EffortLevel,
  MCPServerConfig,
  MCPServerSettings,
} from './library/agent-config.js';
export type { AgentEvent } from './library/agent-events.js';
export type {
  AgentEventStream,
  AgentInput,
  AgentLoopConfig,
  AgentLoopContext,
} from './library/agent-loop.js';
export {
  AgentRuntime,
  type AgentRuntimeOptions,
  type QueryOptions,
  type QueryResult,
} from './library/agent-runtime.js';
export { AgentServer, type AgentServerOptions } from './library/agent-server.js';
// by name it would be an alias, to which programs could not add
export type * from './library/custom-messages.js';
export { Agent, agentLoop, agentLoopContinue, streamSimple } from './library/defaults.js';
export type {
  AgentMessage,
  AssistantMessage,
  AssistantMessageEvent,
  LlmContext,
  LlmMessage,
  StopReason,
  ThinkingLevel,
  TokenUsage,
  ToolResultMessage,
  UserMessage,
} from './library/messages.js';
export {
  createModelRouter,
  getModel,
  type ModelRouter,
  type ModelRouterOptions,
} from './library/model-router.js';
export type { QueryMessage } from './library/query-message.js';
export type { AssistantMessageStream, StreamFn, StreamOptions } from './library/stream-function.js';
export { streamProxy } from './library/stream-proxy.js';
export {
  type ExecuteOptions,
  type RegisterOptions,
  ToolExecutor,
  type ToolExecutorOptions,
  type ToolOutcome,
} from './library/tool-executor.js';
export type { Model, ToolDefinition } from './llm/provider.js';
export { JsonlSessionStore } from './sessions/jsonl.js';
export { MemorySessionStore } from './sessions/memory.js';
export { RedisSessionStore } from './sessions/redis.js';
export { SessionManager, type SessionManagerOptions, type SessionPage } from './sessions/session-manager.js';
export type {
  Owner,
  Session,
  SessionEntry,
  SessionStore,
  StoredMessage,
  StoredSession,
} from './sessions/session-store.js';
export {
  type AgentTool,
  type AgentToolResult,
  type ArgumentsOf,
  defineTool,
  type ToolSettings,
  type ToolUpdate,
  type ToolWork,
} from './tools/define-tool.js';
export type { Tool, ToolContext, ToolProgress, ToolResult } from './tools/tool.js';
