import { describe, expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { refusedUrl, useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv, jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';

const get = async (service: TestService, path: string) => {
  const answer = await send(service, path);
  expect({ status: answer.status, type: answer.type }).toEqual({ status: 200, type: 'application/json' });
  return JSON.parse(answer.text);
};

const demoModel = {
  id: 'demo',
  name: 'Demo',
  provider: 'demo',
  available: true,
  context_window: 32_768,
  max_output: 4096,
  description: expect.stringContaining('Not a language model'),
  is_preferred: true,
  accepts: { images: false, tools: true },
};

const healthy = {
  status: 'healthy',
  latency_ms: expect.any(Number),
  breaker: 'closed',
  error: null,
  last_check: expect.closeTo(Date.now() / 1000, -2),
};
const unreachable = {
  status: 'unhealthy',
  reason: 'unreachable',
  latency_ms: null,
  breaker: 'closed',
  error: 'It cannot be reached.',
  last_check: expect.any(Number),
};

describe('GET /api/chat/models', () => {
  test('lists the demo model alone while nothing else is configured', async () => {
    expect(await get(await startService(), '/api/chat/models')).toEqual({
      models: [demoModel],
      default: 'demo',
      total_available: 1,
      preferred: 'demo',
    });
  });

  test('lists what the endpoint lists, with the default one preferred', async () => {
    const fake = await useFakeLlm({ models: [{ id: 'fake-model' }, { id: 'other', max_model_len: 5000 }] });
    const service = await startService({ VLLM_ENDPOINT: fake.url, LLM_MODEL: 'fake-model' });
    const { models, ...rest } = await get(service, '/api/chat/models');
    expect(rest).toEqual({ default: 'fake-model', total_available: 2, preferred: 'vllm' });
    const shown = models.map((model: Record<string, unknown>) => [
      model.id,
      model.provider,
      model.available,
      model.is_preferred,
    ]);
    expect(shown).toEqual([
      ['fake-model', 'vllm', true, true],
      ['other', 'vllm', true, false],
    ]);
    expect(models[1].context_window).toBe(5000);
  });

  test('marks the models of a provider that is down as not available', async () => {
    const service = await startService({
      VLLM_ENDPOINT: await refusedUrl(),
      LLM_MODEL: 'mine',
      DEMO_MODEL: 'true',
    });
    const { models, ...rest } = await get(service, '/api/chat/models');
    const available = models.map(({ id, available }: Record<string, unknown>) => [id, available]);
    expect(available).toEqual([
      ['mine', false],
      ['demo', true],
    ]);
    expect(rest).toEqual({ default: 'mine', total_available: 1, preferred: 'vllm' });
  });

  test('says that there is nothing when nothing is configured', async () => {
    expect(await get(await startService({ DEMO_MODEL: 'false' }), '/api/chat/models')).toEqual({
      models: [],
      default: null,
      total_available: 0,
      preferred: null,
    });
  });

  test('lists only models that really answer when they are named', async () => {
    const service = await startService();
    const { models } = await get(service, '/api/chat/models');
    for (const { id, provider } of models) {
      const answer = await send(service, '/api/chat', jsonPost({ message: 'Hi', model: id, provider }));
      expect(JSON.parse(answer.text)).toMatchObject({ model: id, provider });
    }
  });

  test('keeps every model of the catalogue that an endpoint does not list', async () => {
    const fake = await useFakeLlm({ models: [] });
    const service = await startService({ OPENAI_BASE_URL: fake.url, OPENAI_API_KEY: 'sk-test' });
    const { models, total_available: available } = await get(service, '/api/chat/models');
    expect(models.length).toBeGreaterThan(3);
    expect(available).toBe(models.length);
  });
});

describe('GET /api/chat/providers', () => {
  test('describes each provider and sums up', async () => {
    expect(await get(await startService(), '/api/chat/providers')).toEqual({
      providers: {
        demo: { name: 'demo', available: true, models: ['demo'], health: healthy, model_count: 1 },
      },
      summary: { total_providers: 1, healthy_providers: 1, total_models: 1 },
    });
  });

  test('tells the one that is down from the one that works', async () => {
    const service = await startService({
      VLLM_ENDPOINT: await refusedUrl(),
      LLM_MODEL: 'mine',
      DEMO_MODEL: 'true',
    });
    expect(await get(service, '/api/chat/providers')).toEqual({
      providers: {
        vllm: { name: 'vllm', available: false, models: ['mine'], health: unreachable, model_count: 1 },
        demo: { name: 'demo', available: true, models: ['demo'], health: healthy, model_count: 1 },
      },
      summary: { total_providers: 2, healthy_providers: 1, total_models: 2 },
    });
  });

  test('says when the key is not accepted', async () => {
    const fake = await useFakeLlm({ apiKey: 'sk-right' });
    const service = await startService({ ...fakeModelEnv(fake.url), OPENAI_API_KEY: 'sk-wrong' });
    const { providers, summary } = await get(service, '/api/chat/providers');
    expect(providers.openai).toMatchObject({
      available: false,
      health: {
        status: 'unhealthy',
        reason: 'auth',
        latency_ms: null,
        breaker: 'closed',
        error: 'It does not accept the credentials.',
      },
    });
    expect(summary.healthy_providers).toBe(0);
    expect(JSON.stringify(providers)).not.toContain('sk-');
  });

  test('lists LLM_PROVIDER first', async () => {
    const fake = await useFakeLlm();
    const service = await startService({ VLLM_ENDPOINT: fake.url, DEMO_MODEL: 'true', LLM_PROVIDER: 'demo' });
    expect(Object.keys((await get(service, '/api/chat/providers')).providers)).toEqual(['demo', 'vllm']);
    expect((await get(service, '/api/chat/models')).preferred).toBe('demo');
  });
});

describe('GET /api/chat/status', () => {
  test('names what there is and its limits', async () => {
    const service = await startService();
    expect(await get(service, '/api/chat/status')).toEqual({
      service: 'paf-core-agent',
      version: service.services.config.version,
      status: 'ready',
      upee_enabled: true,
      streaming_enabled: true,
      available_providers: ['demo'],
      provider_health: { demo: healthy },
      features: {
        tools: ['calculator', 'current_time', 'read_file_part', 'search_files'],
        docs: true,
        metrics: true,
        sessions: 'memory',
      },
      limits: {
        max_context_tokens: null,
        max_concurrent_requests: 150,
        request_timeout: 30,
        run_timeout: 600,
        max_body_bytes: 33_554_432,
        max_turns: 10,
        max_tool_calls: 50,
        max_sessions: null,
      },
      active_runs: 0,
    });
  });

  test('follows the settings', async () => {
    const service = await startService({
      MAX_CONTEXT_TOKENS: '4096',
      MAX_CONCURRENT_REQUESTS: '3',
      REQUEST_TIMEOUT: '2.5',
      RUN_TIMEOUT: '20',
      MAX_BODY_BYTES: '1000',
      MAX_TURNS: '4',
      MAX_TOOL_CALLS: '0',
      MAX_SESSIONS: '5',
      ENABLE_METRICS: 'false',
    });
    const { limits, features } = await get(service, '/api/chat/status');
    expect(limits).toEqual({
      max_context_tokens: 4096,
      max_concurrent_requests: 3,
      request_timeout: 2.5,
      run_timeout: 20,
      max_body_bytes: 1000,
      max_turns: 4,
      max_tool_calls: 0,
      max_sessions: 5,
    });
    expect(features.metrics).toBe(false);
    const { models } = await get(service, '/api/chat/models');
    expect(models[0].context_window).toBe(4096);
  });

  test('counts the runs that are under way', async () => {
    const middle = hold(1);
    const { service } = await startChat([{ text: 'Hello there.', hold: middle }]);
    const stream = await streamChat(service, { message: 'Hi' });
    await middle.reached;
    expect((await get(service, '/api/chat/status')).active_runs).toBe(1);
    middle.release();
    await stream.ended;
    expect((await get(service, '/api/chat/status')).active_runs).toBe(0);
  });

  test('is not ready without a provider that works', async () => {
    const service = await startService({ VLLM_ENDPOINT: await refusedUrl() });
    expect(await get(service, '/api/chat/status')).toMatchObject({
      status: 'not_ready',
      available_providers: [],
      provider_health: { vllm: unreachable },
    });
  });
});
