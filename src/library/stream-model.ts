import { toFault } from '../core/errors.js';
import type { Attempt } from '../core/events.js';
import type { Effort, FinishReason, Message } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import type { RoutedRequest, Router } from '../llm/router.js';
import { createMessageBuilder } from './message-builder.js';
import {
  type AssistantMessage,
  type AssistantMessageEvent,
  type LlmContext,
  noTokens,
  type TokenUsage,
} from './messages.js';
import type { StreamOptions } from './stream-function.js';

const never = new AbortController().signal;

/** One call to a model as the events of its message. `open` gives the way to the model; what it throws is told as an error. */
export async function* streamModel(
  open: () => Promise<Router>,
  model: Model,
  context: LlmContext,
  options: StreamOptions,
): AsyncGenerator<AssistantMessageEvent, void> {
  const signal = options.signal ?? never;
  const builder = createMessageBuilder(model);
  const attempts: Attempt[] = [];
  let finishReason: FinishReason = 'stop';
  const whole = (end: Partial<AssistantMessage>): AssistantMessage => ({
    ...builder.partial,
    usage: toTokenUsage(model, attempts),
    ...end,
  });
  yield { type: 'start', partial: builder.partial };
  try {
    const router = await open();
    for await (const event of router.stream(toRequest(model, context, options), signal)) {
      if (event.type === 'attempt-end') attempts.push(event.attempt);
      else if (event.type === 'end') finishReason = event.finishReason;
      else yield* builder.take(event);
    }
    yield* builder.end();
  } catch (error) {
    yield* builder.end();
    yield failed(whole({ errorMessage: messageOf(error) }), signal);
    return;
  }
  if (finishReason === 'content_filter') {
    yield failed(
      whole({ errorMessage: 'The provider stopped the answer: its content filter refused it.' }),
      signal,
    );
    return;
  }
  const reason = finishReason === 'tool_calls' ? 'toolUse' : finishReason;
  yield { type: 'done', reason, message: whole({ stopReason: reason }) };
}

function failed(message: AssistantMessage, signal: AbortSignal): AssistantMessageEvent {
  const reason = signal.aborted ? 'aborted' : 'error';
  return { type: 'error', reason, error: { ...message, stopReason: reason } };
}

/** A fault's message is meant for the caller; so is that of an error in the program's own set-up. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : toFault(error).message;
}

function toRequest(model: Model, context: LlmContext, options: StreamOptions): RoutedRequest {
  const { systemPrompt, messages, tools = [] } = context;
  const system: Message[] = systemPrompt ? [{ role: 'system', content: systemPrompt }] : [];
  const { maxTokens, temperature } = options;
  return {
    candidates: [model],
    messages: [...system, ...messages],
    tools: tools.map(({ name, description, parameters }) => ({ name, description, parameters })),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    responseFormat: { type: 'text' },
    effort: toEffort(options.reasoning),
    deadlineAt: Number.POSITIVE_INFINITY,
    budget: { affordableTokens: () => Number.POSITIVE_INFINITY, book() {} },
  };
}

/** The providers know three degrees of thinking. */
function toEffort(reasoning: StreamOptions['reasoning']): Effort {
  switch (reasoning) {
    case undefined:
    case 'minimal':
    case 'low':
      return 'quick';
    case 'medium':
      return 'standard';
    case 'high':
    case 'xhigh':
      return 'determined';
    default:
      return reasoning satisfies never;
  }
}

/** Of all calls that were made for the one answer, those that failed included. */
function toTokenUsage(model: Model, attempts: Attempt[]): TokenUsage {
  return attempts
    .map(({ usage }) => usage)
    .reduce<TokenUsage>((sum, usage) => {
      const input = usage.inputTokens - usage.cachedTokens;
      return add(sum, withCost(model, input, usage.cachedTokens, usage.outputTokens));
    }, noTokens);
}

function withCost({ price }: Model, input: number, cacheRead: number, output: number): TokenUsage {
  const dollars = (tokens: number, perMillion: number | undefined) =>
    (tokens * (perMillion ?? 0)) / 1_000_000;
  const cost = {
    input: dollars(input, price?.input),
    output: dollars(output, price?.output),
    cacheRead: dollars(cacheRead, price?.cachedInput ?? price?.input),
    cacheWrite: 0,
  };
  const total = cost.input + cost.output + cost.cacheRead;
  const totalTokens = input + cacheRead + output;
  return { input, output, cacheRead, cacheWrite: 0, totalTokens, cost: { ...cost, total } };
}

function add(left: TokenUsage, right: TokenUsage): TokenUsage {
  return {
    input: left.input + right.input,
    output: left.output + right.output,
    cacheRead: left.cacheRead + right.cacheRead,
    cacheWrite: left.cacheWrite + right.cacheWrite,
    totalTokens: left.totalTokens + right.totalTokens,
    cost: {
      input: left.cost.input + right.cost.input,
      output: left.cost.output + right.cost.output,
      cacheRead: left.cost.cacheRead + right.cost.cacheRead,
      cacheWrite: left.cost.cacheWrite + right.cost.cacheWrite,
      total: left.cost.total + right.cost.total,
    },
  };
}
