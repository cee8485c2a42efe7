import { expect, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, jsonPost, startService, streamChat } from '../helpers/service.ts';

async function setUp(replies: ScriptedReply[], env: Record<string, string> = {}) {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(...replies);
  const service = await startService({ ...fakeModelEnv(fake.url), ...env });
  const ask = async (body: object) => {
    const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
    return (await response.json()) as Record<string, never>;
  };
  return { fake, service, ask };
}

type WireBody = {
  messages: { role: string; content: unknown }[];
  tools?: { function: { name: string } }[];
};

const bodyOf = (request: { body: unknown } | undefined) => request?.body as WireBody | undefined;
const messagesOf = (request: { body: unknown } | undefined) => bodyOf(request)?.messages ?? [];

const noCommas = 'Do not use any commas in your answer.';

test('the four phases report typed results in order', async () => {
  const { service } = await setUp([{ text: 'Blue and red.' }]);
  const stream = await streamChat(service, {
    message: 'Name two colours in fewer than 10 words.',
    show_thinking: true,
  });
  const thinking = (await stream.ended)
    .filter((event) => event.event === 'thinking')
    .map((event) => event.data);
  expect(thinking.map((data) => data.phase)).toEqual(['understand', 'plan', 'execute', 'evaluate']);
  const [understand, plan, , evaluate] = thinking.map((data) => data.metadata as Record<string, unknown>);
  expect(Object.keys(understand ?? {}).sort()).toEqual([
    'complexity',
    'confidence',
    'constraints',
    'intent',
    'language',
    'questions',
    'tokens',
  ]);
  expect(understand?.language).toBe('en');
  expect(understand?.constraints).toEqual([
    { id: 'length_constraints:number_words', kwargs: { relation: 'less than', num_words: 10 } },
  ]);
  expect(plan).toMatchObject({ strategy: 'direct', model: 'fake-model', fallbacks: [] });
  expect(plan?.reasons).toContain('fake-model on openai serves standard effort');
  expect(evaluate).toMatchObject({ score: 1, passed: true });
});

test('constraints become part of the system prompt', async () => {
  const { fake, ask } = await setUp([{ text: 'Blue and red.' }]);
  await ask({ message: 'Name two colours in fewer than 10 words.' });
  const [system] = messagesOf(fake.requests[0]);
  expect(system?.role).toBe('system');
  expect(system?.content).toMatch(/Requirements for the answer:\n- .*10 words/);
});

test('an answer that was cut off is continued as more content of the same answer', async () => {
  const { fake, service } = await setUp([
    { text: 'The first half of the answer goes on', finishReason: 'length' },
    { text: ' of the answer goes on and then it ends.' },
  ]);
  const events = await (await streamChat(service, { message: 'Tell me something.' })).ended;
  expect(contentOf(events)).toBe('The first half of the answer goes on and then it ends.');
  expect(events.filter((event) => event.event === 'revision')).toEqual([]);
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'stop', exit_reason: 'completed' });
  expect(events.at(-2)?.data.attempts).toHaveLength(2);
  expect(messagesOf(fake.requests[1]).slice(-2)).toEqual([
    { role: 'assistant', content: 'The first half of the answer goes on' },
    {
      role: 'user',
      content:
        'Continue exactly where you stopped. Do not repeat anything, do not start over, add no introduction.',
    },
  ]);
});

test("nothing is continued at the caller's own max_tokens", async () => {
  const { service } = await setUp([{ text: 'The first half', finishReason: 'length' }]);
  const events = await (await streamChat(service, { message: 'Tell me something.', max_tokens: 5 })).ended;
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'length', exit_reason: 'length' });
  expect(events.at(-2)?.data.evaluation).toMatchObject({ passed: false });
});

