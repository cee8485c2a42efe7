import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { anonymous } from '../../src/auth/authenticator.ts';
import { cancelRun, isContent, namesOf, problemOf, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, type SseStream, streamChat, type TestService } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.', effort: 'quick', metadata: { a: 1, b: { c: 2, d: 3 } } };
const hello = { text: 'Hello there, my good old friend.' };
const key = { 'idempotency-key': 'order-66' };

const post = (service: TestService, body: object, headers: Record<string, string>, path = '/api/chat') =>
  fetch(service.url + path, jsonPost(body, headers));

test('a retry while the run is under way joins it from its first event', async () => {
  const middle = hold(3);
  const { fake, service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask, key);
  await first.waitFor(({ id }) => id === 3);
  const second = await streamChat(service, ask, key);
  expect(second.runId).toBe(first.runId);
  await second.waitFor(({ id }) => id === 3);
  middle.release();
  expect(await second.ended).toEqual(await first.ended);
  expect(second.raw()).toBe(first.raw());
  expect(fake.requests.length).toBe(1);
});

test('a retry after the end replays the run, as a stream and as JSON', async () => {
  const { fake, service } = await startChat([hello]);
  const first = await streamChat(service, ask, key);
  await first.ended;
  const replay = await streamChat(service, ask, key);
  await replay.ended;
  expect(replay.raw()).toBe(first.raw());
  const complete = first.events.at(-2)?.data;
  const response = await post(service, ask, key);
  expect(response.headers.get('x-run-id')).toBe(first.runId);
  expect(await response.json()).toMatchObject({ ...complete, content: hello.text });
  expect(fake.requests.length).toBe(1);
});

test('a replay whose first events are no longer held is gone', async () => {
  const { fake, service } = await startChat([hello], {}, { runLogEvents: 3 });
  const body = { ...ask, on_disconnect: 'continue' };
  const first = await post(service, body, key, '/api/chat/stream');
  await first.body?.cancel();
  const { ended, log } = service.services.runs.find(first.headers.get('x-run-id') ?? '', anonymous);
  await ended;
  const response = await post(service, body, key, '/api/chat/stream');
  expect(response.status).toBe(410);
  expect(await problemOf(response)).toMatchObject({
    type: 'urn:paf:error:gone',
    detail: `Events up to ${log.firstSeq - 1} are no longer held; the answer was too long.`,
  });
  expect(fake.requests.length).toBe(1);
});

test('a failed run is replayed too, in the same words', async () => {
  const { fake, service } = await startChat([{ fault: 'status:400' }]);
  const answers = [];
  for (let tries = 1; tries <= 2; tries += 1) {
    const response = await post(service, ask, key);
    expect(response.status).toBe(502);
    answers.push((await problemOf(response)).detail);
  }
  expect(answers[0]).toBe(answers[1]);
  const stream = await streamChat(service, ask, key);
  expect((await stream.ended)[0]?.data).toMatchObject({ error_type: 'provider_rejected', error: answers[0] });
  expect(fake.requests.length).toBe(1);
});

test('the order of the fields does not matter', async () => {
  const { fake, service } = await startChat([hello]);
  const first = await streamChat(service, ask, key);
  await first.ended;
  const reordered = { metadata: { b: { d: 3, c: 2 }, a: 1 }, effort: 'quick', message: ask.message };
  const second = await streamChat(service, reordered, key);
  expect(second.runId).toBe(first.runId);
  await second.ended;
  expect(fake.requests.length).toBe(1);
});

test.each([
  ['another message', { ...ask, message: 'Say goodbye to me.' }],
  ['one field more', { ...ask, temperature: 0.7 }],
  ['another nested value', { ...ask, metadata: { a: 1, b: { c: 2, d: 4 } } }],
])('the same key with %s is refused', async (_what, other) => {
  const { fake, service } = await startChat([hello]);
  await (await streamChat(service, ask, key)).ended;
  for (const path of ['/api/chat', '/api/chat/stream']) {
    const response = await post(service, other, key, path);
    expect(response.status).toBe(422);
    expect((await problemOf(response)).type).toBe('urn:paf:error:idempotency_mismatch');
  }
  expect(fake.requests.length).toBe(1);
});

