import { type Attributes, context } from '@opentelemetry/api';
import type { Attempt, LlmEvent } from '../../core/events.js';
import type { CallFollower } from '../../llm/followed-call.js';
import type { LlmRequest } from '../../llm/provider.js';
import { genAiProvider } from '../gen-ai.js';
import { toAnswerText, toMessagesText } from './capture.js';
import { cancelled, startSpan } from './spans.js';

export type ServerAddress = { host: string; port: number };

/** A span for each call to a provider, as the conventions for GenAI want it. */
export function traceCalls(
  addresses: ReadonlyMap<string, ServerAddress>,
  isContentCaptured: boolean,
): CallFollower {
  return (request) => {
    const span = startSpan(`chat ${request.model.id}`, {
      kind: 'client',
      attributes: attributesOf(request, addresses.get(request.model.provider)),
    });
    if (isContentCaptured) span.set({ 'gen_ai.input.messages': toMessagesText(request.messages) });
    const answer = isContentCaptured ? captureAnswer() : undefined;
    let finishReason: string | undefined;

    const note = (event: LlmEvent): void => {
      answer?.take(event);
      if (event.type === 'end') finishReason = event.finishReason;
    };

    return {
      events: (start) => ({
        [Symbol.asyncIterator]() {
          const iterator = context.with(span.context, () => start()[Symbol.asyncIterator]());
          const next = () => iterator.next();
          return {
            async next() {
              const step = await context.with(span.context, next);
              if (!step.done) note(step.value);
              return step;
            },
            async return(value?: unknown) {
              return (
                (await context.with(span.context, () => iterator.return?.(value))) ?? { done: true, value }
              );
            },
          };
        },
      }),
      end(attempt) {
        span.set(resultOf(attempt));
        if (finishReason !== undefined) span.set({ 'gen_ai.response.finish_reasons': [finishReason] });
        if (answer) span.set({ 'gen_ai.output.messages': answer.text(finishReason) });
        span.end(errorTypeOf(attempt));
      },
    };
  };
}

function attributesOf({ model, maxTokens, temperature }: LlmRequest, address: ServerAddress | undefined) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': genAiProvider(model.provider),
    'gen_ai.request.model': model.id,
    'gen_ai.request.stream': true,
    ...(maxTokens !== undefined && { 'gen_ai.request.max_tokens': maxTokens }),
    ...(temperature !== undefined && { 'gen_ai.request.temperature': temperature }),
    ...(address && { 'server.address': address.host, 'server.port': address.port }),
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
