import type { Logger } from 'pino';
import type { BreakerState } from '../core/breaker-state.js';
import { writtenByLogger } from './logger.js';
import {
  type Metrics,
  reportLimits,
  watchLog,
  watchMcpServers,
  watchProviders,
  watchSessions,
  watchWorkers,
} from './metrics.js';

/** What has a state that metrics show. */
export type WatchedParts = {
  config: { version: string; maxConcurrentRequests: number };
  logger: Logger;
  providerStates(): Record<string, { status: string; breaker: BreakerState }>;
  mcp: { status(): { name: string; status: string }[] };
  workers: { status(): { status: string }[] };
  sessions: { readonly busyCount: number };
};

/** Reports how the parts are, whenever the metrics are read. */
export function watchParts(metrics: Metrics, parts: WatchedParts): void {
  const { config, logger, providerStates, mcp, workers, sessions } = parts;
  reportLimits(metrics, { version: config.version, maxRuns: config.maxConcurrentRequests });
  watchLog(metrics, () => writtenByLogger(logger));
  watchProviders(metrics, providerStates);
  watchMcpServers(metrics, () => mcp.status());
  watchWorkers(metrics, () => workers.status());
  watchSessions(metrics, () => sessions.busyCount);
}
