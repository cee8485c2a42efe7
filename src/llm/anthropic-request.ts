import type {
  ContentBlockParam as WireBlock,
  ImageBlockParam as WireImage,
  MessageParam as WireMessage,
  MessageCreateParamsStreaming as WireRequest,
  TextBlockParam as WireText,
  Tool as WireTool,
  ToolResultBlockParam as WireToolResult,
} from '@anthropic-ai/sdk/resources/messages';
import {
  type AssistantMessage,
  type Effort,
  type ImageContent,
  type Message,
  type TextContent,
  type ThinkingContent,
  type ToolResultMessage,
  textOf,
} from '../core/message.js';
import { toClosedSchema } from './anthropic-schema.js';
import type { LlmRequest, ToolDefinition } from './provider.js';
import { sealedThinking } from './sealed-thinking.js';

const cached = { cache_control: { type: 'ephemeral' } } as const;

export function toRequest(request: LlmRequest): WireRequest {
  const { model } = request;
  const messages = toMessages(request);
  const isPrefilled = messages.at(-1)?.role === 'assistant';
  const maxTokens = request.maxTokens ?? model.maxOutput;
  const { thinking, effort } = toThinking(request, maxTokens, isPrefilled);
  const format = isPrefilled ? undefined : toFormat(request);
  const system = toSystem(request.messages);
  return {
    model: model.id,
    max_tokens: maxTokens,
    messages,
    stream: true,
    ...(system.length > 0 ? { system } : {}),
    ...toTools(model.accepts.tools ? request.tools : [], request.messages),
    ...(thinking ? { thinking } : {}),
    ...(effort || format
      ? { output_config: { ...(effort ? { effort } : {}), ...(format ? { format } : {}) } }
      : {}),
    ...toTemperature(request, thinking),
  };
}

/** The first system message is the one that stays the same from request to request. */
function toSystem(messages: readonly Message[]): WireText[] {
  const texts = messages.filter((message) => message.role === 'system').map((message) => message.content);
  const blocks = texts.flatMap(toText);
  return blocks.map((block, index) => (index === 0 ? { ...block, ...cached } : block));
}

type Turn = { role: 'user' | 'assistant'; content: WireBlock[] };

/** Turns alternate and the user has the first; neighbours of one role become one turn. */
function toMessages({ messages, model }: LlmRequest): WireMessage[] {
  const sealed = sealedThinking(messages, model);
  const turns: Turn[] = [];
  for (const message of messages) {
    if (message.role === 'system') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const content = toBlocks(message, sealed);
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else if (content.length > 0) turns.push({ role, content });
  }
  if (turns[0]?.role !== 'user')
    turns.unshift({ role: 'user', content: toText('(The conversation starts.)') });
  for (const turn of turns) turn.content.sort((left, right) => rank(left) - rank(right));
  trimPrefill(turns.at(-1));
  return turns;
}

type Spoken = Exclude<Message, { role: 'system' }>;

function toBlocks(message: Spoken, sealed: ReadonlySet<ThinkingContent>): WireBlock[] {
  switch (message.role) {
    case 'user':
      return typeof message.content === 'string' ? toText(message.content) : message.content.flatMap(toPart);
    case 'assistant':
      return toAssistant(message, sealed);
    case 'toolResult':
      return [toToolResult(message)];
    default:
      return message satisfies never;
  }
}

/** Results of tools must come first in a turn, and calls last. */
function rank(block: WireBlock): number {
  if (block.type === 'tool_result') return 0;
  return block.type === 'tool_use' ? 2 : 1;
}

/** A message of the assistant at the end is continued, but not one that ends in white space. */
function trimPrefill(turn: Turn | undefined): void {
  const last = turn?.role === 'assistant' ? turn.content.at(-1) : undefined;
  if (last?.type === 'text') last.text = last.text.trimEnd();
}

/** Blank text is refused. */
function toText(text: string): WireText[] {
  return text.trim() === '' ? [] : [{ type: 'text', text }];
}

function toPart(part: TextContent | ImageContent): (WireText | WireImage)[] {
  return part.type === 'image' ? [toImage(part)] : toText(part.text);
}

type ImageSource = Extract<WireImage['source'], { type: 'base64' }>;

function toImage({ data, mimeType }: ImageContent): WireImage {
  const mediaType = (mimeType === 'image/jpg' ? 'image/jpeg' : mimeType) as ImageSource['media_type'];
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data } };
}

function toAssistant(message: AssistantMessage, sealed: ReadonlySet<ThinkingContent>): WireBlock[] {
  return message.content.flatMap((block): WireBlock[] => {
    switch (block.type) {
      case 'text':
        return toText(block.text);
      case 'thinking':
        return sealed.has(block) ? [toThinkingBlock(block)] : [];
      case 'toolCall':
        return [{ type: 'tool_use', id: toCallId(block.id), name: block.name, input: block.arguments }];
      default:
        return block satisfies never;
    }
  });
}

