import { describe, expect, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { countsOf, type Family, nameForm, scrape, seriesOf, sorted, valueIn } from '../helpers/metrics.ts';
import { jsonPost, startService, streamChat } from '../helpers/service.ts';

const patient = { timeout: 10_000, interval: 20 };
const ask = { message: 'Say hello.' };
const model = 'openai fake-model';
const usage = {
  prompt_tokens: 100,
  completion_tokens: 20,
  prompt_tokens_details: { cached_tokens: 40 },
  completion_tokens_details: { reasoning_tokens: 5 },
};

describe('after known traffic', () => {
  test('every metric has exactly the counts of it', async () => {
    const middle = hold(1);
    const { service } = await startChat(
      [
        { text: 'Hello there.', usage },
        { text: 'Hello again.', usage },
        { fault: 'status:503:0' },
        { text: 'Third time lucky.', usage },
        { text: 'It breaks off.', fault: 'cut:1' },
        { text: 'It breaks off.', fault: 'cut:1' },
        { text: 'It breaks off.', fault: 'cut:1' },
        { fault: 'status:400' },
        { text: 'It waits.', hold: middle },
      ],
      { MAX_CONCURRENT_REQUESTS: '1' },
    );
    await (await streamChat(service, { ...ask, show_thinking: true })).ended;
    for (let count = 0; count < 2; count += 1) {
      expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(200);
    }
    expect((await (await streamChat(service, ask)).ended).at(-2)?.event).toBe('error');
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(502);
    const waiting = await streamChat(service, ask);
    await middle.reached;
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(503);
    expect((await send(service, '/api/chat/stream', jsonPost(ask))).status).toBe(503);
    const during = await scrape(service);
    expect(valueIn(during, 'paf_active_runs')).toBe(1);
    expect(valueIn(during, 'paf_stream_readers')).toBe(1);
    expect((await send(service, `/api/runs/${waiting.runId}/cancel`, { method: 'POST' })).status).toBe(200);
    await waiting.ended;
    expect((await send(service, '/api/chat', jsonPost({}))).status).toBe(400);
    expect((await send(service, '/nothing')).status).toBe(404);
    expect((await send(service, '/api/chat')).status).toBe(405);

    const families = await vi.waitFor(async () => {
      const all = await scrape(service);
      expect(valueIn(all, 'paf_stream_readers')).toBe(0);
      return all;
    }, patient);
    expect(valueIn(families, 'paf_active_runs')).toBe(0);
    expect(seriesOf(families, 'paf_runs_total')).toEqual({ completed: 3, failed: 2, cancelled: 1 });
    expect(valueIn(families, 'paf_run_duration_seconds_count')).toBe(6);
    expect(seriesOf(families, 'paf_upee_phase_duration_seconds_count')).toEqual({
      understand: 6,
      plan: 6,
      execute: 3,
      evaluate: 3,
    });
    expect(seriesOf(families, 'paf_llm_requests_total')).toEqual({
      [`${model} ok`]: 3,
      [`${model} unavailable`]: 1,
      [`${model} error`]: 3,
      [`${model} rejected`]: 1,
      [`${model} cancelled`]: 1,
    });
    expect(seriesOf(families, 'paf_llm_time_to_first_token_seconds_count')).toEqual({ [model]: 7 });
    expect(seriesOf(families, 'gen_ai_client_operation_duration_count')).toEqual({
      [`chat ${model}`]: 3,
      [`chat ${model} provider_unavailable`]: 1,
      [`chat ${model} provider_error`]: 3,
      [`chat ${model} provider_rejected`]: 1,
      [`chat ${model} cancelled`]: 1,
    });
    // what the calls that were cut short have used is only estimated
    expect(seriesOf(families, 'gen_ai_client_token_usage_count')).toEqual({
      [`chat ${model} input`]: 3,
      [`chat ${model} output`]: 3,
    });
    expect(seriesOf(families, 'gen_ai_client_token_usage_sum')).toEqual({
      [`chat ${model} input`]: 300,
      [`chat ${model} output`]: 60,
    });
    const tokens = seriesOf(families, 'paf_llm_tokens_total');
    expect({ cached: tokens[`${model} cached`], reasoning: tokens[`${model} reasoning`] }).toEqual({
      cached: 120,
      reasoning: 15,
    });
    // beside the reported ones there are those of the four calls that were cut short
    expect(tokens[`${model} input`]).toBeGreaterThan(300);
    expect(tokens[`${model} output`]).toBeGreaterThan(60);
    expect(countsOf(families, 'paf_errors_total')).toEqual({
      provider_error: 1,
      provider_rejected: 1,
      cancelled: 1,
      overloaded: 2,
      invalid_request: 1,
      not_found: 1,
      method_not_allowed: 1,
    });
    expect(countsOf(families, 'paf_rejected_requests_total')).toEqual({ overloaded: 2 });
    const { 'GET /metrics 200': scrapes, ...requests } = seriesOf(
      families,
      'http_request_duration_seconds_count',
    );
    expect(scrapes).toBeGreaterThanOrEqual(1);
    expect(requests).toEqual({
      'POST /api/chat/stream 200': 3,
      'POST /api/chat/stream 503': 1,
      'POST /api/chat 200': 2,
      'POST /api/chat 502': 1,
      'POST /api/chat 503': 1,
      'POST /api/chat 400': 1,
      'POST /api/runs/:id/cancel 200': 1,
      'GET unmatched 404': 1,
      'GET unmatched 405': 1,
    });
  });

  test('tokens are those that the provider reported', async () => {
    const { service } = await startChat([{ text: 'Hello there.', usage }]);
    await send(service, '/api/chat', jsonPost(ask));
    expect(seriesOf(await scrape(service), 'paf_llm_tokens_total')).toEqual({
      [`${model} input`]: 100,
      [`${model} output`]: 20,
      [`${model} cached`]: 40,
      [`${model} reasoning`]: 5,
    });
  });

  test('money is what the answers say', async () => {
    const { service } = await startChat([{ text: 'Hello there.', usage }]);
    const priced = await send(service, '/api/chat', jsonPost({ ...ask, model: 'gpt-6-luna' }));
    const { cost_usd: cost } = JSON.parse(priced.text) as { cost_usd: number };
    expect(cost).toBeGreaterThan(0);
    expect(seriesOf(await scrape(service), 'paf_llm_cost_usd_total')).toEqual({ 'openai gpt-6-luna': cost });
  });

  test('a drained service counts what it turned away', async () => {
    const service = await startService();
    await service.services.drain();
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(503);
    const families = await scrape(service);
    expect(countsOf(families, 'paf_rejected_requests_total')).toEqual({ shutting_down: 1 });
    expect(countsOf(families, 'paf_errors_total')).toEqual({ shutting_down: 1 });
  });

  test('an open stream is a reader until its client leaves', async () => {
    const middle = hold(1);
    const { service } = await startChat([{ text: 'Hello there.', hold: middle }]);
    const stream = await streamChat(service, ask);
    await middle.reached;
    const second = await fetch(`${service.url}/api/runs/${stream.runId}/events`);
    expect(valueIn(await scrape(service), 'paf_stream_readers')).toBe(2);
    await second.body?.cancel();
    stream.abort();
    await vi.waitFor(async () => {
      const families = await scrape(service);
      expect(valueIn(families, 'paf_stream_readers')).toBe(0);
      expect(valueIn(families, 'paf_active_runs')).toBe(0);
      expect(countsOf(families, 'paf_runs_total')).toEqual({ cancelled: 1 });
    }, patient);
  });
});

const promised: Record<string, [type: string, labels: string[]]> = {
  http_request_duration_seconds: ['histogram', ['method', 'route', 'status_code']],
  paf_runs_total: ['counter', ['outcome']],
  paf_active_runs: ['gauge', []],
  paf_busy_sessions: ['gauge', []],
  paf_run_duration_seconds: ['histogram', []],
  paf_upee_phase_duration_seconds: ['histogram', ['phase']],
  paf_llm_requests_total: ['counter', ['model', 'outcome', 'provider']],
  paf_llm_time_to_first_token_seconds: ['histogram', ['model', 'provider']],
  paf_llm_tokens_total: ['counter', ['model', 'provider', 'type']],
  // without a sample where no model has a price
  paf_llm_cost_usd_total: ['counter', []],
  gen_ai_client_token_usage: [
    'histogram',
    ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model', 'gen_ai_token_type'],
  ],
  // `error_type` comes with the first failure
  gen_ai_client_operation_duration: [
    'histogram',
    ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'],
  ],
  paf_providers: ['gauge', ['provider', 'status']],
  paf_llm_breaker_state: ['gauge', ['provider']],
  // labels come with the first configured server
  paf_mcp_servers: ['gauge', []],
  paf_errors_total: ['counter', ['type']],
  paf_rejected_requests_total: ['counter', ['reason']],
  paf_auth_failures_total: ['counter', ['reason']],
  paf_rate_limit_rejections_total: ['counter', ['scope']],
  // labels come with the first call of a tool, and of the session store
  paf_tool_calls_total: ['counter', []],
  paf_tool_duration_seconds: ['histogram', []],
  paf_sessions_total: ['counter', ['event']],
  paf_session_conflicts_total: ['counter', []],
  paf_session_store_duration_seconds: ['histogram', []],
  paf_log_bytes_total: ['counter', []],
  paf_log_lines_dropped_total: ['counter', []],
  paf_build_info: ['gauge', ['version']],
  paf_max_runs: ['gauge', []],
  paf_event_log_dropped_total: ['counter', []],
  // labels come with the first worker and the first task
  paf_workers: ['gauge', []],
  paf_worker_tasks_total: ['counter', []],
  paf_worker_task_duration_seconds: ['histogram', []],
  paf_stream_readers: ['gauge', []],
  paf_websocket_connections: ['gauge', []],
};

test('the promised metrics are there with their types and labels, and no others of ours', async () => {
  const { service } = await startChat([{ text: 'Hello there.' }]);
  await send(service, '/api/chat', jsonPost(ask));
  await service.services.drain();
  await send(service, '/api/chat', jsonPost(ask));
  const ours = (await scrape(service)).filter(({ name }) => /^(paf|http|gen_ai)_/.test(name));
  const found = ours.map(({ name, type, samples }) => {
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    labels.delete('le');
    return [name, [type, [...labels].toSorted()]];
  });
  expect(Object.fromEntries(found)).toEqual(promised);
});

test('names, types and histograms are what a scraper and its linter expect', async () => {
  const { service } = await startChat([{ text: 'Hello there.' }]);
  await send(service, '/api/chat', jsonPost(ask));
  for (const family of await scrape(service)) {
    const { name, help, type, samples } = family;
    expect(name).toMatch(nameForm);
    expect(help, name).not.toBe('');
    expect(['counter', 'gauge', 'histogram', 'summary'], name).toContain(type);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(name).not.toMatch(/_(count|sum|bucket|milliseconds|ms|kilobytes)$/);
    const keys = samples.map((sample) => JSON.stringify([sample.name, sorted(sample.labels)]));
    expect(new Set(keys).size, name).toBe(keys.length);
    if (type === 'histogram') checkHistogram(family);
    else for (const sample of samples) expect(sample.name).toBe(name);
  }
});

/** Buckets only grow, and the last one holds everything. */
function checkHistogram({ name, samples }: Family): void {
  const bySeries = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(sorted(labels)));
  for (const series of bySeries.values()) {
    const buckets = series.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels.le?.replace('+Inf', 'Infinity')));
    expect(bounds).toEqual(bounds.toSorted((left, right) => left - right));
    expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY);
    const counts = buckets.map(({ value }) => value);
    expect(counts).toEqual(counts.toSorted((left, right) => left - right));
    expect(series.find((sample) => sample.name === `${name}_count`)?.value).toBe(counts.at(-1));
    expect(series.filter((sample) => sample.name === `${name}_sum`).length).toBe(1);
  }
}

