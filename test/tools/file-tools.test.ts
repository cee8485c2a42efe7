import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { toBody } from '../../src/files/body.ts';
import { countLines, type TextFile } from '../../src/files/text-file.ts';
import { createFileTools, fileToolNames } from '../../src/tools/builtin/file-tools.ts';
import type { Tool, ToolContext } from '../../src/tools/tool.ts';

const signal = new AbortController().signal;
const context: ToolContext = {
  runId: 'run',
  callId: 'call',
  caller: { tenant: 'default', subject: 'test', roles: [] },
  onProgress: () => {},
};

function fileOf(name: string, text: string | Buffer, lineStart = 1, lineEnd?: number): TextFile {
  const body = toBody(Buffer.from(text));
  return {
    name,
    kind: 'text',
    lineStart,
    lineEnd: lineEnd ?? countLines(body),
    text: undefined,
    tokens: 0,
    outline: '',
    passages: [],
    body,
  };
}

const tools = (...files: TextFile[]) => createFileTools(files);

async function call(
  files: TextFile[],
  name: string,
  args: Record<string, unknown>,
  ends: AbortSignal = signal,
): Promise<string> {
  const tool = tools(...files).find((one) => one.name === name) as Tool;
  const { content, isError } = await tool.execute(args, context, ends);
  expect(isError).toBe(false);
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

const read = (files: TextFile[], args: Record<string, unknown>) => call(files, 'read_file_part', args);
const search = (files: TextFile[], args: Record<string, unknown>) => call(files, 'search_files', args);

const poem = fileOf('poem.txt', 'Roses are red\r\nViolets are blue\n\nSugar is sweet — ünd\nthe end\n');
const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => `this is line ${index + 1}`).join('\n');

test('there are two tools when there is a file, and none without', () => {
  expect(tools(poem).map(({ name }) => name)).toEqual([...fileToolNames]);
  expect(tools()).toEqual([]);
  const [first, second] = [tools(poem), tools(poem)];
  // the schemas are the same objects, so that they are compiled once
  expect(first.map(({ parameters }) => parameters)).toEqual(second.map(({ parameters }) => parameters));
  expect(first[0]?.parameters).toBe(second[0]?.parameters);
  expect(first[1]?.parameters).toBe(second[1]?.parameters);
});

test('lines are read with their numbers, and no further than the file goes', async () => {
  expect(await read([poem], { file_name: 'poem.txt', line_start: 1, line_end: 2 })).toBe(
    'poem.txt, lines 1 to 2 of 6\n1: Roses are red\n2: Violets are blue\n[the file goes on to line 6]',
  );
  expect(await read([poem], { file_name: 'poem.txt', line_start: 4, line_end: 99 })).toBe(
    'poem.txt, lines 4 to 6 of 6\n4: Sugar is sweet — ünd\n5: the end\n6: ',
  );
  expect(await read([poem], { file_name: 'poem.txt', line_start: 3, line_end: 3 })).toBe(
    'poem.txt, lines 3 to 3 of 6\n3: \n[the file goes on to line 6]',
  );
});

test('what is wrong with a call is said in words', async () => {
  const other = fileOf('dir/Other.md', 'x');
  const wrong: [Record<string, unknown>, string][] = [
    [
      { file_name: 'nothing.txt', line_start: 1 },
      'There is no file "nothing.txt". Files: poem.txt, dir/Other.md.',
    ],
    [{ file_name: 'poem.txt', line_start: 7 }, '"poem.txt" has lines 1 to 6, not line 7.'],
    [{ file_name: 'poem.txt', line_start: 3, line_end: 2 }, 'line_end 2 is before line_start 3.'],
  ];
  for (const [args, message] of wrong) await expect(read([poem, other], args)).rejects.toThrow(message);
  await expect(search([poem], { query: 'a', file_name: 'x' })).rejects.toThrow(
    'There is no file "x". Files: poem.txt.',
  );
  await expect(search([poem], { query: '""' })).rejects.toThrow('The query has no words.');
  // a directory left out or another case is no other file
  expect(await read([poem, other], { file_name: 'other.md', line_start: 1 })).toBe(
    'dir/Other.md, lines 1 to 1 of 1\n1: x',
  );
});

test('only the asked range is read and searched', async () => {
  const part = fileOf('log.txt', numbered(10), 4, 6);
  await expect(read([part], { file_name: 'log.txt', line_start: 3 })).rejects.toThrow(
    '"log.txt" has lines 4 to 6, not line 3.',
  );
  expect(await read([part], { file_name: 'log.txt', line_start: 5, line_end: 10 })).toBe(
    'log.txt, lines 5 to 6 of 10\n5: this is line 5\n6: this is line 6',
  );
  expect(await search([part], { query: 'line' })).toBe(
    '3 lines:\nlog.txt:4: this is line 4\nlog.txt:5: this is line 5\nlog.txt:6: this is line 6',
  );
});

test('a long part is cut at a line, and says where to go on', async () => {
  const log = fileOf('log.txt', numbered(5000));
  const usual = await read([log], { file_name: 'log.txt', line_start: 10 });
  expect(usual.split('\n')).toHaveLength(202);
  expect(usual).toMatch(/^log\.txt, lines 10 to 209 of 5000\n10: this is line 10\n/);
  const most = await read([log], { file_name: 'log.txt', line_start: 1, line_end: 5000 });
  expect(most).toMatch(/\n2000: this is line 2000\n\[there is more: go on with line_start 2001\]$/);
  const wide = fileOf('wide.txt', Array.from({ length: 100 }, () => 'w'.repeat(5000)).join('\n'));
  const fitting = await read([wide], { file_name: 'wide.txt', line_start: 1, line_end: 100 });
  expect(fitting.length).toBeLessThan(48 * 1024);
  expect(fitting).toMatch(/^wide\.txt, lines 1 to 9 of 100\n/);
  expect(fitting).toMatch(/\n\[there is more: go on with line_start 10\]$/);
});

