import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { anonymous } from '../../src/auth/authenticator.ts';
import { startChat } from '../helpers/chat.ts';
import { contentOf, streamChat } from '../helpers/service.ts';

test('what is said while a run is under way is heard before the next call to the model', async () => {
  const pause = hold(1);
  const call = (id: string, expression: string) => ({
    id,
    name: 'calculator',
    arguments: JSON.stringify({ expression }),
  });
  const { service, fake } = await startChat([
    { text: 'Let me see.', toolCalls: [call('c1', '1+2')], hold: pause },
    { text: 'In French: trois.' },
  ]);
  const stream = await streamChat(service, { message: 'How much is 1+2?', allow_revision: false });
  await pause.reached;
  const run = service.services.runs.find(stream.runId, anonymous);
  expect(run.steer('Answer in French.')).toBe(true);
  pause.release();
  const events = await stream.ended;
  expect(fake.requests[1]?.body.messages.slice(-2)).toEqual([
    { role: 'tool', tool_call_id: 'c1', content: '3' },
    { role: 'user', content: 'Answer in French.' },
  ]);
  expect(contentOf(events)).toBe('Let me see.\n\nIn French: trois.');
  expect(run.steer('Too late.')).toBe(false);
});

test('what is said while the model ends its answer makes it go on', async () => {
  const pause = hold(1);
  const { service, fake } = await startChat([{ text: 'One two.', hold: pause }, { text: 'Three four.' }]);
  const stream = await streamChat(service, { message: 'Count to two.' });
  await pause.reached;
  service.services.runs.find(stream.runId, anonymous).steer('Now up to four.');
  pause.release();
  expect(contentOf(await stream.ended)).toBe('One two.\n\nThree four.');
  expect(fake.requests[1]?.body.messages.slice(-2)).toEqual([
    { role: 'assistant', content: 'One two.' },
    { role: 'user', content: 'Now up to four.' },
  ]);
});

test('what is said after the answer, while it is judged, is refused and not lost in silence', async () => {
  const pause = hold(0);
  const { service, fake } = await startChat([{ text: 'One two.' }, { text: '{}', hold: pause }], {
    UPEE_JUDGE_MODEL: 'fake-model',
  });
  const stream = await streamChat(service, { message: 'Count to two.', effort: 'determined' });
  await pause.reached;
  expect(service.services.runs.find(stream.runId, anonymous).steer('Now up to four.')).toBe(false);
  pause.release();
  expect(contentOf(await stream.ended)).toBe('One two.');
  expect(fake.requests).toHaveLength(2);
});
