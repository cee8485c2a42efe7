import { expect, test } from 'vitest';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { cancelRun, endOf, namesOf } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import {
  contentOf,
  fakeModelEnv,
  jsonPost,
  type SseEvent,
  startService,
  streamChat,
} from '../helpers/service.ts';

type WireBody = {
  model: string;
  messages: { role: string; content: string }[];
  tools?: unknown[];
  response_format?: { type: string };
};

const message =
  'Compare three harbours for a small boat step by step: first look at the depth, then at the price, after that at the ' +
  'weather, finally judge in detail which one is best for somebody who sails alone and tell me why you think so.';
const question = { message, effort: 'determined', show_thinking: true };

const steps = [
  { title: 'Depth', instruction: 'Find how deep each harbour is.' },
  { title: 'Price', instruction: 'Find what each one costs.' },
  { title: 'Judge', instruction: 'Say which one is best.' },
];
const stepsReply = { text: JSON.stringify({ steps }) };
const calls = (id: string, expression: string) => ({
  toolCalls: [{ id, name: 'calculator', arguments: JSON.stringify({ expression }) }],
});

async function setUp(replies: ScriptedReply[], env: Record<string, string> = {}, overrides = {}) {
  const models = [{ id: 'planner-model', max_model_len: 32_768 }];
  const fake = await useFakeLlm({ requireScript: true, models });
  fake.script(...replies);
  const planner = { UPEE_PLANNER_MODEL: 'planner-model' };
  const service = await startService({ ...fakeModelEnv(fake.url), ...planner, ...env }, overrides);
  const bodies = () => fake.requests.map(({ body }) => body as unknown as WireBody);
  const ask = async (body: object = question) => {
    const events = await (await streamChat(service, body)).ended;
    return { events, complete: events.at(-2)?.data as Record<string, never> };
  };
  return { fake, service, ask, bodies };
}

const thinkingOf = (events: SseEvent[]) =>
  events
    .filter(({ event }) => event === 'thinking')
    .map(({ data }) => data as { phase: string; content: string; metadata: Record<string, unknown> });
const plansOf = (events: SseEvent[]) => thinkingOf(events).filter(({ phase }) => phase === 'plan');

test('written steps run one by one: each sees the earlier ones, only the last one is the answer', async () => {
  const { ask, bodies } = await setUp([
    stepsReply,
    calls('c1', '3+4'),
    { text: 'They are 7 m deep.' },
    { text: 'They cost little.' },
    { text: 'The first one is best.' },
  ]);
  const { events, complete } = await ask();
  expect(contentOf(events)).toBe('The first one is best.');
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
  expect(thinkingOf(events).map(({ phase, content }) => `${phase} ${content.split(': ')[0]}`)).toEqual([
    expect.stringMatching(/^understand A complex request/),
    'plan Strategy stepwise with fake-model',
    'plan 1. Depth; 2. Price; 3. Judge',
    'execute Step 1 of 3, Depth',
    'execute Step 2 of 3, Price',
    'execute Step 3 of 3, Judge',
    expect.stringMatching(/^evaluate /),
  ]);
  const [plan, written] = plansOf(events).map(({ metadata }) => metadata);
  expect(plan?.reasons).toContain(
    'the request is complex and has determined effort: planner-model writes the steps',
  );
  expect(written).toMatchObject({
    strategy: 'stepwise',
    model: 'fake-model',
    planner: 'planner-model',
    steps,
  });
  const executed = thinkingOf(events).filter(({ phase }) => phase === 'execute');
  expect(executed.map(({ metadata }) => metadata)).toMatchObject([
    { step: 1, of: 3, title: 'Depth', turns: 2, tool_calls: 1 },
    { step: 2, of: 3, title: 'Price', turns: 1, tool_calls: 0 },
    { step: 3, of: 3, title: 'Judge', turns: 1, tool_calls: 0 },
  ]);
  const names = namesOf(events).filter((name) => name !== 'content');
  expect(names).toEqual([
    ...['thinking', 'thinking', 'thinking', 'tool_call', 'tool_result', 'thinking', 'thinking', 'thinking'],
    ...['thinking', 'complete', 'done'],
  ]);
  expect((complete.attempts as unknown as { model: string }[]).map(({ model }) => model)).toEqual([
    'planner-model',
    ...Array.from({ length: 4 }, () => 'fake-model'),
  ]);

  const [planning, first, , second, last] = bodies();
  expect(planning?.response_format?.type).toBe('json_schema');
  expect(planning?.messages[1]?.content).toMatch(
    /^The request:\nCompare three harbours[\s\S]+Tools:\n- calculator: /,
  );
  expect(first?.tools).toHaveLength(2);
  const tail = (body: WireBody | undefined, count: number) =>
    body?.messages.slice(-count).map(({ role, content }) => `${role}: ${content.split('\n\n')[0]}`);
  expect(tail(second, 4)).toEqual([
    `user: ${message}`,
    'user: Step 1 of 3: Depth',
    'assistant: They are 7 m deep.',
    'user: Step 2 of 3: Price',
  ]);
  expect(tail(last, 5)).toEqual([
    'user: Step 1 of 3: Depth',
    'assistant: They are 7 m deep.',
    'user: Step 2 of 3: Price',
    'assistant: They cost little.',
    'user: Step 3 of 3: Judge',
  ]);
  expect(first?.messages.at(-1)?.content).toContain('Do only this step.');
  expect(last?.messages.at(-1)?.content).toContain('This is the last step: give the whole answer');
});

