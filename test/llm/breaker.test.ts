import { describe, expect, test, vi } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { type Breakers, createBreakers } from '../../src/llm/breaker.ts';
import {
  answering,
  broken,
  busy,
  end,
  modelOf,
  outcomesOf,
  refused,
  route,
  scripted,
  text,
} from './route.ts';

const restMs = 10_000;

async function call(breakers: Breakers, outcome: 'ok' | Fault | undefined, provider = 'a'): Promise<void> {
  (await breakers.enter(provider))(outcome);
  // the policy takes note of it within this turn
  await new Promise(setImmediate);
}

/** Breakers whose provider `a` has failed five times in a row. */
async function opened(halfOpenMs = restMs): Promise<Breakers> {
  const breakers = createBreakers(['a', 'b'], halfOpenMs);
  for (let count = 0; count < 5; count += 1) await call(breakers, broken());
  expect(breakers.state('a')).toBe('open');
  return breakers;
}

/** Breakers whose provider `a` has had its rest. */
async function rested(): Promise<Breakers> {
  const breakers = await opened(20);
  await expect.poll(() => breakers.state('a'), { interval: 2 }).toBe('half_open');
  return breakers;
}

const outOfService = { type: 'provider_unavailable', retryable: true, upstreamStatus: undefined };

describe('a breaker', () => {
  test('opens after five failures in a row, for its own provider only', async () => {
    const breakers = createBreakers(['a', 'b']);
    for (const fault of [broken(), busy(), new Fault('provider_timeout', 'Slow.'), broken()]) {
      await call(breakers, fault);
      expect(breakers.state('a')).toBe('closed');
    }
    await call(breakers, broken());
    expect(breakers.state('a')).toBe('open');
    expect(breakers.state('b')).toBe('closed');
    await expect(breakers.enter('a')).rejects.toMatchObject({ ...outOfService, retryAfterMs: restMs });
    await call(breakers, 'ok', 'b');
  });

  test('a success in between starts the count again', async () => {
    const breakers = createBreakers(['a']);
    for (const outcome of [broken(), broken(), broken(), broken(), 'ok' as const])
      await call(breakers, outcome);
    for (let count = 0; count < 4; count += 1) await call(breakers, broken());
    expect(breakers.state('a')).toBe('closed');
  });

  test.each<[string, Fault | undefined]>([
    ['a refused request', refused(400)],
    ['a refused key', refused(401)],
    ['a forbidden one', refused(403)],
    ['a model that is not there', refused(404)],
    ['a rate limit', new Fault('provider_unavailable', 'Too many.', { upstreamStatus: 429 })],
    ['an abort', undefined],
  ])('%s counts neither as a failure nor as a success', async (_what, outcome) => {
    const breakers = createBreakers(['a']);
    for (let count = 0; count < 10; count += 1) await call(breakers, outcome);
    expect(breakers.state('a')).toBe('closed');
    for (let count = 0; count < 4; count += 1) await call(breakers, broken());
    await call(breakers, outcome);
    expect(breakers.state('a')).toBe('closed');
    await call(breakers, broken());
    expect(breakers.state('a')).toBe('open');
  });

  test.each<[string, Fault]>([
    ['500', new Fault('provider_error', 'Failed.', { upstreamStatus: 500 })],
    ['503', new Fault('provider_unavailable', 'Down.', { upstreamStatus: 503 })],
    ['529', new Fault('provider_unavailable', 'Overloaded.', { upstreamStatus: 529 })],
    ['no connection', busy()],
  ])('%s counts', async (_what, fault) => {
    const breakers = createBreakers(['a']);
    for (let count = 0; count < 5; count += 1) await call(breakers, fault);
    expect(breakers.state('a')).toBe('open');
  });

  test('lets exactly one call through after its rest; the others are refused at once', async () => {
    const breakers = await rested();
    const leave = await breakers.enter('a');
    for (let count = 0; count < 3; count += 1)
      await expect(breakers.enter('a')).rejects.toMatchObject(outOfService);
    expect(breakers.state('a')).toBe('half_open');
    leave('ok');
    await new Promise(setImmediate);
    expect(breakers.state('a')).toBe('closed');
    await call(breakers, 'ok');
  });

  test('closes after a success and then counts from nothing', async () => {
    const breakers = await rested();
    await call(breakers, 'ok');
    for (let count = 0; count < 4; count += 1) await call(breakers, broken());
    expect(breakers.state('a')).toBe('closed');
  });

  test('opens again after one failure, for a whole rest', async () => {
    const breakers = await rested();
    await call(breakers, broken());
    expect(breakers.state('a')).toBe('open');
    await expect(breakers.enter('a')).rejects.toMatchObject(outOfService);
    await expect.poll(() => breakers.state('a'), { interval: 2 }).toBe('half_open');
    await call(breakers, 'ok');
    expect(breakers.state('a')).toBe('closed');
  });

  test('when the call that tries is aborted, the next one tries', async () => {
    const breakers = await rested();
    await call(breakers, undefined);
    expect(breakers.state('a')).toBe('half_open');
    const leave = await breakers.enter('a');
    await expect(breakers.enter('a')).rejects.toMatchObject(outOfService);
    leave(broken());
    await new Promise(setImmediate);
    expect(breakers.state('a')).toBe('open');
  });

  test('calls that were under way when it opened change nothing by their end', async () => {
    const breakers = createBreakers(['a']);
    const late = await Promise.all([breakers.enter('a'), breakers.enter('a'), breakers.enter('a')]);
    for (let count = 0; count < 5; count += 1) await call(breakers, broken());
    for (const [index, outcome] of (['ok', broken(), undefined] as const).entries()) late[index]?.(outcome);
    await new Promise(setImmediate);
    expect(breakers.state('a')).toBe('open');
    await expect(breakers.enter('a')).rejects.toMatchObject(outOfService);
  });
});

