import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/ifeval/command.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const devFile = 'test/fixtures/ifeval/ifeval-dev.jsonl';

const folder = mkdtempSync(join(tmpdir(), 'paf ifeval '));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(...rows: (object | string)[]): string {
  const file = join(folder, `${Math.random()}.jsonl`);
  writeFileSync(file, linesOf(rows));
  return file;
}

function linesOf(rows: (object | string)[]): string {
  return rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join('');
}

/** Runs the command in this process; `input` arrives on its stdin. */
async function run(args: string[], input: Iterable<Uint8Array> = []) {
  const stdout = collect();
  const stderr = collect();
  const streams = { stdin: Readable.from(input), stdout: stdout.stream, stderr: stderr.stream };
  const code = await runCommand(args, streams);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

/** Takes little at once, so that the writer has to wait. */
function collect() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 16,
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      setImmediate(done);
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

function jsonLines(output: string): unknown[] {
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const noComma = { id: 'punctuation:no_comma', kwargs: {} };
const words = (relation: string, count: number) => ({
  id: 'length_constraints:number_words',
  kwargs: { relation, num_words: count },
});

describe('predict', () => {
  test('finds in the prompt, judges the given constraints, and passes by the found ones', async () => {
    const prompt = 'Describe the sea in at least 5 words. Do not use any commas.';
    const found = [words('at least', 5), noComma];
    const file = fileOf(
      { id: 'a', prompt, constraints: [noComma, words('at least', 9)], response: 'It is wide and blue.' },
      { id: 'b', prompt, constraints: [noComma], response: 'Wide, blue.' },
      { id: 'c', prompt: 'What is the sea?', constraints: [noComma], response: 'Water, mostly.' },
    );
    const { code, stdout, stderr } = await run(['predict', file]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      { id: 'a', constraints: found, verdicts: [true, false], passed: true },
      { id: 'b', constraints: found, verdicts: [false], passed: false },
      { id: 'c', constraints: [], verdicts: [false], passed: true },
    ]);
  });

  test('writes the line as it is documented', async () => {
    const file = fileOf({
      id: 'a',
      prompt: 'Tell me a story. No commas.',
      constraints: [noComma],
      response: 'So.',
    });
    const line = `{"id":"a","constraints":[{"id":"punctuation:no_comma","kwargs":{}}],"verdicts":[true],"passed":true}\n`;
    expect(await run(['predict', file])).toEqual({ code: 0, stdout: line, stderr: '' });
  });

  test('does what it can for a row that lacks fields', async () => {
    const prompt = 'Write a haiku. Do not use any commas.';
    const file = fileOf(
      { prompt },
      { key: 7, prompt, response: 'One, two' },
      { id: 8, key: 7, prompt, constraints: [noComma] },
      { id: 9, prompt, constraints: [{ id: 'no:such_kind' }], response: '' },
      { id: 10, prompt, constraints: null, response: null, verdicts: null, unsure: null },
    );
    const { code, stdout, stderr } = await run(['predict', file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(jsonLines(stdout)).toEqual([
      { id: null, constraints: [noComma], verdicts: [], passed: null },
      { id: 7, constraints: [noComma], verdicts: [], passed: false },
      { id: 8, constraints: [noComma], verdicts: [], passed: null },
      { id: 9, constraints: [noComma], verdicts: [true], passed: true },
      { id: 10, constraints: [noComma], verdicts: [], passed: null },
    ]);
  });

  test('reads standard input in pieces, with any line ends, a mark at its start and letters cut apart', async () => {
    const rows = ['ä', '€', 'line\u2028separator', '😀'].map((id) => JSON.stringify({ id, prompt: 'Hello' }));
    const bytes = Buffer.from(`\uFEFF${rows[0]}\r\n\n${rows[1]}\n \n${rows[2]}\n${rows[3]}`);
    const { code, stdout, stderr } = await run(
      ['predict', '-'],
      Array.from(bytes, (byte) => Buffer.of(byte)),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(jsonLines(stdout)).toEqual(
      ['ä', '€', 'line\u2028separator', '😀'].map((id) => ({
        id,
        constraints: [],
        verdicts: [],
        passed: null,
      })),
    );
  });

  test('of an empty file is nothing', async () => {
    expect(await run(['predict', fileOf()])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('stops quietly when nobody reads on', async () => {
    const closed = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('closed'), { code: 'EPIPE' })),
    });
    const stderr = collect();
    const rows = linesOf(Array.from({ length: 5 }, () => ({ prompt: 'Hello' })));
    const streams = { stdin: Readable.from([Buffer.from(rows)]), stdout: closed, stderr: stderr.stream };
    expect(await runCommand(['predict', '-'], streams)).toBe(0);
    expect(stderr.text()).toBe('');
  });
});

describe('a broken line', () => {
  const constraint = { id: 'punctuation:no_comma' };

  test.each([
    ['{"prompt": "a', 'not valid JSON'],
    ['["prompt"]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    [{}, 'prompt is missing'],
    [{ prompt: 5 }, 'prompt must be text'],
    [{ prompt: 'a', id: {} }, 'id must be text or a number'],
    [{ prompt: 'a', key: true }, 'key must be text or a number'],
    [{ prompt: 'a', response: ['b'] }, 'response must be text'],
    [{ prompt: 'a', constraints: {} }, 'constraints must be a list of objects'],
    [{ prompt: 'a', constraints: ['b'] }, 'constraints must be a list of objects'],
    [{ prompt: 'a', constraints: [constraint, { kwargs: {} }] }, 'constraints[1].id is missing'],
    [{ prompt: 'a', constraints: [{ id: 1 }] }, 'constraints[0].id must be text'],
    [{ prompt: 'a', constraints: [{ id: 'b', kwargs: [] }] }, 'constraints[0].kwargs must be an object'],
    [{ prompt: 'a', constraints: [constraint], verdicts: ['yes'] }, 'verdicts must be a list of booleans'],
    [{ prompt: 'a', constraints: [constraint], verdicts: [] }, 'verdicts has 0 items, constraints has 1'],
    [{ prompt: 'a', verdicts: [true] }, 'verdicts has 1 items, constraints has 0'],
    [{ prompt: 'a', unsure: [-1] }, 'unsure must be a list of indexes'],
  ])('%j ends both commands with: %s', async (line, message) => {
    const file = fileOf({ id: 1, prompt: 'Hello' }, '', line, { id: 2, prompt: 'Hello' });
    const stderr = `ifeval: ${file} line 3: ${message}\n`;
    const good = '{"id":1,"constraints":[],"verdicts":[],"passed":null}\n';
    expect(await run(['predict', file])).toEqual({ code: 1, stdout: good, stderr });
    expect(await run(['score', file])).toEqual({ code: 1, stdout: '', stderr });
  });

  test('of standard input is named too', async () => {
    const stderr = 'ifeval: standard input line 1: not valid JSON\n';
    expect(await run(['predict', '-'], [Buffer.from('?')])).toEqual({ code: 1, stdout: '', stderr });
  });
});

describe('score', () => {
  test('prints a line for each kind and the totals', async () => {
    const prompt = 'Describe the sea in at least 5 words. Do not use any commas.';
    const given = [
      noComma,
      words('at least', 6),
      { id: 'made_up:kind_with_a_name_that_is_far_too_long_for_a_table' },
    ];
    const file = fileOf(
      { key: 1, prompt, constraints: given, response: 'Wide, blue.', verdicts: [true, false, true] },
      {
        key: 1,
        prompt,
        constraints: given,
        response: 'Wide.',
        verdicts: [true, true, false],
        unsure: [1, 2],
      },
      { key: 2, prompt: 'Hi. No commas.', constraints: [], response: 'a', verdicts: [] },
      { key: 3, prompt, response: 'left out' },
      { key: 4, prompt: 'Hi. No commas.', constraints: [{ ...noComma, kwargs: { count: null } }] },
    );
    const table = `
                                                           ids, in %       with kwargs   verdicts
kind                                          given found    P    R   F1      P    R   F1     agree
---------------------------------------------------------------------------------------------------
length_constraints:number_words                   1     1  100  100  100    0.0  0.0  0.0       1/1
made_up:kind_with_a_name_that_is_far_too_lon…     1     0    -  0.0  0.0      -  0.0  0.0       1/1
punctuation:no_comma                              2     3 66.6  100 80.0   66.6  100 80.0       1/2
---------------------------------------------------------------------------------------------------
all                                               4     4 75.0 75.0 75.0   50.0 50.0 50.0       3/4

rows: 5, different prompts: 3; left out without constraints: 1
found by id: micro F1 75.0 %
found by id and kwargs: micro F1 50.0 %
verdicts that agree: 75.0 % of 4; left out as unsure: 2
`;
    expect(await run(['score', file])).toEqual({ code: 0, stdout: table.slice(1), stderr: '' });
  });

  test('takes kwargs as equal whatever the order of keys and lists, the case and the spaces', async () => {
    const prompt = 'Write about the sea. Include the keywords "salt" and "wave" in your response.';
    const constraints = [{ id: 'keywords:existence', kwargs: { keywords: ['Wave', ' salt '] } }];
    const { stdout } = await run(['score', fileOf({ prompt, constraints }, { prompt, constraints })]);
    expect(stdout.split('\n').slice(3)).toEqual([
      'keywords:existence                                1     1  100  100  100    100  100  100         -',
      '-'.repeat(99),
      'all                                               1     1  100  100  100    100  100  100         -',
      '',
      'rows: 2, different prompts: 1',
      'found by id: micro F1 100 %',
      'found by id and kwargs: micro F1 100 %',
      'verdicts that agree: - % of 0; left out as unsure: 0',
      '',
    ]);
  });

  test('of an empty file is an error', async () => {
    const file = fileOf('', '  ');
    expect(await run(['score', file])).toEqual({
      code: 1,
      stdout: '',
      stderr: `ifeval: ${file} has no rows\n`,
    });
    const stderr = 'ifeval: standard input has no rows\n';
    expect(await run(['score', '-'])).toEqual({ code: 1, stdout: '', stderr });
  });
});

describe('the command line', () => {
  test.each([
    [[], 'say predict or score'],
    [['guess'], '"guess" is neither predict nor score'],
    [['predict'], 'predict needs a file'],
    [['score', ''], 'score needs a file'],
    [['score', 'a', 'b'], 'score takes one file, not 2'],
  ])('%j is refused', async (args, message) => {
    expect(await run(args)).toEqual({ code: 2, stdout: '', stderr: `ifeval: ${message}\nTry --help.\n` });
  });

  test('with an unknown flag is refused', async () => {
    const { code, stdout, stderr } = await run(['score', '--fast']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^ifeval: Unknown option '--fast'.*\nTry --help\.\n$/);
  });

  test.each([['-h'], ['--help'], ['score', '--help']])('explains itself: %s %s', async (...args) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Usage: npm run -s ifeval -- predict FILE.jsonl\n');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('with a file that is not there, or a folder, says so', async () => {
    const missing = join(folder, 'missing.jsonl');
    const stderr = `ifeval: there is no file ${missing}\n`;
    expect(await run(['score', missing])).toEqual({ code: 1, stdout: '', stderr });
    expect(await run(['predict', folder])).toEqual({
      code: 1,
      stdout: '',
      stderr: `ifeval: ${folder} is a folder\n`,
    });
  });
});

describe('the process', () => {
  const rowCount = readFileSync(join(repository, devFile), 'utf8').trim().split('\n').length;

  async function start(args: string[]) {
    const startedAt = performance.now();
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/ifeval.ts', ...args], {
      cwd: repository,
      timeout: 20_000,
    });
    child.stdin.end();
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { stdout, stderr, code, seconds: (performance.now() - startedAt) / 1000 };
  }

  test('is what "npm run ifeval" starts', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
    expect(scripts.ifeval).toBe('tsx scripts/ifeval.ts');
  });

  test('scores the development file above its targets, in time and within 100 columns', async () => {
    const { stdout, stderr, code, seconds } = await start(['score', devFile]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const percent = (label: RegExp) => Number(label.exec(stdout)?.[1]);
    expect(percent(/^found by id: micro F1 (\S+) %$/m)).toBeGreaterThanOrEqual(97);
    expect(percent(/^found by id and kwargs: micro F1 (\S+) %$/m)).toBeGreaterThanOrEqual(95);
    expect(percent(/^verdicts that agree: (\S+) % of 601; left out as unsure: 5$/m)).toBeGreaterThanOrEqual(
      99,
    );
    expect(stdout).toContain(`\nrows: ${rowCount}, different prompts: 277\n`);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(seconds).toBeLessThan(15);
  });

  test('predicts the development file: a line a row in order, and nothing else', async () => {
    const { stdout, stderr, code, seconds } = await start(['predict', devFile]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const rows = jsonLines(readFileSync(join(repository, devFile), 'utf8')) as Record<
      'id' | 'verdicts',
      unknown
    >[];
    const predictions = jsonLines(stdout) as typeof rows;
    expect(predictions.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    const lengths = (items: typeof rows) => items.map(({ verdicts }) => (verdicts as boolean[]).length);
    expect(lengths(predictions)).toEqual(lengths(rows));
    expect(seconds).toBeLessThan(15);
  });

  test('exits with 1 after a broken line', async () => {
    const file = fileOf({ id: 1, prompt: 'Hello' }, '{');
    expect(await start(['predict', file])).toMatchObject({
      code: 1,
      stdout: '{"id":1,"constraints":[],"verdicts":[],"passed":null}\n',
      stderr: `ifeval: ${file} line 2: not valid JSON\n`,
    });
  });
});
