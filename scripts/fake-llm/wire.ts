import {
  finishReasonOf,
  reasoningChunks,
  type ScriptedReply,
  type ScriptedToolCall,
  textChunks,
} from './reply.ts';
import type { ChatRequest } from './request.ts';

type ToolCallDelta = {
  index?: number;
  id?: string;
  type?: 'function';
  function: { name?: string; arguments?: string };
};

export type Delta = {
  role?: 'assistant';
  content?: string;
  reasoning_content?: string;
  reasoning?: string;
  refusal?: string;
  tool_calls?: ToolCallDelta[];
};

export function* replyDeltas(reply: ScriptedReply): Generator<Delta> {
  const reasoningField = reply.reasoningField ?? 'reasoning_content';
  for (const text of reasoningChunks(reply)) yield { [reasoningField]: text };
  for (const text of textChunks(reply)) yield { content: text };
  for (const text of reply.refusal ?? []) yield { refusal: text };
  for (const [index, call] of (reply.toolCalls ?? []).entries()) yield* toolCallDeltas(call, index);
}

function* toolCallDeltas(call: ScriptedToolCall, index: number): Generator<Delta> {
  const opening = {
    index,
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: '' },
  } as const;
  yield { tool_calls: [opening] };
  for (const fragment of splitEvenly(call.arguments, call.fragments ?? 2)) {
    yield { tool_calls: [{ index, function: { arguments: fragment } }] };
  }
}

export function splitEvenly(text: string, parts: number): string[] {
  const size = Math.max(1, Math.ceil(text.length / Math.max(1, parts)));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, part) =>
    text.slice(part * size, (part + 1) * size),
  );
}

export type Completion = { id: string; created: number; model: string };

/** Serialises the chunks of one answer; what all of them share is written only once. */
export function chunkWriter(completion: Completion, includeUsage: boolean) {
  const { id, created, model } = completion;
  const shared = JSON.stringify({ id, object: 'chat.completion.chunk', created, model }).slice(0, -1);
  const noUsage = includeUsage ? ',"usage":null' : '';
  const choice = (delta: string, finishReason: string, usage: string) =>
    `${shared},"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finishReason}}]${usage}}`;
  return {
    delta: (delta: Delta) => choice(JSON.stringify(delta), 'null', noUsage),
    finish: (reason: string, usage?: object) =>
      choice('{}', JSON.stringify(reason), usage ? `,"usage":${JSON.stringify(usage)}` : noUsage),
    usage: (usage: object) => `${shared},"choices":[],"usage":${JSON.stringify(usage)}}`,
    emptyChoices: () => `${shared},"choices":[]${noUsage}}`,
  };
}

export function wholeCompletion(reply: ScriptedReply, completion: Completion, request: ChatRequest): object {
  const content = textChunks(reply).join('');
  const reasoning = reasoningChunks(reply).join('');
  const toolCalls = (reply.toolCalls ?? []).map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  }));
  const message = {
    role: 'assistant',
    content: content === '' && toolCalls.length > 0 ? null : content,
    refusal: reply.refusal?.join('') ?? null,
    ...(reasoning !== '' && { [reply.reasoningField ?? 'reasoning_content']: reasoning }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
  };
  const usage = usageOf(reply, request);
  return {
    ...completion,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReasonOf(reply) }],
    ...(usage !== null && { usage }),
  };
}

/** A token is a delta in the answer and four characters in the prompt. */
export function usageOf(reply: ScriptedReply, request: ChatRequest): object | null {
  if (reply.usage === null) return null;
  const usage = reply.usage ?? countedUsage(reply, request);
  const { prompt_tokens: prompt, completion_tokens: completion } = usage;
  if (typeof prompt !== 'number' || typeof completion !== 'number') return usage;
  return { total_tokens: prompt + completion, ...usage };
}

function countedUsage(reply: ScriptedReply, request: ChatRequest): Record<string, unknown> {
  const reasoningTokens = reasoningChunks(reply).length;
  const toolTokens = (reply.toolCalls ?? []).reduce((sum, call) => sum + 1 + (call.fragments ?? 2), 0);
  return {
    prompt_tokens: promptTokens(request),
    completion_tokens: reasoningTokens + textChunks(reply).length + toolTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}

export function promptTokens(request: ChatRequest): number {
  return Math.ceil(JSON.stringify(request.messages).length / 4);
}

const errorTypes: Record<number, [type: string, code: string | null]> = {
  400: ['invalid_request_error', null],
  401: ['invalid_request_error', 'invalid_api_key'],
  403: ['invalid_request_error', 'unsupported_country_region_territory'],
  404: ['invalid_request_error', 'model_not_found'],
  429: ['requests', 'rate_limit_exceeded'],
};

export function errorBody(status: number, message: string, code?: string): object {
  const [type, defaultCode] = errorTypes[status] ?? ['server_error', null];
  return { error: { message, type, param: null, code: code ?? defaultCode } };
}
