import { type Attributes, type Context, context } from '@opentelemetry/api';
import type { Attempt, LlmEvent } from '../../core/events.js';
import type { CallFollower } from '../../llm/followed-call.js';
import type { LlmRequest } from '../../llm/provider.js';
import { genAiProvider } from '../gen-ai.js';
import { toAnswerText, toMessagesText } from './capture.js';
import { cancelled, startSpan } from './spans.js';

export type ModelServer = {
  host: string;
  port: number;
  /** whether it is told of the trace: a server that the operator named may make spans too, a vendor has no use for it */
  isPassedOn: boolean;
};

/** A span for each call to a provider, as the conventions for GenAI want it. */
export function traceCalls(
  servers: ReadonlyMap<string, ModelServer>,
  isContentCaptured: boolean,
): CallFollower {
  return (request) => {
    const server = servers.get(request.model.provider);
    const span = startSpan(`chat ${request.model.id}`, {
      kind: 'client',
      attributes: attributesOf(request, server),
      isPassedOn: server?.isPassedOn ?? false,
    });
    if (isContentCaptured) span.set({ 'gen_ai.input.messages': toMessagesText(request.messages) });
    const answer = isContentCaptured ? captureAnswer() : undefined;
    let finishReason: string | undefined;

    return {
      open: (start) => ({ [Symbol.asyncIterator]: () => beginIn(span.context, start) }),
      onEvent(event) {
        answer?.take(event);
        if (event.type === 'end') finishReason = event.finishReason;
      },
      end(attempt) {
        span.set(resultOf(attempt));
        if (finishReason !== undefined) span.set({ 'gen_ai.response.finish_reasons': [finishReason] });
        if (answer) span.set({ 'gen_ai.output.messages': answer.text(finishReason) });
        span.end(errorTypeOf(attempt));
      },
    };
  };
}

/** Only the first step is taken in the context, as it makes the request: more would cost every token. */
function beginIn(given: Context, start: () => AsyncIterable<LlmEvent>): AsyncIterator<LlmEvent> {
  const iterator = start()[Symbol.asyncIterator]();
  let hasBegun = false;
  return {
    next() {
      if (hasBegun) return iterator.next();
      hasBegun = true;
      return context.with(given, () => iterator.next());
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
}

function attributesOf({ model, maxTokens, temperature }: LlmRequest, server: ModelServer | undefined) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': genAiProvider(model.provider),
    'gen_ai.request.model': model.id,
    'gen_ai.request.stream': true,
    ...(maxTokens !== undefined && { 'gen_ai.request.max_tokens': maxTokens }),
    ...(temperature !== undefined && { 'gen_ai.request.temperature': temperature }),
    ...(server && { 'server.address': server.host, 'server.port': server.port }),
  };
}

function resultOf({ usage, firstTokenMs, costUsd }: Attempt): Attributes {
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens } = usage;
  return {
    // a call that failed before its first token was charged nothing, as far as is known
    ...(inputTokens + outputTokens > 0 && {
      'gen_ai.usage.input_tokens': inputTokens,
      'gen_ai.usage.output_tokens': outputTokens,
      'paf.usage.estimated': usage.estimated,
    }),
    ...(cachedTokens > 0 && { 'gen_ai.usage.cache_read.input_tokens': cachedTokens }),
    ...(reasoningTokens > 0 && { 'gen_ai.usage.reasoning.output_tokens': reasoningTokens }),
    ...(firstTokenMs !== undefined && { 'gen_ai.response.time_to_first_chunk': firstTokenMs / 1000 }),
    ...(costUsd !== undefined && { 'paf.cost_usd': costUsd }),
  };
}

function errorTypeOf({ outcome, errorType }: Attempt): string | undefined {
  if (outcome === 'ok') return undefined;
  return outcome === 'cancelled' ? cancelled : (errorType ?? outcome);
}

/** Keeps the beginning of an answer. */
function captureAnswer() {
  const calls: { id: string; name: string; argumentsText: string }[] = [];
  let text = '';
  return {
    take(event: LlmEvent): void {
      if (event.type === 'text-delta' && text.length < mostAnswerChars) text += event.text;
      if (event.type === 'tool-call-end' && calls.length < mostCalls) calls.push(event);
    },
    text: (finishReason: string | undefined) => toAnswerText(text, calls, finishReason),
  };
}

const mostAnswerChars = 16 * 1024;
const mostCalls = 32;