test('an unclosed code fence is continued', async () => {
  const { service } = await setUp([{ text: '```js\nlet a = 1;' }, { text: '\nlet b = 2;\n```' }]);
  const events = await (await streamChat(service, { message: 'Write two lines of code.' })).ended;
  expect(contentOf(events)).toBe('```js\nlet a = 1;\nlet b = 2;\n```');
});

test('POST /api/chat replaces an answer that breaks a constraint, with the failed check as feedback', async () => {
  const { fake, ask } = await setUp([{ text: 'Red, blue and green.' }, { text: 'Red and blue and green.' }]);
  const answer = await ask({ message: `Name three colours. ${noCommas}` });
  expect(answer).toMatchObject({
    content: 'Red and blue and green.',
    evaluation: { passed: true, score: 1, revisions: 1 },
  });
  const feedback = messagesOf(fake.requests[1]).at(-1);
  expect(feedback?.role).toBe('user');
  expect(feedback?.content).toMatch(/comma/);
});

test('a revision that scores no better is dropped', async () => {
  const { ask } = await setUp([{ text: 'Red, blue.' }, { text: 'Red, green.' }, { text: 'Red, black.' }]);
  const answer = await ask({ message: `Name two colours. ${noCommas}` });
  expect(answer).toMatchObject({ content: 'Red, blue.', evaluation: { passed: false, revisions: 0 } });
  expect(answer.attempts).toHaveLength(3);
});

test('a stream is revised only with allow_revision, and says so before the new text', async () => {
  const message = `Name three colours. ${noCommas}`;
  const { service } = await setUp([
    { text: 'Red, blue.' },
    { text: 'Red, blue.' },
    { text: 'Red and blue.' },
  ]);
  const kept = await (await streamChat(service, { message })).ended;
  expect(contentOf(kept)).toBe('Red, blue.');
  expect(kept.at(-2)?.data.evaluation).toMatchObject({ passed: false, revisions: 0 });

  const revised = await (await streamChat(service, { message, allow_revision: true })).ended;
  const names = revised.map((event) => event.event);
  expect(names.slice(names.indexOf('revision'))).toEqual(['revision', 'content', 'complete', 'done']);
  expect(revised.find((event) => event.event === 'revision')?.data).toMatchObject({ revision: 1 });
  expect(revised.filter((event) => event.event === 'content').map((event) => event.data.revision)).toEqual([
    0, 0, 1,
  ]);
  expect(contentOf(revised)).toBe('Red and blue.');
});

test('a revision that the provider fails leaves the answer that is there', async () => {
  const { ask } = await setUp([{ text: 'Red, blue.' }, { fault: 'status:400' }]);
  const answer = await ask({ message: `Name two colours. ${noCommas}` });
  expect(answer).toMatchObject({ content: 'Red, blue.', evaluation: { passed: false, revisions: 0 } });
});

test('a continuation that the provider cuts is itself continued, or ends in an error', async () => {
  const half = { text: 'The first half', finishReason: 'length' };
  const cut = { chunks: ['x'.repeat(300), 'y'.repeat(300), 'z'], fault: 'cut:2' };
  const { service } = await setUp([
    half,
    cut,
    { text: 'z and the end.' },
    half,
    cut,
    { fault: 'cut' },
    { fault: 'cut' },
  ]);
  const whole = await (await streamChat(service, { message: 'Tell me something.' })).ended;
  expect(contentOf(whole)).toBe(`The first half${cut.chunks[0]}${cut.chunks[1]}z and the end.`);
  expect(whole.at(-2)?.data.attempts).toMatchObject([
    { outcome: 'ok' },
    { outcome: 'error' },
    { outcome: 'ok' },
  ]);
  const events = await (await streamChat(service, { message: 'Tell me something.' })).ended;
  expect(contentOf(events)).toBe(`The first half${cut.chunks[0]}${cut.chunks[1]}`);
  expect(events.at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'provider_error', retryable: true },
  });
});

