import { expect, test } from 'vitest';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { cancelRun, endOf, startChat } from '../helpers/chat.ts';
import { jsonPost, type SseEvent, startService, streamChat } from '../helpers/service.ts';

type WireBody = { model: string; max_tokens?: number; messages: { role: string; content: string }[] };

const bodyOf = (request: { body: unknown } | undefined) => request?.body as WireBody;
const heading = 'Summary of the earlier conversation (the messages themselves are left out):';

/** Forty messages; the second one holds what is asked for in the end. */
const history = Array.from({ length: 40 }, (_, index) => ({
  role: index % 2 === 0 ? 'user' : 'assistant',
  content:
    index === 1
      ? 'We decided that the harbour is 12 m deep.'
      : `Message ${index}: ${'this and that about something else '.repeat(8)}`,
}));

const question = {
  message: 'Thanks. What is next?',
  history,
  memory_limit: 20,
  context_window_size: 1200,
  show_thinking: true,
};

const planOf = (events: SseEvent[]) =>
  events.flatMap(({ data }) => (data.phase === 'plan' ? [data.metadata as Record<string, never>] : []));

async function ask(replies: ScriptedReply[], body: object = question, env: Record<string, string> = {}) {
  const world = await startChat(replies, env);
  const events = await (await streamChat(world.service, body)).ended;
  return { ...world, events, complete: events.at(-2)?.data as Record<string, never> };
}

test('older messages of a long conversation are summarised by the model, the newest stay as they are', async () => {
  const { fake, events, complete } = await ask([
    { text: 'They spoke of this and that.' },
    { text: 'Go on.' },
  ]);
  const [asked, sent] = fake.requests.map(bodyOf);
  expect(asked?.messages.map(({ role }) => role)).toEqual(['system', 'user']);
  expect(asked?.messages[0]?.content).toMatch(/^You keep the memory of a conversation/);
  expect(asked?.messages[1]?.content).toMatch(/^User: Message 20: [\s\S]+\n\nAssistant: Message 21: /);
  expect(asked).not.toHaveProperty('tools');

  const [system, summary, ...rest] = sent?.messages ?? [];
  expect(system?.role).toBe('system');
  expect(summary).toEqual({ role: 'user', content: `${heading}\n\nThey spoke of this and that.` });
  const newest = rest.slice(0, -1);
  expect(newest).toEqual(history.slice(-newest.length));
  expect(newest.length).toBeGreaterThanOrEqual(4);
  expect(rest.at(-1)).toEqual({ role: 'user', content: question.message });

  const covered = 20 - newest.length;
  const [plan, compaction] = planOf(events);
  expect(plan?.left_out).toEqual([]);
  expect(plan?.reasons).toContain(
    `the conversation is long: its ${covered} older messages are summarised by fake-model`,
  );
  expect(compaction).toMatchObject({
    strategy: 'direct',
    model: 'fake-model',
    fallbacks: [],
    compaction: { messages: covered, by: 'model', model: 'fake-model', failure: null },
  });
  expect(
    events.find(({ data }) => String(data.content).includes('messages of the conversation'))?.data.content,
  ).toBe(`${covered} older messages of the conversation are summarised by fake-model.`);
  expect(complete.attempts).toEqual([
    { provider: 'openai', model: 'fake-model', outcome: 'ok' },
    { provider: 'openai', model: 'fake-model', outcome: 'ok' },
  ]);
});

test('an instruction at the start of a long conversation stays beside the summary', async () => {
  const pirate = { role: 'system', content: 'Talk like a pirate.' };
  const { fake } = await ask([{ text: 'They spoke.' }, { text: 'Arr.' }], {
    ...question,
    history: [pirate, ...history.slice(-19)],
  });
  const sent = bodyOf(fake.requests[1]).messages;
  expect(sent.slice(1, 3)).toEqual([{ role: 'user', content: `${heading}\n\nThey spoke.` }, pirate]);
});

test('what the message is about comes in again beside the summary', async () => {
  const short = history.slice(0, 20);
  const { fake } = await ask([{ text: 'They spoke.' }, { text: '12 m.' }], {
    ...question,
    history: short,
    message: 'How deep is the harbour?',
  });
  const texts = bodyOf(fake.requests[1]).messages.map(({ content }) => content);
  expect(texts[1]).toContain(heading);
  expect(texts.slice(2, 4)).toEqual([short[0]?.content, short[1]?.content]);
  expect(texts.slice(4, -1)).toEqual(short.slice(-texts.length + 5).map(({ content }) => content));
});

test('a conversation that fits is never summarised', async () => {
  const { fake, events } = await ask([{ text: 'Go on.' }], { ...question, context_window_size: 8000 });
  expect(bodyOf(fake.requests[0]).messages.slice(1, -1)).toEqual(history.slice(-20));
  expect(planOf(events)).toHaveLength(1);
});

test('CONTEXT_THRESHOLD says from which share of the window on', async () => {
  const body = { ...question, context_window_size: 8000 };
  const { fake } = await ask([{ text: 'They spoke.' }, { text: 'Go on.' }], body, {
    CONTEXT_THRESHOLD: '0.1',
  });
  expect(fake.requests).toHaveLength(2);
});