test('the default metrics are there but for those that a linter refuses', async () => {
  const families = await scrape(await startService());
  const names = families.map(({ name }) => name);
  const lags = ['', '_min', '_max', '_mean', '_stddev', '_p50', '_p90', '_p99'].map((kind) =>
    kind.startsWith('_') ? `nodejs_eventloop_lag${kind}_seconds` : 'nodejs_eventloop_lag_seconds',
  );
  expect(names).toEqual(expect.arrayContaining(['process_cpu_seconds_total', ...lags]));
  for (const kind of ['handles', 'requests', 'resources']) {
    expect(names).not.toContain(`nodejs_active_${kind}_total`);
  }
});

test('callers cannot add series: neither by paths, models, methods nor ids', async () => {
  const service = await startService();
  const probe = async (index: number) => {
    await send(service, `/${index}/wp-login.php?${index}`);
    await send(service, `/api/runs/run_${index}`);
    await send(service, '/api/chat', jsonPost({ ...ask, model: `model-${index}`, provider: `p-${index}` }));
    await send(service, '/api/chat', jsonPost(ask, { 'x-request-id': `id-${index}` }));
  };
  const seriesCount = async () => {
    const families = await scrape(service);
    return families
      .filter(({ name }) => /^(paf|http|gen_ai)_/.test(name))
      .flatMap(({ samples }) =>
        samples.map((sample) => [sample.name, ...Object.values(sample.labels)].join(' ')),
      )
      .toSorted();
  };
  await probe(-1);
  await scrape(service);
  const before = await seriesCount();
  const workers = Array.from({ length: 10 }, async (_, worker) => {
    for (let index = 0; index < 25; index += 1) await probe(worker * 25 + index);
  });
  await Promise.all(workers);
  expect(await seriesCount()).toEqual(before);
});

test('no label holds what a caller wrote', async () => {
  const service = await startService();
  await send(
    service,
    '/api/chat',
    jsonPost({ message: 'Tell me about Zanzibar.', metadata: { note: 'Zanzibar' } }),
  );
  await send(service, '/Zanzibar?Zanzibar=1', { headers: { 'x-request-id': 'Zanzibar' } });
  await send(service, '/api/chat', jsonPost({ message: 'Hi', model: 'Zanzibar' }));
  expect((await send(service, '/metrics')).text).not.toContain('Zanzibar');
});

test('two services in one process count for themselves', async () => {
  const first = await startService();
  const second = await startService();
  await send(first, '/api/chat', jsonPost(ask));
  expect(countsOf(await scrape(first), 'paf_runs_total')).toEqual({ completed: 1 });
  expect(countsOf(await scrape(second), 'paf_runs_total')).toEqual({});
});

test('ENABLE_METRICS=false takes the route away', async () => {
  const service = await startService({ ENABLE_METRICS: 'false' });
  expect((await send(service, '/metrics')).status).toBe(404);
  expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(200);
});
