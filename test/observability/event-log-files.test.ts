import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import {
  createEventLog,
  type EventLogTrouble,
  type EventRow,
  type EventSink,
} from '../../src/observability/event-log.ts';
import { createJsonlSink } from '../../src/observability/event-log-jsonl.ts';
import { createServices } from '../../src/services.ts';
import { startChat } from '../helpers/chat.ts';
import { canMount, fillDisk, useDisk, useFolder } from '../helpers/folders.ts';
import { patient } from '../helpers/mcp.ts';
import { jsonPost, type TestService } from '../helpers/service.ts';
import { eventsIn } from './events.ts';

const formats = ['events.jsonl', 'events.db'];
const eventsOfRun = 7;
const hello = { text: 'Hello.' };

async function ask(service: TestService): Promise<string> {
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 'Hi.' }));
  expect(response.status).toBe(200);
  return ((await response.json()) as { run_id: string }).run_id;
}

const idsOf = (runId: string) => Array.from({ length: eventsOfRun }, (_, index) => `${runId}.${index + 1}`);

const rowOf = (id: number, data = '{}'): EventRow => ({
  id: String(id),
  at: 'x',
  runId: 'run_1',
  type: 'phase',
  name: null,
  durationMs: null,
  ok: null,
  data,
});

const untilWritten = (path: string, count: number) =>
  vi.waitFor(() => {
    const events = eventsIn(path);
    expect(events.length).toBe(count);
    return events;
  }, patient);

async function droppedBy(service: TestService): Promise<number> {
  const { values } = await service.services.metrics.eventLogDropped.get();
  return values[0]?.value ?? 0;
}

const troubles = (service: TestService) =>
  service.logs.filter(({ msg }) => String(msg).startsWith('EVENT_LOG'));

