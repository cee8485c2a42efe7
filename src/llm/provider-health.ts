import type { Fault } from '../core/errors.js';
import type { LlmProvider, ProbedModel } from './provider.js';

type HealthReason = 'auth' | 'unreachable' | 'errors' | 'rate_limited';

export type ProviderStatus = {
  status: 'unknown' | 'healthy' | 'degraded' | 'unhealthy';
  reason?: HealthReason;
  /** of the last probe that was answered */
  latencyMs: number | null;
  /** a sentence for people, without the provider's own words */
  error: string | null;
  /** epoch seconds of the last call or probe that told something */
  lastCheck: number | null;
};

export type ProviderHealthOptions = {
  providers: readonly LlmProvider[];
  /** is given what a probe listed, after every probe that listed something */
  onModels: (provider: string, models: ProbedModel[]) => void;
  /** milliseconds between looks at who needs a probe; default 5,000 */
  probeIntervalMs?: number;
  /** milliseconds since the epoch */
  now?: () => number;
};

/** Each provider's state, from the real calls of late and from a cheap probe at start and when there are none. */
export interface ProviderHealth {
  /** Probes everybody once; resolves when all answered, or after 2.5 s. Then probes go on until `stop`. */
  start(): Promise<void>;
  stop(): void;
  /** To be told of every real call that ended; aborted calls say nothing. */
  recordCall(provider: string, outcome: 'ok' | Fault): void;
  status(): Record<string, ProviderStatus>;
  /** whether a call may be tried: true unless the provider is unhealthy */
  isUsable(provider: string): boolean;
}

const idleMs = 30_000;
const failureWindowMs = 60_000;
const failuresToUnhealthy = 3;
const probeTimeoutMs = 5_000;
const firstRoundMs = 2_500;

/** What is remembered of one provider. */
type Watch = {
  provider: LlmProvider;
  /** times of the failures since the last success */
  failures: number[];
  last: Finding | undefined;
  /** set while the last word was a probe that failed, or a refused key */
  isDown: boolean;
  /** whether a real call was answered since the key was last refused */
  hasWorked: boolean;
  lastHeardOf: number;
  lastCheck: number | null;
  latencyMs: number | null;
  isProbing: boolean;
};

type Finding = { reason: HealthReason; message: string };

export function createProviderHealth(options: ProviderHealthOptions): ProviderHealth {
  const { onModels, probeIntervalMs = 5_000, now = Date.now } = options;
  const watches = new Map(options.providers.map((provider) => [provider.name, createWatch(provider)]));
  let stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  async function probe(watch: Watch): Promise<void> {
    if (watch.isProbing) return;
    watch.isProbing = true;
    const { signal } = stopping;
    const startedAt = now();
    try {
      const models = await watch.provider.probe(
        AbortSignal.any([signal, AbortSignal.timeout(probeTimeoutMs)]),
      );
      if (signal.aborted) return;
      watch.latencyMs = now() - startedAt;
      recordAlive(watch, now());
      if (models.length > 0) onModels(watch.provider.name, models);
    } catch (error) {
      if (!signal.aborted) recordProbeFailure(watch, error, now());
    } finally {
      watch.isProbing = false;
    }
  }

  function probeWhoNeedsIt(): void {
    for (const watch of watches.values()) {
      const isQuiet = now() - watch.lastHeardOf >= idleMs;
      if (isQuiet || isUnhealthy(watch, now())) void probe(watch);
    }
  }

  return {
    async start() {
      stopping = new AbortController();
      timer ??= setInterval(probeWhoNeedsIt, probeIntervalMs).unref();
      const round = Promise.all([...watches.values()].map(probe));
      await withinFirstRound(round, stopping.signal);
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
      stopping.abort();
    },
    recordCall(name, outcome) {
      const watch = watches.get(name);
      if (!watch) return;
      if (outcome === 'ok') recordSuccess(watch, now());
      else recordFailure(watch, outcome, now());
    },
    status() {
      const entries = [...watches].map(([name, watch]) => [name, describe(watch, now())] as const);
      return Object.fromEntries(entries);
    },
    isUsable(name) {
      const watch = watches.get(name);
      return watch !== undefined && !isUnhealthy(watch, now());
    },
  };
}

