import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { createEventLog, type EventLog } from '../observability/event-log.js';
import { createJsonlSink } from '../observability/event-log-jsonl.js';
import { createSqliteSink } from '../observability/event-log-sqlite.js';
import type { Metrics } from '../observability/metrics.js';
import { countSessionEvent, observeSessionStore } from '../observability/observe-sessions.js';
import { JsonlSessionStore } from '../sessions/jsonl.js';
import { MemorySessionStore } from '../sessions/memory.js';
import { RedisSessionStore } from '../sessions/redis.js';
import { SessionManager } from '../sessions/session-manager.js';
import type { SessionStore, StoreWarning } from '../sessions/session-store.js';

export function createSessions(config: Config, logger: Logger, metrics: Metrics): SessionManager {
  const { maxSessions, sessionConflict: conflict } = config;
  const store = observeSessionStore(createSessionStore(config, logger), metrics);
  return new SessionManager(store, {
    maxSessions,
    conflict,
    onEvent: (event) => countSessionEvent(metrics, event),
  });
}

function createSessionStore(config: Config, logger: Logger): SessionStore {
  const warn: StoreWarning = (fields, text) => logger.warn(fields, text);
  switch (config.memoryBackend) {
    case 'memory':
      return new MemorySessionStore();
    case 'filesystem':
      return new JsonlSessionStore(config.sessionFolder, warn);
    case 'redis':
      return new RedisSessionStore(config.redisUrl as string, warn);
    default:
      return config.memoryBackend satisfies never;
  }
}

export function createConfiguredEventLog(
  config: Config,
  logger: Logger,
  metrics: Metrics,
): EventLog | undefined {
  const { eventLogFile: file } = config;
  if (file === undefined) return undefined;
  const sink = /\.(db|sqlite)$/i.test(file)
    ? createSqliteSink(file)
    : createJsonlSink(file, (bytes) =>
        logger.warn({ bytes }, 'EVENT_LOG ended in a torn line, which was cut off'),
      );
  return createEventLog({
    sink,
    onDropped: (count) => metrics.eventLogDropped.inc(count),
    onTrouble: (trouble) =>
      logger.warn(
        trouble,
        trouble.reason === undefined ? 'EVENT_LOG is written too slowly' : 'EVENT_LOG cannot be written',
      ),
  });
}
