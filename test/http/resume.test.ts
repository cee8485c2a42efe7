import { EventSource } from 'eventsource';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { eventsUrl, isContent, namesOf, problemOf, resume, startChat } from '../helpers/chat.ts';
import { contentOf, jsonPost, openStream, type SseEvent, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const words = ['Hello', ' there', ' my', ' good', ' old', ' friend.'];
const hello = { chunks: words };

/** The frames of a stream, without the comments. */
const framesOf = (raw: string) => raw.replaceAll(/^:.*\n\n/gm, '');

async function finishedRun() {
  const { service } = await startChat([{ ...hello, reasoning: 'Be kind.' }]);
  const stream = await streamChat(service, { ...ask, show_thinking: true });
  const events = await stream.ended;
  const framesAfter = (after: number) =>
    framesOf(stream.raw())
      .split(/(?<=\n\n)/)
      .slice(after)
      .join('');
  return { service, id: stream.runId, events, framesAfter };
}

test('from any event on, a resumed stream is byte for byte the rest of the first one', async () => {
  const { service, id, events, framesAfter } = await finishedRun();
  const anyEvent = fc.integer({ min: 0, max: events.length - 1 });
  await fc.assert(
    fc.asyncProperty(anyEvent, fc.constantFrom('header', 'query'), async (after, how) => {
      const stream = await (how === 'header'
        ? resume(service, id, after)
        : openStream(`${eventsUrl(service, id)}?after=${after}`));
      expect(await stream.ended).toEqual(events.slice(after));
      expect(framesOf(stream.raw())).toBe(framesAfter(after));
    }),
    { numRuns: 40 },
  );
});

test('without a cursor, and from 0, it starts at the first event', async () => {
  const { service, id, framesAfter } = await finishedRun();
  for (const query of ['', '?after=0']) {
    expect(framesOf(await (await fetch(eventsUrl(service, id) + query)).text())).toBe(framesAfter(0));
  }
});

test('the header wins over the query', async () => {
  const { service, id, events } = await finishedRun();
  const stream = await openStream(`${eventsUrl(service, id)}?after=1`, { headers: { 'last-event-id': '4' } });
  expect(await stream.ended).toEqual(events.slice(4));
  expect(stream.runId).toBe(id);
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
});

test('at the end of a finished run there is nothing: 204', async () => {
  const { service, id, events } = await finishedRun();
  const headers = { 'last-event-id': String(events.length) };
  const response = await fetch(eventsUrl(service, id), { headers });
  expect(response.status).toBe(204);
  expect(await response.text()).toBe('');
});

test('at the newest event of a live run there is the live tail', async () => {
  const middle = hold(3);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask);
  await first.waitFor(({ id }) => id === 3);
  const second = await resume(service, first.runId, 3);
  expect(second.events).toEqual([]);
  middle.release();
  expect(await second.ended).toEqual((await first.ended).slice(3));
});

test('a reader that joins in the middle gets the past and then the live tail', async () => {
  const middle = hold(3);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask);
  await first.waitFor(({ id }) => id === 3);
  const second = await resume(service, first.runId, 1);
  await second.waitFor(({ id }) => id === 3);
  expect(contentOf(second.events)).toBe(' there my');
  middle.release();
  await second.ended;
  expect(second.events).toEqual((await first.ended).slice(1));
});

test('readers of one run get the same bytes', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const first = await streamChat(service, ask);
  await first.waitFor(isContent);
  const others = await Promise.all([1, 2, 3].map(() => resume(service, first.runId, 0)));
  middle.release();
  await first.ended;
  for (const other of others) {
    await other.ended;
    expect(framesOf(other.raw())).toBe(framesOf(first.raw()));
  }
});

const junk = ['abc', '-1', '1.5', '1e1', '0x1', '', ' ', 'NaN', '99999999999999999999', '1,2', '١'];

test.each(junk)('a cursor that is no number is refused: "%s"', async (cursor) => {
  const { service, id } = await finishedRun();
  const inQuery = await fetch(`${eventsUrl(service, id)}?after=${encodeURIComponent(cursor)}`);
  expect(inQuery.status).toBe(400);
  expect((await problemOf(inQuery)).errors).toEqual([{ path: 'after', message: 'must be a whole number' }]);
  if (/[^\x20-\x7e]/.test(cursor)) return;
  const inHeader = await fetch(eventsUrl(service, id), { headers: { 'last-event-id': cursor } });
  expect(inHeader.status).toBe(400);
  expect((await problemOf(inHeader)).errors?.[0]?.path).toBe('Last-Event-ID');
});

test('a cursor beyond the newest event is refused, on live and on finished runs', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const live = await streamChat(service, ask);
  await live.waitFor(isContent);
  const check = async (newest: number) => {
    const headers = { 'last-event-id': String(newest + 1) };
    const response = await fetch(eventsUrl(service, live.runId), { headers });
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toContain(`beyond the newest event, ${newest}`);
  };
  await check(1);
  middle.release();
  await check((await live.ended).length);
});

