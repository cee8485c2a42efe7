import { expect, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { problemOf, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, streamChat } from '../helpers/service.ts';

type WireBody = { tools?: { function: { name: string } }[]; messages: { role: string; content: unknown }[] };
const bodyOf = (request: { body: unknown } | undefined) => request?.body as WireBody;
const toolsOf = (request: { body: unknown } | undefined) =>
  (bodyOf(request).tools ?? []).map((tool) => tool.function.name);

const call = (id: string, name: string, args: object): ScriptedReply => ({
  toolCalls: [{ id, name, arguments: JSON.stringify(args) }],
});
const done: ScriptedReply = { text: 'Done.' };

const rows = Array.from({ length: 30_000 }, (_, index) => `row ${index + 1} holds ${index * 7} apples`).join(
  '\n',
);
const files = [
  { file_name: 'stock.txt', content: rows },
  { file_name: 'notes.md', content: '# Notes\n\nApples come from Kent.\n' },
];

test('a model searches the files of its request and reads around what it found', async () => {
  const { fake, service } = await startChat([
    call('c1', 'search_files', { query: 'row 20000' }),
    call('c2', 'read_file_part', { file_name: 'stock.txt', line_start: 19_999, line_end: 20_001 }),
    done,
  ]);
  const events = await (await streamChat(service, { message: 'How many apples in row 20000?', files })).ended;
  const results = events.filter(({ event }) => event === 'tool_result').map(({ data }) => data);
  expect(results).toMatchObject([
    { id: 'c1', name: 'search_files', is_error: false },
    { id: 'c2', name: 'read_file_part', is_error: false },
  ]);
  expect(results[0]?.result).toBe(
    '2 lines with all 2 words:\nstock.txt:20000: row 20000 holds 139993 apples\n' +
      'stock.txt:28573: row 28573 holds 200004 apples',
  );
  expect(results[1]?.result).toBe(
    'stock.txt, lines 19999 to 20001 of 30000\n' +
      '19999: row 19999 holds 139986 apples\n20000: row 20000 holds 139993 apples\n' +
      '20001: row 20001 holds 140000 apples\n[the file goes on to line 30000]',
  );
  expect(contentOf(events)).toBe('Done.');
  expect(bodyOf(fake.requests[2]).messages.at(-1)).toMatchObject({
    role: 'tool',
    content: results[1]?.result,
  });
});

test('mistakes in a call are results that the model sees', async () => {
  const { service } = await startChat([
    call('c1', 'read_file_part', { file_name: 'other.txt', line_start: 1 }),
    call('c2', 'read_file_part', { file_name: 'notes.md', line_start: 0 }),
    call('c3', 'search_files', { query: ' ' }),
    done,
  ]);
  const events = await (await streamChat(service, { message: 'Read.', files })).ended;
  const results = events.filter(({ event }) => event === 'tool_result').map(({ data }) => data);
  expect(results.map(({ is_error }) => is_error)).toEqual([true, true, true]);
  expect(results[0]?.result).toBe('There is no file "other.txt". Files: stock.txt, notes.md.');
  expect(results[1]?.result).toMatch(/line_start must be >= 1/);
});

test('the tools come with files only, and only those that are asked for', async () => {
  const { fake, service } = await startChat([done, done, done, done]);
  const small = files.slice(1);
  for (const body of [
    {},
    { files: small },
    { files: small, tools: ['search_files'] },
    { tools: ['search_files'] },
  ]) {
    await (await streamChat(service, { message: 'What now?', ...body })).ended;
  }
  expect(fake.requests.map(toolsOf)).toEqual([
    ['calculator', 'current_time'],
    ['calculator', 'current_time', 'read_file_part', 'search_files'],
    ['search_files'],
    [],
  ]);
});

test('their names are known wherever tools are listed', async () => {
  const { service } = await startChat([]);
  const status = (await (await fetch(`${service.url}/api/chat/status`)).json()) as {
    features: { tools: string[] };
  };
  const names = ['calculator', 'current_time', 'read_file_part', 'search_files'];
  expect(status.features.tools).toEqual(names);
  const body = { message: 'Hello.', tools: ['read_files'] };
  const problem = await problemOf(await fetch(`${service.url}/api/chat`, jsonPost(body)));
  expect(problem.errors).toEqual([
    { path: 'tools[0]', message: `is not a tool; there is: ${names.join(', ')}` },
  ]);
});
