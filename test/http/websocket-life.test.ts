import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { Run } from '../../src/runs/run.ts';
import { endOf, getRun, namesOf, problemOf, startChat } from '../helpers/chat.ts';
import { jsonPost, startService } from '../helpers/service.ts';
import { openSocket, refusalOf, textOf, typesOf } from '../helpers/socket.ts';

/** A loaded machine may stop the test itself for longer than the promised time. */
const timed = { retry: 2 };

const ask = { type: 'query', prompt: 'Say hello to me.' };
/** About so many MiB of text that does not repeat itself. */
function story(megabytes: number): string[] {
  const length = megabytes * 525;
  return Array.from({ length }, (_, chunk) =>
    Array.from(
      { length: 20 },
      (_, line) => `${chunk}/${line}: A line of a story that is read by somebody, ${chunk * line}. `,
    )
      .join('')
      .padEnd(1999, '.')
      .concat('\n'),
  );
}

const hello = { text: 'Hello there, my good old friend.' };

test('the last reader leaves: the call to the model ends within 250 ms', timed, async () => {
  const middle = hold(2);
  const { service, fake } = await startChat([{ ...hello, hold: middle }]);
  const [client, viewer] = [await openSocket(service), await openSocket(service)];
  client.send(ask);
  const { runId = '' } = await client.waitFor(({ seq }) => seq === 2);
  viewer.send({ type: 'resume', runId, after: 0 });
  await viewer.waitFor(({ seq }) => seq === 2);
  client.socket.close();
  await client.closed;
  expect(service.services.runs.activeCount).toBe(1);
  const startedMs = performance.now();
  viewer.socket.terminate();
  expect((await fake.waitForAbort()).at - startedMs).toBeLessThan(250);
  expect(namesOf(await endOf(service, runId))).toEqual(['content', 'content', 'error', 'done']);
});

test.each([
  ['says that it closes', [0x88, 0x80]],
  ['breaks the protocol', [0x83, 0x80]],
])('a peer that %s and keeps the connection: the call ends within 250 ms', timed, async (_name, bytes) => {
  const { service, fake } = await startChat([{ ...hello, hold: hold(1) }]);
  const client = await openSocket(service);
  client.send(ask);
  await client.until('chunk');
  // from here on it neither reads nor ends its side
  client.wire.pause();
  const startedMs = performance.now();
  client.wire.write(Buffer.from([...bytes, 0, 0, 0, 0]));
  expect((await fake.waitForAbort()).at - startedMs).toBeLessThan(250);
});

test('every run of a socket is cancelled that is not to continue', async () => {
  const pauses = [hold(1), hold(1), hold(1)];
  const { service, fake } = await startChat(pauses.map((pause) => ({ ...hello, hold: pause })));
  const client = await openSocket(service);
  for (const on_disconnect of ['cancel', 'continue', 'cancel']) {
    client.send({ ...ask, on_disconnect, metadata: { on_disconnect } });
  }
  await Promise.all(pauses.map((pause) => pause.reached));
  await client.waitFor(() => client.frames.length === 3);
  client.socket.terminate();
  await Promise.all([fake.waitForAbort(1), fake.waitForAbort(2)]);
  await expect.poll(() => service.services.runs.activeCount).toBe(1);
  for (const pause of pauses) pause.release();
  const ids = client.frames.map(({ runId = '' }) => runId);
  await Promise.all(ids.map((id) => endOf(service, id)));
  const records = await Promise.all(ids.map((id) => getRun(service, id)));
  for (const { status, metadata } of records as (Awaited<ReturnType<typeof getRun>> & {
    metadata: { on_disconnect: string };
  })[]) {
    expect(status).toBe(metadata.on_disconnect === 'cancel' ? 'cancelled' : 'completed');
  }
});

test('a socket that closes right after its query leaves nothing behind', async () => {
  const service = await startService();
  for (let count = 0; count < 10; count += 1) {
    const client = await openSocket(service);
    client.send(ask);
    client.socket.terminate();
    await client.closed;
  }
  await expect.poll(() => service.services.runs.activeCount).toBe(0);
  await expect.poll(() => service.services.sessions.busyCount).toBe(0);
});

test('a run that starts while its socket closes is cancelled', async () => {
  const { service } = await startChat([]);
  const { fileFetcher, runs } = service.services;
  const opened = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<AbortSignal>();
  vi.spyOn(fileFetcher, 'open').mockImplementation(async (_links, signal) => {
    asked.resolve(signal);
    await opened.promise;
    return { fetches: new Map() };
  });
  const start = vi.spyOn(runs, 'start');
  const client = await openSocket(service);
  client.send(ask);
  const signal = await asked.promise;
  const left = once(signal, 'abort');
  client.socket.terminate();
  await left;
  opened.resolve();
  await expect.poll(() => start.mock.results.length).toBe(1);
  const run = start.mock.results[0]?.value as Run;
  expect(await run.ended).toMatchObject({ status: 'cancelled' });
});

