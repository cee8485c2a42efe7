import { expect, test } from 'vitest';
import { countTokens } from '../../src/llm/tokens.ts';
import { type Problem, startChat } from '../helpers/chat.ts';
import { jsonPost, streamChat } from '../helpers/service.ts';

test('the smallest window is enough for a short message: the tools are left out', async () => {
  const { fake, service } = await startChat([{ text: 'Hello.' }]);
  const stream = await streamChat(service, {
    message: 'Hello.',
    context_window_size: 256,
    show_thinking: true,
  });
  const plan = (await stream.ended).find((event) => event.data.phase === 'plan')?.data.metadata;
  expect(plan).toMatchObject({ tools: [], left_out: ['the tools calculator, current_time'] });
  expect(fake.requests[0]?.body).not.toHaveProperty('tools');
});

test('a window that is too small for the message is named', async () => {
  const { service } = await startChat([]);
  const body = { message: 'word '.repeat(200), context_window_size: 256 };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(response.status).toBe(400);
  expect(((await response.json()) as Problem).errors).toEqual([
    { path: 'message', message: 'does not fit the context window of fake-model' },
    {
      path: 'context_window_size',
      message: expect.stringMatching(/^leaves room for 192 tokens, and about 2\d\d are needed$/),
    },
  ]);
});

test('older messages beyond memory_limit are not reported as left out', async () => {
  const { service } = await startChat([{ text: 'Hello.' }]);
  const history = Array.from({ length: 8 }, () => ({ role: 'user', content: 'before' }));
  const stream = await streamChat(service, {
    message: 'Hello.',
    history,
    memory_limit: 3,
    show_thinking: true,
  });
  const plan = (await stream.ended).find((event) => event.data.phase === 'plan')?.data.metadata;
  expect(plan).toMatchObject({ left_out: [] });
});

type Sent = {
  max_tokens?: number;
  max_completion_tokens?: number;
  tools: object[];
  messages: { role: string; content: string | null }[];
};
const countMessages = (messages: Sent['messages']) =>
  messages.reduce((total, { content }) => total + countTokens(content ?? '') + 4, 0);

const manyLines = Array.from({ length: 20_000 }, (_, index) => `line ${index} is about topic ${index * 7}`);

test('what tools say is cut to the window, the oldest first, even where files fill it', async () => {
  const parts = [1000, 3000, 5000];
  const read = (start: number) => ({
    id: `c${start}`,
    name: 'read_file_part',
    arguments: JSON.stringify({ file_name: 'a.txt', line_start: start, line_end: start + 900 }),
  });
  const { service, fake } = await startChat([
    ...parts.map((start) => ({ toolCalls: [read(start)] })),
    { text: 'Topics.' },
  ]);
  const files = [{ file_name: 'a.txt', content: manyLines.join('\n') }];
  const response = await fetch(
    `${service.url}/api/chat`,
    jsonPost({ message: 'What is in it?', context_window_size: 24_000, files }),
  );
  expect(await response.json()).toMatchObject({ content: 'Topics.', exit_reason: 'completed' });
  const body = fake.requests.at(-1)?.body ?? { messages: [] };
  const { messages } = body as { messages: { role: string; content: string }[] };
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  expect(results.map((text) => text.slice(0, 20))).toEqual(parts.map((start) => `a.txt, lines ${start} to`));
  const [first, , last] = results.map((text) => countTokens(text));
  expect(first).toBeLessThanOrEqual(125);
  expect(last).toBeGreaterThan(900);
  expect(countTokens(messages.map(({ content }) => content).join(''))).toBeLessThan(24_000);
  for (const request of fake.requests) {
    const { max_tokens: output, max_completion_tokens: other = output, ...input } = request.body as Sent;
    const tokens = countMessages(input.messages) + countTokens(JSON.stringify(input.tools));
    expect(tokens + (other ?? 0)).toBeLessThanOrEqual(24_000);
    expect(other).toBeGreaterThan(1000);
  }
});

test('a short answer leaves the window a margin, as models count a little differently', async () => {
  const { service } = await startChat([{ text: 'Numbers.' }]);
  const content = Array.from({ length: 5518 }, (_, index) => `${index} is a number\n`).join('');
  expect(countTokens(content)).toBeGreaterThan(31_900);
  expect(countTokens(content)).toBeLessThan(32_500);
  const body = {
    message: 'What is it?',
    max_tokens: 10,
    tools: [],
    files: [{ file_name: 'a.txt', content }],
  };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(await response.json()).toMatchObject({ content: 'Numbers.' });
});
