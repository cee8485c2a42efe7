import { setImmediate as nextTick } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { createMemoryLog, type MemoryLogOptions } from '../../src/runs/memory-log.ts';
import type { DropReason, LogEntry, LogReader, RunLog } from '../../src/runs/run-log.ts';

function logWith(options: Partial<MemoryLogOptions> = {}): { log: RunLog; heldBytes: () => number } {
  let held = 0;
  const log = createMemoryLog({
    maxEvents: 1000,
    maxBytes: 1_000_000,
    readerLagBytes: 1_000_000,
    onBytes: (change) => {
      held += change;
      return 0;
    },
    ...options,
  });
  return { log, heldBytes: () => held };
}

const addText = (log: RunLog, text: string) => log.append({ type: 'text-delta', text, revision: 0 });
const seqsOf = (entries: LogEntry[]) => entries.map((entry) => entry.seq);

function open(log: RunLog, after: number) {
  const onReadable = vi.fn<() => void>();
  const onDropped = vi.fn<(reason: DropReason) => void>();
  return { reader: log.open(after, { onReadable, onDropped }), onReadable, onDropped };
}

function takeAll(reader: LogReader, maxBytes = 1000): LogEntry[] {
  const taken: LogEntry[] = [];
  for (;;) {
    const entries = reader.take(maxBytes);
    if (entries.length === 0) return taken;
    taken.push(...entries);
  }
}

test('events are numbered from 1 and stamped with the time', () => {
  const { log } = logWith();
  expect([log.firstSeq, log.lastSeq, log.isEnded]).toEqual([1, 0, false]);
  const before = Date.now() / 1000;
  addText(log, 'a');
  log.append({ type: 'run-done' });
  expect([log.firstSeq, log.lastSeq, log.isEnded]).toEqual([1, 2, true]);
  const entries = takeAll(open(log, 0).reader);
  expect(seqsOf(entries)).toEqual([1, 2]);
  expect(entries[0]?.event).toEqual({ type: 'text-delta', text: 'a', revision: 0 });
  expect(entries[0]?.at).toBeGreaterThanOrEqual(before);
});

test('a reader gets everything after its cursor, once, in order, however it takes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 300 }), { maxLength: 60 }),
      fc.nat(60),
      fc.integer({ min: 1, max: 2000 }),
      (texts, cursor, maxBytes) => {
        const { log } = logWith();
        const after = Math.min(cursor, texts.length);
        const half = Math.max(after, Math.floor(texts.length / 2));
        for (const text of texts.slice(0, half)) addText(log, text);
        const { reader } = open(log, after);
        const first = takeAll(reader, maxBytes);
        for (const text of texts.slice(half)) addText(log, text);
        const entries = [...first, ...takeAll(reader, maxBytes)];
        expect(seqsOf(entries)).toEqual(texts.slice(after).map((_, index) => after + index + 1));
        expect(entries.map(({ event }) => (event.type === 'text-delta' ? event.text : ''))).toEqual(
          texts.slice(after),
        );
      },
    ),
  );
});

test('a take ends soon after its bytes are reached', () => {
  const { log } = logWith();
  for (let number = 0; number < 100; number += 1) addText(log, 'x'.repeat(100));
  const { reader } = open(log, 0);
  expect(seqsOf(reader.take(1000)).length).toBeLessThan(12);
});

test('a waiting reader is told once a tick, and not again before it takes', async () => {
  const { log } = logWith();
  const { reader, onReadable } = open(log, 0);
  addText(log, 'a');
  addText(log, 'b');
  expect(onReadable).not.toHaveBeenCalled();
  await nextTick();
  expect(onReadable).toHaveBeenCalledTimes(1);
  addText(log, 'c');
  await nextTick();
  expect(onReadable).toHaveBeenCalledTimes(1);
  expect(seqsOf(takeAll(reader))).toEqual([1, 2, 3]);
  addText(log, 'd');
  await nextTick();
  expect(onReadable).toHaveBeenCalledTimes(2);
});

test('a closed reader is not told any more', async () => {
  const { log } = logWith();
  const { reader, onReadable, onDropped } = open(log, 0);
  reader.close();
  addText(log, 'a');
  log.clear();
  await nextTick();
  expect(onReadable).not.toHaveBeenCalled();
  expect(onDropped).not.toHaveBeenCalled();
});

test('the bounds on events and bytes give up the oldest events, and only as many as needed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 200 }), { minLength: 1, maxLength: 900 }),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 200, max: 20_000 }),
      (texts, maxEvents, maxBytes) => {
        const { log, heldBytes } = logWith({ maxEvents, maxBytes });
        for (const text of texts) addText(log, text);
        const held = log.lastSeq - log.firstSeq + 1;
        expect(log.lastSeq).toBe(texts.length);
        expect(held).toBeLessThanOrEqual(maxEvents);
        expect(heldBytes() <= maxBytes || held === 1).toBe(true);
        const entries = takeAll(open(log, log.firstSeq - 1).reader);
        expect(entries.map(({ event }) => (event.type === 'text-delta' ? event.text : ''))).toEqual(
          texts.slice(-held),
        );
        const next = texts.at(-held - 1);
        if (next === undefined || held === maxEvents) return;
        expect(heldBytes() + next.length + 96).toBeGreaterThan(maxBytes);
      },
    ),
    { numRuns: 60 },
  );
});

