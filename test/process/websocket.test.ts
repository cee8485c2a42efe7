import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv } from '../helpers/service.ts';
import { openSocket, textOf } from '../helpers/socket.ts';
import { startProcess } from './service-process.ts';

const ask = { type: 'query', prompt: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

async function heldQuery(drainTimeout: string) {
  const fake = await useFakeLlm({ requireScript: true });
  const middle = hold(2);
  fake.script({ ...hello, hold: middle });
  const service = await startProcess({ ...fakeModelEnv(fake.url), DRAIN_TIMEOUT: drainTimeout });
  const client = await openSocket(service);
  client.send(ask);
  await client.waitFor(({ seq }) => seq === 2);
  return { fake, middle, service, client };
}

test('SIGTERM: new queries are refused, the live one finishes, then 1001, exit code 0', async () => {
  const { middle, service, client } = await heldQuery('30');
  const idle = await openSocket(service);
  service.kill('SIGTERM');
  await service.waitForOutput(/"msg":"stopping"/);
  const late = await openSocket(service);
  for (const socket of [client, idle, late]) {
    socket.send(ask);
    expect(await socket.waitFor(({ type }) => type === 'error')).toMatchObject({
      error_type: 'shutting_down',
      retryable: true,
    });
  }
  late.send({ type: 'resume', runId: client.frames[0]?.runId, after: 0 });
  await late.waitFor(({ seq }) => seq === 2);
  const releasedMs = performance.now();
  middle.release();
  expect(await Promise.all([client, idle, late].map(({ closed }) => closed))).toEqual([1001, 1001, 1001]);
  expect(await service.exited).toBe(0);
  expect(performance.now() - releasedMs).toBeLessThan(2000);
  for (const { frames } of [client, late]) {
    expect(textOf(frames)).toBe(hello.text);
    expect(frames.at(-1)?.type).toBe('complete');
  }
  expect(service.stderr()).toBe('');
});

test('at DRAIN_TIMEOUT what is left ends in a retryable error; a peer that is silent delays the exit only a moment', async () => {
  const { fake, service, client } = await heldQuery('0.5');
  const silent = await openSocket(service);
  silent.wire.pause();
  const startedMs = performance.now();
  service.kill('SIGTERM');
  expect(await client.waitFor(({ type }) => type === 'error')).toMatchObject({
    seq: 3,
    error_type: 'shutting_down',
    retryable: true,
  });
  expect(await client.closed).toBe(1001);
  await fake.waitForAbort();
  expect(await service.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(4500);
  silent.wire.resume();
  if (silent.socket.readyState !== silent.socket.CLOSED) await once(silent.socket, 'close');
});
