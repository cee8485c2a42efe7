import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BreakerState } from '../core/breaker-state.js';

/** Default metrics whose names promtool refuses. */
const leftOut = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export type Metrics = ReturnType<typeof createMetrics>;

/** Every metric of the service, in a registry of its own. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of leftOut) registry.removeSingleMetric(name);
  const registers = [registry];
  const runBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
  return {
    registry,
    httpDuration: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the request to the end of its response, streams included',
      labelNames: ['method', 'route', 'status_code'] as const,
      buckets: [0.005, 0.025, ...runBuckets],
      registers,
    }),
    runs: new Counter({
      name: 'paf_runs_total',
      help: 'Runs that ended, by outcome',
      labelNames: ['outcome'] as const,
      registers,
    }),
    activeRuns: new Gauge({ name: 'paf_active_runs', help: 'Runs under way', registers }),
    runDuration: new Histogram({
      name: 'paf_run_duration_seconds',
      help: 'Time from the start of a run to its end',
      buckets: runBuckets,
      registers,
    }),
    phaseDuration: new Histogram({
      name: 'paf_upee_phase_duration_seconds',
      help: 'Time of each phase of a run',
      labelNames: ['phase'] as const,
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, ...runBuckets],
      registers,
    }),
    llmRequests: new Counter({
      name: 'paf_llm_requests_total',
      help: 'Calls to models, by outcome',
      labelNames: ['provider', 'model', 'outcome'] as const,
      registers,
    }),
    timeToFirstToken: new Histogram({
      name: 'paf_llm_time_to_first_token_seconds',
      help: 'Time from a call to its first token',
      labelNames: ['provider', 'model'] as const,
      buckets: [0.01, 0.05, ...runBuckets],
      registers,
    }),
    llmTokens: new Counter({
      name: 'paf_llm_tokens_total',
      help: 'Tokens of model calls; cached is part of input, reasoning part of output',
      labelNames: ['provider', 'model', 'type'] as const,
      registers,
    }),
    llmCost: new Counter({
      name: 'paf_llm_cost_usd_total',
      help: 'US dollars of model calls by the prices of the catalogue',
      labelNames: ['provider', 'model'] as const,
      registers,
    }),
    errors: new Counter({
      name: 'paf_errors_total',
      help: 'Errors sent to clients, in streams and as responses',
      labelNames: ['type'] as const,
      registers,
    }),
    rejected: new Counter({
      name: 'paf_rejected_requests_total',
      help: 'Requests that were not admitted',
      labelNames: ['reason'] as const,
      registers,
    }),
    streamReaders: new Gauge({ name: 'paf_stream_readers', help: 'Open event streams', registers }),
  };
}

const breakerValues: Record<BreakerState, number> = { closed: 0, half_open: 1, open: 2 };

/** Reports each provider's breaker whenever the metrics are read. */
export function watchBreakers(
  { registry }: Metrics,
  providers: string[],
  stateOf: (provider: string) => BreakerState,
): void {
  new Gauge({
    name: 'paf_llm_breaker_state',
    help: 'Breaker of each provider: 0 closed, 1 half open, 2 open',
    labelNames: ['provider'] as const,
    registers: [registry],
    collect() {
      for (const provider of providers) this.set({ provider }, breakerValues[stateOf(provider)]);
    },
  });
}
