import { delay } from '../../src/core/abort.ts';
import { Fault } from '../../src/core/errors.ts';
import type { Attempt, LlmEvent } from '../../src/core/events.ts';
import { createBreakers } from '../../src/llm/breaker.ts';
import { type BudgetLimits, createBudget } from '../../src/llm/budget.ts';
import type { LlmProvider, LlmRequest, Model } from '../../src/llm/provider.ts';
import {
  createRouter,
  type RoutedEvent,
  type RoutedRequest,
  type RouterOptions,
} from '../../src/llm/router.ts';

/** What one call to a provider does: yields these events; waits for a number of milliseconds; throws an error. */
export type Step = LlmEvent | number | Error;

export const text = (value: string): LlmEvent => ({ type: 'text-delta', text: value });
export const texts = (...values: string[]) => values.map(text);
export const thought = (value: string): LlmEvent => ({ type: 'reasoning-delta', text: value });
export const usage = {
  inputTokens: 100,
  outputTokens: 10,
  cachedTokens: 40,
  reasoningTokens: 0,
  estimated: false,
};
export const end: LlmEvent = { type: 'end', finishReason: 'stop', usage };

/** The connection broke. */
export const broken = () => new Fault('provider_error', 'It failed.');
/** The provider itself failed. */
export const failed = () => new Fault('provider_error', 'It failed.', { upstreamStatus: 500 });
export const busy = (retryAfterMs?: number) =>
  new Fault('provider_unavailable', 'It is busy.', retryAfterMs === undefined ? {} : { retryAfterMs });
export const refused = (upstreamStatus: number) =>
  upstreamStatus === 401 || upstreamStatus === 403
    ? new Fault('provider_unavailable', 'The key is bad.', { retryable: false, upstreamStatus })
    : new Fault('provider_rejected', 'No.', { upstreamStatus });

export type ScriptedProvider = LlmProvider & { calls: LlmRequest[] };

/** A provider whose calls do these steps, one after the other; one call more fails. */
export function scripted(name: string, ...calls: Step[][]): ScriptedProvider {
  return answering(name, (_request, index) => calls[index]);
}

/** A provider that makes up the steps of each call. */
export function answering(
  name: string,
  stepsOf: (request: LlmRequest, index: number) => Step[] | undefined,
): ScriptedProvider {
  const seen: LlmRequest[] = [];
  return {
    name,
    calls: seen,
    probe: async () => [],
    async *stream(request, signal) {
      const steps = stepsOf(request, seen.length);
      seen.push(request);
      if (!steps) throw new Error(`${name} was called too often`);
      for (const step of steps) {
        if (step instanceof Error) throw step;
        if (typeof step === 'number') await delay(step, signal);
        else yield step;
      }
    },
  };
}

export function modelOf(provider: string, more: Partial<Model> = {}): Model {
  return {
    id: `${provider}-model`,
    provider,
    name: provider,
    description: '',
    contextWindow: 8000,
    maxOutput: 1000,
    accepts: { images: false, tools: true, jsonSchema: true, temperature: true, reasoning: false },
    ...more,
  };
}

export const noLimits: BudgetLimits = { maxCostUsd: undefined, maxTokens: undefined };
export const question = { role: 'user', content: 'Say hello to me.' } as const;

export type Routed = {
  events: RoutedEvent[];
  attempts: Attempt[];
  text: string;
  model?: Model;
  error?: unknown;
};

/** One logical call, read to its end. */
export async function route(
  providers: LlmProvider[],
  request: Partial<RoutedRequest> = {},
  options: Partial<RouterOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Routed> {
  const router = createRouter({
    providers,
    breakers: createBreakers(providers.map(({ name }) => name)),
    requestTimeoutMs: 1000,
    random: () => 0,
    ...options,
  });
  const full: RoutedRequest = {
    candidates: providers.map((provider) => modelOf(provider.name)),
    messages: [question],
    tools: [],
    responseFormat: { type: 'text' },
    effort: 'standard',
    deadlineAt: Date.now() + 60_000,
    budget: createBudget(noLimits),
    ...request,
  };
  const routed: Routed = { events: [], attempts: [], text: '' };
  try {
    const stream = router.stream(full, signal);
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) {
      routed.events.push(step.value);
      if (step.value.type === 'attempt-end') routed.attempts.push(step.value.attempt);
      if (step.value.type === 'text-delta') routed.text += step.value.text;
    }
    routed.model = step.value;
  } catch (error) {
    routed.error = error;
  }
  return routed;
}

export const outcomesOf = ({ attempts }: Routed) =>
  attempts.map(({ provider, outcome }) => `${provider} ${outcome}`);
