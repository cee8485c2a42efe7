import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { createServices } from '../../src/services.ts';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { refusedUrl, useFakeLlm } from '../helpers/fake-llm.ts';
import { scrape, seriesOf } from '../helpers/metrics.ts';
import { fakeModelEnv, jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';

/** within five seconds */
const now = () => expect.closeTo(Date.now() / 1000, -1);
const patient = { timeout: 10_000, interval: 20 };
const often = { probeIntervalMs: 10 };
const ask = { message: 'Say hello.' };

async function look(service: TestService, path: string) {
  const { status, type, text } = await send(service, path);
  expect(type).toBe('application/json');
  return { status, body: JSON.parse(text) };
}

const health = (service: TestService) => look(service, '/api/health');
const ready = (service: TestService) => look(service, '/api/health/ready');

const providersIn = async (service: TestService) => seriesOf(await scrape(service), 'paf_providers');

const isReady = { status: 200, body: { status: 'ready', timestamp: expect.any(Number) } };
const notReady = (reason: string) => ({
  status: 503,
  body: { status: 'not_ready', reason, timestamp: now() },
});

test('the demo model alone is a healthy service', async () => {
  const service = await startService();
  expect(await health(service)).toEqual({
    status: 200,
    body: {
      status: 'healthy',
      version: service.services.config.version,
      timestamp: now(),
      services: {
        demo: {
          status: 'healthy',
          latency_ms: expect.any(Number),
          error: null,
          last_check: now(),
          breaker: 'closed',
        },
      },
    },
  });
  expect(await look(service, '/api/health/live')).toEqual({
    status: 200,
    body: { status: 'alive', timestamp: now() },
  });
  expect(await ready(service)).toEqual({ status: 200, body: { status: 'ready', timestamp: now() } });
});

test('no provider at all is unhealthy', async () => {
  const service = await startService({ DEMO_MODEL: 'false' });
  expect(await health(service)).toMatchObject({ status: 503, body: { status: 'unhealthy', services: {} } });
  expect(await ready(service)).toEqual(notReady('no_provider'));
  expect((await look(service, '/api/health/live')).status).toBe(200);
});

test('until it has started, the service is alive but not ready', async () => {
  const { config } = loadConfig({ LOG_LEVEL: 'silent' });
  const services = createServices(config, pino({ level: 'silent' }));
  const app = await createApp(services);
  onTestFinished(async () => {
    await app.close();
    services.close();
  });
  const before = await app.inject('/api/health/ready');
  expect({ status: before.statusCode, body: before.json() }).toEqual(notReady('starting'));
  expect((await app.inject('/api/health/live')).statusCode).toBe(200);
  // nobody was asked yet, so nothing is known to be well
  expect((await app.inject('/api/health')).json()).toMatchObject({
    status: 'degraded',
    services: {
      demo: { status: 'unknown', latency_ms: null, error: null, last_check: null, breaker: 'closed' },
    },
  });
  await services.start();
  expect((await app.inject('/api/health/ready')).json().status).toBe('ready');
});

test('while it drains, the service is not ready, and alive', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ text: 'Hello there.', hold: middle }]);
  const stream = await streamChat(service, ask);
  await middle.reached;
  const drained = service.services.drain();
  expect(await ready(service)).toEqual(notReady('draining'));
  expect((await look(service, '/api/health/live')).status).toBe(200);
  middle.release();
  await drained;
  expect((await stream.ended).at(-2)?.event).toBe('complete');
  expect(await ready(service)).toEqual(notReady('draining'));
});

