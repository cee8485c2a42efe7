import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { RedisSessionStore } from '../../src/sessions/redis.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';

const { signal } = new AbortController();
const owner = { tenant: 'one', subject: 'ada' };

test.skipIf(!hasRedis)('a page is full although some of its sessions went while it was read', async () => {
  const { url } = await useRedis();
  const store = new RedisSessionStore(url);
  const client = new Redis(url);
  onTestFinished(() => {
    client.disconnect();
    return store.close();
  });
  for (const [id, updatedAt] of Object.entries({ a: 1, b: 2, c: 2, d: 2, e: 3, f: 4 })) {
    const session = { id, title: id, createdAt: 1, updatedAt };
    await store.create(owner, { session, entries: [] }, signal);
  }
  // their places in the list are still there
  for (const id of ['e', 'c']) await client.del(...(await client.keys(`paf:{*}:session:${id}`)));
  const idsOf = async (limit: number, after?: { id: string; updatedAt: number }) =>
    (await store.list(owner, after, limit, signal)).map(({ id }) => id);
  expect(await idsOf(3)).toEqual(['f', 'd', 'b']);
  expect(await idsOf(2, { id: 'd', updatedAt: 2 })).toEqual(['b', 'a']);
  expect(await idsOf(10)).toEqual(['f', 'd', 'b', 'a']);
});
