import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import type { Attempt } from '../../src/core/events.ts';
import { createMemoryQuotas } from '../../src/limits/quota-memory.ts';
import type { QuotaStore } from '../../src/limits/quota-store.ts';
import { createQuotas } from '../../src/limits/quotas.ts';
import { modelOf } from '../llm/route.ts';

const { signal } = new AbortController();
const model = modelOf('a');
const priced = modelOf('b', { price: { input: 2, output: 8 } });
const noon = Date.UTC(2026, 0, 31, 12);
const call = { model, inputTokens: 100, outputTokens: 400, leastTokens: 1 };

function attemptOf(inputTokens: number, outputTokens: number, costUsd?: number): Attempt {
  return {
    provider: 'a',
    model: 'a-model',
    outcome: 'ok',
    usage: { inputTokens, outputTokens, cachedTokens: 0, reasoningTokens: 0, estimated: false },
    durationMs: 1,
    ...(costUsd === undefined ? {} : { costUsd }),
  };
}

/** Quotas at a time that a test sets. */
function quotasOf(limits: { tokens?: number; microUsd?: number }, wrap = (store: QuotaStore) => store) {
  const clock = { nowMs: noon };
  const refused: string[] = [];
  const store = wrap(createMemoryQuotas({ tokens: limits.tokens, microUsd: limits.microUsd }));
  const options = { marginMs: 1000, onRefused: (scope: string) => refused.push(scope) };
  const quotas = createQuotas({ ...options, store, now: () => clock.nowMs });
  const account = quotas.accountOf('acme', noon + 600_000);
  const usedOn = async (day: string) => (await store.standing('acme', day, signal)).used;
  return { quotas, store, account, clock, refused, usedOn };
}

test('a call is booked once, on the day in which it began', async () => {
  const { account, clock, usedOn, store } = quotasOf({ tokens: 1000 });
  clock.nowMs = Date.UTC(2026, 0, 31, 23, 59, 59);
  const late = await account.hold(call, signal);
  clock.nowMs += 2000;
  const early = await account.hold({ ...call, outputTokens: 5000 }, signal);
  expect([late.outputTokens, early.outputTokens]).toEqual([400, 900]);
  for (let time = 0; time < 3; time += 1) late.settle(attemptOf(90, 10, 0.5));
  early.settle(undefined);
  early.settle(attemptOf(1, 1));
  expect(await usedOn('2026-01-31')).toEqual({ tokens: 100, microUsd: 500_000 });
  expect(await usedOn('2026-02-01')).toEqual({ tokens: 0, microUsd: 0 });
  expect((await store.standing('acme', '2026-02-01', signal)).held.tokens).toBe(0);
});

test('a refusal says why and until when, and counts once for a run', async () => {
  const { quotas, account, refused } = quotasOf({ tokens: 1000, microUsd: 1000 });
  const held = await account.hold({ ...call, outputTokens: 900 }, signal);
  const waiting = { type: 'quota_exceeded', retryable: true, retryAfterMs: 5000 };
  await expect(account.hold(call, signal)).rejects.toMatchObject(waiting);
  await expect(quotas.check('acme', [model], () => 1, signal)).rejects.toMatchObject(waiting);
  held.settle(attemptOf(100, 900));
  const over = { type: 'quota_exceeded', retryable: false, retryAfterMs: 12 * 3_600_000 };
  await expect(account.hold(call, signal)).rejects.toMatchObject(over);
  await expect(quotas.check('acme', [model], () => 0, signal)).rejects.toMatchObject(over);
  expect(refused).toEqual(['tokens', 'tokens', 'tokens']);
});

test('money that is used up leaves models that cost nothing', async () => {
  const { quotas, account, refused } = quotasOf({ microUsd: 1000 });
  const held = await account.hold({ ...call, model: priced, inputTokens: 100, outputTokens: 100 }, signal);
  expect(held.outputTokens).toBe(100);
  held.settle(attemptOf(100, 100, 0.001));
  await expect(quotas.check('acme', [priced], () => 1, signal)).rejects.toThrow("tenant's money for models");
  await quotas.check('acme', [priced, model], () => 1, signal);
  await quotas.check('other', [priced], () => 1, signal);
  await expect(account.hold({ ...call, model: priced }, signal)).rejects.toThrow('money');
  expect((await account.hold(call, signal)).outputTokens).toBe(400);
  expect(refused).toEqual(['cost', 'cost']);
});

test('a call that only helps is not made when it leaves too little, and refuses nobody', async () => {
  const { account, refused } = quotasOf({ tokens: 1000 });
  await expect(account.hold({ ...call, leastTokens: 901 }, signal)).rejects.toThrow(Fault);
  expect(refused).toEqual([]);
  expect((await account.hold({ ...call, leastTokens: 900 }, signal)).outputTokens).toBe(400);
});

test('what could not be booked is booked later, and what may have been held is given back', async () => {
  let isAway = false;
  const flaky = (store: QuotaStore): QuotaStore => ({
    ...store,
    async hold(...given) {
      const answer = await store.hold(...given);
      if (isAway) throw new Fault('limits_unavailable', 'away');
      return answer;
    },
    async settle(...given) {
      if (isAway) throw new Fault('limits_unavailable', 'away');
      return store.settle(...given);
    },
  });
  const { quotas, store, account, usedOn } = quotasOf({ tokens: 1000 }, flaky);
  const held = await account.hold(call, signal);
  isAway = true;
  held.settle(attemptOf(100, 50));
  await expect(account.hold(call, signal)).rejects.toMatchObject({ type: 'limits_unavailable' });
  expect((await store.standing('acme', '2026-01-31', signal)).held.tokens).toBe(1000);
  isAway = false;
  await quotas.close();
  expect(await usedOn('2026-01-31')).toEqual({ tokens: 150, microUsd: 0 });
  expect((await store.standing('acme', '2026-01-31', signal)).held.tokens).toBe(0);
});