test('response_format is asked for natively, checked, and repaired', async () => {
  const schema = { type: 'object', properties: { colour: { type: 'string' } }, required: ['colour'] };
  const { fake, ask } = await setUp([{ text: '{"color":"red"}' }, { text: '{"colour":"red"}' }]);
  const answer = await ask({ message: 'Name a colour.', response_format: { type: 'json_schema', schema } });
  expect(answer).toMatchObject({ content: '{"colour":"red"}', evaluation: { passed: true, revisions: 1 } });
  expect(fake.requests[0]?.body).toMatchObject({
    response_format: { type: 'json_schema', json_schema: { schema } },
  });
});

test('a tool call is run and its result goes back to the model', async () => {
  const { fake, service } = await setUp([
    { toolCalls: [{ id: 'c1', name: 'calculator', arguments: '{"expression":"6*7"}' }] },
    { text: 'It is 42.' },
  ]);
  const events = await (await streamChat(service, { message: 'What is 6*7?' })).ended;
  const names = ['tool_call', 'tool_result', 'content', 'content', 'content', 'complete', 'done'];
  expect(events.map((event) => event.event)).toEqual(names);
  expect(events[0]?.data).toMatchObject({ id: 'c1', name: 'calculator', arguments: { expression: '6*7' } });
  expect(events[1]?.data).toMatchObject({ id: 'c1', name: 'calculator', is_error: false });
  expect(events[1]?.data.result).toContain('42');
  const offered = bodyOf(fake.requests[0])?.tools ?? [];
  expect(offered.map((tool) => tool.function.name)).toEqual(['calculator', 'current_time']);
  expect(messagesOf(fake.requests[1]).slice(-2)).toMatchObject([
    { role: 'assistant', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'calculator' } }] },
    { role: 'tool', tool_call_id: 'c1' },
  ]);
});

test('text before a tool call stands apart from the answer after it', async () => {
  const { ask } = await setUp([
    { text: 'Let me see.', toolCalls: [{ id: 'c1', name: 'calculator', arguments: '{"expression":"6*7"}' }] },
    { text: 'It is 42.' },
  ]);
  expect(await ask({ message: 'What is 6*7?' })).toMatchObject({ content: 'Let me see.\n\nIt is 42.' });
});

test('unknown tools, bad arguments and broken JSON become error results that the model sees', async () => {
  const { service } = await setUp([
    {
      toolCalls: [
        { id: 'c1', name: 'no_such_tool', arguments: '{}' },
        { id: 'c2', name: 'calculator', arguments: '{"expr":1}' },
        { id: 'c3', name: 'calculator', arguments: '{"expression":' },
        { id: 'c4', name: 'calculator', arguments: '{"expression":"1/0"}' },
      ],
    },
    { text: 'None of it worked.' },
  ]);
  const events = await (await streamChat(service, { message: 'Try.' })).ended;
  const ids = ['c1', 'c2', 'c3', 'c4'];
  expect(events.slice(0, 8).map((event) => `${event.event} ${event.data.id}`)).toEqual([
    ...ids.map((id) => `tool_call ${id}`),
    ...ids.map((id) => `tool_result ${id}`),
  ]);
  const results = events.filter((event) => event.event === 'tool_result').map((event) => event.data);
  expect(results.map((data) => data.is_error)).toEqual([true, true, true, true]);
  expect(results[0]?.result).toBe('There is no tool named "no_such_tool". Tools: calculator, current_time.');
  expect(results[1]?.result).toContain("must have required property 'expression'");
  expect(results[2]?.result).toBe('The arguments are not a JSON object.');
  expect(events.at(-2)?.event).toBe('complete');
});

test('the same call three times ends the loop', async () => {
  const again = (id: string) => ({
    toolCalls: [{ id, name: 'calculator', arguments: '{"expression":"6*7"}' }],
  });
  const { service } = await setUp([again('c1'), again('c2'), again('c3')]);
  const events = await (await streamChat(service, { message: 'What is 6*7?' })).ended;
  expect(events.at(-2)?.data).toMatchObject({ exit_reason: 'loop', finish_reason: 'tool_calls' });
  const results = events.filter((event) => event.event === 'tool_result');
  expect(results.map((event) => event.data.is_error)).toEqual([false, false, true]);
});

