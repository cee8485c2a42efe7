import { createHash } from 'node:crypto';
import type { RedisConnection } from '../redis/connection.js';
import { orUnavailable } from './limits-fault.js';
import {
  type CallNeed,
  type HoldKey,
  inputCost,
  type QuotaLimits,
  type QuotaStore,
  type Standing,
} from './quota-store.js';

/** Counts are of use for their day only; a day more for runs that began in it. */
const keptMs = 2 * 24 * 3_600_000;
/** So long a settled hold is remembered: a command that was lost on its way may be sent again. */
const settledMs = 60_000;

/**
 * Quotas in Redis, shared by all replicas. Of each tenant and day, with `{hash}` made from the tenant:
 * `paf:{quota:hash}:<day>`, a hash of what is used and held, and of each hold; `paf:{quota:hash}:<day>:ends`, a sorted
 * set of the holds by the time at which they are given back when nobody settles them.
 */
export function createRedisQuotas(redis: RedisConnection, limits: QuotaLimits): QuotaStore {
  const call = (
    script: string,
    { tenant, day }: Omit<HoldKey, 'id'>,
    args: Argument[],
    signal: AbortSignal,
  ) => orUnavailable(redis.call((client) => client.eval(script, 2, ...keysOf(tenant, day), ...args), signal));

  return {
    limits,
    async hold(key, need, ttlMs, signal) {
      const args = [key.id, Math.ceil(ttlMs), keptMs + Math.ceil(ttlMs), ...boundsOf(limits, need)];
      const [granted, ...counts] = (await call(holdScript, key, args, signal)) as number[];
      return { outputTokens: granted === -1 ? undefined : granted, standing: toStanding(counts) };
    },
    async settle(key, { tokens, microUsd }, signal) {
      await call(settleScript, key, [key.id, settledMs, keptMs, tokens, microUsd], signal);
    },
    async standing(tenant, day, signal) {
      return toStanding((await call(standingScript, { tenant, day }, [], signal)) as number[]);
    },
  };
}

type Argument = string | number;

/** What the script has to know of the limits and of the call; -1 stands for no limit. */
function boundsOf({ tokens, microUsd }: QuotaLimits, need: CallNeed): Argument[] {
  const { inputTokens, outputTokens, leastTokens, price } = need;
  const costLimit = price ? (microUsd ?? -1) : -1;
  return [
    tokens ?? -1,
    costLimit,
    inputTokens,
    outputTokens,
    Math.max(1, leastTokens),
    inputCost(need),
    price?.output ?? 0,
  ];
}

function toStanding([tokens = 0, microUsd = 0, heldTokens = 0, heldMicroUsd = 0]: number[]): Standing {
  return { used: { tokens, microUsd }, held: { tokens: heldTokens, microUsd: heldMicroUsd } };
}

function keysOf(tenant: string, day: string): [ledger: string, ends: string] {
  const hash = createHash('sha256').update(tenant).digest('hex').slice(0, 32);
  const ledger = `paf:{quota:${hash}}:${day}`;
  return [ledger, `${ledger}:ends`];
}

/** KEYS ledger, ends. Gives back what nobody settled in time, and reads what is used and held then. */
const prelude = `
local ledger, ends = KEYS[1], KEYS[2]
local function add(field, amount)
  if amount ~= 0 then redis.call('HINCRBY', ledger, field, string.format('%.0f', amount)) end
end
local function giveBack(hold)
  local tokens, money = string.match(hold, '^(%d+) (%d+)')
  add('heldTokens', -tonumber(tokens))
  add('heldMicroUsd', -tonumber(money))
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do
  local hold = redis.call('HGET', ledger, id)
  if hold and hold ~= 'settled' then giveBack(hold) end
  redis.call('HDEL', ledger, id)
  redis.call('ZREM', ends, id)
end
local counts = redis.call('HMGET', ledger, 'tokens', 'microUsd', 'heldTokens', 'heldMicroUsd')
for i = 1, 4 do counts[i] = tonumber(counts[i] or 0) end
local function keep(ms)
  redis.call('PEXPIRE', ledger, ms)
  redis.call('PEXPIRE', ends, ms)
end
`;

/** Returns used tokens and money, held tokens and money. */
const standingScript = `${prelude}
return counts`;

/**
 * ARGV id, ttlMs, keptMs, token limit, money limit, input tokens, output tokens, least tokens, cost of the input, price of
 * a token of output. Returns the output tokens that are granted, -1 for none, and the standing before. \`affordableOutput\`
 * and \`worstCase\` of the port say the same.
 */
const holdScript = `${prelude}
local id = 'hold:' .. ARGV[1]
local limitTokens, limitMoney = tonumber(ARGV[4]), tonumber(ARGV[5])
local input, output, least = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local inputCost, price = tonumber(ARGV[9]), tonumber(ARGV[10])
local hold = redis.call('HGET', ledger, id)
if hold then
  local granted = string.match(hold, '(%d+)$')
  return {granted and tonumber(granted) or -1, counts[1], counts[2], counts[3], counts[4]}
end
local affordable = math.huge
if limitTokens >= 0 then affordable = limitTokens - counts[1] - counts[3] - input end
local leftMoney
if limitMoney >= 0 then
  leftMoney = limitMoney - counts[2] - counts[4] - inputCost
  if price > 0 then affordable = math.min(affordable, math.floor(leftMoney / price))
  elseif leftMoney < 0 then affordable = 0 end
end
if affordable < least then return {-1, counts[1], counts[2], counts[3], counts[4]} end
local granted = math.min(output, affordable)
local money = 0
if leftMoney then money = inputCost + math.ceil(granted * price - 1e-6) end
add('heldTokens', input + granted)
add('heldMicroUsd', money)
redis.call('HSET', ledger, id, string.format('%.0f %.0f %.0f', input + granted, money, granted))
redis.call('ZADD', ends, string.format('%.0f', now + ARGV[2]), id)
keep(ARGV[3])
return {granted, counts[1], counts[2], counts[3], counts[4]}`;

/** ARGV id, settledMs, keptMs, tokens, money. A hold that comes later than this, as its sender gave up, holds nothing. */
const settleScript = `${prelude}
local id = 'hold:' .. ARGV[1]
local hold = redis.call('HGET', ledger, id)
if hold == 'settled' then return 0 end
if hold then
  giveBack(hold)
  add('tokens', tonumber(ARGV[4]))
  add('microUsd', tonumber(ARGV[5]))
end
redis.call('HSET', ledger, id, 'settled')
redis.call('ZADD', ends, string.format('%.0f', now + ARGV[2]), id)
keep(ARGV[3])
return 1`;
