import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createRedisNonces } from '../../src/limits/nonces-redis.ts';
import { createRedis } from '../../src/redis/connection.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';

const { signal } = new AbortController();

test.skipIf(!hasRedis)('a nonce is claimed once by all replicas, for its time', async () => {
  const server = await useRedis();
  const connections = [1, 2].map(() => createRedis(server.url, { commandTimeoutMs: 1000 }));
  const client = new Redis(server.url);
  onTestFinished(async () => {
    client.disconnect();
    await Promise.all(connections.map((connection) => connection.close()));
  });
  const stores = connections.map(createRedisNonces);
  const claims = await Promise.all(
    Array.from({ length: 20 }, (_none, index) => stores[index % 2]?.claim('key', 'n1', 60_000, signal)),
  );
  expect(claims.filter(Boolean)).toHaveLength(1);
  expect(await stores[0]?.claim('key', 'n2', 60_000, signal)).toBe(true);
  expect(await stores[0]?.claim('other', 'n1', 60_000, signal)).toBe(true);
  // no two pairs of key and nonce are one
  expect(await stores[0]?.claim('a:b', 'c', 60_000, signal)).toBe(true);
  expect(await stores[0]?.claim('a', 'b:c', 60_000, signal)).toBe(true);
  const lifetimes = await Promise.all((await client.keys('*')).map((key) => client.pttl(key)));
  expect(lifetimes).toHaveLength(5);
  for (const lifetime of lifetimes) expect(lifetime).toBeGreaterThan(50_000);
  expect(await stores[0]?.claim('key', 'short', 30, signal)).toBe(true);
  await expect.poll(() => stores[1]?.claim('key', 'short', 30, signal), { interval: 10 }).toBe(true);
});

test.skipIf(!hasRedis)('a nonce that cannot be looked up is refused', async () => {
  const server = await useRedis();
  const connection = createRedis(server.url, { commandTimeoutMs: 300 });
  onTestFinished(() => connection.close());
  const nonces = createRedisNonces(connection);
  expect(await nonces.claim('key', 'n1', 60_000, signal)).toBe(true);
  server.pause();
  await expect(nonces.claim('key', 'n2', 60_000, signal)).rejects.toMatchObject({
    type: 'limits_unavailable',
    status: 503,
  });
  server.resume();
  await expect.poll(() => nonces.claim('key', 'n3', 60_000, signal).catch(() => false)).toBe(true);
  expect(await nonces.claim('key', 'n1', 60_000, signal)).toBe(false);
});
