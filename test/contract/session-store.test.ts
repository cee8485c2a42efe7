import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JsonlSessionStore } from '../../src/sessions/jsonl.ts';
import { MemorySessionStore } from '../../src/sessions/memory.ts';
import { RedisSessionStore } from '../../src/sessions/redis.ts';
import type { MessageEntry, Session, SessionEntry, SessionStore } from '../../src/sessions/session-store.ts';
import { hasRedis, type RedisServer, useRedis } from '../helpers/redis-server.ts';

type World = {
  open(): SessionStore;
  /** what the store keeps outlives the process */
  isLasting: boolean;
  close(): void;
};

let redis: RedisServer | undefined;
const cleanUps: (() => Promise<void>)[] = [];

beforeAll(async () => {
  if (hasRedis) redis = await useRedis((close) => cleanUps.push(close));
});
afterAll(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
});

const worlds: Record<string, () => World> = {
  memory: () => ({ open: () => new MemorySessionStore(), isLasting: false, close: () => {} }),
  filesystem: () => {
    const folder = mkdtempSync(join(tmpdir(), 'sessions-'));
    return {
      open: () => new JsonlSessionStore(folder),
      isLasting: true,
      close: () => rmSync(folder, { recursive: true }),
    };
  },
  redis: () => ({
    open: () => new RedisSessionStore(redis?.url ?? ''),
    isLasting: true,
    close: () => {},
  }),
};

const { signal } = new AbortController();
const ada = { tenant: 'one', subject: 'ada' };
const bob = { tenant: 'one', subject: 'bob' };
const newId = () => `sess_${randomUUID().replaceAll('-', '')}`;

function session(id = newId(), updatedAt = 1_000): Session {
  return { id, title: '', createdAt: 1_000, updatedAt };
}

function message(text: string, id = randomUUID()): MessageEntry {
  return { type: 'message', id, at: 2_000, message: { role: 'user', content: text } };
}

