import { expect, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { cancelRun, getRun, namesOf, startChat } from '../helpers/chat.ts';
import { refusedUrl } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, startService, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello: ScriptedReply = { text: 'Hello there, friend.' };
/** Only what is silent has to be waited for. */
const envFor = (fault: string) => (/hang|stall/.test(fault) ? { REQUEST_TIMEOUT: '0.4' } : {});
const repeated = (fault: string, times: number) => Array.from({ length: times }, () => ({ ...hello, fault }));

type Case = [fault: string, errorType: string, outcome: string];

const retried: Case[] = [
  ['status:429', 'provider_unavailable', 'unavailable'],
  ['status:429:0.02', 'provider_unavailable', 'unavailable'],
  ['status:500', 'provider_error', 'error'],
  ['status:500:html', 'provider_error', 'error'],
  ['status:500:garbage', 'provider_error', 'error'],
  ['status:500:empty', 'provider_error', 'error'],
  ['status:503', 'provider_unavailable', 'unavailable'],
  ['status:529', 'provider_unavailable', 'unavailable'],
  ['reset', 'provider_unavailable', 'unavailable'],
  ['hang', 'provider_timeout', 'timeout'],
  ['stall', 'provider_timeout', 'timeout'],
  ['cut', 'provider_error', 'error'],
  ['end', 'provider_error', 'error'],
  ['end:0:done', 'provider_error', 'error'],
  ['malformed', 'provider_error', 'error'],
  ['error', 'provider_error', 'error'],
  ['content-type:text/html', 'provider_error', 'error'],
];

test.each(retried)('%s before the first token is retried in silence', async (fault, _type, outcome) => {
  const { fake, service } = await startChat([{ ...hello, fault }, hello], envFor(fault));
  const events = await (await streamChat(service, ask)).ended;
  expect(namesOf(events)).toEqual(['content', 'content', 'content', 'complete', 'done']);
  expect(contentOf(events)).toBe('Hello there, friend.');
  expect(events.at(-2)?.data.attempts).toEqual([
    { provider: 'openai', model: 'fake-model', outcome },
    { provider: 'openai', model: 'fake-model', outcome: 'ok' },
  ]);
  expect(fake.requests.length).toBe(2);
});

const lasting = retried.filter(([fault]) => !fault.includes(':'));

test.each(lasting)('%s three times ends in %s', async (fault, errorType, outcome) => {
  const { fake, service } = await startChat(repeated(fault, 3), envFor(fault));
  const stream = await streamChat(service, ask, { 'x-request-id': 'req-3' });
  const events = await stream.ended;
  expect(namesOf(events)).toEqual(['error', 'done']);
  expect(events[0]?.data).toEqual({
    error: expect.any(String),
    error_type: errorType,
    retryable: true,
    request_id: 'req-3',
    run_id: stream.runId,
    timestamp: expect.any(Number),
  });
  expect(fake.requests.length).toBe(3);
  const run = await getRun(service, stream.runId);
  expect(run.status).toBe('failed');
  expect(run.attempts.map((attempt) => attempt.outcome)).toEqual([outcome, outcome, outcome]);
});

test('a provider that says when to come back is passed on', async () => {
  // later than the run may last
  const { service } = await startChat([{ ...hello, fault: 'status:429:700' }]);
  const events = await (await streamChat(service, ask)).ended;
  expect(events[0]?.data).toMatchObject({
    error_type: 'provider_unavailable',
    retryable: true,
    retry_after: 700,
  });
});

test.each<Case>([
  ['status:400', 'provider_rejected', 'rejected'],
  ['status:401', 'provider_unavailable', 'unavailable'],
  ['status:403', 'provider_unavailable', 'unavailable'],
  ['status:404', 'provider_rejected', 'rejected'],
])('%s is not retried: %s', async (fault, errorType, outcome) => {
  const { fake, service } = await startChat(repeated(fault, 1));
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(namesOf(events)).toEqual(['error', 'done']);
  expect(events[0]?.data).toMatchObject({ error_type: errorType, retryable: false });
  expect(fake.requests.length).toBe(1);
  expect((await getRun(service, stream.runId)).attempts.map((attempt) => attempt.outcome)).toEqual([outcome]);
});

test('nobody listens where the provider should be', async () => {
  const service = await startService(fakeModelEnv(await refusedUrl()));
  const events = await (await streamChat(service, ask)).ended;
  expect(namesOf(events)).toEqual(['error', 'done']);
  expect(events[0]?.data).toMatchObject({ error_type: 'provider_unavailable', retryable: true });
});

const broken: Case[] = [
  ['stall:2', 'provider_timeout', 'timeout'],
  ['cut:2', 'provider_error', 'error'],
  ['end:2', 'provider_error', 'error'],
  ['end:2:done', 'provider_error', 'error'],
  ['malformed:2', 'provider_error', 'error'],
  ['error:2', 'provider_error', 'error'],
];

test.each(broken)('%s after two tokens is continued in silence', async (fault, _type, outcome) => {
  const { fake, service } = await startChat([{ ...hello, fault }, { chunks: [' friend.'] }], envFor(fault));
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(namesOf(events)).toEqual(['content', 'content', 'content', 'complete', 'done']);
  expect(contentOf(events)).toBe('Hello there, friend.');
  expect(events[3]?.data).toMatchObject({
    finish_reason: 'stop',
    exit_reason: 'completed',
    usage: { estimated: true, output_tokens: 4 },
    attempts: [
      { provider: 'openai', model: 'fake-model', outcome },
      { provider: 'openai', model: 'fake-model', outcome: 'ok' },
    ],
  });
  expect(fake.requests.length).toBe(2);
});

test.each(broken)(
  '%s after two tokens, every time: what came, then an error',
  async (fault, errorType, outcome) => {
    const replies = [
      { ...hello, fault },
      { chunks: [' my', ' dear', ' friend.'], fault },
      { chunks: [' old', ' friend', '.'], fault },
    ];
    const { fake, service } = await startChat(replies, envFor(fault));
    const stream = await streamChat(service, ask);
    const events = await stream.ended;
    expect(namesOf(events)).toEqual([...Array(6).fill('content'), 'error', 'done']);
    expect(contentOf(events)).toBe('Hello there, my dear old friend');
    expect(events[6]?.data).toMatchObject({ error_type: errorType, retryable: true });
    expect(events[6]?.data.error).toContain('The answer broke off before it was complete.');
    expect(fake.requests.length).toBe(3);
    const run = await getRun(service, stream.runId);
    expect(run).toMatchObject({ status: 'failed', usage: { estimated: true, output_tokens: 7 } });
    expect(run.attempts.map((attempt) => attempt.outcome)).toEqual([outcome, outcome, outcome]);
  },
);

test('a tool call that breaks off is never run', async () => {
  const toolCalls = [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }];
  const { fake, service } = await startChat([{ toolCalls, fault: 'cut:2' }]);
  const events = await (await streamChat(service, ask)).ended;
  expect(namesOf(events)).toEqual(['error', 'done']);
  expect(events[0]?.data).toMatchObject({ error_type: 'provider_error' });
  expect(fake.requests.length).toBe(1);
});

