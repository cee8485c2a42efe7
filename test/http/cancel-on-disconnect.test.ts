import { expect, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { Tool } from '../../src/tools/tool.ts';
import {
  type ChatWorld,
  endOf,
  eventsUrl,
  getRun,
  isContent,
  namesOf,
  resume,
  startChat,
} from '../helpers/chat.ts';
import { contentOf, jsonPost, streamChat } from '../helpers/service.ts';

/** A loaded machine may stop the test itself for longer than the promised time. */
const timed = { retry: 2 };

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

async function heldRun(
  body: object,
): Promise<ChatWorld & { middle: ReturnType<typeof hold>; stream: Awaited<ReturnType<typeof streamChat>> }> {
  const middle = hold(2);
  const world = await startChat([{ ...hello, hold: middle }]);
  const stream = await streamChat(world.service, body);
  await stream.waitFor(({ id }) => id === 2);
  return { ...world, middle, stream };
}

const activeRuns = ({ service }: ChatWorld) => service.services.runs.activeCount;

test(
  'the last reader leaves: the call to the model ends within 250 ms and the run is cancelled',
  timed,
  async () => {
    const world = await heldRun(ask);
    const startedMs = performance.now();
    world.stream.abort();
    const { at } = await world.fake.waitForAbort();
    expect(at - startedMs).toBeLessThan(250);
    const events = await endOf(world.service, world.stream.runId);
    expect(namesOf(events)).toEqual(['content', 'content', 'error', 'done']);
    expect(events[2]?.data).toMatchObject({ error_type: 'cancelled', retryable: false });
    expect(await getRun(world.service, world.stream.runId)).toMatchObject({
      status: 'cancelled',
      usage: { output_tokens: 3, estimated: true },
    });
    expect(activeRuns(world)).toBe(0);
  },
);

test('the reader leaves before the first token', async () => {
  const first = hold(0);
  const { fake, service } = await startChat([{ ...hello, hold: first }]);
  const stream = await streamChat(service, ask);
  await first.reached;
  stream.abort();
  await fake.waitForAbort();
  expect(namesOf(await endOf(service, stream.runId))).toEqual(['error', 'done']);
});

test('with on_disconnect continue the run goes on and the answer can be fetched', async () => {
  const world = await heldRun({ ...ask, on_disconnect: 'continue' });
  world.stream.abort();
  await expect.poll(() => readers(world)).toBe(0);
  expect(activeRuns(world)).toBe(1);
  expect(world.fake.requests[0]?.state).toBe('open');
  const rest = await resume(world.service, world.stream.runId, 2);
  world.middle.release();
  expect(contentOf(await rest.ended)).toBe(' my good old friend.');
  expect((await getRun(world.service, world.stream.runId)).status).toBe('completed');
});

test('with on_disconnect continue a run that nobody reads completes', async () => {
  const world = await heldRun({ ...ask, on_disconnect: 'continue' });
  world.stream.abort();
  await expect.poll(() => readers(world)).toBe(0);
  world.middle.release();
  await expect.poll(() => activeRuns(world)).toBe(0);
  expect(contentOf(await endOf(world.service, world.stream.runId))).toBe(hello.text);
});

test('of several readers only the last one that leaves cancels', async () => {
  const world = await heldRun(ask);
  const second = await resume(world.service, world.stream.runId, 0);
  const third = await resume(world.service, world.stream.runId, 1);
  await second.waitFor(isContent);
  await third.waitFor(isContent);
  for (const [reader, left] of [
    [world.stream, 2],
    [second, 1],
  ] as const) {
    reader.abort();
    await expect.poll(() => readers(world)).toBe(left);
    expect(activeRuns(world)).toBe(1);
    expect(world.fake.requests[0]?.state).toBe('open');
  }
  third.abort();
  await world.fake.waitForAbort();
  expect((await endOf(world.service, world.stream.runId)).at(-2)?.data.error_type).toBe('cancelled');
});

test('the first reader leaves and the second one gets the whole answer', async () => {
  const world = await heldRun(ask);
  const second = await resume(world.service, world.stream.runId, 0);
  world.stream.abort();
  await expect.poll(() => readers(world)).toBe(1);
  world.middle.release();
  expect(contentOf(await second.ended)).toBe(hello.text);
});

test('a HEAD request for the events is no reader', async () => {
  const world = await heldRun(ask);
  const head = await fetch(eventsUrl(world.service, world.stream.runId), { method: 'HEAD' });
  expect([200, 404, 405]).toContain(head.status);
  world.stream.abort();
  await world.fake.waitForAbort();
});

test('the caller of POST /api/chat hangs up: the run is cancelled', timed, async () => {
  const middle = hold(2);
  const world = await startChat([{ ...hello, hold: middle }]);
  const caller = new AbortController();
  const answer = fetch(`${world.service.url}/api/chat`, { ...jsonPost(ask), signal: caller.signal });
  await middle.reached;
  const startedMs = performance.now();
  caller.abort();
  await expect(answer).rejects.toThrow('aborted');
  expect((await world.fake.waitForAbort()).at - startedMs).toBeLessThan(250);
  await expect.poll(() => activeRuns(world)).toBe(0);
});

test('the caller of POST /api/chat hangs up, but asked to continue', async () => {
  const middle = hold(2);
  const world = await startChat([{ ...hello, hold: middle }]);
  const caller = new AbortController();
  const headers = { 'idempotency-key': 'come-back' };
  const body = { ...ask, on_disconnect: 'continue' };
  const call = { ...jsonPost(body, headers), signal: caller.signal };
  const answer = fetch(`${world.service.url}/api/chat`, call);
  await middle.reached;
  caller.abort();
  await expect(answer).rejects.toThrow('aborted');
  const again = fetch(`${world.service.url}/api/chat`, jsonPost(body, headers));
  middle.release();
  expect(await (await again).json()).toMatchObject({ content: hello.text });
});

test(
  'the reader leaves while a tool runs: the tool is told, no other one starts, no model is asked',
  timed,
  async () => {
    const toolCalls = [
      { id: 'call_1', name: 'slow', arguments: '{}' },
      { id: 'call_2', name: 'slow', arguments: '{}' },
    ];
    const world = await startChat([{ toolCalls }]);
    const running = Promise.withResolvers<AbortSignal>();
    const execute = vi.fn<Tool['execute']>((_args, _context, signal) => {
      running.resolve(signal);
      return new Promise(() => {});
    });
    const slow: Tool = {
      name: 'slow',
      description: 'Takes for ever.',
      parameters: { type: 'object', properties: {} },
      isParallel: false,
      execute,
    };
    vi.spyOn(world.service.services.tools, 'list').mockReturnValue([slow]);
    const stream = await streamChat(world.service, ask);
    const signal = await running.promise;
    const startedMs = performance.now();
    const told = new Promise((resolve) => signal.addEventListener('abort', resolve));
    stream.abort();
    await told;
    expect(performance.now() - startedMs).toBeLessThan(250);
    const events = await endOf(world.service, stream.runId);
    expect(namesOf(events)).toEqual(['tool_call', 'error', 'done']);
    expect(execute).toHaveBeenCalledTimes(1);
    expect(world.fake.requests.length).toBe(1);
  },
);

test('a reader who leaves right after asking leaves nothing behind', async () => {
  const world = await startChat(Array.from({ length: 5 }, () => ({ ...hello, hold: hold(0) })));
  for (let number = 1; number <= 5; number += 1) {
    const caller = new AbortController();
    const answer = fetch(`${world.service.url}/api/chat/stream`, { ...jsonPost(ask), signal: caller.signal });
    await world.fake.waitForRequest(number);
    caller.abort();
    await answer.catch(() => {});
    await world.fake.waitForAbort(number);
  }
  await expect.poll(() => activeRuns(world)).toBe(0);
  await expect.poll(() => readers(world)).toBe(0);
});

/** Streams that the service counts as open. */
async function readers({ service }: ChatWorld): Promise<number> {
  const gauge = await service.services.metrics.streamReaders.get();
  return gauge.values[0]?.value ?? Number.NaN;
}
