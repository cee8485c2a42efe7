import { dollars, offUnlessSet, wholeNumber } from './kinds.js';

const mostRequests = 1_000_000;
const mostDailyTokens = 1_000_000_000_000;

/** Settings of how much one caller may do. With REDIS_URL all replicas count together, otherwise each process for itself. */
export const limitSettings = {
  rateLimitRpm: {
    env: 'RATE_LIMIT_RPM',
    kind: offUnlessSet(wholeNumber(1, mostRequests)),
    group: 'security',
    about:
      'Requests of one subject of a tenant in a minute, messages of WebSockets included; unless set, any number.',
  },
  rateLimitStreamsRpm: {
    env: 'RATE_LIMIT_STREAMS_RPM',
    kind: wholeNumber(1, mostRequests),
    group: 'security',
    about:
      'Requests of one subject of a tenant in a minute that start an answer or follow one; unless set, as RATE_LIMIT_RPM ' +
      'allows.',
  },
  tenantDailyTokens: {
    env: 'TENANT_DAILY_TOKENS',
    kind: offUnlessSet(wholeNumber(1, mostDailyTokens, 'tokens')),
    group: 'security',
    about:
      'The most tokens, input and output of all model calls, of one tenant in a day of UTC; unless set, any number.',
  },
  tenantDailyCostUsd: {
    env: 'TENANT_DAILY_COST_USD',
    kind: offUnlessSet(dollars),
    group: 'security',
    about:
      'The most that one tenant may cost in a day of UTC by the prices of the catalogue, where models without a price cost ' +
      'nothing; unless set, any amount.',
  },
} as const;

type RateLimits = { rateLimitRpm: number | undefined; rateLimitStreamsRpm: number | undefined };

/** The limit of all requests counts the ones that start an answer too. */
export function limitWarnings({ rateLimitRpm, rateLimitStreamsRpm }: RateLimits): string[] {
  if (rateLimitRpm === undefined || rateLimitStreamsRpm === undefined) return [];
  return rateLimitStreamsRpm > rateLimitRpm
    ? ['RATE_LIMIT_STREAMS_RPM is above RATE_LIMIT_RPM, which is reached first: it has no effect']
    : [];
}
