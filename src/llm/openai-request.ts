import type {
  ChatCompletionMessageParam as WireMessage,
  ChatCompletionContentPart as WirePart,
  ChatCompletionCreateParamsStreaming as WireRequest,
  ChatCompletionMessageFunctionToolCall as WireToolCall,
} from 'openai/resources/chat/completions';
import {
  type AssistantMessage,
  type Effort,
  type ImageContent,
  type Message,
  type TextContent,
  type ToolCall,
  type ToolResultMessage,
  textOf,
} from '../core/message.js';
import type { LlmRequest, Model, ResponseFormat } from './provider.js';

export function toRequest(request: LlmRequest, provider: string): WireRequest {
  const { model, maxTokens, temperature } = request;
  const tools = model.accepts.tools ? request.tools : [];
  const format = toResponseFormat(request.responseFormat, model);
  return {
    model: model.id,
    messages: withFormatHint(toMessages(request.messages), format),
    stream: true,
    stream_options: { include_usage: true },
    ...(tools.length > 0
      ? { tools: tools.map((tool) => ({ type: 'function', function: { ...tool } })) }
      : {}),
    ...(format ? { response_format: format } : {}),
    ...(temperature !== undefined && model.accepts.temperature ? { temperature } : {}),
    ...(maxTokens === undefined ? {} : toMaxTokens(maxTokens, model)),
    ...(provider === 'openai' && model.accepts.reasoning
      ? { reasoning_effort: toReasoningEffort(request.effort, model, tools.length > 0) }
      : {}),
  };
}

function toMaxTokens(maxTokens: number, model: Model) {
  return model.accepts.reasoning ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens };
}

/** Some models take tools only with their reasoning off. */
function toReasoningEffort(effort: Effort, model: Model, hasTools: boolean) {
  if (hasTools && model.reasoningWithTools === false) return 'none';
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

/** Images that tools returned follow as a user message, after the last result of that turn. */
function toMessages(messages: readonly Message[]): WireMessage[] {
  const wire: WireMessage[] = [];
  let images: ImageContent[] = [];
  const flush = () => {
    if (images.length > 0) wire.push({ role: 'user', content: images.map(toImagePart) });
    images = [];
  };
  for (const message of messages) {
    if (message.role !== 'toolResult') flush();
    switch (message.role) {
      case 'system':
        wire.push({ role: 'system', content: message.content });
        break;
      case 'user':
        wire.push({ role: 'user', content: toUserContent(message.content) });
        break;
      case 'assistant':
        wire.push(toAssistant(message));
        break;
      case 'toolResult':
        wire.push(toToolResult(message));
        images.push(...message.content.filter(isImage));
        break;
      default:
        message satisfies never;
    }
  }
  flush();
  return wire;
}

/** Plain strings wherever possible: not every server takes lists of parts. */
function toUserContent(content: string | (TextContent | ImageContent)[]): string | WirePart[] {
  if (typeof content === 'string' || !content.some(isImage)) return textOf(content);
  return content.map((block) =>
    block.type === 'image' ? toImagePart(block) : { type: 'text', text: block.text },
  );
}

function toImagePart(image: ImageContent): WirePart {
  return { type: 'image_url', image_url: { url: `data:${image.mimeType};base64,${image.data}` } };
}

function isImage(block: { type: string }): block is ImageContent {
  return block.type === 'image';
}

function toAssistant(message: AssistantMessage): WireMessage {
  const content = textOf(message.content);
  const calls = message.content.filter((block) => block.type === 'toolCall');
  if (calls.length === 0) return { role: 'assistant', content };
  return { role: 'assistant', content: content === '' ? null : content, tool_calls: calls.map(toToolCall) };
}

/** Servers that parse old arguments refuse a history that holds broken ones, so the parsed object is sent. */
function toToolCall(call: ToolCall): WireToolCall {
  return {
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  };
}

function toToolResult(message: ToolResultMessage): WireMessage {
  const text = textOf(message.content);
  const content = text === '' && message.content.some(isImage) ? 'The image follows.' : text;
  return { role: 'tool', tool_call_id: message.toolCallId, content };
}

type WireFormat = NonNullable<WireRequest['response_format']>;

function toResponseFormat(format: ResponseFormat, model: Model): WireFormat | undefined {
  if (format.type === 'text') return undefined;
  if (format.type === 'json_object' || !model.accepts.jsonSchema) return { type: 'json_object' };
  const { schema } = format;
  return { type: 'json_schema', json_schema: { name: 'answer', schema, strict: isStrictSchema(schema) } };
}

/** JSON mode is refused unless some message speaks of JSON. */
function withFormatHint(messages: WireMessage[], format: WireFormat | undefined): WireMessage[] {
  if (format?.type !== 'json_object' || /json/i.test(JSON.stringify(messages))) return messages;
  const hint = 'Answer with a JSON object.';
  const [first, ...rest] = messages;
  if (first?.role !== 'system') return [{ role: 'system', content: hint }, ...messages];
  return [{ role: 'system', content: `${first.content}\n\n${hint}` }, ...rest];
}

const strictKeywords = new Set(
  'type properties required additionalProperties items enum const title description anyOf'.split(' '),
);
const maxStrictDepth = 5;

/**
 * Strict mode guarantees the schema but takes only closed objects whose properties are all required, and few keywords;
 * anything else is refused with 400, so it is asked for only where it surely applies.
 * @see https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
function isStrictSchema(schema: unknown): boolean {
  return (schema as { type?: unknown } | null)?.type === 'object' && isStrictPart(schema, 0);
}

type SchemaPart = {
  type?: unknown;
  properties?: Record<string, unknown>;
  required?: unknown[];
  additionalProperties?: unknown;
  items?: unknown;
  anyOf?: unknown[];
};

function isStrictPart(schema: unknown, depth: number): boolean {
  if (typeof schema !== 'object' || schema === null || depth > maxStrictDepth) return false;
  if (Object.keys(schema).some((keyword) => !strictKeywords.has(keyword))) return false;
  const { type, properties, required, additionalProperties, items, anyOf } = schema as SchemaPart;
  const isObject = type === 'object' || properties !== undefined;
  const names = Object.keys(properties ?? {});
  if (isObject && additionalProperties !== false) return false;
  if (!names.every((name) => required?.includes(name))) return false;
  const parts = [
    ...Object.values(properties ?? {}),
    ...(items === undefined ? [] : [items]),
    ...(anyOf ?? []),
  ];
  return parts.every((part) => isStrictPart(part, depth + 1));
}
