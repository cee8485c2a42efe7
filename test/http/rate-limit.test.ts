import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Config } from '../../src/config.ts';
import { problemOf } from '../helpers/chat.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { jsonPost, startService, type TestService } from '../helpers/service.ts';
import { openSocket, socketUrl } from '../helpers/socket.ts';
import { bearer, jwtEnv, type TestCaller } from '../helpers/tokens.ts';

const ada = { tenant: 'acme', subject: 'ada' };
const bob = { tenant: 'acme', subject: 'bob' };

const start = (env: Record<string, string>, overrides: Partial<Config> = {}) =>
  startService({ ...jwtEnv, LOG_LEVEL: 'silent', ...env }, overrides);

const get = (service: TestService, caller: TestCaller, path = '/api/chat/models') =>
  fetch(service.url + path, { headers: bearer(caller) });
const ask = (service: TestService, caller: TestCaller, path = '/api/chat') =>
  fetch(service.url + path, jsonPost({ message: 'Say hello.' }, bearer(caller)));

async function statusesOf(times: number, send: () => Promise<Response>): Promise<number[]> {
  const statuses: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const response = await send();
    await response.arrayBuffer();
    statuses.push(response.status);
  }
  return statuses;
}

const standingOf = ({ headers }: Response) =>
  ['limit', 'remaining', 'reset'].map((name) => Number(headers.get(`ratelimit-${name}`)));

const rejections = async (service: TestService, scope: string) => {
  const { values } = await service.services.metrics.rateLimitRejections.get();
  return values.find(({ labels }) => labels.scope === scope)?.value ?? 0;
};

test('exactly RATE_LIMIT_RPM requests of a subject pass, and others are not touched', async () => {
  const service = await start({ RATE_LIMIT_RPM: '3' });
  expect(await statusesOf(5, () => get(service, ada))).toEqual([200, 200, 200, 429, 429]);
  for (const other of [bob, { tenant: 'other', subject: 'ada' }, { subject: 'ada' }]) {
    expect(await statusesOf(1, () => get(service, other))).toEqual([200]);
  }
  expect(await rejections(service, 'requests')).toBe(2);
});

test('no two callers share a budget by the way their names are put together', async () => {
  const service = await start({ RATE_LIMIT_RPM: '1' });
  for (const [tenant, subject] of [
    ['a:b', 'c'],
    ['a', 'b:c'],
    ['a","b', 'c'],
    ['a', 'b","c'],
    ['a', 'bc'],
    ['ab', 'c'],
  ] as const) {
    expect(await statusesOf(2, () => get(service, { tenant, subject }))).toEqual([200, 429]);
  }
});

test('a refusal says when a retry succeeds, and it does', async () => {
  const service = await start({ RATE_LIMIT_RPM: '2' }, { rateLimitWindowMs: 1500 });
  const first = await get(service, ada);
  expect(standingOf(first)).toEqual([2, 1, 2]);
  expect(standingOf(await get(service, ada)).slice(0, 2)).toEqual([2, 0]);
  const refused = await get(service, ada);
  expect(refused.status).toBe(429);
  expect(standingOf(refused).slice(0, 2)).toEqual([2, 0]);
  const retryAfter = Number(refused.headers.get('retry-after'));
  expect(retryAfter).toBe(Number(refused.headers.get('ratelimit-reset')));
  expect(await problemOf(refused)).toMatchObject({
    type: 'urn:paf:error:rate_limited',
    status: 429,
    detail: 'You sent more than 2 requests within 1.5 seconds; try again later.',
  });
  await wait(retryAfter * 1000);
  expect((await get(service, ada)).status).toBe(200);
});

test('starting and following answers is counted apart', async () => {
  const service = await start({ RATE_LIMIT_RPM: '100', RATE_LIMIT_STREAMS_RPM: '3' });
  expect((await ask(service, ada)).status).toBe(200);
  const stream = await ask(service, ada, '/api/chat/stream');
  await stream.text();
  const path = `/api/runs/${stream.headers.get('x-run-id')}/events?after=0`;
  const followed = await get(service, ada, path);
  expect(followed.status).toBe(200);
  // the tighter of the two
  expect(standingOf(followed).slice(0, 2)).toEqual([3, 0]);
  for (const send of [
    () => ask(service, ada),
    () => ask(service, ada, '/api/chat/stream'),
    () => ask(service, ada, '/api/agent'),
    () => get(service, ada, path),
  ]) {
    expect(await statusesOf(1, send)).toEqual([429]);
  }
  expect(await rejections(service, 'streams')).toBe(4);
  const other = await get(service, ada);
  expect(other.status).toBe(200);
  expect(standingOf(other).slice(0, 2)).toEqual([100, 92]);
  expect((await ask(service, bob)).status).toBe(200);
});

test('a refused request costs no work: its body is not looked at', async () => {
  const service = await start({ RATE_LIMIT_RPM: '1' });
  await get(service, ada);
  const nonsense = { ...jsonPost({}, bearer(ada)), body: '{' };
  expect((await fetch(`${service.url}/api/chat`, nonsense)).status).toBe(429);
});