test('a peer that answers pings stays, one that does not is cut after two', async () => {
  const service = await startService({}, { heartbeatMs: 100 });
  const alive = await openSocket(service);
  const dead = await openSocket(service, { autoPong: false });
  let pings = 0;
  alive.socket.on('ping', () => {
    pings += 1;
  });
  const startedMs = performance.now();
  expect(await dead.closed).toBe(1006);
  expect(performance.now() - startedMs).toBeGreaterThan(290);
  expect(pings).toBeGreaterThanOrEqual(2);
  await wait(300);
  expect(alive.socket.readyState).toBe(alive.socket.OPEN);
});

test('a peer that takes its time for a large message is not cut in the middle of it', async () => {
  const { service } = await startChat([hello], {}, { heartbeatMs: 100 });
  const client = await openSocket(service, { autoPong: false });
  const message = Buffer.from(JSON.stringify(ask).padEnd(125));
  client.wire.write(Buffer.from([0x81, 0xfd, 0, 0, 0, 0]));
  for (let at = 0; at < message.length; at += 10) {
    client.wire.write(message.subarray(at, at + 10));
    await wait(50);
  }
  await client.until('complete');
  expect(textOf(client.frames)).toBe(hello.text);
});

test('a peer that reads too slowly is dropped with 1013, and its run is cancelled', async () => {
  const { service, fake } = await startChat([{ chunks: story(16) }], {}, { readerLagBytes: 65_536 });
  const client = await openSocket(service);
  client.send(ask);
  const { runId = '' } = await client.waitFor(({ type }) => type === 'chunk');
  client.wire.pause();
  await fake.waitForAbort();
  client.wire.resume();
  expect(await client.closed).toBe(1013);
  expect(client.frames.map(({ seq }) => seq)).toEqual(client.frames.map((_, index) => index + 1));
  expect(await getRun(service, runId)).toMatchObject({ status: 'cancelled' });
  expect(service.logs).toContainEqual(
    expect.objectContaining({ msg: 'a reader stalled and was dropped', run_id: runId }),
  );
});

test('a peer that reads gets all of a long answer, and one that pauses for a moment too', async () => {
  const chunks = story(6);
  const { service } = await startChat([{ chunks }]);
  const client = await openSocket(service);
  client.send(ask);
  await client.waitFor(({ seq }) => seq === 500);
  client.wire.pause();
  await wait(50);
  client.wire.resume();
  const frames = await client.until('complete', 'error');
  expect(textOf(frames)).toBe(chunks.join(''));
  expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
});

test('the limit of runs is that of HTTP', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }], { MAX_CONCURRENT_REQUESTS: '1' });
  const [first, second] = [await openSocket(service), await openSocket(service)];
  first.send(ask);
  await middle.reached;
  second.send(ask);
  expect(await second.until('error', 'complete')).toMatchObject([
    { error_type: 'overloaded', retryable: true },
  ]);
  middle.release();
  await first.until('complete');
});

test('the app that closes sends what is left, says why, and cuts those that do not listen', async () => {
  const chunks = story(6);
  const { service } = await startChat([{ chunks }]);
  const [client, deaf] = [await openSocket(service), await openSocket(service)];
  client.send(ask);
  const frames = await client.until('complete');
  deaf.wire.pause();
  client.send({ type: 'resume', runId: frames[0]?.runId, after: 0 });
  await client.waitFor(() => client.frames.length > frames.length);
  const startedMs = performance.now();
  await service.close();
  expect(performance.now() - startedMs).toBeLessThan(4500);
  expect(await client.closed).toBe(1001);
  expect(client.frames.slice(frames.length)).toEqual(frames);
  deaf.wire.resume();
  await deaf.closed;
});

test('a run that forgets its events while it is followed says so', async () => {
  const { service } = await startChat([{ chunks: story(6) }]);
  const client = await openSocket(service);
  client.send({ ...ask, on_disconnect: 'continue' });
  const { runId = '' } = await client.waitFor(({ type }) => type === 'complete');
  const slow = await openSocket(service);
  slow.wire.pause();
  for (let count = 0; count < 6; count += 1) slow.send({ type: 'resume', runId, after: 0 });
  await expect.poll(() => slow.wire.bytesWritten).toBeGreaterThan(0);
  await wait(100);
  service.services.runs.close();
  slow.wire.resume();
  expect(await slow.until('error')).toSatisfy(
    (frames: { error_type?: string }[]) => frames.at(-1)?.error_type === 'gone',
  );
  expect(slow.frames.at(-1)).toMatchObject({ runId, error_type: 'gone' });
});

