import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { JsonlSessionStore } from '../../src/sessions/jsonl.ts';
import type { MessageEntry, Session } from '../../src/sessions/session-store.ts';
import { canMount, fillDisk, useDisk, useFolder } from '../helpers/folders.ts';

const { signal } = new AbortController();
const owner = { tenant: 'one', subject: 'ada' };
const id = `sess_${'0'.repeat(32)}`;
const created: Session = { id, title: '', createdAt: 1, updatedAt: 1 };

function message(text: string): MessageEntry {
  return { type: 'message', id: `m-${text.slice(0, 20)}`, at: 2, message: { role: 'user', content: text } };
}

function openStore(folder: string) {
  const warnings: string[] = [];
  const store = new JsonlSessionStore(folder, (fields, text) =>
    warnings.push(`${text} ${JSON.stringify(fields)}`),
  );
  onTestFinished(() => store.close());
  return { store, warnings };
}

/** A folder with one session of these messages, closed again. */
async function written(texts: string[], folder = useFolder()) {
  const store = new JsonlSessionStore(folder);
  await store.create(owner, { session: created, entries: [] }, signal);
  for (const text of texts) await store.update(owner, id, { updatedAt: 5, entries: [message(text)] }, signal);
  await store.close();
  const [ownerFolder = ''] = readdirSync(join(folder, 'sessions'));
  const file = join(folder, 'sessions', ownerFolder, `${id}.jsonl`);
  return { folder, file, index: join(folder, 'sessions.jsonl'), bytes: readFileSync(file) };
}

async function textsOf(store: JsonlSessionStore): Promise<unknown[]> {
  const stored = await store.read(owner, id, signal);
  return (stored?.entries ?? []).map((entry) => (entry as MessageEntry).message.content);
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);

describe('a session file', () => {
  test('holds one JSON line for each entry and is for its owner only', async () => {
    const { folder, file, index } = await written(['one', 'two']);
    expect(linesOf(file).map((line) => JSON.parse(line).type)).toEqual([
      'session',
      'message',
      'session',
      'message',
      'session',
    ]);
    expect(JSON.parse(linesOf(file)[1] as string)).toEqual(message('one'));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'sessions')).mode & 0o777).toBe(0o700);
    expect(linesOf(index).map((line) => JSON.parse(line))).toEqual([
      {
        type: 'session',
        owner,
        ...created,
        updatedAt: 5,
        file: expect.stringContaining(id),
        bytes: statSync(file).size,
      },
    ]);
  });

  test('cut anywhere loses what was cut off only, and takes the next message on a clean line', async () => {
    const { folder, file, bytes } = await written(['one', 'zwölf 🫖']);
    const ends = [...bytes.entries()].flatMap(([at, byte]) => (byte === 10 ? [at] : []));
    for (let size = ends[2] as number; size <= bytes.length; size += 1) {
      writeFileSync(file, bytes.subarray(0, size));
      const { store } = openStore(folder);
      // the line of a message is whole once its last byte before the line break is there
      const whole = ['one', 'zwölf 🫖'].filter((_, n) => size >= (ends[1 + 2 * n] as number));
      expect(await textsOf(store), `cut to ${size}`).toEqual(whole);
      await store.update(owner, id, { updatedAt: 6, entries: [message('after')] }, signal);
      await store.close();
      const again = openStore(folder);
      expect(await textsOf(again.store), `cut to ${size}`).toEqual([...whole, 'after']);
      expect(again.warnings).toEqual([]);
      for (const line of linesOf(file)) JSON.parse(line);
      await again.store.close();
    }
  });

  test('keeps what was torn in a file beside it, and says so', async () => {
    const { folder, file } = await written(['one']);
    appendFileSync(file, '{"type":"message","id":"m-to');
    const { store, warnings } = openStore(folder);
    expect(await textsOf(store)).toEqual(['one']);
    expect(warnings[0]).toMatch(/^a session file has broken lines .*"lines":1/);
    await store.update(owner, id, { updatedAt: 6, entries: [message('two')] }, signal);
    expect(readFileSync(file.replace('.jsonl', '.torn'), 'utf8')).toBe('{"type":"message","id":"m-to\n');
    expect(await textsOf(store)).toEqual(['one', 'two']);
    await store.delete(owner, id, signal);
    expect(readdirSync(join(file, '..'))).toEqual([]);
  });

  test('that was emptied is a session without messages', async () => {
    const { folder, file } = await written(['one']);
    writeFileSync(file, '');
    const { store } = openStore(folder);
    expect(await textsOf(store)).toEqual([]);
    await store.update(owner, id, { updatedAt: 6, entries: [message('new')] }, signal);
    expect(await textsOf(store)).toEqual(['new']);
  });

  test('with lines written twice has each message once', async () => {
    const { folder, file, bytes } = await written(['one', 'two']);
    writeFileSync(file, Buffer.concat([bytes, bytes]));
    const { store, warnings } = openStore(folder);
    expect(await textsOf(store)).toEqual(['one', 'two']);
    expect(warnings).toEqual([]);
  });

  test('with garbage in the middle keeps all the rest', async () => {
    const { folder, file } = await written(['one', 'two']);
    const lines = linesOf(file);
    const garbage = [
      'not json',
      '{"type":"message"}',
      'null',
      '[]',
      '{"type":"message","id":"x","at":1,"message":null}',
    ];
    writeFileSync(
      file,
      [...lines.slice(0, 2), ...garbage, '\u0000\u0000', '', ...lines.slice(2), ''].join('\n'),
    );
    const { store, warnings } = openStore(folder);
    expect(await textsOf(store)).toEqual(['one', 'two']);
    expect(warnings[0]).toMatch(/"lines":6/);
  });

  test('that was taken away is a session that does not exist, and the store is well', async () => {
    const { folder, file } = await written(['one']);
    const { store } = openStore(folder);
    await store.open(signal);
    rmSync(file);
    expect(await store.read(owner, id, signal)).toBeUndefined();
    expect(store.health).toEqual({ status: 'healthy' });
    expect(
      await store.update(owner, id, { updatedAt: 6, entries: [message('two')] }, signal),
    ).toBeUndefined();
    expect(existsSync(file)).toBe(false);
  });

  test('that says nowhere whose it is, is left alone', async () => {
    const { folder, file, index } = await written(['one']);
    rmSync(index);
    writeFileSync(file, 'garbage\n');
    const { store, warnings } = openStore(folder);
    expect(await store.find(owner, id, signal)).toBeUndefined();
    expect(warnings).toHaveLength(2);
    expect(readFileSync(file, 'utf8')).toBe('garbage\n');
  });
});

