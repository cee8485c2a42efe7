import { expect, test } from 'vitest';
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
