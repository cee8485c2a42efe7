import { blocksOf, type MessagesRequest, signature } from './anthropic-request.ts';
import {
  finishReasonOf,
  reasoningChunks,
  type ScriptedReply,
  type ScriptedToolCall,
  textChunks,
} from './reply.ts';
import type { ChatMessage, ChatRequest } from './request.ts';
import { splitEvenly } from './wire.ts';

/** A step of the answer: a delta of the current block, or the start of a tool's block, which counts as one too. */
export type BlockDelta =
  | { type: 'thinking_delta'; thinking: string }
  | { type: 'text_delta'; text: string }
  | { type: 'input_json_delta'; partial_json: string }
  | { type: 'tool_use'; id: string; name: string; input: object };

export function* blockDeltas(reply: ScriptedReply): Generator<BlockDelta> {
  for (const thinking of reasoningChunks(reply)) yield { type: 'thinking_delta', thinking };
  for (const text of [...textChunks(reply), ...(reply.refusal ?? [])]) yield { type: 'text_delta', text };
  for (const call of reply.toolCalls ?? []) yield* toolDeltas(call);
}

function* toolDeltas(call: ScriptedToolCall): Generator<BlockDelta> {
  yield { type: 'tool_use', id: call.id, name: call.name, input: {} };
  for (const fragment of splitEvenly(call.arguments, call.fragments ?? 2)) {
    yield { type: 'input_json_delta', partial_json: fragment };
  }
}

const stopReasons: Record<string, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

/** Scripts may use the names of Chat Completions; all others are sent as they are. */
export function stopReasonOf(reply: ScriptedReply): string | null {
  const reason = reply.refusal && reply.finishReason === undefined ? 'refusal' : finishReasonOf(reply);
  return reason === null ? null : (stopReasons[reason] ?? reason);
}

export function wholeMessage(reply: ScriptedReply, request: MessagesRequest, number: number): object {
  const thinking = reasoningChunks(reply).join('');
  const text = [...textChunks(reply), ...(reply.refusal ?? [])].join('');
  const usage = messageUsage(reply, request);
  return {
    ...emptyMessage(request, number),
    content: [
      ...(thinking === '' ? [] : [{ type: 'thinking', thinking, signature }]),
      ...(text === '' ? [] : [{ type: 'text', text, citations: null }]),
      ...(reply.toolCalls ?? []).map(({ id, name, arguments: json }) => ({
        type: 'tool_use',
        id,
        name,
        input: JSON.parse(json || '{}'),
      })),
    ],
    stop_reason: stopReasonOf(reply),
    ...(usage && { usage }),
  };
}

export function emptyMessage(request: MessagesRequest, number: number): object {
  return {
    id: `msg_fake_${number}`,
    type: 'message',
    role: 'assistant',
    model: request.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
}

/** A token is a delta in the answer and four characters in the prompt. */
export function messageUsage(
  reply: ScriptedReply,
  request: MessagesRequest,
): Record<string, unknown> | undefined {
  if (reply.usage === null) return undefined;
  return (
    reply.usage ?? {
      input_tokens: promptTokens(request),
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: [...blockDeltas(reply)].length,
      output_tokens_details: { thinking_tokens: reasoningChunks(reply).length },
    }
  );
}

export function promptTokens({ system, messages }: MessagesRequest): number {
  return Math.ceil(JSON.stringify([system, messages]).length / 4);
}

const errorTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

export function messagesError(status: number, message: string): object {
  const type = errorTypes[status] ?? 'api_error';
  return { type: 'error', error: { type, message }, request_id: 'req_fake' };
}

/** The request in the shape that commands in messages are read from. */
export function asChatRequest({ model, messages, max_tokens, output_config }: MessagesRequest): ChatRequest {
  return {
    model,
    max_tokens,
    messages: messages.map(({ role, content }) => asChatMessage(role, blocksOf(content))),
    response_format: { type: output_config?.format ? 'json_schema' : 'text' },
  };
}

function asChatMessage(role: string, blocks: ReturnType<typeof blocksOf>): ChatMessage {
  const results = blocks.filter(({ type }) => type === 'tool_result');
  if (results.length === 0) return { role, content: textParts(blocks) };
  return { role: 'tool', content: textParts(results.flatMap((result) => blocksOf(result.content ?? []))) };
}

function textParts(blocks: ReturnType<typeof blocksOf>): { type: string; text: string }[] {
  return blocks.flatMap(({ type, text }) => (type === 'text' && text !== undefined ? [{ type, text }] : []));
}
