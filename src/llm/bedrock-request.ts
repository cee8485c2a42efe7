import { createHash } from 'node:crypto';
import type {
  ContentBlock,
  ImageFormat,
  InferenceConfiguration,
  SystemContentBlock,
  ToolConfiguration,
  ToolInputSchema,
  ToolResultContentBlock,
  ConverseStreamCommandInput as WireRequest,
} from '@aws-sdk/client-bedrock-runtime';
import {
  type AssistantMessage,
  type ImageContent,
  type Message,
  type SystemMessage,
  type TextContent,
  type ThinkingContent,
  type ToolCall,
  type ToolResultMessage,
  textOf,
} from '../core/message.js';
import { toThinking } from './bedrock-thinking.js';
import type { LlmRequest, Model, ResponseFormat, ToolDefinition } from './provider.js';
import { sealedThinking } from './sealed-thinking.js';

type Turn = { role: 'user' | 'assistant'; content: ContentBlock[] };
type WireDocument = ToolInputSchema.JsonMember['json'];

/** Stands where the API demands text and there is none: blank text is refused. */
const noText = '(empty)';

export function toRequest(request: LlmRequest): WireRequest {
  const { model, messages, responseFormat } = request;
  const isStructured = takesSchema(responseFormat, model);
  const system = toSystem(messages.filter(isSystem), model, isStructured ? undefined : responseFormat);
  const { thinking, effort } = toThinking(request) ?? {};
  const inferenceConfig = toInferenceConfig(request, thinking?.type === 'adaptive');
  const outputConfig = {
    ...(isStructured ? { textFormat: toTextFormat(responseFormat.schema) } : {}),
    ...(effort ? { effort } : {}),
  };
  const toolConfig = toToolConfig(request);
  return {
    modelId: model.id,
    messages: toTurns(messages, model),
    ...(system.length > 0 ? { system } : {}),
    ...(inferenceConfig ? { inferenceConfig } : {}),
    ...(toolConfig ? { toolConfig } : {}),
    ...(Object.keys(outputConfig).length > 0 ? { outputConfig } : {}),
    ...(thinking ? { additionalModelRequestFields: { thinking } } : {}),
  };
}

function isSystem(message: Message): message is SystemMessage {
  return message.role === 'system';
}

function toSystem(
  messages: readonly SystemMessage[],
  model: Model,
  hinted: ResponseFormat | undefined,
): SystemContentBlock[] {
  const system: SystemContentBlock[] = toTextBlocks(messages.map((message) => message.content));
  if (system.length > 0 && takesCachePoint(model)) system.push({ cachePoint: { type: 'default' } });
  const hint = hinted && formatHint(hinted);
  if (hint) system.push({ text: hint });
  return system;
}

function toTextBlocks(texts: readonly string[]): { text: string }[] {
  return texts.filter(isWritten).map((text) => ({ text }));
}

function isWritten(text: string): boolean {
  return text.trim() !== '';
}

/**
 * Claude and Nova take markers; Claude before 3.7 refuses them, and other families do.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
 */
function takesCachePoint(model: Model): boolean {
  if (model.promptCache !== undefined) return model.promptCache;
  return /\banthropic\.claude-(?!v\d|instant|3-(?!7))|\bamazon\.nova-/.test(model.id);
}

/** With thinking only the model's own temperature is taken. */
function toInferenceConfig(
  { model, maxTokens, temperature }: LlmRequest,
  isThinking: boolean,
): InferenceConfiguration | undefined {
  const hasTemperature = temperature !== undefined && model.accepts.temperature && !isThinking;
  if (maxTokens === undefined && !hasTemperature) return undefined;
  return {
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(hasTemperature ? { temperature: Math.min(Math.max(temperature, 0), 1) } : {}),
  };
}

/** A history with tool calls is taken only together with tools, so those it names are offered when no others are. */
function toToolConfig({ model, tools, messages }: LlmRequest): ToolConfiguration | undefined {
  if (!model.accepts.tools) return undefined;
  const offered = tools.length > 0 ? tools : toolsOf(messages);
  return offered.length > 0 ? { tools: offered.map(toTool) } : undefined;
}

function toolsOf(messages: readonly Message[]): ToolDefinition[] {
  const names = messages.flatMap((message) => {
    if (message.role === 'toolResult') return message.toolName;
    return message.role === 'assistant' ? message.content.filter(isCall).map((call) => call.name) : [];
  });
  const description = 'Not available any more.';
  return [...new Set(names)].map((name) => ({ name, description, parameters: { type: 'object' } }));
}

function toTool({ name, description, parameters }: ToolDefinition) {
  return {
    toolSpec: {
      name,
      description: isWritten(description) ? description : name,
      inputSchema: { json: parameters as WireDocument },
    },
  };
}

/** Roles must alternate and begin with the user's: neighbours of one role become one message. */
function toTurns(messages: readonly Message[], model: Model): Turn[] {
  const sealed = sealedThinking(messages, model);
  const turns: Turn[] = [];
  for (const message of messages) {
    if (message.role === 'system') continue;
    const turn = toTurn(message, model, sealed);
    const last = turns.at(-1);
    if (turn.content.length === 0) continue;
    if (last?.role === turn.role) last.content.push(...turn.content);
    else turns.push(turn);
  }
  if (turns[0]?.role !== 'user') turns.unshift({ role: 'user', content: [{ text: noText }] });
  return turns;
}