test('what is no WebSocket is told so', async () => {
  const service = await startService();
  const plain = await fetch(`${service.url}/api/ws`);
  expect([plain.status, plain.headers.get('upgrade')]).toEqual([426, 'websocket']);
  expect((await problemOf(plain)).type).toBe('urn:paf:error:upgrade_required');
  const posted = await fetch(`${service.url}/api/ws`, jsonPost({}));
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  const handshake = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
  };
  for (const header of ['Sec-WebSocket-Key', 'Sec-WebSocket-Version']) {
    const asking = request(`${service.url}/api/ws`, { headers: { ...handshake, [header]: 'x' } }).end();
    const [response] = await once(asking, 'response');
    expect(response.statusCode).toBe(400);
    expect(JSON.parse(Buffer.concat(await response.toArray()).toString()).detail).toMatch(header);
  }
  for (const path of ['/api/health', '/nothing']) {
    expect(await refusalOf(service, {}, path)).toMatchObject({ status: 404 });
  }
});

test('a handshake for no path at all is answered, and does not keep the app from closing', async () => {
  const service = await startService();
  const asking = request(`${service.url}/%ff`, {
    headers: { connection: 'Upgrade', upgrade: 'websocket' },
  }).end();
  const [response] = await once(asking, 'response');
  expect([response.statusCode, response.headers.connection]).toEqual([400, 'close']);
  await once(response.resume(), 'close');
  await once(response.socket, 'close');
  await service.close();
});

test('a client that would upgrade to HTTP/2 is answered in HTTP/1.1', async () => {
  const service = await startService();
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' };
  const asking = request(`${service.url}/api/chat`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
  });
  asking.end(JSON.stringify({ message: 'Say hello.' }));
  const [response] = await once(asking, 'response');
  expect(response.statusCode).toBe(200);
  expect(JSON.parse(Buffer.concat(await response.toArray()).toString()).content).not.toBe('');
});

test('pages of other origins are refused unless CORS_ORIGINS has them', async () => {
  const service = await startService({ CORS_ORIGINS: 'https://app.example' });
  const { host } = new URL(service.url);
  for (const origin of [
    'https://evil.example',
    'null',
    'https://app.example.evil.example',
    'http://localhost:1',
    '%',
  ]) {
    const refusal = await refusalOf(service, { headers: { origin } });
    expect(refusal).toMatchObject({ status: 403, problem: { type: 'urn:paf:error:forbidden' } });
    expect(refusal.headers['content-type']).toMatch(/^application\/problem\+json/);
  }
  for (const headers of [
    {},
    { origin: 'https://app.example' },
    { origin: `http://${host}` },
    { origin: `https://${host}` },
  ]) {
    const client = await openSocket(service, { headers });
    client.socket.close();
    expect(await client.closed).toBe(1005);
  }
  const open = await startService({ CORS_ORIGINS: '*' });
  (await openSocket(open, { headers: { origin: 'https://evil.example' } })).socket.close();
});

test('so many sockets and no more', async () => {
  const service = await startService({}, { maxWebSockets: 2 });
  const [first] = [await openSocket(service), await openSocket(service)];
  const refusal = await refusalOf(service);
  expect(refusal).toMatchObject({ status: 503, problem: { type: 'urn:paf:error:overloaded' } });
  expect(refusal.headers['retry-after']).toBe('1');
  first.socket.close();
  await first.closed;
  await expect
    .poll(async () => service.services.metrics.webSockets.get().then(({ values }) => values[0]?.value))
    .toBe(1);
  await openSocket(service);
});

test('a socket has a request id, one line in the log and one place in the metrics', async () => {
  const { service } = await startChat([hello]);
  const client = await openSocket(service, { headers: { 'x-request-id': 'my-socket' } });
  client.send(ask);
  expect((await client.until('complete')).at(-1)).toMatchObject({ request_id: 'my-socket' });
  client.send({ type: 'resume', runId: 'x', after: 0 });
  expect(await client.until('error')).toMatchObject([{ request_id: 'my-socket' }]);
  client.socket.close(4000);
  await client.closed;
  await expect.poll(() => service.logs.filter(({ msg }) => msg === 'websocket')).toHaveLength(1);
  expect(service.logs.find(({ msg }) => msg === 'websocket')).toMatchObject({
    request_id: 'my-socket',
    route: '/api/ws',
    close_code: 4000,
  });
  const text = await (await fetch(`${service.url}/metrics`)).text();
  expect(text).toContain('paf_websocket_connections 0\n');
  expect(text).toContain(
    'http_request_duration_seconds_count{method="GET",route="/api/ws",status_code="101"} 1\n',
  );
  expect(text).toContain('paf_errors_total{type="not_found"} 1\n');
  expect(typesOf(client.frames).at(-1)).toBe('error');
});
