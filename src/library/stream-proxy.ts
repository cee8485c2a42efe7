import type { LlmEvent } from '../core/events.js';
import type { Model } from '../llm/provider.js';
import { createSseDecoder } from '../llm/sse-decoder.js';
import { createMessageBuilder } from './message-builder.js';
import {
  type AssistantMessage,
  type AssistantMessageEvent,
  type LlmContext,
  noTokens,
  type TokenUsage,
} from './messages.js';
import { type AssistantMessageStream, type StreamOptions, toMessageStream } from './stream-function.js';

/** What is read of the service's events. */
type WireData = {
  content?: string;
  signature?: string;
  redacted?: string;
  id?: string;
  name?: string;
  arguments?: unknown;
  usage?: { input_tokens: number; output_tokens: number; cached_tokens: number };
  cost_usd?: number;
  finish_reason?: string;
  error?: string;
};
type WireEvent = { name: string; data: WireData };

/**
 * Calls a model through a service of ours, which has the keys: `url` is its route /api/agent. Uses fetch and nothing of
 * Node. It never throws.
 */
export function streamProxy(
  url: string,
  model: Model,
  context: LlmContext,
  options: StreamOptions = {},
  headers: Record<string, string> = {},
): AssistantMessageStream {
  return toMessageStream(streamFrom(url, model, context, options, headers));
}

async function* streamFrom(
  url: string,
  model: Model,
  context: LlmContext,
  options: StreamOptions,
  headers: Record<string, string>,
): AsyncGenerator<AssistantMessageEvent, void> {
  const builder = createMessageBuilder(model);
  yield { type: 'start', partial: builder.partial };
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: JSON.stringify(toBody(model, context, options)),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    if (!response.ok || !response.body) throw new Error(await problemOf(response));
    for await (const { name, data } of readEvents(response.body)) {
      for (const part of toParts(name, data)) yield* builder.take(part);
      if (name === 'error') throw new Error(data.error ?? 'The service reported an error.');
      if (name !== 'complete') continue;
      yield* builder.end();
      yield toLast(builder.partial, data);
      return;
    }
    throw new Error('The answer broke off before it was complete.');
  } catch (error) {
    yield* builder.end();
    const reason = options.signal?.aborted ? 'aborted' : 'error';
    const errorMessage = error instanceof Error ? error.message : String(error);
    yield { type: 'error', reason, error: { ...builder.partial, stopReason: reason, errorMessage } };
  }
}

function toBody({ provider, id }: Model, context: LlmContext, options: StreamOptions) {
  const { systemPrompt, messages, tools = [] } = context;
  const { temperature, maxTokens, reasoning } = options;
  return {
    model: { provider, id },
    context: {
      ...(systemPrompt ? { systemPrompt } : {}),
      messages: messages.map(toWireMessage),
      tools: tools.map(({ name, description, parameters }) => ({ name, description, parameters })),
    },
    options: { temperature, maxTokens, reasoning },
  };
}

/** Without what is of no use to a model. */
function toWireMessage(message: LlmContext['messages'][number]) {
  if (message.role !== 'toolResult') return { role: message.role, content: message.content };
  const { role, toolCallId, toolName, content, isError } = message;
  return { role, toolCallId, toolName, content, isError };
}

async function problemOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // not from the service, but from something before it
  }
  return `The service answered with status ${response.status}.`;
}

async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<WireEvent> {
  const events: WireEvent[] = [];
  let overflow: Error | undefined;
  const decode = createSseDecoder(
    ({ event, data }) => {
      if (event !== undefined && event !== 'done') events.push({ name: event, data: JSON.parse(data) });
    },
    (error) => {
      overflow = error;
    },
  );
  const reader = body.getReader();
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      decode(chunk.value);
      yield* events.splice(0);
      if (overflow) throw overflow;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function toParts(name: string, data: WireData): Exclude<LlmEvent, { type: 'end' }>[] {
  const { content = '', id = '', name: tool = '' } = data;
  switch (name) {
    case 'content':
      return [{ type: 'text-delta', text: content }];
    case 'reasoning': {
      const { signature, redacted } = data;
      return [
        {
          type: 'reasoning-delta',
          text: content,
          ...(signature === undefined ? {} : { signature }),
          ...(redacted === undefined ? {} : { redacted }),
        },
      ];
    }
    case 'tool_call': {
      const given = data.arguments;
      const argumentsText = typeof given === 'string' ? given : JSON.stringify(given ?? {});
      return [
        { type: 'tool-call-start', id, name: tool },
        { type: 'tool-call-end', id, name: tool, argumentsText },
      ];
    }
    default:
      return [];
  }
}

function toLast(partial: AssistantMessage, data: WireData): AssistantMessageEvent {
  const message = { ...partial, usage: toUsage(data) };
  if (data.finish_reason === 'content_filter') {
    const errorMessage = 'The provider stopped the answer: its content filter refused it.';
    return { type: 'error', reason: 'error', error: { ...message, stopReason: 'error', errorMessage } };
  }
  const reasons = { length: 'length', tool_calls: 'toolUse' } as const;
  const reason = reasons[data.finish_reason as keyof typeof reasons] ?? 'stop';
  return { type: 'done', reason, message: { ...message, stopReason: reason } };
}

function toUsage({ usage, cost_usd: total = 0 }: WireData): TokenUsage {
  if (!usage) return noTokens;
  const { input_tokens: all, output_tokens: output, cached_tokens: cacheRead } = usage;
  const cost = { ...noTokens.cost, total };
  return { input: all - cacheRead, output, cacheRead, cacheWrite: 0, totalTokens: all + output, cost };
}