describe('a provider', () => {
  test('that nobody can reach makes the service unhealthy, however it is configured', async () => {
    const service = await startService({ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: await refusedUrl() });
    expect(await health(service)).toEqual({
      status: 503,
      body: {
        status: 'unhealthy',
        version: service.services.config.version,
        timestamp: now(),
        services: {
          openai: {
            status: 'unhealthy',
            reason: 'unreachable',
            latency_ms: null,
            breaker: 'closed',
            error: 'It cannot be reached.',
            last_check: now(),
          },
        },
      },
    });
    expect(await ready(service)).toEqual(notReady('no_provider'));
  });

  test('that is down beside one that works leaves the service degraded and ready', async () => {
    const service = await startService({ VLLM_ENDPOINT: await refusedUrl(), DEMO_MODEL: 'true' });
    expect(await health(service)).toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        services: { vllm: { status: 'unhealthy' }, demo: { status: 'healthy', error: null } },
      },
    });
    expect(await ready(service)).toEqual(isReady);
    expect(await providersIn(service)).toEqual({ 'vllm unhealthy': 1, 'demo healthy': 1 });
  });

  test('that does not accept the key is reported so', async () => {
    const fake = await useFakeLlm({ apiKey: 'sk-right' });
    const service = await startService({ ...fakeModelEnv(fake.url), OPENAI_API_KEY: 'sk-wrong' });
    const { status, body } = await health(service);
    expect(status).toBe(503);
    expect(body.services.openai).toEqual({
      status: 'unhealthy',
      reason: 'auth',
      latency_ms: null,
      breaker: 'closed',
      error: 'It does not accept the credentials.',
      last_check: now(),
    });
    expect(JSON.stringify(body)).not.toContain('sk-');
    expect(await ready(service)).toEqual(notReady('no_provider'));
  });

  test.each(['status:404', 'status:500', 'status:429', 'json'])(
    'that answers the probe with %s is alive all the same',
    async (fault) => {
      const fake = await useFakeLlm();
      fake.modelsFault = fault;
      const service = await startService(fakeModelEnv(fake.url));
      expect(fake.modelRequests).toBe(1);
      expect(await health(service)).toMatchObject({ status: 200, body: { status: 'healthy' } });
    },
  );

  test('that comes back is healthy again without any request', async () => {
    const fake = await useFakeLlm();
    fake.modelsFault = 'reset';
    const service = await startService(fakeModelEnv(fake.url), often);
    expect(await health(service)).toMatchObject({ status: 503, body: { status: 'unhealthy' } });
    expect(await providersIn(service)).toEqual({ 'openai unhealthy': 1 });
    fake.modelsFault = undefined;
    await vi.waitFor(async () => expect((await health(service)).body.status).toBe('healthy'), patient);
    expect(await providersIn(service)).toEqual({ 'openai healthy': 1 });
    expect(await health(service)).toMatchObject({
      status: 200,
      body: { services: { openai: { status: 'healthy', error: null, latency_ms: expect.any(Number) } } },
    });
    expect(await ready(service)).toEqual(isReady);
    fake.script({ text: 'Hello there.' });
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(200);
  });

  test('whose key is put right is healthy again', async () => {
    const fake = await useFakeLlm();
    fake.modelsFault = 'status:401';
    const service = await startService(fakeModelEnv(fake.url), often);
    expect((await health(service)).body.services.openai.reason).toBe('auth');
    fake.modelsFault = undefined;
    await vi.waitFor(async () => expect((await ready(service)).status).toBe(200), patient);
  });

  test('that fails real calls is unhealthy although its probe was fine', async () => {
    const failing = { fault: 'status:500' };
    const { service } = await startChat([failing, failing, failing]);
    expect(await ready(service)).toEqual(isReady);
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(502);
    expect(await health(service)).toMatchObject({
      status: 503,
      body: {
        services: { openai: { status: 'unhealthy', reason: 'errors', error: 'It answers with errors.' } },
      },
    });
    expect(await ready(service)).toEqual(notReady('no_provider'));
  });

  test('that failed once is degraded, and healthy after the next good answer', async () => {
    // a tool call that breaks off is not asked for again
    const toolCalls = [{ id: 'c1', name: 'calculator', arguments: '{"expression":"1+1"}' }];
    const { service } = await startChat([{ toolCalls, fault: 'cut:1' }, { text: 'Hello there.' }]);
    await send(service, '/api/chat', jsonPost(ask));
    expect(await health(service)).toMatchObject({ status: 200, body: { status: 'degraded' } });
    expect(await ready(service)).toEqual(isReady);
    await send(service, '/api/chat', jsonPost(ask));
    expect(await health(service)).toMatchObject({ status: 200, body: { status: 'healthy' } });
  });

  test('whose caller left is not blamed for it', async () => {
    const middle = hold(1);
    const { fake, service } = await startChat([{ text: 'Hello there.', hold: middle }]);
    const stream = await streamChat(service, ask);
    await middle.reached;
    stream.abort();
    await fake.waitForAbort();
    expect(await health(service)).toMatchObject({ status: 200, body: { status: 'healthy' } });
  });
});