function toTurn(
  message: Exclude<Message, SystemMessage>,
  model: Model,
  sealed: ReadonlySet<ThinkingContent>,
): Turn {
  switch (message.role) {
    case 'user':
      return { role: 'user', content: toUserContent(message.content) };
    case 'assistant':
      return { role: 'assistant', content: toAssistantContent(message, model, sealed) };
    case 'toolResult':
      return { role: 'user', content: [toToolResult(message, model)] };
    default:
      return message satisfies never;
  }
}

function toUserContent(content: string | (TextContent | ImageContent)[]): ContentBlock[] {
  const blocks = typeof content === 'string' ? toTextBlocks([content]) : content.flatMap(toPart);
  return blocks.length > 0 ? blocks : [{ text: noText }];
}

type Part = { text: string } | { image: ReturnType<typeof toImage> };

function toPart(block: TextContent | ImageContent): Part[] {
  return block.type === 'image' ? [{ image: toImage(block) }] : toTextBlocks([block.text]);
}

function toImage({ mimeType, data }: ImageContent) {
  const subtype = mimeType.toLowerCase().replace(/^image\//, '');
  const format = (subtype === 'jpg' ? 'jpeg' : subtype) as ImageFormat;
  return { format, source: { bytes: Buffer.from(data, 'base64') } };
}

function toAssistantContent(
  message: AssistantMessage,
  model: Model,
  sealed: ReadonlySet<ThinkingContent>,
): ContentBlock[] {
  return message.content.flatMap((block): ContentBlock[] => {
    switch (block.type) {
      case 'text':
        return toTextBlocks([block.text]);
      case 'toolCall':
        return [toToolUse(block, model)];
      case 'thinking':
        return sealed.has(block) ? [toReasoning(block)] : [];
      default:
        return block satisfies never;
    }
  });
}

function toReasoning({ thinking: text, signature, redacted }: ThinkingContent): ContentBlock {
  if (redacted !== undefined) {
    return { reasoningContent: { redactedContent: Buffer.from(redacted, 'base64') } };
  }
  return { reasoningContent: { reasoningText: { text, signature } } };
}

function isCall(block: { type: string }): block is ToolCall {
  return block.type === 'toolCall';
}

/** A model without tools refuses even the memory of them: it is told in words. */
function toToolUse(call: ToolCall, model: Model): ContentBlock {
  if (!model.accepts.tools) return { text: `Called ${call.name}: ${JSON.stringify(call.arguments)}` };
  const input = call.arguments as WireDocument;
  return { toolUse: { toolUseId: toToolUseId(call.id), name: call.name, input } };
}

function toToolResult(message: ToolResultMessage, model: Model): ContentBlock {
  if (!model.accepts.tools) return { text: `${message.toolName} answered: ${textOf(message.content)}` };
  const parts: ToolResultContentBlock[] = message.content.flatMap(toPart);
  return {
    toolResult: {
      toolUseId: toToolUseId(message.toolCallId),
      content: parts.length > 0 ? parts : [{ text: noText }],
      ...(message.isError ? { status: 'error' as const } : {}),
    },
  };
}

/** Other providers' ids may hold characters that are refused here. */
function toToolUseId(id: string): string {
  if (/^[\w-]{1,64}$/.test(id)) return id;
  return `call_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`;
}

type SchemaFormat = Extract<ResponseFormat, { type: 'json_schema' }>;

function takesSchema(format: ResponseFormat, model: Model): format is SchemaFormat {
  return format.type === 'json_schema' && model.accepts.jsonSchema && isClosedObject(format.schema);
}

function toTextFormat(schema: Record<string, unknown>) {
  const jsonSchema = { name: 'answer', schema: JSON.stringify(schema) };
  return { type: 'json_schema' as const, structure: { jsonSchema } };
}

/** There is no JSON mode here: what no schema enforces is asked for. */
function formatHint(format: ResponseFormat): string | undefined {
  switch (format.type) {
    case 'text':
      return undefined;
    case 'json_object':
      return 'Answer with one JSON object and nothing else.';
    case 'json_schema':
      return `Answer with JSON that matches this JSON Schema, and nothing else:\n${JSON.stringify(format.schema)}`;
    default:
      return format satisfies never;
  }
}

const schemaKeywords = new Set(
  'type properties required additionalProperties items enum const title description anyOf'.split(' '),
);
const maxSchemaDepth = 5;

/**
 * Structured output takes only closed objects and few keywords; anything else is refused with 400.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
 */
function isClosedObject(schema: unknown): boolean {
  return (schema as SchemaPart | null)?.type === 'object' && isClosed(schema, 0);
}

type SchemaPart = {
  type?: unknown;
  properties?: Record<string, unknown>;
  additionalProperties?: unknown;
  items?: unknown;
  anyOf?: unknown[];
};

function isClosed(schema: unknown, depth: number): boolean {
  if (typeof schema !== 'object' || schema === null || depth > maxSchemaDepth) return false;
  if (Object.keys(schema).some((keyword) => !schemaKeywords.has(keyword))) return false;
  const { type, properties, additionalProperties, items, anyOf } = schema as SchemaPart;
  const isObject = type === 'object' || properties !== undefined;
  if (isObject && additionalProperties !== false) return false;
  const parts = [
    ...Object.values(properties ?? {}),
    ...(items === undefined ? [] : [items]),
    ...(anyOf ?? []),
  ];
  return parts.every((part) => isClosed(part, depth + 1));
}
