/** The vocabulary of a conversation: what the agent keeps and what a provider is given. */

export type TextContent = { type: 'text'; text: string };
/** What a vendor seals a stretch of thinking with, or puts in its place: it goes back unchanged, or not at all. */
export type ThinkingSeal = { signature?: string; redacted?: string };
/** `sealedBy` names the model whose seal it is, as `provider/id`: no other one takes it. */
export type ThinkingContent = { type: 'thinking'; thinking: string; sealedBy?: string } & ThinkingSeal;
export type ImageContent = { type: 'image' /** base64 */; data: string; mimeType: string };

/** `arguments` is the parsed object; `argumentsText` is set only when the model's text was not a JSON object. */
export type ToolCall = {
  type: 'toolCall';
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  argumentsText?: string;
};

export type SystemMessage = { role: 'system'; content: string };
export type UserMessage = { role: 'user'; content: string | (TextContent | ImageContent)[] };
export type AssistantMessage = {
  role: 'assistant';
  content: (TextContent | ThinkingContent | ToolCall)[];
};
export type ToolResultMessage = {
  role: 'toolResult';
  toolCallId: string;
  toolName: string;
  content: (TextContent | ImageContent)[];
  /** for programs that show the result: no model sees it */
  details?: unknown;
  isError: boolean;
};
export type Message = SystemMessage | UserMessage | AssistantMessage | ToolResultMessage;

const roles: readonly unknown[] = ['system', 'user', 'assistant', 'toolResult'] satisfies Message['role'][];

/** Whether it is one of these, and not a message that only some program knows. */
export function isMessage(message: unknown): message is Message {
  return roles.includes((message as { role?: unknown } | null)?.role);
}

/** Token counts of one or more model calls. `inputTokens` includes cached ones, `outputTokens` reasoning ones. */
export type Usage = {
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
  reasoningTokens: number;
  /** true when any part was counted here and not reported by the provider */
  estimated: boolean;
};

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedTokens: 0,
  reasoningTokens: 0,
  estimated: false,
};

export function addUsage(left: Usage, right: Usage): Usage {
  return {
    inputTokens: left.inputTokens + right.inputTokens,
    outputTokens: left.outputTokens + right.outputTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    reasoningTokens: left.reasoningTokens + right.reasoningTokens,
    estimated: left.estimated || right.estimated,
  };
}

export const finishReasons = ['stop', 'length', 'tool_calls', 'content_filter'] as const;
export type FinishReason = (typeof finishReasons)[number];

export const exitReasons = [
  'completed',
  'length',
  'max_turns',
  'max_tool_calls',
  'budget',
  'deadline',
  'loop',
  'repetition',
  'content_filter',
] as const;
export type ExitReason = (typeof exitReasons)[number];

export const efforts = ['quick', 'standard', 'determined'] as const;
export type Effort = (typeof efforts)[number];

/** The plain text of a message's content blocks, in order. */
export function textOf(content: string | readonly { type: string; text?: string }[]): string {
  if (typeof content === 'string') return content;
  let text = '';
  for (const block of content) if (block.type === 'text') text += block.text ?? '';
  return text;
}
