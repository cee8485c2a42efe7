import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { parseModelsFile } from '../../src/llm/catalog.ts';
import { cancelRun, getRun, namesOf, problemOf, startChat } from '../helpers/chat.ts';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, jsonPost, startService, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const attempt = (outcome: string, provider = 'openai', model = 'fake-model') => ({
  provider,
  model,
  outcome,
});

/** The last two messages of a request to a fake with Chat Completions. */
const lastTwo = (request: { body: { messages: unknown[] } } | undefined) => request?.body.messages.slice(-2);

test('the client sees one answer: the next call goes on with exactly what was shown', async () => {
  const { fake, service } = await startChat([
    { chunks: ['One', ' two', ' three'], fault: 'cut:2' },
    { chunks: [' three', ' four.'] },
  ]);
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(events.map(({ event, data }) => (event === 'content' ? data.content : event))).toEqual([
    'One',
    ' two',
    ' three',
    ' four.',
    'complete',
    'done',
  ]);
  expect(events.at(-2)?.data).toMatchObject({
    finish_reason: 'stop',
    exit_reason: 'completed',
    model: 'fake-model',
    attempts: [attempt('error'), attempt('ok')],
  });
  expect(lastTwo(fake.requests[1])).toEqual([
    { role: 'assistant', content: 'One two' },
    {
      role: 'user',
      content:
        'Continue exactly where you stopped. Do not repeat anything, do not start over, add no introduction.',
    },
  ]);
});

test('usage of every attempt is booked: what was cut is counted, the rest is as reported', async () => {
  const { service } = await startChat([
    { chunks: ['One', ' two', ' three'], fault: 'cut:2' },
    { chunks: [' three.'], usage: { prompt_tokens: 70, completion_tokens: 9 } },
  ]);
  const stream = await streamChat(service, ask);
  const complete = (await stream.ended).at(-2)?.data;
  const usage = complete?.usage as { input_tokens: number; output_tokens: number; estimated: boolean };
  expect(usage.estimated).toBe(true);
  expect(usage.output_tokens).toBe(2 + 9);
  expect(usage.input_tokens).toBeGreaterThan(70 + 10);
  expect(complete?.total_tokens).toBe(usage.input_tokens + usage.output_tokens);
});

test('a character whose second half never came is not shown, and comes with the rest', async () => {
  const { fake, service } = await startChat([
    { chunks: ['Hi \ud83d', '\ude00!'], fault: 'cut:1' },
    { chunks: ['\ud83d', '\ude00 there', '.'] },
  ]);
  const events = await (await streamChat(service, ask)).ended;
  expect(contentOf(events)).toBe('Hi 😀 there.');
  expect(lastTwo(fake.requests[1])).toMatchObject([{ content: 'Hi ' }, { role: 'user' }]);
});

test('a JSON answer is one JSON value, checked as a whole', async () => {
  const schema = { type: 'object', properties: { colour: { type: 'string' } }, required: ['colour'] };
  const { fake, service } = await startChat([
    { chunks: ['{"col', 'our": "r', 'ed"}'], fault: 'end:2' },
    { chunks: ['ed', '"}'] },
  ]);
  const body = { ...ask, response_format: { type: 'json_schema', schema } };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(await response.json()).toMatchObject({
    content: '{"colour": "red"}',
    evaluation: { passed: true, revisions: 0 },
    attempts: [attempt('error'), attempt('ok')],
  });
  expect(fake.requests.map((request) => 'response_format' in request.body)).toEqual([true, false]);
});

test('what the continuation tells again is left out, and a restart is another failed attempt', async () => {
  const words = 'Once upon a time there was a small king who lived by the sea with his daughter'.split(
    /(?= )/,
  );
  const { service } = await startChat([
    { chunks: words, fault: `cut:${words.length}` },
    { chunks: [...words.slice(0, 12), ' by', ' the', ' woods.'] },
    { chunks: [...words, ' and', ' a cat.'] },
  ]);
  const events = await (await streamChat(service, ask)).ended;
  expect(contentOf(events)).toBe(`${words.join('')} and a cat.`);
  expect(events.at(-2)?.data.attempts).toEqual([attempt('error'), attempt('error'), attempt('ok')]);
});

test('reasoning that was shown before a break is followed by that of the next attempt', async () => {
  const { service } = await startChat([
    { reasoning: ['Hm, '], fault: 'cut:1' },
    { reasoning: ['I see.'], chunks: ['Hello', ' you'], fault: 'cut:3' },
    { chunks: [' there.'] },
  ]);
  const events = await (await streamChat(service, { ...ask, show_thinking: true })).ended;
  const shown = events.filter(({ event }) => event === 'reasoning' || event === 'content');
  expect(shown.map(({ event, data }) => `${event} ${data.content}`)).toEqual([
    'reasoning Hm, ',
    'reasoning I see.',
    'content Hello',
    'content  you',
    'content  there.',
  ]);
});