test('MAX_TURNS and MAX_TOOL_CALLS end the loop', async () => {
  const call = (id: number) => ({ id: `c${id}`, name: 'calculator', arguments: `{"expression":"${id}+1"}` });
  const turns = await setUp([{ toolCalls: [call(1)] }, { toolCalls: [call(2)] }], { MAX_TURNS: '2' });
  expect(await turns.ask({ message: 'Count.' })).toMatchObject({ exit_reason: 'max_turns' });
  const calls = await setUp([{ toolCalls: [call(1), call(2), call(3)] }], { MAX_TOOL_CALLS: '2' });
  expect(await calls.ask({ message: 'Count.' })).toMatchObject({ exit_reason: 'max_tool_calls' });
});

test('only the named tools are offered', async () => {
  const { fake, ask } = await setUp([{ text: 'ok' }, { text: 'ok' }]);
  await ask({ message: 'Hello.', tools: ['current_time'] });
  await ask({ message: 'Hello.', tools: [] });
  const [some, none] = fake.requests.map((request) => bodyOf(request)?.tools);
  expect(some).toHaveLength(1);
  expect(none).toBeUndefined();
});

test('files, lines, history and memory_limit reach the model', async () => {
  const { fake, ask } = await setUp([{ text: 'The second line.' }]);
  await ask({
    message: 'What does it say?',
    files: [
      { file_name: 'a.txt', content: 'one\ntwo\nthree', line_start: 2, line_end: 2 },
      { path: 'b.txt', content: 'four' },
      { file_name: 'c.txt', content_base64: Buffer.from('fünf').toString('base64') },
    ],
    history: [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'second' },
      { role: 'user', content: 'third' },
    ],
    memory_limit: 2,
  });
  const userText = [
    'What does it say?',
    '<file name="a.txt" lines="2-2">\ntwo\n</file>',
    '<file name="b.txt" lines="1-1">\nfour\n</file>',
    '<file name="c.txt" lines="1-1">\nfünf\n</file>',
  ].join('\n\n');
  expect(messagesOf(fake.requests[0]).slice(1)).toEqual([
    { role: 'assistant', content: 'second' },
    { role: 'user', content: 'third' },
    { role: 'user', content: userText },
  ]);
});

test('what does not fit the window is cut, and the plan says so', async () => {
  const { fake, service } = await setUp([{ text: 'They said words.' }, { text: 'Long.' }]);
  const content = Array.from({ length: 4000 }, (_, index) => `line number ${index + 1}`).join('\n');
  const stream = await streamChat(service, {
    message: 'Sum it up.',
    files: [{ file_name: 'long.txt', content }],
    history: Array.from({ length: 10 }, () => ({ role: 'user', content: 'word '.repeat(300) })),
    context_window_size: 4000,
    show_thinking: true,
  });
  const events = await stream.ended;
  const plan = events.find((event) => event.data.phase === 'plan')?.data.metadata as Record<string, unknown>;
  expect(plan.left_out).toEqual([expect.stringMatching(/^long\.txt: lines \d+-4000$/)]);
  expect(plan.input_tokens).toBeLessThanOrEqual(3000);
  expect(messagesOf(fake.requests[1])[1]?.content).toContain('They said words.');
  expect(messagesOf(fake.requests[1]).at(-1)?.content).toMatch(/\[… lines \d+-4000 left out …\]/);
});

test('a message that does not fit the window at all is refused in plain words', async () => {
  const { service } = await setUp([]);
  const body = { message: 'word '.repeat(2000), context_window_size: 1000 };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    detail: expect.stringMatching(/^The message needs about \d+ tokens, but fake-model has room for 750\.$/),
    errors: [
      { path: 'message', message: 'does not fit the context window of fake-model' },
      {
        path: 'context_window_size',
        message: expect.stringMatching(/^leaves room for 750 tokens, and about/),
      },
    ],
  });
});

