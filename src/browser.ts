/** What runs in a browser: nothing here, and nothing that it imports, needs Node. */
export type { ImageContent, TextContent, ThinkingContent, ToolCall } from './core/message.js';
export { createMessageQueue, type MessageQueue, type QueueMode } from './core/message-queue.js';
export type { AgentOptions, AgentState } from './library/agent.js';
export type { AgentEvent } from './library/agent-events.js';
export {
  type AgentEventStream,
  type AgentInput,
  type AgentLoopConfig,
  type AgentLoopContext,
  continueLoop as agentLoopContinue,
  runLoop as agentLoop,
} from './library/agent-loop.js';
export { Agent } from './library/browser-agent.js';
// by name it would be an alias, to which programs could not add
export type * from './library/custom-messages.js';
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
export type { AssistantMessageStream, StreamFn, StreamOptions } from './library/stream-function.js';
export { streamProxy } from './library/stream-proxy.js';
export type { Model, ToolDefinition } from './llm/provider.js';
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