function toThinkingBlock({ thinking, signature = '', redacted }: ThinkingContent): WireBlock {
  if (redacted !== undefined) return { type: 'redacted_thinking', data: redacted };
  return { type: 'thinking', thinking, signature };
}

/** A failed result may hold no images. */
function toToolResult(message: ToolResultMessage): WireToolResult {
  const { isError } = message;
  const content = isError ? toText(textOf(message.content)) : message.content.flatMap(toPart);
  return {
    type: 'tool_result',
    tool_use_id: toCallId(message.toolCallId),
    ...(content.length > 0 ? { content } : {}),
    ...(isError ? { is_error: true } : {}),
  };
}

/** Another provider's model may have given the id, in characters that are refused here. */
function toCallId(id: string): string {
  return id.replace(/[^a-zA-Z0-9_-]/g, '_');
}

/** Calls in the history want tools to be defined even when none may be called any more. */
function toTools(tools: readonly ToolDefinition[], messages: readonly Message[]) {
  if (tools.length > 0) return { tools: withMarker(tools.map(toTool)) };
  const names = new Set(
    messages.flatMap((message) =>
      message.role === 'assistant'
        ? message.content.flatMap((block) => (block.type === 'toolCall' ? [block.name] : []))
        : [],
    ),
  );
  if (names.size === 0) return {};
  const past = [...names].map((name): WireTool => ({ name, input_schema: { type: 'object' } }));
  return { tools: past, tool_choice: { type: 'none' as const } };
}

function withMarker(tools: WireTool[]): WireTool[] {
  return tools.map((tool, index) => (index === tools.length - 1 ? { ...tool, ...cached } : tool));
}

/** Alternatives are not taken at the top of an input schema. */
function toTool({ name, description, parameters }: ToolDefinition): WireTool {
  const { anyOf: _, oneOf: __, allOf: ___, ...schema } = parameters;
  return {
    name,
    ...(description.trim() === '' ? {} : { description }),
    input_schema: { ...schema, type: 'object' },
  };
}

function toFormat({ responseFormat, model }: LlmRequest) {
  if (responseFormat.type !== 'json_schema' || !model.accepts.jsonSchema) return undefined;
  const schema = toClosedSchema(responseFormat.schema);
  return schema ? { type: 'json_schema' as const, schema } : undefined;
}

type WireThinking = NonNullable<WireRequest['thinking']>;
type WireEffort = 'low' | 'medium' | 'high';
type Thinking = { thinking?: WireThinking; effort?: WireEffort };

function toThinking(request: LlmRequest, maxTokens: number, isPrefilled: boolean): Thinking {
  const { model } = request;
  if (!model.accepts.reasoning) return {};
  const { on, off } = model.thinking ?? { on: 'adaptive' };
  const isWanted = request.effort !== 'quick' && !isPrefilled;
  if (on === 'budget') {
    return isWanted && !isUnsealedToolTurn(request) ? toBudget(request.effort, maxTokens) : {};
  }
  const effort = toEffort(request.effort);
  if (isWanted || off === 'never') return { thinking: { type: 'adaptive', display: 'summarized' }, effort };
  return off ? { thinking: { type: off }, effort } : { effort };
}

/** With a budget, a turn that called tools has to begin with its own thinking. */
function isUnsealedToolTurn({ messages, model }: LlmRequest): boolean {
  const last = messages.findLast((message) => message.role === 'assistant');
  if (!last?.content.some((block) => block.type === 'toolCall')) return false;
  const [first] = last.content;
  return first?.type !== 'thinking' || !sealedThinking(messages, model).has(first);
}

const minBudget = 1024;
const budgets = { quick: 0, standard: 4096, determined: 16384 } as const satisfies Record<Effort, number>;

/** At least half of the output is for the answer. */
function toBudget(effort: Effort, maxTokens: number): Thinking {
  const budget = Math.min(budgets[effort], Math.floor(maxTokens / 2));
  return budget < minBudget ? {} : { thinking: { type: 'enabled', budget_tokens: budget } };
}

function toEffort(effort: Effort): WireEffort {
  switch (effort) {
    case 'quick':
      return 'low';
    case 'standard':
      return 'medium';
    case 'determined':
      return 'high';
    default:
      return effort satisfies never;
  }
}

function toTemperature({ temperature, model }: LlmRequest, thinking: WireThinking | undefined) {
  const isThinking = thinking?.type === 'enabled' || thinking?.type === 'adaptive';
  if (temperature === undefined || !model.accepts.temperature || isThinking) return {};
  return { temperature: Math.min(1, Math.max(0, temperature)) };
}