test('max_cost_usd caps the output by the price, and nothing affordable ends in budget', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script({ text: 'Some words', finishReason: 'length' });
  const service = await startService({ OPENAI_BASE_URL: fake.url, OPENAI_API_KEY: 'sk-test' });
  const models = (await (await fetch(`${service.url}/api/chat/models`)).json()) as { default: string };
  const ask = async (cost: number) => {
    const body = { message: 'Hello.', model: models.default, max_cost_usd: cost, tools: [] };
    return (await fetch(`${service.url}/api/chat`, jsonPost(body))).json();
  };
  expect(await ask(0.001)).toMatchObject({ exit_reason: 'budget', content: 'Some words' });
  expect(await ask(0.000_000_1)).toMatchObject({ exit_reason: 'budget', content: '', attempts: [] });
  expect(fake.requests).toHaveLength(1);
});

test('the run deadline keeps what was streamed and says so; with nothing streamed it is an error', async () => {
  const { service } = await setUp([{ text: 'Some words', fault: 'stall:2' }, { fault: 'stall' }], {
    RUN_TIMEOUT: '0.3',
  });
  const kept = await (await streamChat(service, { message: 'Hello.' })).ended;
  expect(kept.at(-2)?.data).toMatchObject({ finish_reason: 'length', exit_reason: 'deadline' });
  const failed = await (await streamChat(service, { message: 'Hello.' })).ended;
  expect(failed.at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'provider_timeout', retryable: true },
  });
});

test('reasoning is streamed with show_thinking only', async () => {
  const reply = { reasoning: ['hm ', 'yes'], text: 'Right.' };
  const { service } = await setUp([reply, reply]);
  const shown = await (await streamChat(service, { message: 'Hello.', show_thinking: true })).ended;
  const reasoning = shown.filter((event) => event.event === 'reasoning').map((event) => event.data.content);
  expect(reasoning).toEqual(['hm ', 'yes']);
  const hidden = await (await streamChat(service, { message: 'Hello.' })).ended;
  expect(hidden.map((event) => event.event)).toEqual(['content', 'complete', 'done']);
});

test('a repair that fails before it shows anything leaves the answer that is there', async () => {
  const whole = { text: 'Use it:\n```\nlet a = 1;\n', finishReason: 'stop' };
  const failing = Array.from({ length: 3 }, () => ({ fault: 'status:500' }));
  const { service } = await setUp([whole, ...failing]);
  const events = await (await streamChat(service, { message: 'Write code.' })).ended;
  expect(contentOf(events)).toBe('Use it:\n```\nlet a = 1;\n');
  expect(events.at(-2)).toMatchObject({ event: 'complete', data: { finish_reason: 'stop' } });
  expect(events.at(-2)?.data.evaluation).toMatchObject({ passed: false });
});

test('the deadline during a continuation keeps what was shown', async () => {
  const { service } = await setUp([{ text: 'The first half', finishReason: 'length' }, { fault: 'stall' }], {
    RUN_TIMEOUT: '0.4',
  });
  const events = await (await streamChat(service, { message: 'Tell me something.' })).ended;
  expect(contentOf(events)).toBe('The first half');
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'length', exit_reason: 'deadline' });
});

test('a continuation that starts over in other words is not shown', async () => {
  const first = 'The quick brown fox jumps over the lazy dog and runs on towards the';
  const { service } = await setUp([
    { text: first, finishReason: 'length' },
    { text: 'The quick brown fox jumps over the lazy dog, and then it sleeps.' },
  ]);
  const events = await (await streamChat(service, { message: 'Tell me something.' })).ended;
  expect(contentOf(events)).toBe(first);
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'length' });
});