/** Two providers, the first of which has a model that is prefilled. */
async function startTwo(env: Record<string, string> = {}) {
  const [anthropic, openai] = [
    await useFakeAnthropic({ requireScript: true }),
    await useFakeLlm({ requireScript: true }),
  ];
  const data = {
    anthropic: { effort: { standard: 'prefilled' }, models: [{ id: 'prefilled', prefill: true }] },
  };
  const { data: models } = parseModelsFile(JSON.stringify({ providers: data }), 'models.yaml');
  const service = await startService(
    {
      ANTHROPIC_BASE_URL: rootOf(anthropic),
      ANTHROPIC_API_KEY: 'sk-ant',
      OPENAI_BASE_URL: openai.url,
      OPENAI_API_KEY: 'sk-test',
      LLM_PROVIDER: 'anthropic',
      ...env,
    },
    { models },
  );
  return { anthropic, openai, service };
}

test('a prefilled model gets the text without the space at its end, and the seam has it once', async () => {
  const { anthropic, service } = await startTwo();
  anthropic.script({ chunks: ['One.\n', '\n'], fault: 'cut:2' }, { chunks: ['\n\n', 'Two.'] });
  const events = await (await streamChat(service, ask)).ended;
  expect(contentOf(events)).toBe('One.\n\nTwo.');
  expect(anthropic.requests[1]?.body.messages.at(-1)).toEqual({
    role: 'assistant',
    content: [{ type: 'text', text: 'One.' }],
  });
});

test('a named model is continued by itself and never by another one', async () => {
  const { anthropic, openai, service } = await startTwo();
  const named = { ...ask, model: 'prefilled' };
  const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  anthropic.script(
    { chunks: ['Hello'], fault: { type: 'error', after: 1, body: overloaded } },
    { chunks: [' you.'] },
    { chunks: ['Hello'], fault: 'cut:1' },
    { fault: 'status:529' },
    { fault: 'status:529' },
  );
  const whole = await (await streamChat(service, named)).ended;
  expect(contentOf(whole)).toBe('Hello you.');
  expect(whole.at(-2)?.data.attempts).toEqual([
    attempt('unavailable', 'anthropic', 'prefilled'),
    attempt('ok', 'anthropic', 'prefilled'),
  ]);
  const stream = await streamChat(service, { ...ask, provider: 'anthropic' });
  const lost = await stream.ended;
  expect(namesOf(lost)).toEqual(['content', 'error', 'done']);
  expect((await getRun(service, stream.runId)).attempts.map(({ provider }) => provider)).toEqual(
    Array(3).fill('anthropic'),
  );
  expect(openai.requests).toEqual([]);
});

test('a cancel while another call continues ends it at once, and what was shown is booked', async () => {
  const held = hold(2);
  const { fake, service } = await startChat([
    { chunks: ['One', ' two'], fault: 'cut:2' },
    { chunks: [' three', ' four', ' five'], hold: held },
  ]);
  const stream = await streamChat(service, ask);
  await stream.waitFor(({ data }) => data.content === ' four');
  const cancelledMs = performance.now();
  expect((await cancelRun(service, stream.runId)).status).toBe('cancelled');
  const { at } = await fake.waitForAbort();
  expect(at - cancelledMs).toBeLessThan(250);
  const events = await stream.ended;
  expect(contentOf(events)).toBe('One two three four');
  expect(events.at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'cancelled', retryable: false },
  });
  const run = await getRun(service, stream.runId);
  expect(run.attempts.map(({ outcome }) => outcome)).toEqual(['error', 'cancelled']);
  expect(run.usage).toMatchObject({ output_tokens: 4, estimated: true });
});

test('an answer that breaks when its time is up, or its money is gone, is an error', async () => {
  const cut = { chunks: ['One', ' two'], fault: 'cut:2' };
  const timed = await startChat([cut, { fault: 'status:429:30' }], {
    RUN_TIMEOUT: '20',
  });
  const late = await (await streamChat(timed.service, ask)).ended;
  const broken = await startChat([{ chunks: ['word '.repeat(400)], fault: 'cut:1' }], {
    MAX_RUN_TOKENS: '400',
  });
  const poor = await (await streamChat(broken.service, { ...ask, tools: [] })).ended;
  for (const events of [late, poor]) {
    expect(namesOf(events).slice(-2)).toEqual(['error', 'done']);
    expect(events.at(-2)?.data).toMatchObject({ retryable: true });
    expect(events.at(-2)?.data.error).toContain('The answer broke off before it was complete.');
  }
});

