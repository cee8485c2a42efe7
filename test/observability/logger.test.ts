import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger, shortened, writtenByLogger } from '../../src/observability/logger.ts';

/** A reader that takes each line at once. */
function reader() {
  let text = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { output, text: () => text };
}

/** What ends a line or is a command, and what some terminals take for that. */
const unsafe = ['\r', '\u0000', '\u001b[31m'];
const obeyed = ['\u009b', '\u2028', '\u202e'];
const hostile = 'a"\n{"level":"error","msg":"forged"}\r\u001b[31mred\u009b2Jcleared\u2028\u202eback\u0000';

describe.each([
  ['JSON', false],
  ['for a terminal', true],
])('a log as %s', (_, isTerminal) => {
  test('what a caller chose starts no line and commands no terminal', () => {
    const { output, text } = reader();
    const logger = createLogger('info', { isTerminal, output });
    logger.info({ tenant: 'acme' }, 'request');
    const plain = text();
    logger.info({ tenant: hostile }, 'request');
    const line = text().slice(plain.length);
    expect(line.split('\n')).toHaveLength(plain.split('\n').length);
    for (const raw of isTerminal ? [...unsafe, ...obeyed] : unsafe) expect(line).not.toContain(raw);
    expect(line).toContain('\\u001b[31mred');
    if (isTerminal) return;
    expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: 'request', tenant: hostile });
  });

  test('the bytes of its lines are counted', () => {
    const { output, text } = reader();
    const logger = createLogger('info', { isTerminal, output });
    logger.info({ tenant: 'Müller' }, 'request');
    logger.child({ part: 'worker' }).warn('€');
    logger.debug('not shown');
    expect(writtenByLogger(logger)).toEqual({ bytes: Buffer.byteLength(text()), droppedLines: 0 });
    expect(text()).toContain('€');
  });
});

test('lines wait for a slow reader up to a bound, and nothing else waits', async () => {
  const output = new PassThrough({ highWaterMark: 0 });
  const logger = createLogger('info', { isTerminal: false, output });
  const filler = 'x'.repeat(1000);
  for (let count = 0; count < 10_000; count += 1) logger.info({ count, filler }, 'line');
  const { bytes, droppedLines } = writtenByLogger(logger);
  expect(droppedLines).toBeGreaterThan(5000);
  expect(bytes).toBeLessThan(4.1 * 1024 * 1024);
  let text = '';
  output.on('data', (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => output.once('drain', resolve));
  logger.info({ count: 'last' }, 'line');
  output.end();
  await new Promise((resolve) => output.once('end', resolve));
  const counts = text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { count: unknown }).count);
  expect(counts).toEqual([...Array(10_000 - droppedLines).keys(), 'last']);
});

test('a reader that is gone is no error', async () => {
  const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const output = new Writable({ write: (_chunk, _encoding, done) => done(broken), autoDestroy: false });
  const logger = createLogger('info', { isTerminal: false, output });
  const closed = new Promise((resolve) => output.once('error', resolve));
  logger.info('one');
  expect(await closed).toBe(broken);
  logger.info('two');
});

test('many loggers listen to one output once', () => {
  const { output } = reader();
  for (let count = 0; count < 20; count += 1) createLogger('info', { isTerminal: false, output });
  expect(output.listenerCount('error')).toBe(1);
});

test('a name that a caller chose has at most 128 characters', () => {
  expect(shortened('x'.repeat(128))).toBe('x'.repeat(128));
  expect(shortened('x'.repeat(129))).toBe(`${'x'.repeat(128)}…`);
});
