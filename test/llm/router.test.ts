import { describe, expect, test, vi } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import {
  broken,
  busy,
  end,
  modelOf,
  outcomesOf,
  refused,
  route,
  scripted,
  text,
  thought,
  usage,
} from './route.ts';

const badKey = () => refused(401);

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

  test('what fails after text is continued, three calls at most, and is then an error', async () => {
    const provider = scripted('a', [text('Hel'), broken()], [text('lo'), broken()], [text(' you'), broken()]);
    const seen = await route([provider]);
    expect(seen.text).toBe('Hello you');
    expect(seen.error).toMatchObject({ type: 'provider_error', retryable: true });
    expect((seen.error as Fault).message).toBe('It failed. The answer broke off before it was complete.');
    expect(outcomesOf(seen)).toEqual(['a error', 'a error', 'a error']);
  });

  test('what fails after reasoning is asked again as it was: nothing of the answer was said', async () => {
    const provider = scripted('a', [thought('Hm'), broken()], [thought('Well'), text('Hi'), end]);
    const seen = await route([provider]);
    expect(seen.text).toBe('Hi');
    expect(outcomesOf(seen)).toEqual(['a error', 'a ok']);
    expect(provider.calls[1]).toEqual(provider.calls[0]);
    const failed = await route([
      scripted('a', ...[1, 2, 3].map((): [LlmEvent, Error] => [thought('Hm'), broken()])),
    ]);
    expect(outcomesOf(failed)).toEqual(['a error', 'a error', 'a error']);
    expect(failed.error).toMatchObject({ type: 'provider_error', retryable: true, message: 'It failed.' });
  });

  test.each<[string, LlmEvent[]]>([
    ['a tool call', [{ type: 'tool-call-start', id: 'c', name: 't' }]],
    ['text and a tool call', [text('Let me see.'), { type: 'tool-call-start', id: 'c', name: 't' }]],
  ])('what fails after %s is not tried again, nor elsewhere', async (_what, events) => {
    const other = scripted('b');
    const seen = await route([scripted('a', [...events, broken()]), other]);
    expect(seen.error).toMatchObject({ type: 'provider_error', retryable: true });
    expect((seen.error as Fault).message).toBe('It failed. The answer broke off before it was complete.');
    expect(outcomesOf(seen)).toEqual(['a error']);
    expect(other.calls).toEqual([]);
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

  test('the next one goes on with what was streamed when the first one has failed three times', async () => {
    const first = scripted('a', [text('Hel'), broken()], [broken()], [broken()]);
    const second = scripted('b', [text('lo'), end]);
    const seen = await route([first, second]);
    expect(seen.text).toBe('Hello');
    expect(seen.model?.provider).toBe('b');
    expect(outcomesOf(seen)).toEqual(['a error', 'a error', 'a error', 'b ok']);
  });

  test('400, 401, 403 and 422 are asked once, and no other model of that provider', async () => {
    for (const status of [400, 401, 403, 422]) {
      const candidates = [modelOf('a'), modelOf('a', { id: 'a-2' }), modelOf('b')];
      const providers = [scripted('a', [refused(status)]), scripted('b', [text('Hi'), end])];
      const seen = await route(providers, { candidates });
      expect(outcomesOf(seen), `${status}`).toEqual([
        status === 401 || status === 403 ? 'a unavailable' : 'a rejected',
        'b ok',
      ]);
    }
  });

  test('a model that does not exist says nothing about the others of its provider', async () => {
    const candidates = [modelOf('a'), modelOf('a', { id: 'a-2' })];
    const seen = await route([scripted('a', [refused(404)], [text('Hi'), end])], { candidates });
    expect(seen.attempts.map(({ model, outcome }) => `${model} ${outcome}`)).toEqual([
      'a-model rejected',
      'a-2 ok',
    ]);
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

  test('between tokens it is a timeout that is continued, and many short ones are none', async () => {
    const pieces = Array.from({ length: 8 }, () => [40, text('x')]).flat();
    const provider = scripted('a', [...pieces, 5000], [text('y'), 5000], [5000]);
    const seen = await route([provider], {}, { requestTimeoutMs: 150 });
    expect(seen.text).toBe('xxxxxxxxy');
    expect(seen.error).toMatchObject({ type: 'provider_timeout', retryable: true });
    expect(outcomesOf(seen)).toEqual(['a timeout', 'a timeout', 'a timeout']);
    expect(seen.attempts[0]?.durationMs).toBeGreaterThan(440);
  });

  test('a model that thinks for long may be silent for longer, before its first token only', async () => {
    const candidates = [modelOf('a', { firstTokenTimeout: 5 })];
    const provider = scripted('a', [200, text('Hi'), 400, text('never')], [broken()], [broken()]);
    const seen = await route([provider], { candidates }, { requestTimeoutMs: 50 });
    expect(seen.text).toBe('Hi');
    expect(outcomesOf(seen)).toEqual(['a timeout', 'a error', 'a error']);
    const failed = await route(
      [scripted('a', ...[1, 2, 3].map(() => [text('Hi'), 5000]))],
      { candidates },
      { requestTimeoutMs: 50 },
    );
    expect((failed.error as Fault).message).toContain('sent nothing for 0.05 seconds');
    expect(failed.error).toMatchObject({ type: 'provider_timeout' });
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
    const cut = await route([scripted('a', [text('Hello there,'), broken()], [text(' you.'), end])]);
    expect(cut.attempts.map((attempt) => attempt.usage)).toEqual([
      expect.objectContaining({ outputTokens: 3, estimated: true }),
      usage,
    ]);
    expect(cut.attempts[0]?.usage.inputTokens).toBeGreaterThanOrEqual(5);
    const free = await route([scripted('a', [badKey()])]);
    expect(free.attempts[0]?.usage).toMatchObject({ inputTokens: 0, outputTokens: 0, estimated: false });
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
