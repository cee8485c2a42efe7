import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { isContent, namesOf, problemOf } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, fakeModelEnv, jsonPost, openStream } from '../helpers/service.ts';
import { startProcess } from './service-process.ts';

const ask = { message: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };

async function heldRun(drainTimeout: string) {
  const fake = await useFakeLlm({ requireScript: true });
  const middle = hold(2);
  fake.script({ ...hello, hold: middle });
  const service = await startProcess({ ...fakeModelEnv(fake.url), DRAIN_TIMEOUT: drainTimeout });
  const stream = await openStream(`${service.url}/api/chat/stream`, jsonPost(ask));
  await stream.waitFor(({ id }) => id === 2);
  return { fake, middle, service, stream };
}

test('SIGTERM: not ready at once, new runs refused, the live one finishes, exit code 0', async () => {
  const { middle, service, stream } = await heldRun('30');
  const untaken = await fetch(`${service.url}/api/runs/${stream.runId}/events`);
  const joined = await openStream(`${service.url}/api/runs/${stream.runId}/events`);
  expect((await fetch(`${service.url}/api/health/ready`)).status).toBe(200);
  service.kill('SIGTERM');
  await service.waitForOutput(/"msg":"stopping"/);
  const ready = await fetch(`${service.url}/api/health/ready`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ status: 'not_ready', reason: 'draining' });
  expect((await fetch(`${service.url}/api/health/live`)).status).toBe(200);
  for (const path of ['/api/chat/stream', '/api/chat']) {
    const refused = await fetch(service.url + path, jsonPost(ask));
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await problemOf(refused)).type).toBe('urn:paf:error:shutting_down');
  }
  const late = await openStream(`${service.url}/api/runs/${stream.runId}/events`);
  await late.waitFor(isContent);
  middle.release();
  for (const reader of [stream, joined, late]) {
    const events = await reader.ended;
    expect(contentOf(events)).toBe(hello.text);
    expect(namesOf(events).slice(-2)).toEqual(['complete', 'done']);
  }
  const releasedMs = performance.now();
  expect(await service.exited).toBe(0);
  expect(await untaken.text()).toMatch(/data: \[DONE\]\n\n$/);
  expect(performance.now() - releasedMs).toBeLessThan(2000);
  expect(service.stdout()).toContain('"msg":"stopped"');
  expect(service.stderr()).toBe('');
});

test('at DRAIN_TIMEOUT what is left ends in a retryable error, and the call to the model too', async () => {
  const { fake, service, stream } = await heldRun('0.5');
  const startedMs = performance.now();
  service.kill('SIGTERM');
  const events = await stream.ended;
  expect(performance.now() - startedMs).toBeGreaterThan(490);
  expect(namesOf(events)).toEqual(['content', 'content', 'error', 'done']);
  expect(events[2]?.data).toMatchObject({ error_type: 'shutting_down', retryable: true });
  await fake.waitForAbort();
  expect(await service.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5000);
});

test('a JSON request that is cut short by DRAIN_TIMEOUT gets 503 with Retry-After', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script({ fault: 'hang' });
  const service = await startProcess({ ...fakeModelEnv(fake.url), DRAIN_TIMEOUT: '0.2' });
  const answer = fetch(`${service.url}/api/chat`, jsonPost(ask));
  await fake.waitForRequest();
  service.kill('SIGTERM');
  const response = await answer;
  expect(response.status).toBe(503);
  expect(response.headers.has('retry-after')).toBe(true);
  expect((await problemOf(response)).type).toBe('urn:paf:error:shutting_down');
  expect(await service.exited).toBe(0);
});

test('SIGTERM while idle, even twice, ends the process soon', async () => {
  const service = await startProcess();
  await (await fetch(`${service.url}/api/chat`, jsonPost(ask))).text();
  const startedMs = performance.now();
  service.kill('SIGTERM');
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(1500);
  expect(service.stderr()).toBe('');
});

test('SIGTERM ends the process also when nobody reads its log any more', async () => {
  const service = await startProcess();
  service.closeOutput();
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
});
