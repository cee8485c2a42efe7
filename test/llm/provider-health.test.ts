import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startFakeLlm } from '../../scripts/fake-llm/server.ts';
import { type ErrorType, Fault } from '../../src/core/errors.ts';
import { createOpenAiProvider } from '../../src/llm/openai.ts';
import type { LlmProvider, ProbedModel } from '../../src/llm/provider.ts';
import { createProviderHealth, type ProviderHealth } from '../../src/llm/provider-health.ts';

type Probe = (signal: AbortSignal) => Promise<ProbedModel[]>;

const running: ProviderHealth[] = [];
afterEach(() => {
  for (const health of running.splice(0)) health.stop();
  vi.useRealTimers();
});
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

function setUp(probe: Probe = async () => []) {
  const probes = vi.fn(probe);
  const provider: LlmProvider = {
    name: 'p',
    stream: () => {
      throw new Error('not called');
    },
    probe: probes,
  };
  const listed: [string, ProbedModel[]][] = [];
  const health = createProviderHealth({ providers: [provider], onModels: (...entry) => listed.push(entry) });
  running.push(health);
  return { health, probes, listed, state: () => health.status().p };
}

function fault(type: ErrorType, upstreamStatus?: number): Fault {
  return new Fault(type, 'x', upstreamStatus === undefined ? {} : { upstreamStatus });
}

const unreachable = fault('provider_unavailable');

describe('before the start', () => {
  test('nothing is known, and all may be tried', () => {
    const { health, state, probes } = setUp();
    expect(state()).toEqual({ status: 'unknown', latencyMs: null, error: null, lastCheck: null });
    expect(health.isUsable('p')).toBe(true);
    expect(health.isUsable('nobody')).toBe(false);
    expect(probes).not.toHaveBeenCalled();
  });
});