test('what is public is not limited, and what is not allowed in is not counted', async () => {
  const service = await start({ RATE_LIMIT_RPM: '1' });
  expect(await statusesOf(3, () => fetch(`${service.url}/api/health/live`))).toEqual([200, 200, 200]);
  expect(await statusesOf(3, () => fetch(`${service.url}/metrics`))).toEqual([200, 200, 200]);
  expect(await statusesOf(3, () => fetch(`${service.url}/api/chat/models`))).toEqual([401, 401, 401]);
  expect(await statusesOf(2, () => get(service, ada))).toEqual([200, 429]);
});

test('without a limit there are no headers', async () => {
  const service = await start({});
  const response = await get(service, ada);
  expect(response.headers.get('ratelimit-limit')).toBeNull();
});

test('messages of a socket are counted too, and one too many leaves it open', async () => {
  const service = await start({ RATE_LIMIT_STREAMS_RPM: '2' });
  const peer = await openSocket(service, { headers: bearer(ada) });
  for (let time = 0; time < 2; time += 1) {
    peer.send({ type: 'query', prompt: 'Say hello.', sessionId: 'mine' });
    await peer.until('complete');
  }
  peer.send({ type: 'query', prompt: 'Say hello.', sessionId: 'mine' });
  const [refused] = await peer.until('error');
  expect(refused).toMatchObject({ error_type: 'rate_limited', retryable: true, sessionId: 'mine' });
  expect(refused?.retry_after).toBeGreaterThanOrEqual(1);
  expect(refused?.retry_after).toBeLessThanOrEqual(60);
  peer.send({ type: 'resume', runId: 'run_x', after: 0 });
  expect((await peer.until('error'))[0]?.error_type).toBe('rate_limited');
  // what starts nothing is still taken
  peer.send({ type: 'clear', sessionId: 'mine' });
  expect((await peer.until('cleared', 'error'))[0]?.type).toBe('cleared');
  expect((await ask(service, ada)).status).toBe(429);
  expect((await ask(service, bob)).status).toBe(200);
});

test('what a socket sends counts also when it cannot be read', async () => {
  // the handshake is the first one
  const service = await start({ RATE_LIMIT_RPM: '3' });
  const peer = await openSocket(service, { headers: bearer(ada) });
  for (const type of ['invalid_request', 'invalid_request', 'rate_limited']) {
    peer.socket.send('{');
    expect((await peer.until('error'))[0]?.error_type).toBe(type);
  }
});

test('with RATE_LIMIT_RPM alone a socket is no way around it', async () => {
  const service = await start({ RATE_LIMIT_RPM: '3' });
  const peer = await openSocket(service, { headers: bearer(ada) });
  peer.send({ type: 'query', prompt: 'Say hello.' });
  await peer.until('complete');
  peer.send({ type: 'nonsense' });
  expect((await peer.until('error'))[0]?.error_type).toBe('invalid_request');
  peer.send({ type: 'cancel' });
  expect((await peer.until('error'))[0]?.error_type).toBe('rate_limited');
  expect((await get(service, ada)).status).toBe(429);
});

test.skipIf(!hasRedis)('two services on one Redis share one budget', async () => {
  const { url } = await useRedis();
  const env = { RATE_LIMIT_RPM: '6', RATE_LIMIT_STREAMS_RPM: '2', REDIS_URL: url };
  const services = [await start(env), await start(env)] as const;
  const sent = Array.from({ length: 20 }, (_none, index) => get(services[index % 2 ? 1 : 0], ada));
  const statuses = (await Promise.all(sent)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(6);
  expect(statuses.filter((status) => status === 429)).toHaveLength(14);
  expect(await statusesOf(1, () => ask(services[0], bob))).toEqual([200]);
  expect(await statusesOf(2, () => ask(services[1], bob))).toEqual([200, 429]);
});

test.skipIf(!hasRedis)(
  'without its Redis everything limited is refused within a second, and taken again after',
  async () => {
    const redis = await useRedis();
    const service = await start({ RATE_LIMIT_RPM: '1000', REDIS_URL: redis.url });
    expect((await get(service, ada)).status).toBe(200);
    for (const [stop, begin] of [
      [redis.pause, redis.resume],
      [redis.stop, redis.start],
    ] as const) {
      await stop();
      const startedMs = performance.now();
      const refused = await get(service, ada);
      expect(performance.now() - startedMs).toBeLessThan(1600);
      expect(refused.headers.get('retry-after')).toBe('1');
      expect(await problemOf(refused)).toMatchObject({
        type: 'urn:paf:error:limits_unavailable',
        status: 503,
      });
      expect((await fetch(`${service.url}/api/health/live`)).status).toBe(200);
      await begin();
      await expect.poll(async () => (await get(service, ada)).status, { timeout: 5000 }).toBe(200);
    }
  },
);

test.skipIf(!hasRedis)('a service starts while its Redis is down', async () => {
  const redis = await useRedis();
  await redis.stop();
  const service = await start({ RATE_LIMIT_RPM: '10', REDIS_URL: redis.url });
  expect((await get(service, ada)).status).toBe(503);
  await redis.start();
  await expect.poll(async () => (await get(service, ada)).status, { timeout: 5000 }).toBe(200);
});

test('a handshake beyond the limit is refused as a request is', async () => {
  const service = await start({ RATE_LIMIT_RPM: '1' });
  await get(service, ada);
  const socket = new WebSocket(socketUrl(service), { headers: bearer(ada) });
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  socket.on('error', () => {});
  expect([response.statusCode, response.headers['ratelimit-remaining']]).toEqual([429, '0']);
  socket.terminate();
});
