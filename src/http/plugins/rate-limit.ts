import { hash } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Identity } from '../../auth/authenticator.js';
import { Fault } from '../../core/errors.js';
import { limitsUnavailable } from '../../limits/limits-fault.js';
import type { Services } from '../../services.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route starts an answer or follows one, which is limited apart. */
    isStream?: boolean;
  }
  interface FastifyInstance {
    rateLimits: RateLimits;
  }
}

export const rateLimitHeaders = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];

type Scope = 'requests' | 'streams';

interface RateLimits {
  /**
   * Counts a request of its caller. Throws `rate_limited` when it is one too many, and `limits_unavailable` when that
   * cannot be told. Returns how the caller stands; undefined: there is no limit.
   */
  take(request: FastifyRequest, isStream: boolean): Promise<Standing | undefined>;
}

type Standing = { max: number; remaining: number; ttlMs: number };

/** One more for every caller whom the process remembers; the one whom it has not seen for longest is forgotten for the next. */
const rememberedCallers = 100_000;

/** Counts the requests of each subject of a tenant. Comes after the authentication: what is public is not counted. */
export async function registerRateLimits(app: FastifyInstance, services: Services): Promise<void> {
  const { config, metrics } = services;
  const limiters = [
    await createLimiter(app, services, 'requests', config.rateLimitRpm),
    await createLimiter(app, services, 'streams', config.rateLimitStreamsRpm),
  ].filter((limiter) => limiter !== undefined);

  async function take(request: FastifyRequest, isStream: boolean): Promise<Standing | undefined> {
    let tightest: Standing | undefined;
    for (const { scope, count } of limiters) {
      if (scope === 'streams' && !isStream) continue;
      const { isExceeded, ...standing } = await count(request);
      if (isExceeded) {
        metrics.rateLimitRejections.inc({ scope });
        throw new RateLimited(scope, standing, config.rateLimitWindowMs);
      }
      if (!tightest || standing.remaining < tightest.remaining) tightest = standing;
    }
    return tightest;
  }

  app.decorate('rateLimits', { take });
  if (limiters.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    const { identity } = request as { identity?: Identity };
    if (!identity) return;
    try {
      const standing = await take(request, request.routeOptions.config.isStream ?? false);
      if (standing) tell(reply, standing);
    } catch (error) {
      if (error instanceof RateLimited) tell(reply, error.standing);
      throw error;
    }
  });
}

class RateLimited extends Fault {
  constructor(
    scope: Scope,
    readonly standing: Standing,
    windowMs: number,
  ) {
    const { max, ttlMs } = standing;
    const what = scope === 'streams' ? 'requests for answers' : 'requests';
    const message = `You sent more than ${max} ${what} within ${windowMs / 1000} seconds; try again later.`;
    super('rate_limited', message, { retryAfterMs: ttlMs });
  }
}

/** @see https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06 */
function tell(reply: FastifyReply, { max, remaining, ttlMs }: Standing): void {
  reply.header('ratelimit-limit', max);
  reply.header('ratelimit-remaining', remaining);
  reply.header('ratelimit-reset', Math.ceil(ttlMs / 1000));
}

/** A counter of its own, in a scope of its own, as the plugin keeps one store a scope. */
async function createLimiter(
  app: FastifyInstance,
  { config, limits }: Services,
  scope: Scope,
  max: number | undefined,
) {
  if (max === undefined) return undefined;
  const redis = await limits.redis?.client();
  let limit: ReturnType<FastifyInstance['createRateLimit']> | undefined;
  await app.register(async (inner) => {
    await inner.register(rateLimit, {
      global: false,
      max,
      timeWindow: config.rateLimitWindowMs,
      cache: rememberedCallers,
      nameSpace: `paf:rate:${scope}:`,
      keyGenerator: keyOf,
      ...(redis && { redis }),
    });
    limit = inner.createRateLimit();
  });
  return {
    scope,
    async count(request: FastifyRequest): Promise<Standing & { isExceeded: boolean }> {
      const counted = await limit?.(request).catch((cause: unknown) => {
        throw limitsUnavailable(cause);
      });
      if (!counted || counted.isAllowed) throw limitsUnavailable(undefined);
      return { max, remaining: counted.remaining, ttlMs: counted.ttl, isExceeded: counted.isExceeded };
    },
  };
}

/** The same length for every caller, and never the same for two. */
function keyOf({ identity: { caller } }: FastifyRequest): string {
  return hash('sha256', JSON.stringify([caller.tenant, caller.subject]), 'base64url');
}
