import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { messagesOf } from '../../src/sessions/history.ts';
import { SessionManager } from '../../src/sessions/session-manager.ts';
import type { SessionConflict } from '../../src/sessions/turns.ts';

const { signal } = new AbortController();
const ada = { tenant: 'one', subject: 'ada' };
const strangers = [
  { tenant: 'one', subject: 'bob' },
  { tenant: 'two', subject: 'ada' },
];
const noSession = { type: 'not_found', message: 'There is no such session.' };
const said = (text: string) => ({ messages: [{ message: { role: 'user' as const, content: text } }] });

describe("somebody else's session", () => {
  test('is one that does not exist, whatever is tried', async () => {
    const manager = new SessionManager();
    const { id } = await manager.create(ada, { title: 'Secret' }, signal);
    for (const owner of strangers) {
      const attempts = [
        manager.get(owner, id, signal),
        manager.read(owner, id, signal),
        manager.rename(owner, id, 'Mine', signal),
        manager.delete(owner, id, signal),
        manager.fork(owner, id, undefined, signal),
        manager.clear(owner, id, signal),
        manager.append(owner, id, said('Hi'), signal),
        manager.create(owner, { id }, signal),
        manager.getOrCreate(owner, id, signal),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject(noSession);
      expect(await manager.list(owner, { limit: 10 }, signal)).toEqual({ sessions: [] });
    }
    expect(await manager.get(ada, id, signal)).toMatchObject({ title: 'Secret' });
  });

  test('is not made busy by a stranger who claims it', async () => {
    const manager = new SessionManager();
    const { id } = await manager.create(ada, {}, signal);
    const claim = manager.claim(strangers[0] as typeof ada, id, () => {});
    expect(manager.isProcessing(ada, id)).toBe(false);
    manager.claim(ada, id, () => {}).release();
    claim.release();
  });

  test('does not count for MAX_SESSIONS', async () => {
    const manager = new SessionManager(undefined, { maxSessions: 1 });
    const { id } = await manager.create(ada, {}, signal);
    for (const owner of strangers) await manager.create(owner, {}, signal);
    expect(await manager.get(ada, id, signal)).toMatchObject({ id });
  });
});

test('an id that nobody holds is created for who names it first', async () => {
  const manager = new SessionManager();
  const made = await manager.getOrCreate(ada, 'optional-session-id', signal);
  expect(made.id).toBe('optional-session-id');
  expect(await manager.getOrCreate(ada, 'optional-session-id', signal)).toEqual(made);
  const both = await Promise.all([1, 2].map(() => manager.getOrCreate(ada, 'at-once', signal)));
  expect(both[0]).toEqual(both[1]);
});

describe('MAX_SESSIONS', () => {
  test('lets the ones go that were used least lately, but none that is in use', async () => {
    const manager = new SessionManager(undefined, { maxSessions: 2 });
    const make = async () => (await manager.create(ada, {}, signal)).id;
    const [busy, used] = [await make(), await make()];
    const claim = manager.claim(ada, busy, () => {});
    await manager.append(ada, used, said('Hi'), signal);
    const third = await make();
    const ids = async () => (await manager.list(ada, { limit: 10 }, signal)).sessions.map(({ id }) => id);
    expect(await ids()).toEqual([third, used, busy]);
    claim.release();
    const fourth = await make();
    expect(await ids()).toEqual([fourth, third]);
    await manager.fork(ada, third, undefined, signal);
    expect(await ids()).toHaveLength(2);
  });
});

test('clear forgets the messages and keeps the id', async () => {
  const manager = new SessionManager();
  const { id } = await manager.create(ada, {}, signal);
  await manager.append(ada, id, said('Hello.'), signal);
  await manager.clear(ada, id, signal);
  await manager.append(ada, id, said('Again.'), signal);
  const { entries, session } = await manager.read(ada, id, signal);
  expect(messagesOf(entries).map(({ message }) => message.content)).toEqual(['Again.']);
  expect(session.title).toBe('Hello.');
  const fork = await manager.fork(ada, id, undefined, signal);
  expect(messagesOf((await manager.read(ada, fork.id, signal)).entries)).toHaveLength(1);
});

describe('a title', () => {
  const titleFor = async (text: string) => {
    const manager = new SessionManager();
    const { id } = await manager.create(ada, {}, signal);
    return (await manager.append(ada, id, said(text), signal)).title;
  };

  test.each([
    ['Hello', 'Hello'],
    ['\n\n  # Plan  \nmore', '# Plan'],
    ['My name is Ada. I like tea.', 'My name is Ada.'],
    ['Hi. What is the weather like?', 'Hi. What is the weather like?'],
    ['Is version 2.5 out? Tell me.', 'Is version 2.5 out?'],
    ['a\u0000b\u202ec\tq', 'a b c q'],
    ['🫖'.repeat(40), `${'🫖'.repeat(29)}…`],
    ['👩‍👩‍👧'.repeat(10), `${'👩‍👩‍👧'.repeat(7)}…`],
    [`${'word '.repeat(20)}end`, `${'word '.repeat(11)}word…`],
    ['x'.repeat(1_000_000), `${'x'.repeat(59)}…`],
    ['\ud800', '\ufffd'],
    [' \n ', ''],
  ])('for %j', async (text, title) => {
    expect(await titleFor(text)).toBe(title);
    expect(title.length).toBeLessThanOrEqual(60);
  });

  test('that was given stays', async () => {
    const manager = new SessionManager();
    const { id } = await manager.create(ada, { title: 'Mine' }, signal);
    expect((await manager.append(ada, id, said('Hi'), signal)).title).toBe('Mine');
  });
});

describe('writers of one session', () => {
  async function busy(conflict: SessionConflict) {
    const manager = new SessionManager(undefined, { conflict });
    const { id } = await manager.create(ada, {}, signal);
    const faults: Fault[] = [];
    const claim = () => manager.claim(ada, id, (fault) => faults.push(fault));
    return { manager, id, faults, claim, first: claim() };
  }

  test('reject: the second is turned away until the first is done', async () => {
    const { manager, id, claim, first } = await busy('reject');
    expect(claim).toThrow(expect.objectContaining({ type: 'conflict', retryable: true, retryAfterMs: 1000 }));
    expect(manager.isProcessing(ada, id)).toBe(true);
    first.release();
    first.release();
    expect([manager.isProcessing(ada, id), manager.busyCount]).toEqual([false, 0]);
    claim().release();
  });

  test('enqueue: they go in the order in which they came, and one that leaves is passed over', async () => {
    const { claim, first } = await busy('enqueue');
    const order: string[] = [];
    const leaving = new AbortController();
    const [second, third, fourth] = [claim(), claim(), claim()];
    const turns = [
      second.ready(signal).then(() => order.push('second')),
      third.ready(leaving.signal).catch((error) => order.push(error.message)),
      fourth.ready(signal).then(() => order.push('fourth')),
    ];
    leaving.abort(new Error('left'));
    await turns[1];
    third.release();
    first.release();
    await turns[0];
    expect(order).toEqual(['left', 'second']);
    second.release();
    await turns[2];
    expect(order).toEqual(['left', 'second', 'fourth']);
    fourth.release();
  });

  test('interrupt: the newest ends all that came before, and waits for their end', async () => {
    const { claim, first, faults } = await busy('interrupt');
    await first.ready(signal);
    const second = claim();
    const third = claim();
    expect(faults.map(({ type }) => type)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    let isReady = false;
    const ready = third.ready(signal).then(() => {
      isReady = true;
    });
    first.release();
    await Promise.resolve();
    expect(isReady).toBe(false);
    second.release();
    await ready;
    third.release();
  });

  test('deleting and clearing end them first', async () => {
    const { manager, id, faults, first } = await busy('enqueue');
    const cleared = manager.clear(ada, id, signal);
    await expect.poll(() => faults).toHaveLength(1);
    expect(faults[0]).toBeInstanceOf(Fault);
    first.release();
    await cleared;
    await manager.delete(ada, id, signal);
  });
});
