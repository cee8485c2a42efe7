import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { Fault } from '../../src/core/errors.ts';
import { createSseStream, type SseOptions } from '../../src/http/protocols/sse.ts';
import { createRuns, type RunWork } from '../../src/runs/runs.ts';
import { getRun, namesOf, startChat } from '../helpers/chat.ts';
import { contentOf, type SseStream, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

const pings = (stream: SseStream) => stream.comments.filter((comment) => comment === 'ping').length;

test('silence is filled with pings from the moment of acceptance, which are no events', async () => {
  const first = hold(0);
  const { service } = await startChat([{ ...hello, hold: first }], {}, { heartbeatMs: 40 });
  const startedMs = performance.now();
  const stream = await streamChat(service, ask);
  await expect.poll(() => pings(stream), { interval: 5 }).toBeGreaterThanOrEqual(4);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(4 * 35);
  expect(stream.raw()).toBe(`: connected\n\n${': ping\n\n'.repeat(pings(stream))}`);
  first.release();
  const events = await stream.ended;
  expect(events[0]?.id).toBe(1);
  expect(contentOf(events)).toBe(hello.text);
  expect((await getRun(service, stream.runId)).status).toBe('completed');
});

test('silence between two tokens is filled too', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }], {}, { heartbeatMs: 40 });
  const stream = await streamChat(service, ask);
  await stream.waitFor(({ id }) => id === 2);
  const before = pings(stream);
  await expect.poll(() => pings(stream), { interval: 5 }).toBeGreaterThanOrEqual(before + 2);
  middle.release();
  expect(contentOf(await stream.ended)).toBe(hello.text);
});

test('while data flows there is no ping', async () => {
  const chunks = Array.from({ length: 60 }, (_, index) => `${index} `);
  const { service } = await startChat([{ chunks, delayMs: 10 }], {}, { heartbeatMs: 400 });
  const startedMs = performance.now();
  const stream = await streamChat(service, { ...ask, message: 'Count up.' });
  const events = await stream.ended;
  expect(performance.now() - startedMs).toBeGreaterThan(590);
  expect(stream.comments).toEqual(['connected']);
  expect(namesOf(events).at(-2)).toBe('complete');
});

test('pings stop with the stream', async () => {
  const { service } = await startChat([hello], {}, { heartbeatMs: 20 });
  const stream = await streamChat(service, ask);
  await stream.ended;
  expect(stream.raw()).toMatch(/data: \[DONE\]\n\n$/);
});

// biome-ignore lint/correctness/useYield: it fails before its first event
const failing: RunWork = async function* () {
  throw new Fault('provider_error', 'It failed.');
};

// biome-ignore lint/correctness/useYield: it has no event
const endless: RunWork = async function* ({ signal }) {
  await once(signal, 'abort');
  throw signal.reason;
};

/** A run and the stream of a connection that takes nothing on its own. */
function untakenStream(
  options: Pick<SseOptions, 'heartbeatMs' | 'onClose'> & Partial<SseOptions>,
  work: RunWork = failing,
) {
  const runs = createRuns({
    maxConcurrent: 1,
    runTimeoutMs: 60_000,
    logTtlMs: 60_000,
    logBytes: 1e6,
    logEvents: 1000,
    logTotalBytes: 1e6,
    readerLagBytes: 1e6,
    observer: { onStart() {}, onEvent() {}, onEnd() {}, onRejected() {} },
  });
  const start = {
    owner: { tenant: 't', subject: 's' },
    requestId: 'r',
    showThinking: false,
    onDisconnect: 'cancel',
  } as const;
  const run = runs.start(start, () => work);
  const stream = createSseStream(run, 0, { requestId: 'r', endsAt: undefined, ...options });
  onTestFinished(() => {
    stream.destroy();
    runs.close();
  });
  return { run, stream };
}

test('a reader that is slow to take the very end loses nothing to a ping', async () => {
  const onClose = vi.fn();
  const heartbeatMs = 200;
  const { run, stream } = untakenStream({ heartbeatMs, onClose });
  await run.ended;
  await expect.poll(() => stream.readableLength, { interval: 1 }).toBeGreaterThan(200);
  // longer than one, and far from the four after which a reader is gone
  await setTimeout(heartbeatMs * 1.5);
  expect(stream.errored).toBeNull();
  const text = Buffer.concat(await stream.toArray()).toString();
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  expect(text).not.toContain('ping');
  expect(onClose).toHaveBeenCalledExactlyOnceWith('ended');
});

test('a reader whose credentials end leaves its run at once, and is told so when it reads', async () => {
  const onClose = vi.fn();
  const endsAt = Date.now() + 20;
  const { run, stream } = untakenStream({ heartbeatMs: 60_000, endsAt, onClose }, endless);
  expect(await run.ended).toMatchObject({ status: 'cancelled' });
  expect(stream.destroyed).toBe(false);
  const text = Buffer.concat(await stream.toArray()).toString();
  expect(text).toMatch(
    /^: connected\n\nevent: error\ndata: \{.*"error_type":"unauthorized".*\}\n\nevent: done\ndata: \[DONE\]\n\n$/,
  );
  expect(onClose).toHaveBeenCalledExactlyOnceWith('expired');
});

test('a reader that takes nothing for several heartbeats is dropped', async () => {
  const onClose = vi.fn();
  const { run, stream } = untakenStream({ heartbeatMs: 20, onClose });
  await run.ended;
  const startedMs = performance.now();
  await expect.poll(() => stream.destroyed, { interval: 5 }).toBe(true);
  expect(performance.now() - startedMs).toBeGreaterThan(60);
  expect(onClose).toHaveBeenCalledExactlyOnceWith('stalled');
});