test.each([
  ['the provider fails', { fault: 'status:400' }, 'provider_rejected'],
  ['it says nothing', { text: ' ' }, 'an empty answer'],
])('key sentences are taken when %s, and the run goes on', async (_, reply, failure) => {
  const { fake, events, complete } = await ask([reply, { text: 'Go on.' }]);
  const { messages } = bodyOf(fake.requests[1]);
  expect(messages[1]?.content).toMatch(/^Summary of the earlier [^\n]+\n\n- User: Message 20: this and that/);
  const [plan, compaction] = planOf(events);
  const covered = (compaction?.compaction as { messages?: number } | undefined)?.messages;
  expect(compaction?.compaction).toMatchObject({ by: 'key_sentences', model: null, failure });
  expect(plan?.reasons).toContain(
    `the conversation is long: its ${covered} older messages are summarised by their key sentences (no model did it: ${failure})`,
  );
  expect(complete).toMatchObject({ finish_reason: 'stop', exit_reason: 'completed' });
});

test('a summary that takes too long is given up', async () => {
  const { fake, service } = await startChat(
    [{ firstDelayMs: 60_000 }, { text: 'Go on.' }],
    {},
    { sideCallTimeoutMs: 100 },
  );
  const events = await (await streamChat(service, question)).ended;
  expect(planOf(events)[1]?.compaction).toMatchObject({ failure: 'no answer within 0.1 seconds' });
  expect(events.at(-2)?.data.attempts).toMatchObject([{ outcome: 'cancelled' }, { outcome: 'ok' }]);
  expect(fake.requests).toHaveLength(2);
});

test('a run that is cancelled during the summary ends at once', async () => {
  const pause = hold(1);
  const { service } = await startChat([{ text: 'They spoke.', hold: pause }]);
  const stream = await streamChat(service, { ...question, on_disconnect: 'continue' });
  await pause.reached;
  const started = performance.now();
  await cancelRun(service, stream.runId);
  const events = await endOf(service, stream.runId);
  expect(performance.now() - started).toBeLessThan(250);
  expect(events.at(-2)).toMatchObject({ event: 'error', data: { error_type: 'cancelled' } });
});

test('a small budget is not spent on a summary', async () => {
  const { fake, events } = await ask([{ text: 'Go on.' }], question, { MAX_RUN_TOKENS: '2000' });
  expect(fake.requests).toHaveLength(1);
  expect(planOf(events)[1]?.compaction).toMatchObject({ failure: 'the budget is too small' });
});

test('the demo model summarises nothing: key sentences are taken', async () => {
  const service = await startService();
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ ...question, show_thinking: true }));
  const { thinking, attempts } = (await response.json()) as Record<string, never[]>;
  expect(response.status).toBe(200);
  expect(attempts).toEqual([{ provider: 'demo', model: 'demo', outcome: 'ok' }]);
  const plans = (thinking as unknown as { phase: string; metadata: object }[]).filter(
    ({ phase }) => phase === 'plan',
  );
  expect(plans[1]?.metadata).toMatchObject({ compaction: { by: 'key_sentences', failure: null } });
});

test('an earlier summary at the start of the history is built upon', async () => {
  const earlier = { role: 'user', content: `${heading}\n\nThe harbour is 12 m deep.` };
  const { fake } = await ask([{ text: 'Deep, and they spoke.' }, { text: 'Go on.' }], {
    ...question,
    history: [earlier, ...history.slice(-19)],
  });
  const [asked, sent] = fake.requests.map(bodyOf);
  expect(asked?.messages[1]?.content).toMatch(/^Earlier summary:\nThe harbour is 12 m deep\.\n\n/);
  expect(sent?.messages[1]?.content).toBe(`${heading}\n\nDeep, and they spoke.`);
  expect(sent?.messages.filter(({ content }) => content.startsWith(heading))).toHaveLength(1);
});

test('a session keeps the summary: the next run sends it, and summarises nothing while that fits', async () => {
  const texts = ['Answer 0.', 'Answer 1.', 'They spoke.', 'Answer 2.', 'Answer 3.', 'Answer 4.'];
  const { fake, service } = await startChat(texts.map((text) => ({ text })));
  const created = await fetch(`${service.url}/api/sessions`, jsonPost({}));
  const { id } = (await created.json()) as { id: string };
  const say = async (text: string) => {
    const body = { message: text, session_id: id, context_window_size: 1200 };
    const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
    expect(response.status).toBe(200);
  };
  for (const number of [0, 1, 2]) await say(`Part ${number}: ${'this and that '.repeat(70)}`);
  await say('What is next?');
  await say('And then?');
  expect(fake.requests).toHaveLength(6);
  const sent = fake.requests.slice(3).map(bodyOf);
  const summary = { role: 'user', content: `${heading}\n\nThey spoke.` };
  expect(sent.map(({ messages }) => messages[1])).toEqual([summary, summary, summary]);
  expect(sent[2]?.messages.slice(-3).map(({ content }) => content)).toEqual([
    'What is next?',
    'Answer 3.',
    'And then?',
  ]);
});
