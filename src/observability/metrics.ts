import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BreakerState } from '../core/breaker-state.js';
import { errorStatus } from '../core/errors.js';
import { phases } from '../core/events.js';
import { createLabelValues } from './label-values.js';

/** Default metrics whose names promtool refuses. */
const leftOut = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

const authFailureReasons = [
  'missing',
  'malformed',
  'signature',
  'expired',
  'not_yet_valid',
  'audience',
  'issuer',
  'unknown_key',
  'replayed',
  'timestamp',
  'claims',
  'forbidden',
  'unavailable',
] as const;

const sessionEvents = ['created', 'deleted', 'evicted', 'forked'] as const;

const rateLimitScopes = ['requests', 'streams', 'tokens', 'cost'] as const;

export type Metrics = ReturnType<typeof createMetrics>;

/** Every metric of the service, in a registry of its own. Closed sets of labels are there from the start, at 0. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of leftOut) registry.removeSingleMetric(name);
  const registers = [registry];
  const runBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
  const metrics = {
    registry,
    /** what the labels hold whose values come from models, providers, MCP servers and workers */
    values: { model: createLabelValues(), tool: createLabelValues(), taskType: createLabelValues() },
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
    ...genAiMetrics(registers),
    ...toolMetrics(registers, runBuckets),
    ...workerMetrics(registers, runBuckets),
    ...sessionMetrics(registers),
    ...refusalMetrics(registers),
    eventLogDropped: new Counter({
      name: 'paf_event_log_dropped_total',
      help: 'Events that EVENT_LOG had no room for',
      registers,
    }),
    webSockets: new Gauge({ name: 'paf_websocket_connections', help: 'Open WebSockets', registers }),
    streamReaders: new Gauge({ name: 'paf_stream_readers', help: 'Open event streams', registers }),
  };
  startAtZero(metrics);
  return metrics;
}

/** A series that first appears with its first event hides that event from `rate()`. */
function startAtZero(
  metrics: Pick<Metrics, 'runs' | 'phaseDuration' | 'sessions'> & ReturnType<typeof refusalMetrics>,
): void {
  for (const outcome of ['completed', 'failed', 'cancelled']) metrics.runs.inc({ outcome }, 0);
  for (const phase of phases) metrics.phaseDuration.zero({ phase });
  for (const event of sessionEvents) metrics.sessions.inc({ event }, 0);
  for (const type of Object.keys(errorStatus)) metrics.errors.inc({ type }, 0);
  for (const reason of ['overloaded', 'shutting_down']) metrics.rejected.inc({ reason }, 0);
  for (const reason of authFailureReasons) metrics.authFailures.inc({ reason }, 0);
  for (const scope of rateLimitScopes) metrics.rateLimitRejections.inc({ scope }, 0);
}

function refusalMetrics(registers: Registry[]) {
  return {
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

/** As the conventions of OpenTelemetry have them, with `_` for the dots. */
function genAiMetrics(registers: Registry[]) {
  const labelNames = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'] as const;
  return {
    genAiTokens: new Histogram({
      name: 'gen_ai_client_token_usage',
      help: 'Tokens of each model call as its provider reported them; what was only estimated is left out',
      labelNames: [...labelNames, 'gen_ai_token_type'] as const,
      buckets: Array.from({ length: 14 }, (_, index) => 4 ** index),
      registers,
    }),
    genAiDuration: new Histogram({
      name: 'gen_ai_client_operation_duration',
      help: 'Seconds of each model call',
      labelNames: [...labelNames, 'error_type'] as const,
      buckets: Array.from({ length: 14 }, (_, index) => 2 ** index / 100),
      registers,
    }),
  };
}

function toolMetrics(registers: Registry[], runBuckets: number[]) {
  return {
    toolCalls: new Counter({
      name: 'paf_tool_calls_total',
      help: 'Calls of tools by models, by outcome; a tool that does not exist is called unknown',
      labelNames: ['tool', 'outcome'] as const,
      registers,
    }),
    toolDuration: new Histogram({
      name: 'paf_tool_duration_seconds',
      help: 'Time of each call of a tool',
      labelNames: ['tool'] as const,
      buckets: [0.001, 0.01, ...runBuckets],
      registers,
    }),
  };
}

function sessionMetrics(registers: Registry[]) {
  return {
    sessions: new Counter({
      name: 'paf_sessions_total',
      help: 'Sessions, by what became of them',
      labelNames: ['event'] as const,
      registers,
    }),
    sessionConflicts: new Counter({
      name: 'paf_session_conflicts_total',
      help: 'Messages that were refused because their session was busy',
      registers,
    }),
    sessionStoreDuration: new Histogram({
      name: 'paf_session_store_duration_seconds',
      help: 'Time of each operation of the session store, by outcome',
      labelNames: ['operation', 'outcome'] as const,
      buckets: [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
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

/** What does not change while the service runs. */
export function reportLimits(
  { registry }: Metrics,
  { version, maxRuns }: { version: string; maxRuns: number },
): void {
  const registers = [registry];
  new Gauge({
    name: 'paf_build_info',
    help: 'Always 1; the version is a label',
    labelNames: ['version'] as const,
    registers,
  }).set({ version }, 1);
  new Gauge({ name: 'paf_max_runs', help: 'Runs that may be under way at once', registers }).set(maxRuns);
}

/** Reports how much was logged, whenever the metrics are read. */
export function watchLog(
  { registry }: Metrics,
  written: () => { bytes: number; droppedLines: number },
): void {
  const registers = [registry];
  new Counter({
    name: 'paf_log_bytes_total',
    help: 'Bytes of log lines that went to stdout',
    registers,
    collect() {
      this.reset();
      this.inc(written().bytes);
    },
  });
  new Counter({
    name: 'paf_log_lines_dropped_total',
    help: 'Log lines that were dropped because nobody read stdout in time',
    registers,
    collect() {
      this.reset();
      this.inc(written().droppedLines);
    },
  });
}

const breakerValues: Record<BreakerState, number> = { closed: 0, half_open: 1, open: 2 };

/** Reports how each provider and its breaker is, whenever the metrics are read. */
export function watchProviders(
  { registry }: Metrics,
  states: () => Record<string, { status: string; breaker: BreakerState }>,
): void {
  const registers = [registry];
  new Gauge({
    name: 'paf_providers',
    help: 'Providers by what they are now',
    labelNames: ['provider', 'status'] as const,
    registers,
    collect() {
      this.reset();
      for (const [provider, { status }] of Object.entries(states())) this.set({ provider, status }, 1);
    },
  });
  new Gauge({
    name: 'paf_llm_breaker_state',
    help: 'Breaker of each provider: 0 closed, 1 half open, 2 open',
    labelNames: ['provider'] as const,
    registers,
    collect() {
      for (const [provider, { breaker }] of Object.entries(states()))
        this.set({ provider }, breakerValues[breaker]);
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