describe('the first round', () => {
  test('probes everybody and passes their models on', async () => {
    const { health, state, listed } = setUp(async () => {
      vi.setSystemTime(1_000_040);
      return [{ id: 'm' }];
    });
    await health.start();
    expect(state()).toEqual({ status: 'healthy', latencyMs: 40, error: null, lastCheck: 1000.04 });
    expect(listed).toEqual([['p', [{ id: 'm' }]]]);
  });

  test('takes 2.5 s at most, and the late answer still counts', async () => {
    let answer = (_models: ProbedModel[]) => {};
    const { health, state } = setUp(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    let isStarted = false;
    const started = health.start().then(() => {
      isStarted = true;
    });
    await vi.advanceTimersByTimeAsync(2_400);
    expect(isStarted).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    await started;
    expect(state()?.status).toBe('unknown');
    answer([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(state()?.status).toBe('healthy');
  });

  test('with no models tells nobody', async () => {
    const { health, listed } = setUp();
    await health.start();
    expect(listed).toEqual([]);
  });

  test.each([
    [fault('provider_unavailable', 401), 'auth', 'It does not accept the credentials.'],
    [fault('provider_unavailable', 403), 'auth', 'It does not accept the credentials.'],
    [unreachable, 'unreachable', 'It cannot be reached.'],
    [fault('provider_timeout'), 'unreachable', 'It does not answer in time.'],
    [new Error('secret'), 'unreachable', 'It does not answer in time.'],
  ])('that fails with %s is %s', async (error, reason, message) => {
    const { health, state } = setUp(async () => {
      throw error;
    });
    await health.start();
    expect(state()).toEqual({
      status: 'unhealthy',
      reason,
      latencyMs: null,
      error: message,
      lastCheck: 1000,
    });
    expect(health.isUsable('p')).toBe(false);
  });

  test('has a real server for a provider', async () => {
    vi.useRealTimers();
    const llm = await startFakeLlm({ models: [{ id: 'm', max_model_len: 4096 }], apiKey: 'right' });
    const listed: ProbedModel[] = [];
    const providers = ['right', 'wrong'].map((apiKey) =>
      createOpenAiProvider({ name: apiKey, baseUrl: llm.url, apiKey }),
    );
    const gone = createOpenAiProvider({ name: 'gone', baseUrl: 'http://127.0.0.1:9' });
    const health = createProviderHealth({
      providers: [...providers, gone],
      onModels: (_provider, models) => listed.push(...models),
    });
    running.push(health);
    await health.start();
    await llm.close();
    expect(listed).toEqual([{ id: 'm', contextWindow: 4096 }]);
    expect(health.status()).toMatchObject({
      right: { status: 'healthy' },
      wrong: { status: 'unhealthy', reason: 'auth' },
      gone: { status: 'unhealthy', reason: 'unreachable' },
    });
  });
});

describe('real calls', () => {
  test.each([
    [fault('provider_error', 500), 'errors', 'It answers with errors.'],
    [fault('provider_unavailable', 429), 'rate_limited', 'It takes no more requests at the moment.'],
    [fault('provider_unavailable', 503), 'errors', 'It is overloaded or down.'],
    [fault('provider_timeout'), 'unreachable', 'It does not answer in time.'],
    [unreachable, 'unreachable', 'It cannot be reached.'],
  ])('that fail three times in a row with %s make it unhealthy', (error, reason, message) => {
    const { health, state } = setUp();
    for (const status of ['degraded', 'degraded', 'unhealthy']) {
      expect(health.isUsable('p')).toBe(true);
      health.recordCall('p', error);
      expect(state()).toMatchObject({ status, reason, error: message, lastCheck: 1000 });
    }
    expect(health.isUsable('p')).toBe(false);
    health.recordCall('p', 'ok');
    expect(state()).toEqual({ status: 'healthy', latencyMs: null, error: null, lastCheck: 1000 });
  });

  test('are forgotten after a minute', async () => {
    const { health, state } = setUp();
    health.recordCall('p', unreachable);
    health.recordCall('p', unreachable);
    await vi.advanceTimersByTimeAsync(61_000);
    health.recordCall('p', unreachable);
    expect(state()?.status).toBe('degraded');
  });

  test('that succeed in between start the count again', () => {
    const { health, state } = setUp();
    for (const outcome of [unreachable, unreachable, 'ok', unreachable, unreachable] as const) {
      health.recordCall('p', outcome);
    }
    expect(state()?.status).toBe('degraded');
  });

  test('with a refused key are enough once', () => {
    const { health, state } = setUp();
    health.recordCall('p', fault('provider_unavailable', 401));
    expect(state()).toMatchObject({ status: 'unhealthy', reason: 'auth' });
  });

  test('with a refused request, or of nobody we know, say nothing', () => {
    const { health, state } = setUp();
    for (let call = 0; call < 5; call += 1) health.recordCall('p', fault('provider_rejected', 400));
    health.recordCall('p', fault('cancelled'));
    health.recordCall('nobody', unreachable);
    expect(state()?.status).toBe('unknown');
  });
});

describe('probes', () => {
  test('come when it was quiet for 30 s, and not while there are calls', async () => {
    const { health, probes } = setUp();
    await health.start();
    expect(probes).toHaveBeenCalledTimes(1);
    for (let second = 0; second < 60; second += 10) {
      await vi.advanceTimersByTimeAsync(10_000);
      health.recordCall('p', 'ok');
    }
    expect(probes).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(36_000);
    expect(probes).toHaveBeenCalledTimes(2);
  });

  test('come every 5 s while it is unhealthy, until one is answered', async () => {
    let isUp = false;
    const { health, probes, state } = setUp(async () => {
      if (!isUp) throw unreachable;
      return [];
    });
    await health.start();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(probes).toHaveBeenCalledTimes(4);
    isUp = true;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(state()?.status).toBe('healthy');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(probes).toHaveBeenCalledTimes(5);
  });

  test('that are answered make one usable again whose calls failed, with a warning', async () => {
    const { health, state } = setUp();
    await health.start();
    for (let call = 0; call < 3; call += 1) health.recordCall('p', fault('provider_error', 500));
    expect(health.isUsable('p')).toBe(false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(state()).toMatchObject({ status: 'degraded', reason: 'errors' });
    health.recordCall('p', fault('provider_error', 500));
    expect(state()?.status).toBe('unhealthy');
  });

  test('with a refused key do not overrule calls that work', async () => {
    const { health, state } = setUp(async () => {
      throw fault('provider_unavailable', 403);
    });
    await health.start();
    expect(state()?.status).toBe('unhealthy');
    health.recordCall('p', 'ok');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state()?.status).toBe('healthy');
    health.recordCall('p', fault('provider_unavailable', 401));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state()?.status).toBe('unhealthy');
  });

  test('do not pile up on one that hangs, and end with stop', async () => {
    const signals: AbortSignal[] = [];
    const { health, probes, state } = setUp(
      (signal) =>
        new Promise((_resolve, reject) => {
          signals.push(signal);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    const started = health.start();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(probes).toHaveBeenCalledTimes(1);
    health.stop();
    await started;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    expect(probes).toHaveBeenCalledTimes(1);
    expect(state()?.status).toBe('unknown');
  });

  test('stop at once while the first round is under way', async () => {
    const { health } = setUp(() => new Promise(() => {}));
    const started = health.start();
    health.stop();
    await expect(started).resolves.toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });
});
