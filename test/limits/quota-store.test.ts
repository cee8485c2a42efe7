import fc from 'fast-check';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryQuotas } from '../../src/limits/quota-memory.ts';
import { createRedisQuotas } from '../../src/limits/quota-redis.ts';
import type { CallNeed, QuotaLimits, QuotaStore, Spent } from '../../src/limits/quota-store.ts';
import { createRedis } from '../../src/redis/connection.ts';
import { hasRedis, type RedisServer, useRedis } from '../helpers/redis-server.ts';

const { signal } = new AbortController();
const day = '2026-01-31';
const longMs = 60_000;
const keyOf = (id: string, tenant = 'acme', onDay = day) => ({ tenant, day: onDay, id });
const tokens = (most: number): QuotaLimits => ({ tokens: most, microUsd: undefined });
const nothing = { tokens: 0, microUsd: 0 };

function needOf(inputTokens: number, outputTokens: number, more: Partial<CallNeed> = {}): CallNeed {
  return { inputTokens, outputTokens, leastTokens: 1, price: undefined, ...more };
}

type Opened = (limits: QuotaLimits) => QuotaStore;

async function openRedis(): Promise<{ open: Opened; server: RedisServer }> {
  const server = await useRedis();
  const connection = createRedis(server.url, { commandTimeoutMs: 1000 });
  onTestFinished(() => connection.close());
  return { open: (limits) => createRedisQuotas(connection, limits), server };
}

const stores: Record<string, { isHere: boolean; prepare: () => Promise<Opened> }> = {
  memory: { isHere: true, prepare: async () => createMemoryQuotas },
  redis: { isHere: hasRedis, prepare: async () => (await openRedis()).open },
};