describe('the index', () => {
  test.each([
    ['is gone', (path: string) => rmSync(path)],
    ['is empty', (path: string) => writeFileSync(path, '')],
    ['is garbage', (path: string) => writeFileSync(path, 'garbage\n{}\nnull\n')],
    ['is torn', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 40))],
    [
      'names what is not there',
      (path: string) => appendFileSync(path, readFileSync(path, 'utf8').replaceAll(id, 'gone')),
    ],
  ])('is made anew when it %s', async (_name, damage) => {
    const { folder, index } = await written(['one']);
    const before = linesOf(index);
    damage(index);
    const { store } = openStore(folder);
    expect(await store.list(owner, undefined, 10, signal)).toEqual([{ ...created, updatedAt: 5 }]);
    expect(await textsOf(store)).toEqual(['one']);
    await store.close();
    expect(linesOf(index)).toEqual(before);
  });

  test('that is older than a file does not hide what is in it', async () => {
    const { folder, index } = await written(['one']);
    const old = readFileSync(index);
    const { store } = openStore(folder);
    await store.update(owner, id, { updatedAt: 9, title: 'New', entries: [message('two')] }, signal);
    await store.close();
    writeFileSync(index, old);
    const again = openStore(folder).store;
    expect(await again.find(owner, id, signal)).toEqual({ ...created, title: 'New', updatedAt: 9 });
    expect(await textsOf(again)).toEqual(['one', 'two']);
  });

  test('does not grow without end', async () => {
    const { folder, index } = await written([]);
    const { store } = openStore(folder);
    for (let count = 0; count < 450; count += 1) await store.update(owner, id, { updatedAt: count }, signal);
    expect(linesOf(index).length).toBeLessThan(300);
  });

  test('that was being written when the process died leaves no litter', async () => {
    const { folder, file } = await written(['one']);
    writeFileSync(`${file}.tmp`, 'half');
    const { store } = openStore(folder);
    expect(await textsOf(store)).toEqual(['one']);
    expect(existsSync(`${file}.tmp`)).toBe(false);
  });
});

