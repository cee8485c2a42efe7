import { describe, expect, test, vi } from 'vitest';
import { delay } from '../../src/core/abort.ts';
import { Fault } from '../../src/core/errors.ts';
import type { Attempt, LlmEvent } from '../../src/core/events.ts';
import type { LlmProvider, LlmRequest, Model } from '../../src/llm/provider.ts';
import {
  createRouter,
  type RoutedEvent,
  type RoutedRequest,
  type RouterOptions,
} from '../../src/llm/router.ts';

/** What one call to a provider does: yields these events; waits for a number of milliseconds; throws an error. */
type Step = LlmEvent | number | Error;

const text = (value: string): LlmEvent => ({ type: 'text-delta', text: value });
const usage = { inputTokens: 100, outputTokens: 10, cachedTokens: 40, reasoningTokens: 0, estimated: false };
const end: LlmEvent = { type: 'end', finishReason: 'stop', usage };
const broken = () => new Fault('provider_error', 'It failed.');
const busy = (retryAfterMs?: number) =>
  new Fault('provider_unavailable', 'It is busy.', retryAfterMs === undefined ? {} : { retryAfterMs });
const badKey = () =>
  new Fault('provider_unavailable', 'The key is bad.', { retryable: false, upstreamStatus: 401 });

function scripted(name: string, ...calls: Step[][]): LlmProvider & { calls: LlmRequest[] } {
  const seen: LlmRequest[] = [];
  return {
    name,
    calls: seen,
    probe: async () => [],
    async *stream(request, signal) {
      const steps = calls[seen.length];
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

function modelOf(provider: string, more: Partial<Model> = {}): Model {
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

type Seen = { events: RoutedEvent[]; attempts: Attempt[]; text: string; model?: Model; error?: unknown };

async function route(
  providers: LlmProvider[],
  request: Partial<RoutedRequest> = {},
  options: Partial<RouterOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Seen> {
  const router = createRouter({ providers, requestTimeoutMs: 1000, random: () => 0, ...options });
  const full: RoutedRequest = {
    candidates: providers.map((provider) => modelOf(provider.name)),
    messages: [{ role: 'user', content: 'Say hello to me.' }],
    tools: [],
    responseFormat: { type: 'text' },
    effort: 'standard',
    deadlineAt: Date.now() + 60_000,
    ...request,
  };
  const seen: Seen = { events: [], attempts: [], text: '' };
  try {
    const stream = router.stream(full, signal);
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) {
      seen.events.push(step.value);
      if (step.value.type === 'attempt-end') seen.attempts.push(step.value.attempt);
      if (step.value.type === 'text-delta') seen.text += step.value.text;
    }
    seen.model = step.value;
  } catch (error) {
    seen.error = error;
  }
  return seen;
}

const outcomesOf = ({ attempts }: Seen) => attempts.map(({ provider, outcome }) => `${provider} ${outcome}`);

describe('one provider', () => {
  test('an answer is passed through and followed by its attempt', async () => {
    const seen = await route([scripted('a', [text('Hel'), text('lo'), end])]);
    expect(seen.events.map(({ type }) => type)).toEqual(['text-delta', 'text-delta', 'end', 'attempt-end']);
    expect(seen.model?.id).toBe('a-model');
    expect(seen.attempts).toEqual([
      {
        provider: 'a',
        model: 'a-model',
        outcome: 'ok',
        usage,
        durationMs: expect.any(Number),
        firstTokenMs: expect.any(Number),
      },
    ]);
  });

  test('what fails before the first token is tried again, three times at most', async () => {
    const recovered = await route([scripted('a', [broken()], [busy()], [text('Hi'), end])]);
    expect(recovered.text).toBe('Hi');
    expect(outcomesOf(recovered)).toEqual(['a error', 'a unavailable', 'a ok']);
    const failed = await route([scripted('a', [broken()], [broken()], [busy()])]);
    expect(failed.error).toMatchObject({ type: 'provider_unavailable', message: 'It is busy.' });
    expect(outcomesOf(failed)).toEqual(['a error', 'a error', 'a unavailable']);
  });

  test('what cannot be cured by asking again is not tried again', async () => {
    const rejected = new Fault('provider_rejected', 'No.', { upstreamStatus: 400 });
    const seen = await route([scripted('a', [rejected])]);
    expect(seen.error).toBe(rejected);
    expect(outcomesOf(seen)).toEqual(['a rejected']);
  });

  test.each<[string, LlmEvent]>([
    ['text', text('Hel')],
    ['reasoning', { type: 'reasoning-delta', text: 'Hm' }],
    ['a tool call', { type: 'tool-call-start', id: 'c', name: 't' }],
  ])('what fails after %s is not tried again', async (_what, event) => {
    const seen = await route([scripted('a', [event, broken()])]);
    expect(seen.error).toMatchObject({ type: 'provider_error', retryable: true });
    expect((seen.error as Fault).message).toBe('It failed. The answer broke off before it was complete.');
    expect(outcomesOf(seen)).toEqual(['a error']);
  });

  test('an error that is no Fault is a provider_error without its text', async () => {
    const calls = [1, 2, 3].map(() => [new TypeError('at /secret/path')]);
    const seen = await route([scripted('a', ...calls)]);
    expect(seen.error).toMatchObject({ type: 'provider_error' });
    expect((seen.error as Fault).message).not.toContain('secret');
  });

  test('a provider that is not there is provider_unavailable', async () => {
    const seen = await route([], { candidates: [modelOf('ghost')] });
    expect(seen.error).toMatchObject({ type: 'provider_unavailable' });
    expect((await route([], { candidates: [] })).error).toMatchObject({ type: 'provider_unavailable' });
  });
});

describe('pauses', () => {
  test('they grow, and Retry-After is the least', async () => {
    const startedMs = performance.now();
    await route([scripted('a', [broken()], [broken()], [text('Hi'), end])]);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(148);
    const againMs = performance.now();
    await route([scripted('a', [busy(300)], [text('Hi'), end])]);
    expect(performance.now() - againMs).toBeGreaterThanOrEqual(298);
  });

  test('none begins that would end after the deadline', async () => {
    const seen = await route([scripted('a', [busy(5000)])], { deadlineAt: Date.now() + 1000 });
    expect(seen.error).toMatchObject({ type: 'provider_unavailable' });
    expect(outcomesOf(seen)).toEqual(['a unavailable']);
  });

  test('an abort ends one at once, with its reason and no further call', async () => {
    const controller = new AbortController();
    const reason = new Fault('cancelled', 'Enough.');
    const provider = scripted('a', [busy(60_000)]);
    const onCall = vi.fn(() => setImmediate(() => controller.abort(reason)));
    const seen = await route([provider], { deadlineAt: Date.now() + 100_000 }, { onCall }, controller.signal);
    expect(seen.error).toBe(reason);
    expect(provider.calls.length).toBe(1);
  });
});

describe('several providers', () => {
  test('the next one answers when the first one has failed three times', async () => {
    const first = scripted('a', [broken()], [broken()], [broken()]);
    const seen = await route([first, scripted('b', [text('Hi'), end])]);
    expect(seen.text).toBe('Hi');
    expect(seen.model?.provider).toBe('b');
    expect(outcomesOf(seen)).toEqual(['a error', 'a error', 'a error', 'b ok']);
  });

  test('a long Retry-After is not waited for while another one is left', async () => {
    const startedMs = performance.now();
    const seen = await route([scripted('a', [busy(20_000)]), scripted('b', [text('Hi'), end])]);
    expect(outcomesOf(seen)).toEqual(['a unavailable', 'b ok']);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });

  test('one that refuses the key is passed over with all its models', async () => {
    const candidates = [modelOf('a'), modelOf('a', { id: 'a-2' }), modelOf('b')];
    const seen = await route([scripted('a', [badKey()]), scripted('b', [text('Hi'), end])], { candidates });
    expect(outcomesOf(seen)).toEqual(['a unavailable', 'b ok']);
  });

  test('six calls are the most', async () => {
    const names = ['a', 'b', 'c'];
    const seen = await route(names.map((name) => scripted(name, [broken()], [broken()], [broken()])));
    expect(seen.attempts.length).toBe(6);
    expect(seen.error).toMatchObject({ type: 'provider_error' });
  });

  test('none follows once a token was streamed', async () => {
    const second = scripted('b', [text('Hi'), end]);
    const seen = await route([scripted('a', [text('Hel'), broken()]), second]);
    expect(seen.error).toMatchObject({ type: 'provider_error' });
    expect(second.calls).toEqual([]);
  });
});

describe('silence', () => {
  test('before the first token it is a timeout that is tried again', async () => {
    const calls = [
      [500, text('late')],
      [500, text('late')],
      [text('Hi'), end],
    ];
    const seen = await route([scripted('a', ...calls)], {}, { requestTimeoutMs: 30 });
    expect(seen.text).toBe('Hi');
    expect(outcomesOf(seen)).toEqual(['a timeout', 'a timeout', 'a ok']);
  });

  test('between tokens it ends the answer, and many short ones do not', async () => {
    const pieces = Array.from({ length: 8 }, () => [40, text('x')]).flat();
    const seen = await route([scripted('a', [...pieces, 5000])], {}, { requestTimeoutMs: 150 });
    expect(seen.text).toBe('xxxxxxxx');
    expect(seen.error).toMatchObject({ type: 'provider_timeout', retryable: true });
    expect(seen.attempts[0]?.durationMs).toBeGreaterThan(440);
  });

  test('a model that thinks for long may be silent for longer, before its first token only', async () => {
    const candidates = [modelOf('a', { firstTokenTimeout: 5 })];
    const provider = () => scripted('a', [200, text('Hi'), 400, text('never')]);
    const seen = await route([provider()], { candidates }, { requestTimeoutMs: 50 });
    expect(seen.text).toBe('Hi');
    expect(seen.error).toMatchObject({ type: 'provider_timeout' });
    const { message } = seen.error as Fault;
    expect(message).toContain('sent nothing for 0.05 seconds');
  });
});

describe('booking', () => {
  test('usage that is not reported is estimated', async () => {
    const seen = await route([
      scripted('a', [text('Hello there, friend.'), { type: 'end', finishReason: 'stop' }]),
    ]);
    expect(seen.attempts[0]?.usage).toMatchObject({ outputTokens: 5, estimated: true });
    expect(seen.attempts[0]?.usage.inputTokens).toBeGreaterThanOrEqual(5);
  });

  test('a call that broke off is booked by what it streamed, one that was refused is free', async () => {
    const cut = await route([scripted('a', [text('Hello there,'), broken()])]);
    expect(cut.attempts[0]?.usage).toMatchObject({ outputTokens: 3, estimated: true });
    const refused = await route([scripted('a', [badKey()])]);
    expect(refused.attempts[0]?.usage).toMatchObject({ inputTokens: 0, outputTokens: 0, estimated: false });
  });

  test('an abort throws its reason and books what was streamed', async () => {
    const controller = new AbortController();
    const reason = new Fault('cancelled', 'Enough.');
    setTimeout(() => controller.abort(reason), 30);
    const seen = await route([scripted('a', [text('Hello there,'), 5000])], {}, {}, controller.signal);
    expect(seen.error).toBe(reason);
    expect(seen.attempts).toMatchObject([
      { outcome: 'cancelled', usage: { outputTokens: 3, estimated: true } },
    ]);
  });

  test('the price counts fresh, cached and output tokens', async () => {
    const price = { input: 2, cachedInput: 0.5, output: 8 };
    const provider = () => scripted('a', [text('Hi'), end]);
    const seen = await route([provider()], { candidates: [modelOf('a', { price })] });
    expect(seen.attempts[0]?.costUsd).toBeCloseTo((60 * 2 + 40 * 0.5 + 10 * 8) / 1e6, 12);
    expect((await route([provider()])).attempts[0]).not.toHaveProperty('costUsd');
  });

  test('each call is told as it ended; an abort is nobody’s fault', async () => {
    const onCall = vi.fn<(provider: string, outcome: 'ok' | Fault) => void>();
    const fault = broken();
    await route([scripted('a', [fault], [text('Hi'), end])], {}, { onCall });
    expect(onCall.mock.calls).toEqual([
      ['a', fault],
      ['a', 'ok'],
    ]);
    onCall.mockClear();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await route([scripted('a', [text('Hi'), 5000])], {}, { onCall }, controller.signal);
    expect(onCall).not.toHaveBeenCalled();
  });
});