test('what is over the bound of all logs together is given up here when nobody else can', () => {
  let held = 0;
  const { log } = logWith({
    onBytes: (change) => {
      held += change;
      return Math.max(0, held - 1000);
    },
  });
  for (let number = 0; number < 50; number += 1) addText(log, 'x'.repeat(100));
  expect(held).toBeLessThanOrEqual(1000);
  expect(log.firstSeq).toBeGreaterThan(40);
  expect(log.lastSeq).toBe(50);
});

test('the newest event is held even when it alone is over the bound', () => {
  const { log } = logWith({ maxBytes: 100 });
  addText(log, 'small');
  addText(log, 'x'.repeat(500));
  expect([log.firstSeq, log.lastSeq]).toEqual([2, 2]);
});

test('a reader that takes nothing is dropped once it is too far behind', async () => {
  const { log } = logWith({ readerLagBytes: 1000 });
  const { reader, onReadable, onDropped } = open(log, 0);
  addText(log, 'x'.repeat(500));
  await nextTick();
  expect(onReadable).toHaveBeenCalledTimes(1);
  expect(onDropped).not.toHaveBeenCalled();
  addText(log, 'x'.repeat(500));
  await nextTick();
  expect(onDropped).toHaveBeenCalledExactlyOnceWith('stalled');
  addText(log, 'x');
  await nextTick();
  expect(onDropped).toHaveBeenCalledTimes(1);
  reader.close();
});

test('a reader whose next event was given up is dropped, also when it takes', () => {
  const { log } = logWith({ maxEvents: 3 });
  const { reader, onDropped } = open(log, 0);
  for (let number = 0; number < 10; number += 1) addText(log, 'x');
  expect(reader.take(1000)).toEqual([]);
  expect(onDropped).toHaveBeenCalledExactlyOnceWith('stalled');
});

test('a reader that has taken everything is not stalled, however much comes at once', async () => {
  const { log } = logWith({ readerLagBytes: 1000 });
  const { reader, onReadable, onDropped } = open(log, 0);
  addText(log, 'x'.repeat(5000));
  await nextTick();
  expect(onDropped).not.toHaveBeenCalled();
  expect(onReadable).toHaveBeenCalledTimes(1);
  expect(seqsOf(takeAll(reader))).toEqual([1]);
});

test('the log is crowded while a reader is about to be dropped, until it takes or leaves', async () => {
  const { log } = logWith({ readerLagBytes: 400_000, maxBytes: 10_000_000 });
  const add = (bytes: number) => {
    for (let left = bytes; left > 0; left -= 10_000) addText(log, 'x'.repeat(10_000));
  };
  add(1_000_000);
  expect(log.isCrowded).toBe(false);
  const replaying = open(log, 0);
  const live = open(log, log.lastSeq);
  add(150_000);
  expect(log.isCrowded).toBe(false);
  add(150_000);
  expect(log.isCrowded).toBe(true);
  live.reader.take(1_000_000);
  expect(log.isCrowded).toBe(true);
  replaying.reader.close();
  expect(log.isCrowded).toBe(false);
  add(300_000);
  expect(log.isCrowded).toBe(true);
  live.reader.take(1_000_000);
  expect(log.isCrowded).toBe(false);
  await nextTick();
  expect(live.onDropped).not.toHaveBeenCalled();
});

test('a reader that replays a long log may start far behind but must come closer', async () => {
  const { log } = logWith({ readerLagBytes: 1000 });
  for (let number = 0; number < 100; number += 1) addText(log, 'x'.repeat(100));
  const steady = open(log, 0);
  const stalled = open(log, 0);
  for (let number = 0; number < 60; number += 1) {
    steady.reader.take(2000);
    addText(log, 'y'.repeat(100));
    await nextTick();
  }
  expect(steady.onDropped).not.toHaveBeenCalled();
  expect(stalled.onDropped).toHaveBeenCalledExactlyOnceWith('stalled');
});

test('clear drops every reader and gives every byte back', () => {
  const { log, heldBytes } = logWith();
  addText(log, 'a');
  const { onDropped } = open(log, 0);
  expect(heldBytes()).toBeGreaterThan(0);
  log.clear();
  expect(onDropped).toHaveBeenCalledExactlyOnceWith('expired');
  expect(heldBytes()).toBe(0);
  expect([log.firstSeq, log.lastSeq]).toEqual([2, 1]);
});
