import type * as core from '../core/message.js';
import type { ToolDefinition } from '../llm/provider.js';
import type { CustomAgentMessages } from './custom-messages.js';

/** What a conversation consists of. Every message says when it came, in epoch milliseconds. */
type Timed = { timestamp: number };

export type UserMessage = core.UserMessage & Timed;
export type ToolResultMessage = core.ToolResultMessage & Timed;
export type AssistantMessage = core.AssistantMessage &
  Timed & {
    provider: string;
    /** the model's id */
    model: string;
    usage: TokenUsage;
    stopReason: StopReason;
    /** what went wrong, when the reason is `error` or `aborted` */
    errorMessage?: string;
  };

export type StopReason = 'stop' | 'length' | 'toolUse' | 'error' | 'aborted';

/** Tokens; `input` is what the cache had no part in. Costs are US dollars, 0 where the catalogue has no price. */
export type TokenUsage = {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  totalTokens: number;
  cost: { input: number; output: number; cacheRead: number; cacheWrite: number; total: number };
};

/** What a model understands. */
export type LlmMessage = UserMessage | AssistantMessage | ToolResultMessage;

/** What an agent keeps: messages for the model, and those of the program around it. */
export type AgentMessage = LlmMessage | CustomAgentMessages[keyof CustomAgentMessages];

export type ThinkingLevel = 'off' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh';

/** One request to a model. */
export type LlmContext = {
  systemPrompt?: string;
  messages: LlmMessage[];
  tools?: ToolDefinition[];
};

/** How a model's answer grows. A stream is one `start`, then parts, then exactly one `done` or `error`. */
export type AssistantMessageEvent =
  | { type: 'start'; partial: AssistantMessage }
  | {
      type: 'text_start' | 'thinking_start' | 'toolcall_start';
      contentIndex: number;
      partial: AssistantMessage;
    }
  | {
      type: 'text_delta' | 'thinking_delta' | 'toolcall_delta';
      contentIndex: number;
      delta: string;
      partial: AssistantMessage;
    }
  | {
      type: 'text_end' | 'thinking_end';
      contentIndex: number;
      content: string;
      partial: AssistantMessage;
    }
  | { type: 'toolcall_end'; contentIndex: number; toolCall: core.ToolCall; partial: AssistantMessage }
  | { type: 'done'; reason: 'stop' | 'length' | 'toolUse'; message: AssistantMessage }
  | { type: 'error'; reason: 'error' | 'aborted'; error: AssistantMessage };

export const noTokens: TokenUsage = {
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  totalTokens: 0,
  cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
};
