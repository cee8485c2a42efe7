import type { ErrorType } from '../../core/errors.js';
import type { Services } from '../../services.js';
import { withProblem } from './common.js';

const seconds = (description: string) => ({ type: 'integer', description });

const standingHeaders = {
  'RateLimit-Limit': seconds('Requests that the caller may send within a minute'),
  'RateLimit-Remaining': seconds('How many of them are left'),
  'RateLimit-Reset': seconds('Seconds until they are counted anew'),
};

/** The limits that are set. */
export type SetLimits = { hasRate: boolean; hasQuota: boolean; isShared: boolean };

export function setLimitsOf(config: Services['config']): SetLimits {
  return {
    hasRate: config.rateLimitRpm !== undefined || config.rateLimitStreamsRpm !== undefined,
    hasQuota: config.tenantDailyTokens !== undefined || config.tenantDailyCostUsd !== undefined,
    isShared: config.redisUrl !== undefined,
  };
}

type Described = { response?: unknown };
type Responses = Record<number, { headers?: object }>;

/** The description of a route that knows its callers, with the limits that are set. */
export function withLimits<Schema extends Described>(
  schema: Schema,
  { hasRate, hasQuota, isShared }: SetLimits,
  startsRun: boolean,
): Schema {
  const isCharged = hasQuota && startsRun;
  if (!hasRate && !isCharged) return schema;
  const refusals: ErrorType[] = [
    ...(hasRate ? (['rate_limited'] as const) : []),
    ...(isCharged ? (['quota_exceeded'] as const) : []),
    ...(isShared ? (['limits_unavailable'] as const) : []),
  ];
  const response = refusals.reduce(withProblem, (schema.response ?? {}) as Record<number, unknown>);
  return { ...schema, response: hasRate ? withStanding(response as Responses) : response };
}

function withStanding(responses: Responses): Responses {
  const entries = Object.entries(responses).map(([status, response]) => {
    return [status, { ...response, headers: { ...response.headers, ...standingHeaders } }];
  });
  return Object.fromEntries(entries);
}
