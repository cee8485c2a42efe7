/** What a tenant may spend in one day. */
export type QuotaLimits = {
  /** input and output of all calls to models; undefined: no limit */
  tokens: number | undefined;
  /** millionths of a US dollar, a whole number; undefined: no limit */
  microUsd: number | undefined;
};

/** One call to a model before it is made. */
export type CallNeed = {
  inputTokens: number;
  /** tokens of output that the call may give at most */
  outputTokens: number;
  /** the call is not worth making when the tenant could not pay for so many tokens of output */
  leastTokens: number;
  /** of the model, in millionths of a US dollar for a token; undefined: it costs nothing */
  price: { input: number; output: number } | undefined;
};

export type HoldKey = {
  tenant: string;
  /** the UTC day whose quota it is, as 2026-01-31 */
  day: string;
  /** unique; to settle the same one again does nothing */
  id: string;
};

export type Spent = { tokens: number; microUsd: number };

/** Of one tenant and day. */
export type Standing = { used: Spent; held: Spent };

type HoldAnswer = {
  /** the output tokens that the call may give; undefined: it may not be made, and nothing is held */
  outputTokens: number | undefined;
  /** as it was before */
  standing: Standing;
};

/**
 * What tenants have spent today, and what is held for calls under way. What is used and held together is never above a
 * limit when something is held, however many ask at once. A call can in truth take more than was held for it, so that
 * less than nothing is left. Throws `limits_unavailable` when it cannot tell.
 */
export interface QuotaStore {
  readonly limits: QuotaLimits;
  /** Holds what a call may come to. What is not settled within `ttlMs` may be given back, as its holder is gone. */
  hold(key: HoldKey, need: CallNeed, ttlMs: number, signal: AbortSignal): Promise<HoldAnswer>;
  /** Books what a call took, once, and gives the rest of what was held back. Does nothing once that was given back. */
  settle(key: HoldKey, spent: Spent, signal: AbortSignal): Promise<void>;
  standing(tenant: string, day: string, signal: AbortSignal): Promise<Standing>;
}

export const nothing: Spent = { tokens: 0, microUsd: 0 };

/** The tokens of output that a call could be given if it asked for any number; below 1 when its input is too much. */
export function affordableOutput(limits: QuotaLimits, { used, held }: Standing, need: CallNeed): number {
  const { inputTokens, price } = need;
  const byTokens = (limits.tokens ?? Number.POSITIVE_INFINITY) - used.tokens - held.tokens - inputTokens;
  if (limits.microUsd === undefined || !price) return byTokens;
  const left = limits.microUsd - used.microUsd - held.microUsd - inputCost(need);
  return Math.min(byTokens, price.output > 0 ? Math.floor(left / price.output) : left < 0 ? 0 : byTokens);
}

/** What a call comes to at most. */
export function worstCase(limits: QuotaLimits, need: CallNeed, outputTokens: number): Spent {
  const tokens = need.inputTokens + outputTokens;
  if (limits.microUsd === undefined || !need.price) return { tokens, microUsd: 0 };
  return { tokens, microUsd: inputCost(need) + Math.ceil(outputTokens * need.price.output - rounding) };
}

/** Products of prices are off by less, and a whole number must stay one. */
const rounding = 1e-6;

export function inputCost({ inputTokens, price }: CallNeed): number {
  return Math.ceil(inputTokens * (price?.input ?? 0) - rounding);
}

export function toMicroUsd(costUsd: number): number {
  return Math.ceil(costUsd * 1_000_000 - rounding);
}