test('POST /api/chat runs the steps too, and only the last one is asked for the response format', async () => {
  const two = { steps: steps.slice(0, 2) };
  const { fake, service, bodies } = await setUp([
    { text: JSON.stringify(two) },
    { text: 'Deep.' },
    { text: '{"best":1}' },
  ]);
  const body = { message, effort: 'determined', response_format: { type: 'json_object' } };
  const answer = await (await fetch(`${service.url}/api/chat`, jsonPost(body))).json();
  expect(answer).toMatchObject({ content: '{"best":1}' });
  expect(bodies().map(({ response_format: format }) => format?.type)).toEqual([
    'json_schema',
    undefined,
    'json_object',
  ]);
  expect(fake.requests).toHaveLength(3);
});

test.each([
  ['quick effort', { effort: 'quick' }],
  ['standard effort', { effort: 'standard' }],
  ['a simple message', { message: 'What is a harbour?' }],
])('no steps are written for %s', async (_, parts) => {
  const { ask, bodies } = await setUp([{ text: 'The first one is best of all of them.' }]);
  await ask({ ...question, ...parts });
  expect(bodies().map(({ model }) => model)).toEqual(['fake-model']);
});

const nine = Array.from({ length: 9 }, (_, index) => ({ title: `T${index}`, instruction: 'Do it.' }));
test.each([
  ['the provider refuses', { fault: 'status:400' }, 'provider_rejected'],
  ['it says nothing', { text: '' }, 'an empty answer'],
  ['it is no JSON', { text: 'Well, first look at the depth.' }, 'its answer is no list of 2 to 8 steps'],
  ['it is broken JSON', { text: '{"steps": [' }, 'its answer is no list of 2 to 8 steps'],
  [
    'it is one step',
    { text: JSON.stringify({ steps: steps.slice(0, 1) }) },
    'its answer is no list of 2 to 8 steps',
  ],
  ['it is nine steps', { text: JSON.stringify({ steps: nine }) }, 'its answer is no list of 2 to 8 steps'],
  [
    'a title is missing',
    { text: '{"steps":[{"title":"A","instruction":"B"},{"instruction":"C"}]}' },
    'its answer is no list of 2 to 8 steps',
  ],
])('when %s, the answer is given without steps', async (_, reply, failure) => {
  const { ask, bodies } = await setUp([reply, { text: 'The first one is best.' }]);
  const { events, complete } = await ask();
  expect(contentOf(events)).toBe('The first one is best.');
  expect(bodies()[1]?.messages[0]?.content).toContain('Work through the request step by step');
  const reason = `planner-model wrote no steps (${failure}): it is answered step by step without them`;
  expect(plansOf(events)[1]).toMatchObject({ content: `${reason}.`, metadata: { steps: [] } });
  expect(plansOf(events)[1]?.metadata.reasons).toContain(reason);
  expect(complete).toMatchObject({ finish_reason: 'stop' });
});

