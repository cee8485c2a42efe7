import type { ExitReason } from '../core/message.js';
import type { AgentToolResult } from '../tools/define-tool.js';
import type { AgentMessage, AssistantMessage, AssistantMessageEvent, ToolResultMessage } from './messages.js';

/** What an agent tells those who follow it. A run is one `agent_start`, then turns, then one `agent_end`. */
export type AgentEvent =
  | { type: 'agent_start' }
  /** `messages`: all that the run added; `exitReason`: why it ended, absent after an error or an abort */
  | { type: 'agent_end'; messages: AgentMessage[]; exitReason?: ExitReason }
  | { type: 'turn_start' }
  | { type: 'turn_end'; message: AgentMessage; toolResults: ToolResultMessage[] }
  | { type: 'message_start'; message: AgentMessage }
  | { type: 'message_update'; message: AssistantMessage; assistantMessageEvent: AssistantMessageEvent }
  | { type: 'message_end'; message: AgentMessage }
  | { type: 'tool_execution_start'; toolCallId: string; toolName: string; args: unknown }
  | {
      type: 'tool_execution_update';
      toolCallId: string;
      toolName: string;
      args: unknown;
      partialResult: AgentToolResult;
    }
  | {
      type: 'tool_execution_end';
      toolCallId: string;
      toolName: string;
      result: AgentToolResult;
      isError: boolean;
    };
