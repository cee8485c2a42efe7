import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { getRun, isContent, namesOf, problemOf, resume, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

test('one run too many is refused at once, with Retry-After, and a place that is freed is given away', async () => {
  const holds = [hold(1), hold(1)];
  const { fake, service } = await startChat(
    [...holds.map((each) => ({ ...hello, hold: each })), hello, hello],
    { MAX_CONCURRENT_REQUESTS: '2' },
  );
  const live = await Promise.all([streamChat(service, ask), streamChat(service, ask)]);
  await Promise.all(holds.map((each) => each.reached));
  for (const path of ['/api/chat/stream', '/api/chat']) {
    const startedMs = performance.now();
    const response = await fetch(service.url + path, jsonPost(ask));
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await problemOf(response)).type).toBe('urn:paf:error:overloaded');
  }
  expect(fake.requests.length).toBe(2);
  expect((await fetch(`${service.url}/api/runs/${live[0]?.runId}`)).status).toBe(200);
  holds[0]?.release();
  await Promise.race(live.map((stream) => stream.ended));
  expect(contentOf(await (await streamChat(service, ask)).ended)).toBe(hello.text);
  expect((await fetch(`${service.url}/api/chat`, jsonPost(ask))).status).toBe(200);
  holds[1]?.release();
  for (const stream of live) expect(contentOf(await stream.ended)).toBe(hello.text);
  const rejected = await (await fetch(`${service.url}/metrics`)).text();
  expect(rejected).toContain('paf_rejected_requests_total{reason="overloaded"} 2');
});

test('readers of a run take no place', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }], { MAX_CONCURRENT_REQUESTS: '1' });
  const stream = await streamChat(service, ask);
  await stream.waitFor(isContent);
  const others = await Promise.all([1, 2, 3].map(() => resume(service, stream.runId, 0)));
  middle.release();
  for (const other of others) expect(contentOf(await other.ended)).toBe(hello.text);
});

test('a refused body takes no place', async () => {
  const { service } = await startChat([hello], { MAX_CONCURRENT_REQUESTS: '1' });
  for (const body of [{ message: '' }, { ...ask, model: 'nope' }, { ...ask, tools: ['nope'] }]) {
    expect((await fetch(`${service.url}/api/chat`, jsonPost(body))).status).toBe(400);
  }
  expect((await fetch(`${service.url}/api/chat`, jsonPost(ask))).status).toBe(200);
});

test('a failed run gives its place back', async () => {
  const env = { MAX_CONCURRENT_REQUESTS: '1', RUN_TIMEOUT: '0.3' };
  const { service } = await startChat([{ fault: 'status:400' }, { fault: 'hang' }, hello], env);
  for (let number = 1; number <= 2; number += 1) {
    expect(namesOf(await (await streamChat(service, ask)).ended)).toEqual(['error', 'done']);
  }
  expect(contentOf(await (await streamChat(service, ask)).ended)).toBe(hello.text);
});

test('REQUEST_TIMEOUT is the longest silence between tokens, however long the answer takes', async () => {
  const middle = hold(5);
  const chunks = Array.from({ length: 5 }, (_, index) => `${index} `);
  const silent = { fault: 'hang' };
  const { fake, service } = await startChat([{ chunks, delayMs: 120, hold: middle }, silent, silent], {
    REQUEST_TIMEOUT: '0.4',
  });
  const startedMs = performance.now();
  const stream = await streamChat(service, { message: 'Count up.' });
  await middle.reached;
  const reachedMs = performance.now();
  expect(reachedMs - startedMs).toBeGreaterThan(400);
  const events = await stream.ended;
  expect(performance.now() - reachedMs).toBeGreaterThan(350);
  expect(namesOf(events).slice(-3)).toEqual(['content', 'error', 'done']);
  expect(events.at(-2)?.data).toMatchObject({ error_type: 'provider_timeout', retryable: true });
  await fake.waitForAbort();
});

test('comments of the provider are no tokens: REQUEST_TIMEOUT still ends the wait', async () => {
  const replies = [1, 2, 3].map(() => ({ chunks: Array(50).fill(''), delayMs: 50, fault: 'pings' }));
  const { service } = await startChat(replies, { REQUEST_TIMEOUT: '0.2' });
  const events = await (await streamChat(service, ask)).ended;
  expect(events[0]?.data).toMatchObject({ error_type: 'provider_timeout' });
});

test('RUN_TIMEOUT before the first token ends the run in provider_timeout', async () => {
  const { fake, service } = await startChat([{ fault: 'hang' }], { RUN_TIMEOUT: '0.2' });
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  expect(namesOf(events)).toEqual(['error', 'done']);
  expect(events[0]?.data).toMatchObject({ error_type: 'provider_timeout', retryable: true });
  await fake.waitForAbort();
  expect((await getRun(service, stream.runId)).status).toBe('failed');
});

test('RUN_TIMEOUT in the middle of an answer says so: finish_reason length, exit_reason deadline', async () => {
  const middle = hold(2);
  const { fake, service } = await startChat([{ ...hello, hold: middle }], { RUN_TIMEOUT: '0.4' });
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  await fake.waitForAbort();
  expect(namesOf(events)).toEqual(['content', 'content', 'complete', 'done']);
  expect(events[2]?.data).toMatchObject({
    finish_reason: 'length',
    exit_reason: 'deadline',
    usage: { estimated: true },
    evaluation: { passed: false },
    attempts: [{ outcome: 'cancelled' }],
  });
});

test('a body over MAX_BODY_BYTES gets 413', async () => {
  const { fake, service } = await startChat([hello], { MAX_BODY_BYTES: '1000' });
  for (const path of ['/api/chat/stream', '/api/chat']) {
    const response = await fetch(service.url + path, jsonPost({ message: 'x'.repeat(1000) }));
    expect(response.status).toBe(413);
    expect((await problemOf(response)).type).toBe('urn:paf:error:payload_too_large');
  }
  expect(fake.requests).toEqual([]);
  expect((await fetch(`${service.url}/api/chat`, jsonPost(ask))).status).toBe(200);
});

test('a body without a length that grows over MAX_BODY_BYTES gets 413', async () => {
  const { service } = await startChat([], { MAX_BODY_BYTES: '1000' });
  const body = new Blob(['{"message":"', 'x'.repeat(5000), '"}']).stream();
  const response = await fetch(`${service.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    duplex: 'half',
  } as RequestInit);
  expect(response.status).toBe(413);
  await problemOf(response);
});