describe('in the router', () => {
  test('an open one makes no call: no attempt, nothing recorded, and when to come back', async () => {
    const breakers = await opened();
    const provider = scripted('a');
    const onCall = vi.fn();
    const seen = await route([provider], {}, { breakers, onCall });
    expect(seen.error).toMatchObject({ ...outOfService, retryAfterMs: restMs });
    expect(seen.events).toEqual([]);
    expect(provider.calls).toEqual([]);
    expect(onCall).not.toHaveBeenCalled();
  });

  test('an open one leaves the answer to the next provider, without a pause', async () => {
    const breakers = await opened();
    const seen = await route([scripted('a'), scripted('b', [text('Hi'), end])], {}, { breakers });
    expect(outcomesOf(seen)).toEqual(['b ok']);
    expect(seen.text).toBe('Hi');
  });

  test('failures add up over calls; at the fifth no further one is made', async () => {
    const breakers = createBreakers(['a']);
    const provider = answering('a', () => [broken()]);
    const first = await route([provider], {}, { breakers });
    expect(outcomesOf(first)).toEqual(['a error', 'a error', 'a error']);
    const second = await route([provider], {}, { breakers });
    expect(outcomesOf(second)).toEqual(['a error', 'a error']);
    expect(second.error).toMatchObject({ type: 'provider_error', message: 'It failed.' });
    expect(provider.calls).toHaveLength(5);
    const third = await route([provider], {}, { breakers });
    expect(outcomesOf(third)).toEqual([]);
    expect(third.error).toMatchObject(outOfService);
    expect(provider.calls).toHaveLength(5);
  });

  test('of many calls at once, one tries a rested provider and the others go elsewhere', async () => {
    const breakers = await rested();
    const first = answering('a', () => [50, text('from a'), end]);
    const second = answering('b', () => [text('from b'), end]);
    const candidates = [modelOf('a'), modelOf('b')];
    const all = await Promise.all(
      Array.from({ length: 8 }, () => route([first, second], { candidates }, { breakers })),
    );
    expect(all.map((seen) => seen.text).toSorted()).toEqual(['from a', ...Array(7).fill('from b')]);
    expect(first.calls).toHaveLength(1);
    expect(breakers.state('a')).toBe('closed');
  });

  test('many calls that fail at once open it, and no more are made', async () => {
    const breakers = createBreakers(['a']);
    const provider = answering('a', () => [broken()]);
    const all = await Promise.all(Array.from({ length: 8 }, () => route([provider], {}, { breakers })));
    for (const seen of all) expect(outcomesOf(seen)).toEqual(['a error']);
    expect(provider.calls).toHaveLength(8);
    expect(breakers.state('a')).toBe('open');
  });

  test('a call that tries and is aborted does not stand in the way of the next one', async () => {
    const breakers = await rested();
    const controller = new AbortController();
    const provider = scripted('a', [5000], [text('Hello'), end]);
    const running = route([provider], {}, { breakers }, controller.signal);
    await expect.poll(() => provider.calls.length, { interval: 2 }).toBe(1);
    controller.abort(new Fault('cancelled', 'Enough.'));
    expect(outcomesOf(await running)).toEqual(['a cancelled']);
    expect(breakers.state('a')).toBe('half_open');
    expect((await route([provider], {}, { breakers })).text).toBe('Hello');
    expect(breakers.state('a')).toBe('closed');
  });

  test('a call that tries lets others in with its first token, not only at its end', async () => {
    const breakers = await rested();
    const controller = new AbortController();
    const trial = scripted('a', [text('Hel'), 5000], [text('Hello'), end]);
    const running = route([trial], {}, { breakers }, controller.signal);
    await expect.poll(() => breakers.state('a'), { interval: 2 }).toBe('closed');
    expect((await route([trial], {}, { breakers })).text).toBe('Hello');
    controller.abort(new Fault('cancelled', 'Enough.'));
    expect(outcomesOf(await running)).toEqual(['a cancelled']);
  });
});
