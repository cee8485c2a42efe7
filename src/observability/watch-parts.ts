import type { Logger } from 'pino';
import type { BreakerState } from '../core/breaker-state.js';
import { writtenByLogger } from './logger.js';
import {
  type Metrics,
  reportLimits,
  watchBreakers,
  watchLog,
  watchMcpServers,
  watchSessions,
  watchWorkers,
} from './metrics.js';

/** What has a state that metrics show. */
export type WatchedParts = {
  config: { version: string; maxConcurrentRequests: number };
  logger: Logger;
  providerNames: string[];
  breakers: { state(provider: string): BreakerState };
  mcp: { status(): { name: string; status: string }[] };
  workers: { status(): { status: string }[] };
  sessions: { readonly busyCount: number };
};

/** Reports how the parts are, whenever the metrics are read. */
export function watchParts(metrics: Metrics, parts: WatchedParts): void {
  const { config, logger, providerNames, breakers, mcp, workers, sessions } = parts;
  reportLimits(metrics, { version: config.version, maxRuns: config.maxConcurrentRequests });
  watchLog(metrics, () => writtenByLogger(logger));
  watchBreakers(metrics, providerNames, breakers.state);
  watchMcpServers(metrics, () => mcp.status());
  watchWorkers(metrics, () => workers.status());
  watchSessions(metrics, () => sessions.busyCount);
}