test('a planner that takes too long is given up', async () => {
  const { ask } = await setUp([{ firstDelayMs: 60_000 }, { text: 'Best.' }], {}, { sideCallTimeoutMs: 100 });
  const { events, complete } = await ask();
  expect(plansOf(events)[1]?.content).toContain('(no answer within 0.1 seconds)');
  expect(complete.attempts).toMatchObject([{ outcome: 'cancelled' }, { outcome: 'ok' }]);
});

test('JSON with something around it is read', async () => {
  const text = `Here are the steps:\n\`\`\`json\n${JSON.stringify({ steps: steps.slice(1) })}\n\`\`\``;
  const { ask } = await setUp([{ text }, { text: 'Cheap.' }, { text: 'Best.' }]);
  const { events } = await ask();
  expect(plansOf(events)[1]?.content).toBe('1. Price; 2. Judge');
});

test('turns and tool calls are limited over all steps together', async () => {
  const { ask, bodies } = await setUp(
    [stepsReply, calls('c1', '1+1'), calls('c2', '2+2'), { text: 'Price.' }, { text: 'Best.' }],
    { MAX_TURNS: '4', MAX_TOOL_CALLS: '2' },
  );
  const { events, complete } = await ask();
  const executed = thinkingOf(events).filter(({ phase }) => phase === 'execute');
  // the first step may take two turns, as two steps are to come; its calls use up what all may make
  expect(executed.map(({ metadata }) => metadata)).toMatchObject([
    { turns: 2, tool_calls: 2, exit_reason: 'max_turns' },
    { turns: 1, tool_calls: 0, exit_reason: 'completed' },
    { turns: 1, tool_calls: 0, exit_reason: 'completed' },
  ]);
  expect(bodies().map(({ tools }) => tools?.length ?? 0)).toEqual([0, 2, 2, 0, 0]);
  expect(contentOf(events)).toBe('Best.');
  expect(complete).toMatchObject({ exit_reason: 'completed' });
});

test('more steps than turns are not asked for', async () => {
  const { ask, bodies } = await setUp([{ text: 'Best.' }], { MAX_TURNS: '1' });
  await ask();
  expect(bodies().map(({ model }) => model)).toEqual(['fake-model']);
});

test('cancelling during the second step ends everything at once', async () => {
  const pause = hold(1);
  const { fake, service } = await setUp([stepsReply, { text: 'Deep.' }, { text: 'They cost', hold: pause }]);
  const stream = await streamChat(service, { ...question, on_disconnect: 'continue' });
  await pause.reached;
  const started = performance.now();
  await cancelRun(service, stream.runId);
  const events = await endOf(service, stream.runId);
  expect(performance.now() - started).toBeLessThan(250);
  expect(namesOf(events)).toEqual(['thinking', 'thinking', 'thinking', 'thinking', 'error', 'done']);
  expect(events.at(-2)?.data).toMatchObject({ error_type: 'cancelled' });
  expect(fake.requests).toHaveLength(3);
});

test('a step that the provider fails ends the run in an error, with nothing shown', async () => {
  const { ask } = await setUp([stepsReply, { text: 'Deep.' }, { fault: 'status:400' }]);
  const { events } = await ask();
  expect(contentOf(events)).toBe('');
  expect(events.at(-2)).toMatchObject({ event: 'error', data: { error_type: 'provider_rejected' } });
});

test('long results of earlier steps are cut to the window', async () => {
  const { ask, bodies } = await setUp([
    stepsReply,
    { text: `start ${Array.from({ length: 1200 }, (_, index) => `word ${index} `).join('')}end` },
    { text: 'Price.' },
    { text: 'Best.' },
  ]);
  const { events } = await ask({ ...question, context_window_size: 4096 });
  const note = bodies()[2]?.messages.at(-2)?.content ?? '';
  expect(note).toMatch(/^start (word \d+ )+[\s\S]*\n\[… \d+ characters left out …\]\n.*end$/);
  expect(note.length).toBeLessThan(8000);
  expect(contentOf(events)).toBe('Best.');
});

test('the last step is what is continued and revised', async () => {
  const { ask, bodies } = await setUp([
    stepsReply,
    { text: 'Deep.' },
    { text: 'Price.' },
    { text: 'The best of the three', finishReason: 'length' },
    { text: ' is the first.' },
  ]);
  const { events } = await ask();
  expect(contentOf(events)).toBe('The best of the three is the first.');
  expect(bodies()[4]?.messages.at(-3)?.content).toMatch(/^Step 3 of 3: Judge/);
});
