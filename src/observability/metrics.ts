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
    ...llmMetrics(registers, runBuckets),
    ...workerMetrics(registers, runBuckets),
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
    authFailures: new Counter({
      name: 'paf_auth_failures_total',
      help: 'Requests whose caller could not be told, or may not, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
    rateLimitRejections: new Counter({
      name: 'paf_rate_limit_rejections_total',
      help: 'Requests beyond a limit of their caller, by the limit',
      labelNames: ['scope'] as const,
      registers,
    }),
    eventLogDropped: new Counter({
      name: 'paf_event_log_dropped_total',
      help: 'Events that EVENT_LOG had no room for',
      registers,
    }),
    webSockets: new Gauge({ name: 'paf_websocket_connections', help: 'Open WebSockets', registers }),
    streamReaders: new Gauge({ name: 'paf_stream_readers', help: 'Open event streams', registers }),
  };
}

function llmMetrics(registers: Registry[], runBuckets: number[]) {
  return {
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
  };
}

function workerMetrics(registers: Registry[], runBuckets: number[]) {
  return {
    workerTasks: new Counter({
      name: 'paf_worker_tasks_total',
      help: 'Tasks that were delegated to workers, by outcome',
      labelNames: ['task_type', 'outcome'] as const,
      registers,
    }),
    workerTaskDuration: new Histogram({
      name: 'paf_worker_task_duration_seconds',
      help: 'Time from delegating a task to its end, a second worker included',
      labelNames: ['task_type'] as const,
      buckets: runBuckets,
      registers,
    }),
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

/** Reports how many sessions are being written to, whenever the metrics are read. */
export function watchSessions({ registry }: Metrics, busyCount: () => number): void {
  new Gauge({
    name: 'paf_busy_sessions',
    help: 'Sessions in which a run is under way or waits',
    registers: [registry],
    collect() {
      this.set(busyCount());
    },
  });
}

/** Reports whether each MCP server is connected, whenever the metrics are read. The operator chose their names. */
export function watchMcpServers(
  { registry }: Metrics,
  statuses: () => { name: string; status: string }[],
): void {
  new Gauge({
    name: 'paf_mcp_servers',
    help: 'MCP servers by what they are now',
    labelNames: ['server', 'status'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, status } of statuses()) this.set({ server: name, status }, 1);
    },
  });
}

/** Reports how many workers are in each state, whenever the metrics are read. Addresses come and go: they are no label. */
export function watchWorkers({ registry }: Metrics, statuses: () => { status: string }[]): void {
  new Gauge({
    name: 'paf_workers',
    help: 'Workers by what they are now',
    labelNames: ['status'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { status } of statuses()) this.inc({ status });
    },
  });
}