describe.each(Object.entries(stores))('quotas in %s', (_name, { isHere, prepare }) => {
  const it = test.skipIf(!isHere);
  const granted = async (store: QuotaStore, id: string, need: CallNeed, tenant?: string) =>
    (await store.hold(keyOf(id, tenant), need, longMs, signal)).outputTokens;

  it('hold the worst case, and give back what was not used', async () => {
    const store = (await prepare())(tokens(1000));
    expect(await granted(store, 'a', needOf(100, 400))).toBe(400);
    expect(await store.standing('acme', day, signal)).toEqual({
      used: nothing,
      held: { tokens: 500, microUsd: 0 },
    });
    await store.settle(keyOf('a'), { tokens: 130, microUsd: 7 }, signal);
    expect(await store.standing('acme', day, signal)).toEqual({
      used: { tokens: 130, microUsd: 7 },
      held: nothing,
    });
  });

  it('cut a call to what is left, and refuse one whose input is too much', async () => {
    const store = (await prepare())(tokens(1000));
    expect(await granted(store, 'a', needOf(100, 5000))).toBe(900);
    expect(await granted(store, 'b', needOf(1, 1))).toBeUndefined();
    await store.settle(keyOf('a'), { tokens: 700, microUsd: 0 }, signal);
    expect(await granted(store, 'c', needOf(300, 1))).toBeUndefined();
    expect(await granted(store, 'd', needOf(299, 10))).toBe(1);
  });

  it('refuse a call that needs more left than there is', async () => {
    const store = (await prepare())(tokens(1000));
    expect(await granted(store, 'a', needOf(100, 50, { leastTokens: 901 }))).toBeUndefined();
    expect(await granted(store, 'b', needOf(100, 50, { leastTokens: 900 }))).toBe(50);
  });

  it('count money in whole millionths of a dollar, and nothing for models without a price', async () => {
    const store = (await prepare())({ tokens: undefined, microUsd: 1000 });
    const price = { input: 0.15, output: 0.6 };
    // 15.15, thus 16 for the input, leaves 984 for the output, which are 1640 tokens
    expect(await granted(store, 'a', needOf(101, 9999, { price }))).toBe(1640);
    expect((await store.standing('acme', day, signal)).held).toEqual({ tokens: 1741, microUsd: 1000 });
    expect(await granted(store, 'b', needOf(1, 1, { price }))).toBeUndefined();
    expect(await granted(store, 'c', needOf(1000, 5000))).toBe(5000);
    await store.settle(keyOf('a'), { tokens: 101, microUsd: 999 }, signal);
    expect(await granted(store, 'd', needOf(6, 9, { price }))).toBeUndefined();
    expect(await granted(store, 'e', needOf(1, 1, { price: { input: 0.5, output: 0 } }))).toBe(1);
  });

  it('settle each hold once', async () => {
    const store = (await prepare())(tokens(1000));
    expect(await granted(store, 'a', needOf(100, 100))).toBe(100);
    await store.settle(keyOf('a'), { tokens: 50, microUsd: 0 }, signal);
    await store.settle(keyOf('a'), { tokens: 50, microUsd: 0 }, signal);
    expect(await store.standing('acme', day, signal)).toEqual({
      used: { tokens: 50, microUsd: 0 },
      held: nothing,
    });
  });

  it('let a call take more than was held for it, and have less than nothing left then', async () => {
    const store = (await prepare())(tokens(100));
    await granted(store, 'a', needOf(50, 50));
    await store.settle(keyOf('a'), { tokens: 120, microUsd: 0 }, signal);
    expect((await store.standing('acme', day, signal)).used.tokens).toBe(120);
    expect(await granted(store, 'b', needOf(0, 1))).toBeUndefined();
  });

  it('keep tenants and days apart, and settle into the day of the hold', async () => {
    const store = (await prepare())(tokens(100));
    expect(await granted(store, 'a', needOf(10, 90), 'one')).toBe(90);
    expect(await granted(store, 'b', needOf(10, 90), 'two')).toBe(90);
    const tomorrow = '2026-02-01';
    const later = await store.hold(keyOf('c', 'one', tomorrow), needOf(10, 90), longMs, signal);
    expect(later.outputTokens).toBe(90);
    await store.settle(keyOf('a', 'one'), { tokens: 42, microUsd: 0 }, signal);
    expect(await store.standing('one', tomorrow, signal)).toEqual({
      used: nothing,
      held: { tokens: 100, microUsd: 0 },
    });
    expect((await store.standing('one', day, signal)).used.tokens).toBe(42);
  });

  it('never give more than the limits to calls at once, and lose nothing', { timeout: 60_000 }, async () => {
    const open = await prepare();
    let runs = 0;
    const step = fc.record({
      input: fc.nat(400),
      output: fc.integer({ min: 1, max: 900 }),
      least: fc.integer({ min: 1, max: 300 }),
      price: fc.option(
        fc.record({
          input: fc.double({ min: 0, max: 20, noNaN: true }),
          output: fc.double({ min: 0, max: 90, noNaN: true }),
        }),
        { nil: undefined },
      ),
      spentShare: fc.double({ min: 0, max: 1, noNaN: true }),
      isSettled: fc.boolean(),
    });
    const limitsOf = fc.record({
      tokens: fc.option(fc.integer({ min: 1, max: 3000 }), { nil: undefined }),
      microUsd: fc.option(fc.integer({ min: 1, max: 40_000 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(limitsOf, fc.array(step, { minLength: 2, maxLength: 12 }), async (limits, steps) => {
        runs += 1;
        const tenant = `tenant ${runs}`;
        const store = open(limits);
        const most = { tokens: limits.tokens ?? Infinity, microUsd: limits.microUsd ?? Infinity };
        const spent: Spent = { ...nothing };
        await Promise.all(
          steps.map(async ({ input, output, least, price, spentShare, isSettled }, index) => {
            const key = keyOf(String(index), tenant);
            const need = needOf(input, output, { leastTokens: least, price });
            const { outputTokens } = await store.hold(key, need, longMs, signal);
            if (outputTokens === undefined) return;
            expect(outputTokens).toBeGreaterThanOrEqual(1);
            expect(outputTokens).toBeLessThanOrEqual(output);
            const { used, held } = await store.standing(tenant, day, signal);
            expect(used.tokens + held.tokens).toBeLessThanOrEqual(most.tokens);
            expect(used.microUsd + held.microUsd).toBeLessThanOrEqual(most.microUsd);
            if (!isSettled) return;
            const cost = input * (price?.input ?? 0) + outputTokens * (price?.output ?? 0);
            const took = {
              tokens: Math.floor((input + outputTokens) * spentShare),
              microUsd: Math.floor(cost * spentShare),
            };
            await store.settle(key, took, signal);
            spent.tokens += took.tokens;
            spent.microUsd += took.microUsd;
          }),
        );
        expect((await store.standing(tenant, day, signal)).used).toEqual(spent);
        for (const index of steps.keys()) await store.settle(keyOf(String(index), tenant), nothing, signal);
        expect(await store.standing(tenant, day, signal)).toEqual({ used: spent, held: nothing });
      }),
      { numRuns: 150 },
    );
  });
});

describe.skipIf(!hasRedis)('quotas in Redis', () => {
  test('give back what a process that is gone held, at the end of its time', async () => {
    const { open, server } = await openRedis();
    const store = open(tokens(1000));
    await store.hold(keyOf('gone'), needOf(100, 5000), 150, signal);
    await store.hold(keyOf('alive'), needOf(0, 1), longMs, signal);
    expect((await store.standing('acme', day, signal)).held.tokens).toBe(1000);
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    await expect
      .poll(async () => (await store.standing('acme', day, signal)).held.tokens, { interval: 20 })
      .toBe(0);
    // too late, and not to be told from what is sent a second time
    await store.settle(keyOf('gone'), { tokens: 321, microUsd: 0 }, signal);
    expect((await store.standing('acme', day, signal)).used.tokens).toBe(0);
    const lifetimes = await Promise.all((await client.keys('*')).map((key) => client.pttl(key)));
    for (const lifetime of lifetimes) expect(lifetime).toBeGreaterThan(24 * 3_600_000);
  });

  test('take a command that was sent again for one, and one that is late for none', async () => {
    const store = (await openRedis()).open(tokens(1000));
    const hold = (id: string) => store.hold(keyOf(id), needOf(10, 20), longMs, signal);
    expect([(await hold('a')).outputTokens, (await hold('a')).outputTokens]).toEqual([20, 20]);
    expect((await store.standing('acme', day, signal)).held.tokens).toBe(30);
    // its sender gave up waiting, and gave back
    await store.settle(keyOf('b'), nothing, signal);
    expect((await hold('b')).outputTokens).toBeUndefined();
    expect((await store.standing('acme', day, signal)).held.tokens).toBe(30);
  });

  test('are one quota for two replicas, on one slot of a cluster', async () => {
    const { open, server } = await openRedis();
    const other = createRedis(server.url, { commandTimeoutMs: 1000 });
    const client = new Redis(server.url);
    onTestFinished(() => {
      client.disconnect();
      return other.close();
    });
    const stores = [open(tokens(1000)), createRedisQuotas(other, tokens(1000))];
    const calls = Array.from({ length: 40 }, async (_none, index) => {
      const store = stores[index % 2] as QuotaStore;
      const answer = await store.hold(keyOf(String(index)), needOf(10, 20), longMs, signal);
      return answer.outputTokens ?? 0;
    });
    const given = await Promise.all(calls);
    expect(given.filter((output) => output === 20)).toHaveLength(33);
    expect(given.filter((output) => output > 0)).toHaveLength(33);
    const tags = (await client.keys('*')).map((key) => /\{(.*)\}/.exec(key)?.[1]);
    expect(tags).toHaveLength(2);
    expect(new Set(tags).size).toBe(1);
  });

  test('refuse within the time of one command when Redis is silent or gone, and work again after', async () => {
    const { open, server } = await openRedis();
    const store = open(tokens(1000));
    const hold = (id: string) => store.hold(keyOf(id), needOf(1, 1), longMs, signal);
    expect((await hold('a')).outputTokens).toBe(1);
    for (const [stop, start] of [
      [() => server.pause(), () => server.resume()],
      [() => server.stop(), () => server.start()],
    ] as const) {
      await stop();
      const startedMs = performance.now();
      await expect(hold('b')).rejects.toMatchObject({ type: 'limits_unavailable', retryAfterMs: 1000 });
      expect(performance.now() - startedMs).toBeLessThan(1500);
      await start();
      await expect.poll(() => hold('a').catch(() => undefined), { timeout: 5000 }).toBeDefined();
    }
  });

  test('connect anew when the server takes no writes, as its name may lead to another one by now', async () => {
    const { url } = await useRedis();
    const admin = new Redis(url);
    const onTrouble = vi.fn();
    const connection = createRedis(url, { commandTimeoutMs: 1000, onTrouble });
    onTestFinished(async () => {
      admin.disconnect();
      await connection.close();
    });
    const store = createRedisQuotas(connection, tokens(1000));
    const hold = (id: string) => store.hold(keyOf(id), needOf(1, 1), longMs, signal);
    const connectionsMade = async () =>
      Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]);
    await hold('a');
    const before = await connectionsMade();
    await admin.replicaof('127.0.0.1', 1);
    await expect(hold('b')).rejects.toMatchObject({ type: 'limits_unavailable' });
    expect(onTrouble.mock.calls).toEqual([['takes no writes now']]);
    await expect.poll(connectionsMade).toBe(before + 1);
    await admin.replicaof('NO', 'ONE');
    expect((await hold('c')).outputTokens).toBe(1);
  });
});

test('quotas in memory forget the tenants of days that are over', async () => {
  const store = createMemoryQuotas(tokens(1000));
  for (const tenant of ['one', 'two', 'three']) {
    await store.hold(keyOf('x', tenant), needOf(1, 1), longMs, signal);
    if (tenant !== 'three') await store.settle(keyOf('x', tenant), { tokens: 2, microUsd: 0 }, signal);
  }
  await store.hold(keyOf('y', 'one', '2026-02-01'), needOf(1, 1), longMs, signal);
  expect((await store.standing('one', day, signal)).used.tokens).toBe(0);
  // what is under way is settled where it was held
  await store.settle(keyOf('x', 'three'), { tokens: 2, microUsd: 0 }, signal);
  expect((await store.standing('three', day, signal)).used.tokens).toBe(2);
});