test.each([
  'run_0123456789abcdef0123456789abcdef',
  'nonsense',
  '..%2f..%2fetc',
  '%00',
  'constructor',
  'x'.repeat(90),
])('an id that nobody holds is 404: %s', async (id) => {
  const { service } = await startChat([]);
  for (const path of [`${id}/events`, id]) {
    const response = await fetch(`${service.url}/api/runs/${path}`);
    expect(response.status).toBe(404);
    expect((await problemOf(response)).type).toBe('urn:paf:error:not_found');
  }
  const cancel = await fetch(`${service.url}/api/runs/${id}/cancel`, { method: 'POST' });
  expect(cancel.status).toBe(404);
});

test.each([
  ['events', { runLogEvents: 4 }],
  ['bytes', { runLogBytes: 2000 }],
])('a cursor whose events were given up for the bound on %s gets 410', async (_bound, overrides) => {
  const { service } = await startChat([hello], {}, overrides);
  const answer = await fetch(`${service.url}/api/chat`, jsonPost(ask));
  const id = answer.headers.get('x-run-id') ?? '';
  const newest = words.length + 2;
  const askFrom = (after: number) =>
    fetch(eventsUrl(service, id), { headers: { 'last-event-id': String(after) } });
  const statuses: number[] = [];
  for (let after = 0; after < newest; after += 1) statuses.push((await askFrom(after)).status);
  const firstHeld = statuses.indexOf(200);
  expect(firstHeld).toBeGreaterThan(0);
  expect(statuses).toEqual([...Array(firstHeld).fill(410), ...Array(newest - firstHeld).fill(200)]);
  const problem = await problemOf(await askFrom(0));
  expect(problem.type).toBe('urn:paf:error:gone');
  expect(problem.detail).toContain(`Events up to ${firstHeld} are no longer held`);
  const rest = await (await resume(service, id, firstHeld)).ended;
  expect(rest.map((event) => event.id)).toEqual(
    Array.from({ length: newest - firstHeld }, (_, index) => firstHeld + 1 + index),
  );
  expect(namesOf(rest).slice(-2)).toEqual(['complete', 'done']);
});

test('after RUN_LOG_TTL everything about the run is 410', async () => {
  const { service } = await startChat([hello], { RUN_LOG_TTL: '0.1' });
  const stream = await streamChat(service, ask);
  await stream.ended;
  const statusOf = async (path: string, method = 'GET') =>
    (await fetch(`${service.url}/api/runs/${stream.runId}${path}`, { method })).status;
  await expect.poll(() => statusOf('/events'), { timeout: 5000 }).toBe(410);
  expect(await statusOf('')).toBe(410);
  expect(await statusOf('/cancel', 'POST')).toBe(410);
  const gone = await fetch(eventsUrl(service, stream.runId), { headers: { 'last-event-id': '2' } });
  expect((await problemOf(gone)).type).toBe('urn:paf:error:gone');
});

test('a live run is kept however long it takes', async () => {
  const end = hold(6);
  const { service } = await startChat([{ ...hello, hold: end, delayMs: 30 }], { RUN_LOG_TTL: '0.05' });
  const stream = await streamChat(service, ask);
  await end.reached;
  expect((await fetch(`${service.url}/api/runs/${stream.runId}`)).status).toBe(200);
  end.release();
  expect(contentOf(await stream.ended)).toBe(words.join(''));
});

/** Cuts each response after so many bytes, as a bad network would, and lets the client reconnect soon. */
function cuttingFetch(cutAfterBytes: number) {
  const cursors: (string | null)[] = [];
  const statuses: number[] = [];
  const fetchAndCut = async (url: string | URL, init: RequestInit): Promise<Response> => {
    cursors.push(new Headers(init.headers).get('last-event-id'));
    const response = await fetch(url, init);
    statuses.push(response.status);
    if (!response.body) return response;
    let left = cutAfterBytes;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('retry: 5\n\n')),
      transform(bytes, controller) {
        controller.enqueue(bytes.subarray(0, left));
        left -= bytes.length;
        if (left <= 0) controller.terminate();
      },
    });
    const result = new Response(response.body.pipeThrough(cut), response);
    Object.defineProperty(result, 'url', { value: response.url });
    return result;
  };
  return { fetch: fetchAndCut, cursors, statuses };
}

test('a browser-style EventSource that is cut again and again loses nothing, and 204 stops it', async () => {
  const { service } = await startChat([{ chunks: words, reasoning: 'Be kind.' }]);
  const original = await (await streamChat(service, { ...ask, show_thinking: true })).ended;
  const run = original.at(-2)?.data.run_id as string;
  const network = cuttingFetch(1500);
  const source = new EventSource(eventsUrl(service, run), { fetch: network.fetch as never });
  onTestFinished(() => source.close());
  const seen: SseEvent[] = [];
  const stopped = new Promise<void>((resolve) => {
    source.addEventListener('error', (event) => {
      if (!('data' in event) && source.readyState === source.CLOSED) resolve();
    });
  });
  for (const name of ['thinking', 'reasoning', 'content', 'complete', 'done']) {
    source.addEventListener(name, (event) => {
      const data = name === 'done' ? { done: event.data } : JSON.parse(event.data);
      seen.push({ id: Number(event.lastEventId), event: name, data });
    });
  }
  await stopped;
  expect(seen).toEqual(original);
  expect(namesOf(seen).at(-1)).toBe('done');
  expect(network.statuses.length).toBeGreaterThan(3);
  expect(network.statuses.at(-1)).toBe(204);
  expect(network.cursors[0]).toBeNull();
  expect(network.cursors.at(-1)).toBe(String(original.length));
});