test('after five failures in a row nobody is asked: 503, Retry-After, no attempts', async () => {
  const { fake, service } = await startChat(Array.from({ length: 5 }, () => ({ fault: 'status:500' })));
  for (let count = 0; count < 2; count += 1) await (await streamChat(service, ask)).ended;
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(events[0]).toMatchObject({
    event: 'error',
    data: { error_type: 'provider_unavailable', retryable: true },
  });
  expect((await getRun(service, stream.runId)).attempts).toEqual([]);
  const response = await fetch(`${service.url}/api/chat`, jsonPost(ask));
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await problemOf(response)).detail).toContain('given a rest');
  expect(fake.requests.length).toBe(5);
});

test('caps of the operator end a run in complete with exit_reason budget', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script({ text: 'Some words', finishReason: 'length' });
  const env = { ...fakeModelEnv(fake.url), MAX_RUN_TOKENS: '300' };
  const service = await startService(env);
  const short = await (await streamChat(service, { ...ask, tools: [] })).ended;
  expect(contentOf(short)).toBe('Some words');
  expect(short.at(-2)).toMatchObject({
    event: 'complete',
    data: { exit_reason: 'budget', finish_reason: 'length', attempts: [attempt('ok')] },
  });
  const maxTokens = fake.requests[0]?.body.max_tokens;
  expect(maxTokens).toBeLessThan(300);
  expect(maxTokens).toBeGreaterThan(0);
  const long = { ...ask, tools: [], message: 'word '.repeat(400) };
  const none = await (await streamChat(service, long)).ended;
  expect(namesOf(none)).toEqual(['complete', 'done']);
  expect(none[0]?.data).toMatchObject({ exit_reason: 'budget', attempts: [], total_tokens: 0 });
  expect(fake.requests.length).toBe(1);
});

test("the lower of the caller's cap and the operator's counts", async () => {
  const prices = { openai: { models: [{ id: 'priced', price: { input: 1, output: 1 } }] } };
  const { data: models } = parseModelsFile(JSON.stringify({ providers: prices }), 'models.yaml');
  const fake = await useFakeLlm();
  const askWith = async (operator: string, caller: number) => {
    const env = { ...fakeModelEnv(fake.url), LLM_MODEL: 'priced', MAX_RUN_COST_USD: operator };
    const service = await startService(env, { models });
    const stream = await streamChat(service, { ...ask, tools: [], max_cost_usd: caller });
    return (await stream.ended).at(-2)?.data;
  };
  expect(await askWith('0.000001', 1)).toMatchObject({ exit_reason: 'budget', attempts: [] });
  expect(await askWith('1', 0.000001)).toMatchObject({ exit_reason: 'budget', attempts: [] });
  expect(await askWith('1', 1)).toMatchObject({ exit_reason: 'completed', cost_usd: expect.any(Number) });
});

test('an answer that broke off and is not continued before the deadline is an error, not a whole answer', async () => {
  const { service } = await startChat([{ chunks: ['One', ' two'], fault: 'cut:2' }, { fault: 'hang' }], {
    RUN_TIMEOUT: '0.8',
  });
  const events = await (await streamChat(service, ask)).ended;
  expect(contentOf(events)).toBe('One two');
  expect(events.at(-2)).toMatchObject({
    event: 'error',
    data: { error_type: 'provider_error', retryable: true },
  });
});

test('no call asks for more than the window of its model has room for', async () => {
  const fake = await useFakeLlm({ requireScript: true, models: [{ id: 'small', max_model_len: 4096 }] });
  const words = Array.from({ length: 600 }, (_, index) => `word ${index} `).join('');
  fake.script({ text: words, finishReason: 'length' }, { text: 'The end.' });
  const service = await startService({ VLLM_ENDPOINT: fake.url });
  const body = { message: 'Tell me something.', tools: [] };
  const answer = await (await fetch(`${service.url}/api/chat`, jsonPost(body))).json();
  expect(answer).toMatchObject({
    finish_reason: 'stop',
    content: expect.stringMatching(/word 599 The end\.$/),
  });
  const asked = fake.requests.map((request) => Number(request.body.max_tokens));
  expect(asked[0]).toBeLessThanOrEqual(4096);
  // about 1,500 tokens of answer stand in the window by then
  expect(asked[1]).toBeLessThan(2600);
});