test('a broken second turn is continued after what the first one showed', async () => {
  const toolCalls = [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }];
  const { fake, service } = await startChat([
    { toolCalls },
    { ...hello, fault: 'cut:1' },
    { chunks: [' there,', ' friend.'] },
  ]);
  const events = await (await streamChat(service, ask)).ended;
  expect(namesOf(events)).toEqual([
    'tool_call',
    'tool_result',
    'content',
    'content',
    'content',
    'complete',
    'done',
  ]);
  expect(contentOf(events)).toBe('Hello there, friend.');
  const roles = fake.requests[2]?.body.messages.slice(-4).map(({ role }) => role);
  expect(roles).toEqual(['assistant', 'tool', 'assistant', 'user']);
});

test('a second turn that breaks every time keeps what was shown and ends in an error', async () => {
  const toolCalls = [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }];
  const { service } = await startChat([
    { toolCalls },
    { ...hello, fault: 'cut:1' },
    { chunks: [' there,'], fault: 'cut:1' },
    { fault: 'cut' },
  ]);
  const events = await (await streamChat(service, ask)).ended;
  expect(namesOf(events)).toEqual(['tool_call', 'tool_result', 'content', 'content', 'error', 'done']);
  expect(contentOf(events)).toBe('Hello there,');
});

test('Retry-After is waited for', async () => {
  const { fake, service } = await startChat([{ fault: 'status:429:0.6' }, hello]);
  await (await streamChat(service, ask)).ended;
  const [first, second] = fake.requests;
  expect((second?.startedAt ?? 0) - (first?.endedAt ?? 0)).toBeGreaterThanOrEqual(590);
});

test('a pause that the deadline of the run does not leave room for is not begun', async () => {
  const { fake, service } = await startChat([{ fault: 'status:429:30' }], { RUN_TIMEOUT: '20' });
  const events = await (await streamChat(service, ask)).ended;
  expect(events[0]?.data).toMatchObject({ error_type: 'provider_unavailable', retryable: true });
  expect(fake.requests.length).toBe(1);
});

test('a cancel while a retry waits ends the run at once and no second call is made', {
  retry: 2,
}, async () => {
  const { fake, service } = await startChat([{ fault: 'status:503:20' }]);
  const stream = await streamChat(service, ask);
  const request = await fake.waitForRequest();
  await expect.poll(() => request.state).toBe('finished');
  const startedMs = performance.now();
  expect((await cancelRun(service, stream.runId)).status).toBe('cancelled');
  expect(performance.now() - startedMs).toBeLessThan(250);
  expect(namesOf(await stream.ended)).toEqual(['error', 'done']);
  expect(fake.requests.length).toBe(1);
});

test.each(['empty-deltas', 'empty-choices', 'pings', 'crlf', 'one-byte', 'json', 'content-type:text/plain'])(
  '%s is odd but no failure',
  async (fault) => {
    const { fake, service } = await startChat([{ ...hello, fault }]);
    const events = await (await streamChat(service, ask)).ended;
    expect(contentOf(events)).toBe('Hello there, friend.');
    expect(namesOf(events).slice(-2)).toEqual(['complete', 'done']);
    expect(fake.requests.length).toBe(1);
  },
);

test('the client is never shown the text of the provider', async () => {
  const body = { error: { message: 'UPSTREAM-TEXT about sk-test and /etc/passwd', type: 'server_error' } };
  const { service } = await startChat([
    { fault: { type: 'status', status: 500, body } },
    { fault: { type: 'status', status: 503, body } },
    { fault: { type: 'error', after: 0, body } },
  ]);
  const stream = await streamChat(service, ask);
  await stream.ended;
  expect(stream.raw()).not.toMatch(/UPSTREAM-TEXT|sk-test|passwd/);
});