describe.each(Object.keys(worlds))('%s', (name) => {
  let world: World;
  let store: SessionStore;
  let owner = ada;

  beforeEach(({ skip }) => {
    skip(name === 'redis' && !hasRedis, 'redis-server is not installed');
    world = (worlds[name] as () => World)();
    store = world.open();
    owner = { tenant: randomUUID(), subject: 'ada' };
  });
  afterEach(async () => {
    await store.close();
    world.close();
  });

  test('gives back what was created', async () => {
    const stored = {
      session: { ...session(), title: 'Tea 🫖\u2028' },
      entries: [message('Hi'), message('there')],
    };
    expect(await store.create(owner, stored, signal)).toBe(true);
    expect(await store.find(owner, stored.session.id, signal)).toEqual(stored.session);
    expect(await store.read(owner, stored.session.id, signal)).toEqual(stored);
  });

  test('adds entries in order, of every kind', async () => {
    const created = session();
    await store.create(owner, { session: created, entries: [] }, signal);
    const entries: SessionEntry[] = [
      message('one'),
      {
        type: 'message',
        id: 'b',
        at: 3,
        message: {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'text', text: 'line\nbreak \u0000 ü 🫖' },
            { type: 'toolCall', id: 'c1', name: 'add', arguments: { a: [1, null, { b: 'x' }] } },
          ],
        },
        isInterrupted: true,
      },
      {
        type: 'message',
        id: 'c',
        at: 4,
        message: {
          role: 'toolResult',
          toolCallId: 'c1',
          toolName: 'add',
          content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }],
          isError: true,
        },
      },
      { type: 'message', id: 'd', at: 5, message: { role: 'weather', celsius: 20, parts: [{ deep: true }] } },
      { type: 'compaction', id: 'e', at: 6, summary: 'short', through: 'c' },
      { type: 'clear', id: 'f', at: 7 },
    ];
    await store.update(owner, created.id, { updatedAt: 5_000, entries: entries.slice(0, 2) }, signal);
    const changed = await store.update(
      owner,
      created.id,
      { updatedAt: 6_000, title: 'New', entries: entries.slice(2) },
      signal,
    );
    expect(changed).toEqual({ ...created, title: 'New', updatedAt: 6_000 });
    expect(await store.read(owner, created.id, signal)).toEqual({ session: changed, entries });
  });

  test('keeps no hold on what it was given or gave', async () => {
    const entry = message('first');
    const created = session();
    await store.create(owner, { session: created, entries: [entry] }, signal);
    entry.message.content = 'changed';
    created.title = 'changed';
    const read = await store.read(owner, created.id, signal);
    const [first] = (read?.entries ?? []) as MessageEntry[];
    if (first) first.message.content = 'changed';
    expect((await store.read(owner, created.id, signal))?.entries[0]).toMatchObject({
      message: { content: 'first' },
    });
    expect(await store.find(owner, created.id, signal)).toMatchObject({ title: '' });
  });

  test('renames without touching the entries', async () => {
    const stored = { session: session(), entries: [message('Hi')] };
    await store.create(owner, stored, signal);
    await store.update(owner, stored.session.id, { updatedAt: 9_000, title: 'Tea' }, signal);
    expect(await store.read(owner, stored.session.id, signal)).toEqual({
      session: { ...stored.session, title: 'Tea', updatedAt: 9_000 },
      entries: stored.entries,
    });
  });

  test('knows nothing of what does not exist', async () => {
    for (const id of [newId(), '', '../../etc/passwd', 'x'.repeat(5_000), 'a\u0000b', '*']) {
      expect(await store.find(owner, id, signal)).toBeUndefined();
      expect(await store.read(owner, id, signal)).toBeUndefined();
      expect(
        await store.update(owner, id, { updatedAt: 1, entries: [message('x')] }, signal),
      ).toBeUndefined();
      expect(await store.delete(owner, id, signal)).toBe(false);
    }
    expect(await store.list(owner, undefined, 10, signal)).toEqual([]);
  });

  test("treats somebody else's session like none", async () => {
    const others = [
      { tenant: owner.tenant, subject: 'bob' },
      { tenant: `${owner.tenant}x`, subject: 'ada' },
      { tenant: `${owner.tenant}-ada`, subject: '' },
      { tenant: owner.tenant.toUpperCase(), subject: 'ADA' },
    ];
    const stored = { session: session(), entries: [message('secret')] };
    const { id } = stored.session;
    await store.create(owner, stored, signal);
    for (const other of others) {
      expect(await store.find(other, id, signal)).toBeUndefined();
      expect(await store.read(other, id, signal)).toBeUndefined();
      expect(await store.update(other, id, { updatedAt: 2, title: 'mine' }, signal)).toBeUndefined();
      expect(await store.delete(other, id, signal)).toBe(false);
      expect(await store.list(other, undefined, 10, signal)).toEqual([]);
      expect(await store.create(other, { session: session(id), entries: [] }, signal)).toBe(false);
    }
    expect(await store.read(owner, id, signal)).toEqual(stored);
  });

  test('takes ids and owners of any kind', async () => {
    const strange = { tenant: '../..', subject: 'a/b\\c:*?"<>|\u0000 ünï' };
    for (const id of ['optional-session-id', 'UPPER', 'upper', '../x', 'a b/ü', '.']) {
      const stored = { session: session(`${id}${newId()}`), entries: [message(id)] };
      expect(await store.create(strange, stored, signal)).toBe(true);
      expect(await store.read(strange, stored.session.id, signal)).toEqual(stored);
    }
  });

  test('deletes for good, and the id is free again', async () => {
    const stored = { session: session(), entries: [message('Hi')] };
    const { id } = stored.session;
    await store.create(owner, stored, signal);
    expect(await store.delete(owner, id, signal)).toBe(true);
    expect(await store.delete(owner, id, signal)).toBe(false);
    expect(await store.read(owner, id, signal)).toBeUndefined();
    expect(await store.list(owner, undefined, 10, signal)).toEqual([]);
    expect(await store.create(bob, { session: session(id), entries: [] }, signal)).toBe(true);
    expect(await store.read(bob, id, signal)).toEqual({ session: session(id), entries: [] });
    await store.delete(bob, id, signal);
  });

  test('lists the newest first, page by page, those of one time by their ids', async () => {
    const all = [3_000, 1_000, 2_000, 2_000, 2_000, 5_000].map((at) => session(newId(), at));
    for (const each of all) await store.create(owner, { session: each, entries: [] }, signal);
    const [first] = all as [Session];
    await store.update(owner, first.id, { updatedAt: 9_000 }, signal);
    const expected = all
      .map((each) => (each === first ? { ...each, updatedAt: 9_000 } : each))
      .toSorted((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1));
    expect(await store.list(owner, undefined, 10, signal)).toEqual(expected);
    for (const size of [1, 2, 3, 4, 6]) {
      const seen: Session[] = [];
      for (let page = await store.list(owner, undefined, size, signal); page.length > 0; ) {
        seen.push(...page);
        page = await store.list(owner, page.at(-1), size, signal);
      }
      expect(seen, `pages of ${size}`).toEqual(expected);
    }
    expect(await store.list(owner, { id: 'zzz', updatedAt: 2_000 }, 2, signal)).toEqual(expected.slice(2, 4));
  });

  test('stores what comes at the same time for several sessions, and for one in order', async () => {
    const both = [session(), session()];
    for (const each of both) await store.create(owner, { session: each, entries: [] }, signal);
    const work = both.flatMap(({ id }) =>
      Array.from({ length: 20 }, (_, n) =>
        store.update(owner, id, { updatedAt: n, entries: [message(`${n}`)] }, signal),
      ),
    );
    await Promise.all(work);
    for (const { id } of both) {
      const texts = (await store.read(owner, id, signal))?.entries.map(
        (entry) => (entry as MessageEntry).message.content,
      );
      expect(texts).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`));
    }
  });

  test('takes entries of some megabytes', async () => {
    const created = session();
    await store.create(owner, { session: created, entries: [] }, signal);
    const entries = Array.from({ length: 300 }, (_, n) => message(`${n} ${'x'.repeat(10_000)}`));
    await store.update(owner, created.id, { updatedAt: 2, entries }, signal);
    expect((await store.read(owner, created.id, signal))?.entries).toEqual(entries);
  });

  test('rejects with the reason of an aborted signal', async () => {
    const aborted = AbortSignal.abort(new Error('left'));
    await expect(store.find(owner, newId(), aborted)).rejects.toThrow('left');
    await expect(store.create(owner, { session: session(), entries: [] }, aborted)).rejects.toThrow('left');
  });

  test('is healthy and writable once it is open', async () => {
    await store.open(signal);
    await store.checkWritable(signal);
    expect(store.health).toEqual({ status: 'healthy' });
  });

  test('still has everything after a restart', async ({ skip }) => {
    skip(!world.isLasting, 'lost by design');
    const kept = { session: session(), entries: [message('one')] };
    const gone = session();
    await store.create(owner, kept, signal);
    await store.create(owner, { session: gone, entries: [] }, signal);
    const added = message('two');
    await store.update(owner, kept.session.id, { updatedAt: 7_000, title: 'Kept', entries: [added] }, signal);
    await store.delete(owner, gone.id, signal);
    await store.close();
    store = world.open();
    const after = { ...kept.session, title: 'Kept', updatedAt: 7_000 };
    expect(await store.list(owner, undefined, 10, signal)).toEqual([after]);
    expect(await store.read(owner, after.id, signal)).toEqual({
      session: after,
      entries: [...kept.entries, added],
    });
  });
});
