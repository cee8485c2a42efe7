import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { namesOf, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, type SseEvent, streamChat, type TestService } from '../helpers/service.ts';

const hello = { text: 'Hello there, friend.' };
const ask = { message: 'Say hello to me.' };

/** The bytes that a client gets on its own socket, headers included, as they come. */
function rawChat(service: TestService, body: object) {
  const { hostname, port } = new URL(service.url);
  const text = JSON.stringify(body);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => {
    socket.destroy();
  });
  let seen = '';
  const waiters = new Set<() => void>();
  socket.on('data', (bytes) => {
    seen += bytes.toString('utf8');
    for (const check of waiters) check();
  });
  socket.write(
    `POST /api/chat/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
  return (pattern: RegExp) =>
    new Promise<string>((resolve) => {
      const check = () => {
        if (pattern.test(seen)) resolve(seen);
      };
      waiters.add(check);
      check();
    });
}

test('the headers are exactly the promised ones', async () => {
  const { service } = await startChat([hello]);
  const stream = await streamChat(service, ask, { 'x-request-id': 'req-77' });
  const { headers } = stream.response;
  expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-cache, no-transform');
  expect(headers.get('x-accel-buffering')).toBe('no');
  expect(headers.get('content-encoding')).toBeNull();
  expect(headers.get('x-run-id')).toMatch(/^run_[0-9a-f]{32}$/);
  expect(headers.get('x-request-id')).toBe('req-77');
  const [complete] = (await stream.ended).slice(-2);
  expect(complete?.data).toMatchObject({ run_id: stream.runId, request_id: 'req-77' });
});

test('headers and a first comment go out before the model has said anything', async () => {
  const first = hold(0);
  const { fake, service } = await startChat([{ ...hello, hold: first }]);
  const see = rawChat(service, ask);
  await first.reached;
  const head = await see(/\r\n\r\n/);
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  const text = await see(/: connected\n\n/);
  expect(text).not.toContain('event:');
  expect(fake.requests[0]?.state).toBe('open');
  first.release();
  await see(/data: \[DONE\]\n\n/);
});

test('frames: LF only, ids from 1 without gaps, one line of data, a blank line after each', async () => {
  const { service } = await startChat([{ chunks: ['one\r\ntwo\n\n', 'three\u2028four\u0085 ', '"five"\\'] }]);
  const stream = await streamChat(service, { ...ask, show_thinking: true });
  const events = await stream.ended;
  const raw = stream.raw();
  expect(raw).not.toContain('\r');
  expect(raw).toMatch(/^: connected\n\n/);
  const frames = raw.slice(': connected\n\n'.length).split('\n\n');
  expect(frames.pop()).toBe('');
  expect(frames.length).toBe(events.length);
  for (const [index, frame] of frames.entries()) {
    expect(frame).toMatch(new RegExp(`^id: ${index + 1}\nevent: [a-z_]+\ndata: [^\n]+$`));
  }
  expect(contentOf(events)).toBe('one\r\ntwo\n\nthree\u2028four\u0085 "five"\\');
});

test('every payload carries the time it happened', async () => {
  const before = Date.now() / 1000;
  const { service } = await startChat([
    { toolCalls: [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }] },
    { reasoning: 'Let me see.', text: 'It is two.' },
  ]);
  const events = await (await streamChat(service, { message: 'Add up.', show_thinking: true })).ended;
  const times = events.slice(0, -1).map((event) => event.data.timestamp as number);
  expect(times.every((time) => time >= before && time <= Date.now() / 1000)).toBe(true);
  expect(times).toEqual(times.toSorted((left, right) => left - right));
  expect(new Set(namesOf(events))).toEqual(
    new Set(['thinking', 'reasoning', 'content', 'tool_call', 'tool_result', 'complete', 'done']),
  );
});

test('with show_thinking the phases and the reasoning come in their order', async () => {
  const { service } = await startChat([{ reasoning: 'Let me', text: 'Hello.' }]);
  const events = await (await streamChat(service, { ...ask, show_thinking: true })).ended;
  expect(events.map(({ event, data }) => (event === 'thinking' ? data.phase : event))).toEqual([
    'understand',
    'plan',
    'reasoning',
    'reasoning',
    'content',
    'execute',
    'evaluate',
    'complete',
    'done',
  ]);
  const thinking = events.filter(({ event }) => event === 'thinking');
  for (const { data } of thinking) {
    expect(Object.keys(data).sort()).toEqual(['content', 'metadata', 'phase', 'timestamp']);
  }
  const [understand, plan, , evaluate] = thinking.map(({ data }) => Object.keys(data.metadata as object));
  expect(understand).toEqual(
    expect.arrayContaining([
      'intent',
      'confidence',
      'language',
      'complexity',
      'questions',
      'tokens',
      'constraints',
    ]),
  );
  expect(plan).toEqual(expect.arrayContaining(['strategy', 'reasons', 'model', 'fallbacks']));
  expect(evaluate).toEqual(expect.arrayContaining(['score', 'passed', 'checks']));
});

test('what was not asked for is not in the log: no thinking, no reasoning, no gap in the ids', async () => {
  const { service } = await startChat([{ reasoning: 'SECRET THOUGHT', text: 'Hello there, friend.' }]);
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(namesOf(events)).toEqual(['content', 'content', 'content', 'complete', 'done']);
  expect(events.map((event) => event.id)).toEqual([1, 2, 3, 4, 5]);
  expect(stream.raw()).not.toContain('SECRET');
  const replay = await fetch(`${service.url}/api/runs/${stream.runId}/events`);
  expect(await replay.text()).toBe(stream.raw());
});

test('complete has exactly the promised fields, with the usage of the wire', async () => {
  const usage = {
    prompt_tokens: 40,
    completion_tokens: 9,
    total_tokens: 49,
    prompt_tokens_details: { cached_tokens: 16 },
    completion_tokens_details: { reasoning_tokens: 4 },
  };
  const { service } = await startChat([{ ...hello, usage }]);
  const stream = await streamChat(service, ask, { 'x-request-id': 'req-1' });
  const events = await stream.ended;
  const complete = events.at(-2) as SseEvent;
  expect(complete.event).toBe('complete');
  expect(complete.data).toEqual({
    run_id: stream.runId,
    request_id: 'req-1',
    model: 'fake-model',
    provider: 'openai',
    total_tokens: 49,
    usage: { input_tokens: 40, output_tokens: 9, cached_tokens: 16, reasoning_tokens: 4, estimated: false },
    duration: expect.any(Number),
    time_to_first_token: expect.any(Number),
    finish_reason: 'stop',
    exit_reason: 'completed',
    evaluation: { score: 1, passed: true, checks: expect.any(Array), revisions: 0 },
    attempts: [{ provider: 'openai', model: 'fake-model', outcome: 'ok' }],
    timestamp: expect.any(Number),
  });
  const { duration, time_to_first_token: first } = complete.data as Record<string, number>;
  expect(first).toBeGreaterThan(0);
  expect(duration).toBeGreaterThanOrEqual(first ?? Number.NaN);
  expect(duration).toBeLessThan(10);
});

test('usage that the provider never reports is counted here and says so', async () => {
  const { service } = await startChat([{ ...hello, usage: null }]);
  const events = await (await streamChat(service, ask)).ended;
  const usage = events.at(-2)?.data.usage as Record<string, number | boolean>;
  expect(usage).toMatchObject({ estimated: true, output_tokens: 5 });
  expect(usage.input_tokens).toBeGreaterThan(10);
  const { input_tokens: input, output_tokens: output } = usage as Record<string, number>;
  expect(events.at(-2)?.data.total_tokens).toBe((input ?? 0) + (output ?? 0));
});

test('an answer that reaches the max_tokens of the caller says length and is not continued', async () => {
  const { service } = await startChat([{ text: 'It was a', finishReason: 'length' }]);
  const events = await (await streamChat(service, { message: 'Tell a story.', max_tokens: 3 })).ended;
  expect(contentOf(events)).toBe('It was a');
  expect(events.at(-2)?.data).toMatchObject({ finish_reason: 'length', exit_reason: 'length' });
});

test.each([
  ['whole characters', undefined],
  ['characters cut by the network', 'split-utf8'],
  ['one byte at a time', 'one-byte'],
])('text of many bytes arrives unharmed: %s', async (_how, fault) => {
  const text = 'Grüße aus 東京, héllo 👩‍👩‍👧 and \u{1F680} x̂ done.';
  const { service } = await startChat([{ text, ...(fault === undefined ? {} : { fault }) }]);
  const stream = await streamChat(service, ask);
  expect(contentOf(await stream.ended)).toBe(text);
});

test('a character that arrives in two deltas is never shown as halves', async () => {
  const [high = '', low = ''] = ['\ud83d', '\ude80'];
  const { service } = await startChat([{ chunks: ['Lift off ', high, `${low} now.`] }]);
  const events = await (await streamChat(service, ask)).ended;
  const pieces = events.filter(({ event }) => event === 'content').map(({ data }) => String(data.content));
  expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
  expect(pieces.join('')).toBe('Lift off 🚀 now.');
});

test('tool calls and results come in the order of the model, each call before its result', async () => {
  const { fake, service } = await startChat([
    {
      toolCalls: [
        { id: 'call_a', name: 'calculator', arguments: '{"expression":"2*21"}' },
        { id: 'call_b', name: 'calculator', arguments: '{"expression":' },
        { id: 'call_c', name: 'no_such_tool', arguments: '{"x":1}' },
      ],
    },
    { text: 'It is 42.' },
  ]);
  const events = await (await streamChat(service, { message: 'Work it out.' })).ended;
  expect(events.map(({ event, data }) => [event, data.id ?? null])).toEqual([
    ['tool_call', 'call_a'],
    ['tool_call', 'call_b'],
    ['tool_call', 'call_c'],
    ['tool_result', 'call_a'],
    ['tool_result', 'call_b'],
    ['tool_result', 'call_c'],
    ['content', null],
    ['content', null],
    ['content', null],
    ['complete', null],
    ['done', null],
  ]);
  const [callA, callB, , resultA, resultB, resultC] = events.map((event) => event.data);
  expect(callA).toEqual({
    id: 'call_a',
    name: 'calculator',
    arguments: { expression: '2*21' },
    timestamp: expect.any(Number),
  });
  expect(callB?.arguments).toBe('{"expression":');
  expect(resultA).toEqual({
    id: 'call_a',
    name: 'calculator',
    result: '42',
    is_error: false,
    duration_ms: expect.any(Number),
    timestamp: expect.any(Number),
  });
  expect(Number.isInteger(resultA?.duration_ms)).toBe(true);
  expect(resultB).toMatchObject({ is_error: true, result: 'The arguments are not a JSON object.' });
  expect(resultC).toMatchObject({ is_error: true, result: expect.stringContaining('no_such_tool') });
  const toolMessages = fake.requests[1]?.body.messages.filter((message) => message.role === 'tool');
  expect(toolMessages?.map((message) => message.tool_call_id)).toEqual(['call_a', 'call_b', 'call_c']);
  expect(events.at(-2)?.data.attempts).toHaveLength(2);
});

test('two models calls add up: usage and attempts', async () => {
  const usage = { prompt_tokens: 10, completion_tokens: 3 };
  const { service } = await startChat([
    { toolCalls: [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }], usage },
    { text: 'It is two.', usage },
  ]);
  const events = await (await streamChat(service, { message: 'Add up.' })).ended;
  expect(events.at(-2)?.data).toMatchObject({
    total_tokens: 26,
    usage: { input_tokens: 20, output_tokens: 6, estimated: false },
    attempts: [{ outcome: 'ok' }, { outcome: 'ok' }],
  });
});

test('a revision replaces what was shown and is announced first', async () => {
  const { service } = await startChat([{ text: 'Sure, it is blue.' }, { text: '{"color": "blue"}' }]);
  const body = { message: 'Color of the sky?', response_format: { type: 'json_object' } };
  const events = await (await streamChat(service, { ...body, allow_revision: true })).ended;
  const at = namesOf(events).indexOf('revision');
  expect(events[at]?.data).toEqual({
    revision: 1,
    reason: expect.any(String),
    timestamp: expect.any(Number),
  });
  const revisions = events.filter(({ event }) => event === 'content').map(({ data }) => data.revision);
  expect(revisions).toEqual([0, 0, 0, 0, 1]);
  expect(contentOf(events)).toBe('{"color": "blue"}');
  expect(events.at(-2)?.data.evaluation).toMatchObject({ revisions: 1, passed: true });
});

test('without allow_revision a stream is not revised, and complete says what failed', async () => {
  const { service } = await startChat([{ text: 'Sure, it is blue.' }]);
  const body = { message: 'Color of the sky?', response_format: { type: 'json_object' } };
  const events = await (await streamChat(service, body)).ended;
  expect(contentOf(events)).toBe('Sure, it is blue.');
  expect(events.at(-2)?.data.evaluation).toMatchObject({ revisions: 0, passed: false });
});

test('what fails before the stream is a problem, not a stream', async () => {
  const { fake, service } = await startChat([]);
  const response = await fetch(`${service.url}/api/chat/stream`, jsonPost({ message: ' ' }));
  expect(response.status).toBe(400);
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
  expect(response.headers.get('x-run-id')).toBeNull();
  expect(fake.requests).toEqual([]);
});
