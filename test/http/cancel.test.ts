import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { cancelRun, getRun, isContent, namesOf, problemOf, resume, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, streamChat } from '../helpers/service.ts';

/** A loaded machine may stop the test itself for longer than the promised time. */
const timed = { retry: 2 };

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

test('a cancel from another connection ends the run in error, at once and upstream too', timed, async () => {
  const middle = hold(3);
  const { fake, service } = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(
    service,
    { ...ask, on_disconnect: 'continue' },
    { 'x-request-id': 'req-5' },
  );
  await stream.waitFor(({ id }) => id === 3);
  const startedMs = performance.now();
  const record = await cancelRun(service, stream.runId);
  const { at } = await fake.waitForAbort();
  expect(at - startedMs).toBeLessThan(250);
  const events = await stream.ended;
  expect(performance.now() - startedMs).toBeLessThan(250);
  expect(namesOf(events)).toEqual(['content', 'content', 'content', 'error', 'done']);
  expect(events[3]?.data).toEqual({
    error: expect.any(String),
    error_type: 'cancelled',
    retryable: false,
    request_id: 'req-5',
    run_id: stream.runId,
    timestamp: expect.any(Number),
  });
  expect(record).toMatchObject({
    run_id: stream.runId,
    status: 'cancelled',
    attempts: [{ provider: 'openai', model: 'fake-model', outcome: 'cancelled' }],
    usage: { output_tokens: 4, estimated: true },
  });
  expect(record.usage.input_tokens).toBeGreaterThan(10);
  expect(record.ended_at).toBeGreaterThanOrEqual(record.created_at);
  expect(await getRun(service, stream.runId)).toEqual(record);
});

test('a cancel before the first token', async () => {
  const first = hold(0);
  const { fake, service } = await startChat([{ ...hello, hold: first }]);
  const stream = await streamChat(service, ask);
  await first.reached;
  await cancelRun(service, stream.runId);
  await fake.waitForAbort();
  expect(namesOf(await stream.ended)).toEqual(['error', 'done']);
  expect(fake.requests.length).toBe(1);
});

test('a cancel while the provider has not even answered', async () => {
  const { fake, service } = await startChat([{ fault: 'hang' }]);
  const stream = await streamChat(service, ask);
  await fake.waitForRequest();
  const { usage } = await cancelRun(service, stream.runId);
  expect(usage).toMatchObject({ output_tokens: 0, estimated: true });
  expect(usage.input_tokens).toBeGreaterThan(10);
  await fake.waitForAbort();
  expect((await stream.ended)[0]?.data).toMatchObject({ error_type: 'cancelled', retryable: false });
  expect(fake.requests.length).toBe(1);
});

test('usage that was reported before the cancel is booked together with what is estimated', async () => {
  const middle = hold(1);
  const toolCalls = [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }];
  const { service } = await startChat([
    { toolCalls, usage: { prompt_tokens: 5000, completion_tokens: 7 } },
    { ...hello, hold: middle },
  ]);
  const stream = await streamChat(service, ask);
  await stream.waitFor(isContent);
  const { usage, attempts } = await cancelRun(service, stream.runId);
  expect(usage).toMatchObject({ output_tokens: 8, estimated: true });
  expect(usage.input_tokens).toBeGreaterThan(5010);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['ok', 'cancelled']);
});

test('a cancel of the run of a JSON request gives its caller 499', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const headers = { 'idempotency-key': 'find-me' };
  const answer = fetch(`${service.url}/api/chat`, jsonPost(ask, headers));
  await middle.reached;
  const stream = await streamChat(service, ask, headers);
  await cancelRun(service, stream.runId);
  const response = await answer;
  expect(response.status).toBe(499);
  expect((await problemOf(response)).type).toBe('urn:paf:error:cancelled');
});

test('a second cancel does no harm, nor do many at once', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(service, ask);
  await middle.reached;
  const records = await Promise.all([1, 2, 3, 4].map(() => cancelRun(service, stream.runId)));
  expect(new Set(records.map(({ status }) => status))).toEqual(new Set(['cancelled']));
  const events = await stream.ended;
  expect(namesOf(events).filter((name) => name === 'error' || name === 'done')).toEqual(['error', 'done']);
  expect((await cancelRun(service, stream.runId)).status).toBe('cancelled');
  expect(await (await resume(service, stream.runId, 0)).ended).toEqual(events);
});

test('a cancel of a finished run changes nothing', async () => {
  const { service } = await startChat([hello]);
  const stream = await streamChat(service, ask);
  const events = await stream.ended;
  const before = await getRun(service, stream.runId);
  expect(before.status).toBe('completed');
  expect(await cancelRun(service, stream.runId)).toEqual(before);
  expect(await (await resume(service, stream.runId, 0)).ended).toEqual(events);
});

test('a cancel of a failed run changes nothing', async () => {
  const { service } = await startChat([{ fault: 'status:400' }]);
  const stream = await streamChat(service, ask);
  await stream.ended;
  expect((await cancelRun(service, stream.runId)).status).toBe('failed');
});

test('a cancelled run is resumed up to its cancelled end', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(service, ask);
  await stream.waitFor(({ id }) => id === 2);
  await cancelRun(service, stream.runId);
  const rest = await (await resume(service, stream.runId, 1)).ended;
  expect(namesOf(rest)).toEqual(['content', 'error', 'done']);
  expect(contentOf(rest)).toBe(' there,');
});

test('the place of a cancelled run is free again', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }, hello], { MAX_CONCURRENT_REQUESTS: '1' });
  const stream = await streamChat(service, ask);
  await middle.reached;
  await cancelRun(service, stream.runId);
  expect(contentOf(await (await streamChat(service, ask)).ended)).toBe(hello.text);
});