function createWatch(provider: LlmProvider): Watch {
  return {
    provider,
    failures: [],
    last: undefined,
    isDown: false,
    hasWorked: false,
    lastHeardOf: Number.NEGATIVE_INFINITY,
    lastCheck: null,
    latencyMs: null,
    isProbing: false,
  };
}

function withinFirstRound(round: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, firstRoundMs);
    signal.addEventListener('abort', done, { once: true });
    round.then(done, done);
  });
}

function recordSuccess(watch: Watch, time: number): void {
  watch.failures = [];
  watch.last = undefined;
  watch.isDown = false;
  watch.hasWorked = true;
  watch.lastHeardOf = time;
  watch.lastCheck = time / 1000;
}

/** An endpoint that lists its models is there and takes the key; real calls that failed lately still count. */
function recordAlive(watch: Watch, time: number): void {
  watch.isDown = false;
  watch.lastHeardOf = time;
  watch.lastCheck = time / 1000;
  if (recentFailures(watch, time) >= failuresToUnhealthy) {
    // answered again: what failed before is a warning from now on
    watch.failures = watch.failures.slice(1 - failuresToUnhealthy);
  }
}

function recordProbeFailure(watch: Watch, error: unknown, time: number): void {
  const finding = findingOf(error as Fault);
  // some keys may chat but not list models
  if (finding.reason === 'auth' && watch.hasWorked) {
    recordAlive(watch, time);
    return;
  }
  watch.isDown = true;
  watch.last = finding;
  watch.lastHeardOf = time;
  watch.lastCheck = time / 1000;
}

function recordFailure(watch: Watch, fault: Fault, time: number): void {
  const isRefusedKey = fault.upstreamStatus === 401 || fault.upstreamStatus === 403;
  if (!isRefusedKey && !countsAgainst(fault)) return;
  watch.failures = [...watch.failures, time].slice(-failuresToUnhealthy);
  watch.last = findingOf(fault);
  if (isRefusedKey) {
    watch.isDown = true;
    watch.hasWorked = false;
  }
  watch.lastHeardOf = time;
  watch.lastCheck = time / 1000;
}

/** A refused request says nothing about the provider's health. */
function countsAgainst({ type }: Fault): boolean {
  return type === 'provider_unavailable' || type === 'provider_timeout' || type === 'provider_error';
}

function recentFailures(watch: Watch, time: number): number {
  return watch.failures.filter((failed) => time - failed <= failureWindowMs).length;
}

function isUnhealthy(watch: Watch, time: number): boolean {
  return watch.isDown || recentFailures(watch, time) >= failuresToUnhealthy;
}

function describe(watch: Watch, time: number): ProviderStatus {
  const { latencyMs, lastCheck, last } = watch;
  if (lastCheck === null) return { status: 'unknown', latencyMs, error: null, lastCheck };
  const isBad = isUnhealthy(watch, time);
  if (!last || (!isBad && recentFailures(watch, time) === 0)) {
    return { status: 'healthy', latencyMs, error: null, lastCheck };
  }
  const status = isBad ? 'unhealthy' : 'degraded';
  return { status, reason: last.reason, latencyMs, error: last.message, lastCheck };
}

function findingOf(fault: Partial<Fault>): Finding {
  const { upstreamStatus: status, type } = fault;
  if (status === 401 || status === 403)
    return { reason: 'auth', message: 'It does not accept the credentials.' };
  if (status === 429) return { reason: 'rate_limited', message: 'It takes no more requests at the moment.' };
  if (type === 'provider_error') return { reason: 'errors', message: 'It answers with errors.' };
  if (type === 'provider_unavailable' && status !== undefined) {
    return { reason: 'errors', message: 'It is overloaded or down.' };
  }
  if (type === 'provider_unavailable' && /certificate/.test(fault.message ?? '')) {
    return { reason: 'unreachable', message: 'Its certificate is not trusted.' };
  }
  if (type === 'provider_unavailable') return { reason: 'unreachable', message: 'It cannot be reached.' };
  return { reason: 'unreachable', message: 'It does not answer in time.' };
}