describe('a service does not start', () => {
  async function problemOf(path: string): Promise<string> {
    const { config } = loadConfig({ EVENT_LOG: path, LOG_LEVEL: 'silent' });
    const services = createServices(config);
    const problem = await services.start().then(
      () => 'none',
      (error: Error) => error.message,
    );
    await services.close();
    return problem;
  }

  test.each(formats)('when the folder of %s does not exist', async (name) => {
    const path = join(useFolder(), 'nowhere', name);
    expect(await problemOf(path)).toBe(`EVENT_LOG ${path} cannot be written (ENOENT).`);
  });

  test.each([
    ['events.jsonl', 'is not a file'],
    ['events.db', 'cannot be written (EISDIR)'],
  ])('when %s is a folder', async (name, why) => {
    const path = join(useFolder(), name);
    mkdirSync(path);
    expect(await problemOf(path)).toBe(`EVENT_LOG ${path} ${why}.`);
  });

  test.each([
    ['notes.txt', 'holds something else than events; name another file'],
    ['notes.db', 'is not an SQLite file'],
  ])('when %s is a file of somebody else, which stays as it is', async (name, why) => {
    const path = join(useFolder(), name);
    const text = `Buy milk.\n${'And more of it, please.\n'.repeat(50)}And bread`;
    writeFileSync(path, text);
    expect(await problemOf(path)).toBe(`EVENT_LOG ${path} ${why}.`);
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('when the table events has other columns, and leaves it as it is', async () => {
    const path = join(useFolder(), 'events.db');
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE events (id INTEGER PRIMARY KEY, ts TEXT, kind TEXT)');
    other.close();
    const before = readFileSync(path);
    expect(await problemOf(path)).toBe(
      `EVENT_LOG ${path} has a table events with other columns: id, ts, kind; name another file.`,
    );
    expect(readFileSync(path)).toEqual(before);
  });
});

test('a database of somebody else gets the table beside its own', async () => {
  const path = join(useFolder(), 'notes.db');
  const other = new DatabaseSync(path);
  other.exec("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('milk')");
  other.close();
  const { service } = await startChat([hello], { EVENT_LOG: path });
  await ask(service);
  await service.close();
  expect(eventsIn(path).length).toBe(eventsOfRun);
  const again = new DatabaseSync(path, { readOnly: true });
  expect(again.prepare('SELECT text FROM notes').get()?.text).toBe('milk');
  expect(again.prepare('PRAGMA journal_mode').get()?.journal_mode).toBe('wal');
  again.close();
});

test.each([
  ['cut short', '{"id":"run_1.2","at":"20', 1],
  ['longer than what is read at once', `{"id":"run_1.2","data":{"message":"${'x'.repeat(200_000)}`, 1],
  ['whole but for its line break', '{"id":"run_1.2","at":"x","data":{}}', 2],
])('after a crash a last line that is %s does no harm', async (_, rest, kept) => {
  const path = join(useFolder(), 'events.jsonl');
  writeFileSync(path, `{"id":"run_1.1","at":"x","data":{}}\n${rest}`);
  const { service } = await startChat([hello], { EVENT_LOG: path });
  const runId = await ask(service);
  await service.close();
  const ids = eventsIn(path).map(({ id }) => id);
  expect(ids).toEqual([...['run_1.1', 'run_1.2'].slice(0, kept), ...idsOf(runId)]);
  const cut = kept === 2 ? [] : [{ level: 40, bytes: rest.length }];
  expect(troubles(service)).toMatchObject(cut);
  expect(troubles(service).length).toBe(cut.length);
});

test('a file of which only the start of one line was written is begun anew', async () => {
  const path = join(useFolder(), 'events.jsonl');
  writeFileSync(path, '{"i');
  const { service } = await startChat([hello], { EVENT_LOG: path });
  const runId = await ask(service);
  await service.close();
  expect(eventsIn(path).map(({ id }) => id)).toEqual(idsOf(runId));
});

describe.each(formats)('%s', (name) => {
  test('is begun anew when it was moved away', async () => {
    const folder = useFolder();
    const path = join(folder, name);
    const { service } = await startChat([hello, hello], { EVENT_LOG: path });
    const first = await ask(service);
    await untilWritten(path, eventsOfRun);
    // an SQLite file and its journals belong together
    for (const ending of ['', '-wal', '-shm']) {
      if (existsSync(path + ending))
        renameSync(path + ending, join(folder, `old-${basename(path)}${ending}`));
    }
    const second = await ask(service);
    expect((await untilWritten(path, eventsOfRun)).map(({ id }) => id)).toEqual(idsOf(second));
    await service.close();
    expect(eventsIn(join(folder, `old-${name}`)).map(({ id }) => id)).toEqual(idsOf(first));
  });

  test('10,000 events under load are all there after close', { timeout: 120_000 }, async () => {
    const path = join(useFolder(), name);
    const runCount = Math.ceil(10_000 / eventsOfRun);
    const { service } = await startChat(Array(runCount).fill(hello), { EVENT_LOG: path, LOG_LEVEL: 'warn' });
    const runIds: string[] = [];
    const workers = Array.from({ length: 50 }, async (_, worker) => {
      for (let count = worker; count < runCount; count += 50) runIds.push(await ask(service));
    });
    await Promise.all(workers);
    await service.close();
    const ids = eventsIn(path).map(({ id }) => id);
    expect(ids.length).toBe(runCount * eventsOfRun);
    expect(ids.toSorted()).toEqual(runIds.flatMap(idsOf).toSorted());
    expect(await droppedBy(service)).toBe(0);
    expect(troubles(service)).toEqual([]);
  });

  test.runIf(canMount)('on a full disk costs no run anything, and goes on when there is room', async () => {
    const folder = useDisk(512 * 1024);
    const path = join(folder, name);
    const { service } = await startChat(Array(4).fill(hello), { EVENT_LOG: path });
    const runIds = [await ask(service)];
    await untilWritten(path, eventsOfRun);
    fillDisk(folder);
    for (let count = 0; count < 2; count += 1) runIds.push(await ask(service));
    await vi.waitFor(() => expect(troubles(service).length).toBe(1), patient);
    expect(troubles(service)[0]).toMatchObject({ dropped: 0, waiting: expect.any(Number) });
    unlinkSync(join(folder, 'ballast'));
    runIds.push(await ask(service));
    const events = await untilWritten(path, 4 * eventsOfRun);
    expect(events.map(({ id }) => id)).toEqual(runIds.flatMap(idsOf));
    expect(troubles(service).length).toBe(1);
    await service.close();
    expect(await droppedBy(service)).toBe(0);
  });
});

test.runIf(existsSync('/dev/full'))(
  'what a full disk never takes is counted, and told of in one line',
  async () => {
    const { service } = await startChat([hello, hello], { EVENT_LOG: '/dev/full' });
    for (let count = 0; count < 2; count += 1) await ask(service);
    await vi.waitFor(() => expect(troubles(service).length).toBe(1), patient);
    expect(troubles(service)[0]).toMatchObject({ level: 40, dropped: 0, reason: 'ENOSPC' });
    await service.close();
    expect(await droppedBy(service)).toBe(2 * eventsOfRun);
    expect(troubles(service).slice(1)).toMatchObject([{ dropped: 2 * eventsOfRun, reason: 'ENOSPC' }]);
  },
);

test('a database that somebody else is writing to is written to later, and nobody waits', async () => {
  const path = join(useFolder(), 'events.db');
  const { service } = await startChat([hello, hello], { EVENT_LOG: path });
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const first = await ask(service);
  await vi.waitFor(
    () => expect(troubles(service)).toMatchObject([{ reason: 'database is locked' }]),
    patient,
  );
  const second = await ask(service);
  expect(eventsIn(path)).toEqual([]);
  other.exec('COMMIT');
  other.close();
  const events = await untilWritten(path, 2 * eventsOfRun);
  expect(events.map(({ id }) => id)).toEqual([...idsOf(first), ...idsOf(second)]);
});

test('what waits for a disk is bounded, in events and in text', async () => {
  const path = join(useFolder(), 'events.jsonl');
  let dropped = 0;
  const told: EventLogTrouble[] = [];
  const log = createEventLog({
    sink: createJsonlSink(path, () => {}),
    onDropped: (count) => {
      dropped += count;
    },
    onTrouble: (trouble) => told.push(trouble),
  });
  for (let id = 0; id < 20_005; id += 1) log.add(rowOf(id));
  expect(dropped).toBe(5);
  expect(told).toEqual([{ dropped: 1, waiting: 20_000, reason: undefined }]);
  await log.open();
  await log.flush();
  expect(eventsIn(path).map(({ id }) => id)).toEqual(Array.from({ length: 20_000 }, (_, id) => String(id)));
  const big = JSON.stringify({ message: 'x'.repeat(1024 * 1024) });
  for (let id = 20_000; id < 20_020; id += 1) log.add(rowOf(id, big));
  expect(dropped).toBe(10);
  await log.close();
  expect(eventsIn(path).length).toBe(20_015);
  expect(told.slice(1)).toEqual([{ dropped: 9, waiting: 0, reason: undefined }]);
  log.add(rowOf(30_000));
  expect(dropped).toBe(11);
});

test('a disk that hangs does not keep the process', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const told: EventLogTrouble[] = [];
  const hangs = new Promise<void>(() => {});
  const sink: EventSink = { open: async () => {}, write: () => hangs, close: () => hangs };
  const log = createEventLog({ sink, onDropped: () => {}, onTrouble: (trouble) => told.push(trouble) });
  await log.open();
  log.add(rowOf(1));
  const flushed = log.flush();
  await vi.advanceTimersByTimeAsync(5_000);
  await flushed;
  expect(told).toEqual([]);
  const closed = log.close();
  await vi.advanceTimersByTimeAsync(5_000);
  await closed;
  expect(told).toEqual([{ dropped: 1, waiting: 0, reason: 'ETIMEDOUT' }]);
});

test.each(formats)('nobody else may read %s', async (name) => {
  const path = join(useFolder(), name);
  const { service } = await startChat([], { EVENT_LOG: path });
  await service.close();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