describe('a write that fails', () => {
  test.skipIf(!canMount)('on a full disk says so and loses nothing that is old', async () => {
    const folder = useDisk(512 * 1024);
    const { store } = openStore(folder);
    await store.create(owner, { session: created, entries: [message('old')] }, signal);
    const large = store.update(owner, id, { updatedAt: 6, entries: [message('x'.repeat(600_000))] }, signal);
    await expect(large).rejects.toMatchObject({
      type: 'session_unavailable',
      message: 'The session could not be saved: the disk is full.',
      retryable: true,
    });
    expect(store.health).toEqual({ status: 'unhealthy', error: 'the disk is full' });
    expect(await textsOf(store)).toEqual(['old']);
    fillDisk(folder);
    await expect(store.checkWritable(signal)).rejects.toThrow('the disk is full');
    const small = store.update(owner, id, { updatedAt: 6, entries: [message('y'.repeat(5_000))] }, signal);
    await expect(small).rejects.toThrow('the disk is full');
    const other = { ...created, id: 'other' };
    await expect(
      store.create(owner, { session: other, entries: [message('z'.repeat(9_000))] }, signal),
    ).rejects.toThrow('the disk is full');
    rmSync(join(folder, 'ballast'));
    await store.update(owner, id, { updatedAt: 7, entries: [message('new')] }, signal);
    expect(store.health).toEqual({ status: 'healthy' });
    await store.close();
    const again = openStore(folder);
    expect(await textsOf(again.store)).toEqual(['old', 'new']);
    expect(await again.store.find(owner, 'other', signal)).toBeUndefined();
    expect(again.warnings).toEqual([]);
  });

  test('says so when the file cannot be opened', async () => {
    const { folder, file } = await written(['old']);
    const { store } = openStore(folder);
    await store.open(signal);
    const bytes = readFileSync(file);
    rmSync(file);
    mkdirSync(file);
    const fault = { type: 'session_unavailable', retryable: true };
    await expect(store.update(owner, id, { updatedAt: 6, title: 'x' }, signal)).rejects.toMatchObject(fault);
    await expect(store.read(owner, id, signal)).rejects.toMatchObject(fault);
    rmSync(file, { recursive: true });
    writeFileSync(file, bytes);
    expect(await textsOf(store)).toEqual(['old']);
  });

  test('is refused at the start when the folder cannot be used', async () => {
    const folder = useFolder();
    writeFileSync(join(folder, 'file'), '');
    const { store } = openStore(join(folder, 'file', 'inside'));
    await expect(store.open(signal)).rejects.toThrow(
      /^The session folder .*inside cannot be used \(ENOTDIR\)\.$/,
    );
  });
});

describe('two writers of one folder', () => {
  test('are not let in together', async () => {
    const folder = useFolder();
    const first = openStore(folder).store;
    await first.open(signal);
    const second = openStore(folder).store;
    await expect(second.open(signal)).rejects.toThrow(`is in use by process ${process.pid} on ${hostname()}`);
    await first.close();
    await second.open(signal);
  });

  test('are kept apart between processes, until the one that has it is gone, however it went', async () => {
    const folder = useFolder();
    const script = `
      const { JsonlSessionStore } = await import(process.argv[1]);
      await new JsonlSessionStore(process.argv[2]).open(new AbortController().signal);
      console.log('open');
      setInterval(() => {}, 1000);`;
    const source = fileURLToPath(new URL('../../src/sessions/jsonl.ts', import.meta.url));
    const child = spawn(process.execPath, [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      script,
      source,
      folder,
    ]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const { pid } = JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'));
    const { store } = openStore(folder);
    await expect(store.open(signal)).rejects.toThrow(`is in use by process ${pid} on ${hostname()}`);
    child.kill('SIGKILL');
    await ended;
    await store.open(signal);
  });

  test.each([
    ['of this process number, from before a restart', { pid: process.pid, host: hostname() }, 0],
    ['of another machine that is long gone', { pid: 1, host: 'elsewhere' }, 60],
    ['that is torn and old', 'x', 60],
  ])('a lock %s does not keep anybody out', async (_name, holder, ageSeconds) => {
    const folder = useFolder();
    const path = join(folder, 'lock');
    writeFileSync(path, JSON.stringify(holder));
    const at = Date.now() / 1000 - ageSeconds;
    utimesSync(path, at, at);
    await openStore(folder).store.open(signal);
  });

  test('a fresh lock of another machine is honoured', async () => {
    const folder = useFolder();
    writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere' }));
    await expect(openStore(folder).store.open(signal)).rejects.toThrow('is in use by process 1 on elsewhere');
  });
});
