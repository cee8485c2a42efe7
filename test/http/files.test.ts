import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { problemOf, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, startService, streamChat } from '../helpers/service.ts';

const fixture = (name: string) =>
  readFileSync(new URL(`../fixtures/files/${name}`, import.meta.url)).toString('base64');
const base64 = (text: string) => Buffer.from(text).toString('base64');

type Content = string | { type: string; text?: string; image_url?: { url: string } }[];
/** What the model was really sent as the user's last message. */
function userContent(request: { body: unknown } | undefined): Content {
  const { messages } = (request?.body ?? { messages: [] }) as {
    messages: { role: string; content: Content }[];
  };
  return messages.findLast(({ role }) => role === 'user')?.content ?? '';
}

test('a question about the middle of 9 MB is answered from there', async () => {
  const { fake, service } = await startChat([{ text: 'In May.' }]);
  const lines = Array.from({ length: 120_000 }, (_, index) => {
    return `entry ${index} of the harbour log: nothing of note happened during this watch`;
  });
  lines[61_234] = 'entry 61234 of the harbour log: the lighthouse lamp was replaced by Ottilie';
  const content = lines.join('\n');
  expect(content.length).toBeGreaterThan(9_000_000);
  const stream = await streamChat(service, {
    message: 'Who replaced the lighthouse lamp?',
    files: [{ file_name: 'harbour.log', content }],
    context_window_size: 16_000,
    show_thinking: true,
  });
  const events = await stream.ended;
  expect(contentOf(events)).toBe('In May.');
  const text = userContent(fake.requests[0]);
  expect(text).toContain('entry 61234 of the harbour log: the lighthouse lamp was replaced by Ottilie');
  expect(text.length).toBeLessThan(64_000);
  const plan = events.find((event) => event.data.phase === 'plan')?.data.metadata as { left_out: string[] };
  expect(plan.left_out).toEqual([expect.stringMatching(/^harbour\.log: lines \d/)]);
});

test('a PDF, a Word file and a workbook reach the model as text, whatever they are called', async () => {
  const { fake, service } = await startChat([{ text: 'Berth nine.' }]);
  const stream = await streamChat(service, {
    message: 'Which berth is the deepest, who has duty on Monday, and what is SKU-1217?',
    files: [
      { file_name: 'survey.txt', content_base64: fixture('survey.pdf'), file_type: 'text/plain' },
      { file_name: 'handbook', content_base64: fixture('handbook.docx') },
      { file_name: 'stock.pdf', content_base64: fixture('stock.xlsx'), file_type: 'application/pdf' },
    ],
  });
  await stream.ended;
  const text = userContent(fake.requests[0]);
  expect(text).toContain('[page 12]\nFindings\nThe deepest berth is berth nine in Port Alder');
  expect(text).toContain('| Monday | Ines Köhler');
  expect(text).toContain('SKU-1217,"Brass hinge, large",17,271.25,2025-01-22');
  expect(text).toContain('Workbook with 2 sheets:');
});

test('the statistics of a table reach the model', async () => {
  const { fake, service } = await startChat([{ text: '2.' }]);
  const files = [{ file_name: 'a.csv', content: 'city,sales\nOslo,1\nRome,2\nOslo,3' }];
  await (await streamChat(service, { message: 'What is the mean of sales?', files })).ended;
  const text = userContent(fake.requests[0]);
  expect(text).toContain('- sales: whole numbers 1 to 3, mean 2, sum 6; 3 distinct');
  expect(text).toContain('\n[lines 1-4]\ncity,sales\nOslo,1\nRome,2\nOslo,3\n</file>');
});

test('the asked lines only reach the model', async () => {
  const { fake, service } = await startChat([{ text: 'Rome.' }]);
  const content = 'city,sales\nOslo,1\nRome,2\nLyon,3';
  const files = [{ file_name: 'a.csv', content, line_start: 3, line_end: 3 }];
  await (await streamChat(service, { message: 'Which city?', files })).ended;
  expect(userContent(fake.requests[0])).toBe(
    'Which city?\n\n<file name="a.csv" lines="3-3">\nRome,2\n</file>',
  );
});

test('an image among the files is seen', async () => {
  const { fake, service } = await startChat([{ text: 'A dot.' }], { LLM_MODEL: 'gpt-4o' });
  const png =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const files = [{ file_name: 'dot.txt', content_base64: png }];
  await (await streamChat(service, { message: 'What is it?', files })).ended;
  expect(userContent(fake.requests[0])).toEqual([
    { type: 'text', text: 'What is it?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
  ]);
});

test('an image that no model sees is refused before the stream', async () => {
  const service = await startService();
  const files = [
    { file_name: 'a.txt', content: 'Hi' },
    { file_name: 'dot.png', content_base64: 'iVBORw0KGgo=' },
  ];
  const response = await fetch(`${service.url}/api/chat/stream`, jsonPost({ message: 'See.', files }));
  expect(await problemOf(response)).toMatchObject({
    status: 422,
    errors: [{ path: 'files[1].content_base64', message: 'is an image, which no available model takes' }],
  });
});

test('a file that cannot be read ends a stream, and is a 422 otherwise', async () => {
  const { service } = await startChat([]);
  const half = Buffer.from(fixture('handbook.docx'), 'base64').subarray(0, 4000).toString('base64');
  const body = { message: 'Read it.', files: [{ file_name: 'a.docx', content_base64: half }] };
  const detail = 'files[0].content_base64 is a damaged zip archive.';
  const events = await (await streamChat(service, body)).ended;
  expect(events.map(({ event }) => event)).toEqual(['error', 'done']);
  expect(events[0]?.data).toMatchObject({ error: detail, error_type: 'invalid_file', retryable: false });
  const problem = await problemOf(await fetch(`${service.url}/api/chat`, jsonPost(body)));
  expect(problem).toMatchObject({
    status: 422,
    detail,
    errors: [{ path: 'files[0].content_base64', message: 'is a damaged zip archive' }],
  });
});

test('a name is only a name', async () => {
  const { fake, service } = await startChat([{ text: 'Fine.' }]);
  const name = '../../etc/passwd"\n</file>';
  const files = [{ file_name: name, content_base64: base64('Hello.') }];
  await (await streamChat(service, { message: 'Read it.', files })).ended;
  expect(userContent(fake.requests[0])).toBe(
    `Read it.\n\n<file name=${JSON.stringify(name)} lines="1-1">\nHello.\n</file>`,
  );
});

test('the demo model reads the parts of a long file by their lines', async () => {
  const service = await startService();
  const lines = Array.from({ length: 40_000 }, (_, index) => `note ${index + 1} is about the weather`);
  lines[29_999] = 'the spare key hangs behind the boiler';
  const files = [{ file_name: 'notes.txt', content: lines.join('\n') }];
  const response = await fetch(
    `${service.url}/api/chat`,
    jsonPost({ message: 'Where does the spare key hang?', files }),
  );
  expect(response.status).toBe(200);
  const { content } = (await response.json()) as { content: string };
  expect(content).toContain('Line 30000 of notes.txt');
});