test('another key is another run', async () => {
  const { fake, service } = await startChat([hello, hello]);
  const first = await streamChat(service, ask, key);
  const second = await streamChat(service, ask, { 'idempotency-key': 'order-67' });
  await Promise.all([first.ended, second.ended]);
  expect(second.runId).not.toBe(first.runId);
  expect(fake.requests.length).toBe(2);
});

test.each(['', 'a b', 'x'.repeat(256), 'sch\u00f6n'])('a bad key is refused: "%s"', async (bad) => {
  const { fake, service } = await startChat([]);
  for (const path of ['/api/chat', '/api/chat/stream']) {
    const response = await post(service, ask, { 'idempotency-key': bad }, path);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail.toLowerCase()).toContain('idempotency-key');
  }
  expect(fake.requests).toEqual([]);
});

test('twenty retries at once make one call to the model', async () => {
  const first = hold(0);
  const { fake, service } = await startChat([{ ...hello, hold: first }]);
  const streams: Promise<SseStream>[] = [];
  const answers: Promise<Response>[] = [];
  for (let number = 0; number < 10; number += 1) {
    streams.push(streamChat(service, ask, key));
    answers.push(post(service, ask, key));
  }
  const opened = await Promise.all(streams);
  first.release();
  for (const stream of opened) expect(contentOf(await stream.ended)).toBe(hello.text);
  for (const response of await Promise.all(answers)) {
    expect(await response.json()).toMatchObject({ content: hello.text, run_id: opened[0]?.runId });
  }
  expect(new Set(opened.map(({ runId }) => runId)).size).toBe(1);
  expect(fake.requests.length).toBe(1);
});

test('a retry holds the run when the first caller is gone', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask, key);
  await first.waitFor(isContent);
  const second = await streamChat(service, ask, key);
  first.abort();
  const readers = async () => (await service.services.metrics.streamReaders.get()).values[0]?.value;
  await expect.poll(readers).toBe(1);
  middle.release();
  expect(contentOf(await second.ended)).toBe(hello.text);
});

test('a retry finds its run when no place is free and while the service shuts down', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }], { MAX_CONCURRENT_REQUESTS: '1' });
  const first = await streamChat(service, ask, key);
  await middle.reached;
  const whileFull = await streamChat(service, ask, key);
  const drained = service.services.drain();
  const whileDraining = await streamChat(service, ask, key);
  expect((await post(service, ask, { 'idempotency-key': 'other' })).status).toBe(503);
  middle.release();
  await drained;
  for (const stream of [first, whileFull, whileDraining]) {
    expect(contentOf(await stream.ended)).toBe(hello.text);
  }
});

test('a refused request does not occupy its key', async () => {
  const { service } = await startChat([hello]);
  expect((await post(service, { ...ask, model: 'no-such-model' }, key)).status).toBe(400);
  expect((await post(service, ask, key)).status).toBe(200);
});

test('a cancelled run is replayed to its cancelled end', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask, key);
  await first.waitFor(({ id }) => id === 2);
  await cancelRun(service, first.runId);
  const again = await (await streamChat(service, ask, key)).ended;
  expect(namesOf(again)).toEqual(['content', 'content', 'error', 'done']);
});

test('after RUN_LOG_TTL the key is free', async () => {
  const { fake, service } = await startChat([hello, hello], { RUN_LOG_TTL: '0' });
  const first = await streamChat(service, ask, key);
  await first.ended;
  await expect.poll(async () => (await fetch(`${service.url}/api/runs/${first.runId}`)).status).toBe(410);
  const second = await streamChat(service, ask, key);
  expect(second.runId).not.toBe(first.runId);
  await second.ended;
  expect(fake.requests.length).toBe(2);
});