test('of a line without end the beginning is read, and search shows the rest', async () => {
  const text = `${'ä'.repeat(3_000_000)} the NEEDLE is here ${'ö'.repeat(1_000_000)}`;
  const file = fileOf('long.json', `first\n${text}\nlast needle`);
  const shown = await read([file], { file_name: 'long.json', line_start: 2, line_end: 2 });
  expect(shown.length).toBeLessThan(9000);
  expect(shown).toMatch(/^long\.json, lines 2 to 2 of 3\n2: ä+ \[… the line has 8000020 bytes; /);
  const found = await search([file], { query: 'needle' });
  expect(found.split('\n').map((line) => line.replaceAll(/[äö]+/g, '~'))).toEqual([
    '2 lines:',
    'long.json:2: … ~ the NEEDLE is here ~ …',
    'long.json:3: last needle',
  ]);
});

test('words are found in any order and case, quoted ones as they stand', async () => {
  const file = fileOf('a.txt', 'Big red dog\nred cat\nthe DOG was Red\nred dog house\nÜBER alles');
  expect(await search([file], { query: 'dog RED' })).toBe(
    '3 lines with all 2 words:\na.txt:1: Big red dog\na.txt:3: the DOG was Red\na.txt:4: red dog house',
  );
  expect(await search([file], { query: '"red dog"' })).toBe(
    '2 lines:\na.txt:1: Big red dog\na.txt:4: red dog house',
  );
  expect(await search([file], { query: '"red dog" house' })).toBe(
    '1 line with all 2 words:\na.txt:4: red dog house',
  );
  expect(await search([file], { query: 'über' })).toBe('1 line:\na.txt:5: ÜBER alles');
  expect(await search([file], { query: 'red zebra cat' })).toBe(
    '1 line with 2 of the 3 words; none has more:\na.txt:2: red cat',
  );
  expect(await search([file], { query: 'zebra' })).toBe('No line of the file has this.');
  expect(await search([file, poem], { query: 'zebra lion' })).toBe(
    'No line of the 2 files has any of these words.',
  );
  // signs of patterns are plain characters
  expect(await search([fileOf('b.txt', 'a.*b(c\naxxb')], { query: '.*b(' })).toBe('1 line:\nb.txt:1: a.*b(c');
});

test('results are bounded, and files of one name are told apart', async () => {
  const files = [fileOf('log.txt', numbered(500)), fileOf('log.txt', 'line of the other')];
  const some = await search(files, { query: 'line', max_results: 3 });
  expect(some).toBe(
    '501 lines, the first 3 are shown:\nlog.txt:1: this is line 1\nlog.txt:2: this is line 2\nlog.txt:3: this is line 3',
  );
  expect(await search(files, { query: 'line', file_name: 'log.txt (2)' })).toBe(
    '1 line:\nlog.txt (2):1: line of the other',
  );
  const wide = fileOf('wide.txt', Array.from({ length: 200 }, () => `${'w'.repeat(5000)} x`).join('\n'));
  expect((await search([wide], { query: 'x', max_results: 100 })).length).toBeLessThan(48 * 1024);
});

test('every line and every word is found wherever the pieces of a large file begin', async () => {
  const lines = Array.from({ length: 40_000 }, (_, index) => `${'ü'.repeat(index % 23)} entry${index};`);
  const file = fileOf('large.txt', lines.join('\n'));
  for (let index = 0; index < lines.length; index += 1999) {
    expect(await search([file], { query: `entry${index};` })).toBe(
      `1 line:\nlarge.txt:${index + 1}: ${lines[index]}`,
    );
  }
  const oneLine = fileOf('one.txt', lines.join(' '));
  for (let index = 0; index < lines.length; index += 1999) {
    expect(await search([oneLine], { query: `entry${index};` })).toContain(`entry${index};`);
  }
  expect(await search([oneLine], { query: 'entry1; entry39999;' })).toMatch(/^\d+ lines? with /);
});

test('searching 100 MB leaves the event loop free and stops when the run does', async () => {
  const block = Buffer.from(`${numbered(20_000)}\n`);
  const text = Buffer.concat(Array.from({ length: Math.ceil(100_000_000 / block.length) }, () => block));
  const file = fileOf('huge.log', Buffer.concat([text, Buffer.from('the needle')]));
  let turns = 0;
  let isOver = false;
  const others = (async () => {
    for (; !isOver; turns += 1) await nextTurn();
  })();
  const found = await search([file], { query: 'needle' });
  isOver = true;
  await others;
  expect(found).toMatch(/^1 line:\nhuge\.log:\d+: the needle$/);
  expect(turns).toBeGreaterThan(10);

  const controller = new AbortController();
  const searching = call([file], 'search_files', { query: 'line 7' }, controller.signal);
  const startedMs = performance.now();
  setImmediate(() => controller.abort(new Error('cancelled')));
  await expect(searching).rejects.toThrow('cancelled');
  expect(performance.now() - startedMs).toBeLessThan(250);
});
