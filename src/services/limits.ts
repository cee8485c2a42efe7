import type { Logger } from 'pino';
import type { NonceStore } from '../auth/authenticator.js';
import type { Config } from '../config.js';
import { createRedisNonces } from '../limits/nonces-redis.js';
import { createMemoryQuotas } from '../limits/quota-memory.js';
import { createRedisQuotas } from '../limits/quota-redis.js';
import { toMicroUsd } from '../limits/quota-store.js';
import { createQuotas, type Quotas } from '../limits/quotas.js';
import type { Metrics } from '../observability/metrics.js';
import { createRedis, type RedisConnection } from '../redis/connection.js';

/** How much callers may do. */
export type Limits = {
  /** where all replicas count together; undefined: this process counts for itself */
  redis: RedisConnection | undefined;
  /** remembers the nonces of signed requests for all replicas; undefined without Redis */
  nonces: NonceStore | undefined;
  /** undefined: no quota is set */
  quotas: Quotas | undefined;
  /** Tries to connect. */
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

/** A caller waits no longer than this to be refused. */
const commandTimeoutMs = 1_000;

export function createLimits(config: Config, logger: Logger, metrics: Metrics): Limits {
  const { redisUrl, tenantDailyTokens: tokens, tenantDailyCostUsd: costUsd } = config;
  const onTrouble = (reason: string) =>
    logger.warn({ reason }, 'the storage of limits is not available: what needs it is refused');
  const redis = redisUrl === undefined ? undefined : createRedis(redisUrl, { commandTimeoutMs, onTrouble });
  const quotas = createConfiguredQuotas();

  function createConfiguredQuotas(): Quotas | undefined {
    if (tokens === undefined && costUsd === undefined) return undefined;
    const limits = { tokens, microUsd: costUsd === undefined ? undefined : toMicroUsd(costUsd) };
    return createQuotas({
      store: redis ? createRedisQuotas(redis, limits) : createMemoryQuotas(limits),
      marginMs: config.quotaMarginMs,
      onRefused: (scope) => metrics.rateLimitRejections.inc({ scope }),
    });
  }

  const isRated = config.rateLimitRpm !== undefined || config.rateLimitStreamsRpm !== undefined;
  const isSigned = config.authMode === 'hmac' || config.authMode === 'any';
  return {
    redis,
    nonces: redis && createRedisNonces(redis),
    quotas,
    async open(signal) {
      if (quotas || isRated || isSigned) await redis?.open(signal);
    },
    async close() {
      await quotas?.close();
      await redis?.close();
    },
  };
}
