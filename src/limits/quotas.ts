import { randomUUID } from 'node:crypto';
import { Fault } from '../core/errors.js';
import type { Hold, HoldNeed, SpendingAccount } from '../llm/budget.js';
import type { Model } from '../llm/provider.js';
import {
  affordableOutput,
  type CallNeed,
  type HoldKey,
  nothing,
  type QuotaLimits,
  type QuotaStore,
  type Spent,
  type Standing,
  toMicroUsd,
} from './quota-store.js';

type QuotaScope = 'tokens' | 'cost';

type QuotasOptions = {
  store: QuotaStore;
  /** how long after a run's deadline what nobody settled is given back */
  marginMs: number;
  /** told of each run that is refused or ended */
  onRefused: (scope: QuotaScope) => void;
  now?: () => number;
};

/** `left` is what is neither used nor held for calls under way. */
type Part = { limit: number; used: number; left: number };

export type QuotaStanding = {
  /** undefined: no limit */
  tokens: Part | undefined;
  microUsd: Part | undefined;
  /** epoch milliseconds: when all of it is there again */
  resetsAt: number;
};

/** The daily quotas of tenants. A day is one of UTC; a call belongs to the day in which it began. */
export interface Quotas {
  /**
   * Throws `quota_exceeded` when too little is left for a run whose first call reads so many tokens at least, whichever of
   * the models answers, and `limits_unavailable` when that cannot be told.
   */
  check(
    tenant: string,
    models: Model[],
    leastInput: (model: Model) => number,
    signal: AbortSignal,
  ): Promise<void>;
  /** How the tenant stands today; throws `limits_unavailable` when that cannot be told. */
  standing(tenant: string, signal: AbortSignal): Promise<QuotaStanding>;
  /** The tenant's account for one run, which is over at `deadlineAt` in epoch milliseconds. */
  accountOf(tenant: string, deadlineAt: number): SpendingAccount;
  /** Resolves when all that was spent is booked, or cannot be. */
  close(): Promise<void>;
}

const dayMs = 24 * 3_600_000;
/** What is held by calls under way is given back when they end, which takes seconds. */
const heldRetryMs = 5_000;
const bookRetryMs = 1_000;
/** The last tries to book when the process ends. */
const closeTimeoutMs = 2_000;

/** What is booked later, as the store could not be reached. */
type Booking = { key: HoldKey; spent: Spent; untilMs: number };

export function createQuotas({ store, marginMs, onRefused, now = Date.now }: QuotasOptions): Quotas {
  const { limits } = store;
  const closing = new AbortController();
  const waiting = new Set<Booking>();
  const underWay = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;

  /** Nobody waits for it: one connection keeps the order, so that whoever asks next sees it. */
  function book(booking: Booking): void {
    const attempt = tryToBook(booking).finally(() => underWay.delete(attempt));
    underWay.add(attempt);
  }

  async function tryToBook(booking: Booking): Promise<void> {
    try {
      await store.settle(booking.key, booking.spent, closing.signal);
    } catch {
      if (closing.signal.aborted || now() >= booking.untilMs) return;
      waiting.add(booking);
      timer ??= setTimeout(bookAgain, bookRetryMs).unref();
    }
  }

  function bookAgain(): void {
    timer = undefined;
    const bookings = [...waiting];
    waiting.clear();
    for (const booking of bookings) book(booking);
  }

  return {
    async check(tenant, models, leastInput, signal) {
      const standing = await store.standing(tenant, dayOf(now()), signal);
      const refusals = models.map((model) => {
        const asked = { model, inputTokens: leastInput(model), outputTokens: 1, leastTokens: 1 };
        return refusalOf(limits, standing, toCallNeed(asked));
      });
      const refused = refusals.at(-1);
      if (!refused || refusals.includes(undefined)) return;
      onRefused(refused.scope);
      throw quotaFault(refused, now());
    },

    async standing(tenant, signal) {
      const nowMs = now();
      const { used, held } = await store.standing(tenant, dayOf(nowMs), signal);
      const partOf = (unit: keyof Spent): Part | undefined => {
        const limit = limits[unit];
        if (limit === undefined) return undefined;
        return { limit, used: used[unit], left: Math.max(0, limit - used[unit] - held[unit]) };
      };
      return {
        tokens: partOf('tokens'),
        microUsd: partOf('microUsd'),
        resetsAt: nowMs + untilMidnight(nowMs),
      };
    },

    accountOf(tenant, deadlineAt) {
      let isCounted = false;
      const count = (scope: QuotaScope) => {
        if (!isCounted) onRefused(scope);
        isCounted = true;
      };
      return {
        async hold(asked, signal) {
          const startedAt = now();
          const key = { tenant, day: dayOf(startedAt), id: randomUUID() };
          const ttlMs = Math.max(0, deadlineAt - startedAt) + marginMs;
          const untilMs = startedAt + ttlMs;
          const need = toCallNeed(asked);
          const giveBack = () => book({ key, spent: nothing, untilMs });
          const answer = await store.hold(key, need, ttlMs, signal).catch((error) => {
            // it may have come through all the same
            giveBack();
            throw error;
          });
          if (answer.outputTokens === undefined) {
            const refused = refusalOf(limits, answer.standing, need) ?? { scope: 'tokens', isHeld: true };
            // a call that only helps with the answer is left out, which refuses nobody
            if (need.leastTokens <= 1) count(refused.scope);
            throw quotaFault(refused, now());
          }
          return toHold(answer.outputTokens, (spent) => book({ key, spent, untilMs }));
        },
      };
    },

    async close() {
      clearTimeout(timer);
      const patience = setTimeout(() => closing.abort(), closeTimeoutMs);
      bookAgain();
      await Promise.all(underWay);
      clearTimeout(patience);
      closing.abort();
      clearTimeout(timer);
    },
  };
}

function toHold(outputTokens: number, book: (spent: Spent) => void): Hold {
  return {
    outputTokens,
    settle(attempt) {
      const { usage, costUsd = 0 } = attempt ?? {};
      if (!usage) return book(nothing);
      book({ tokens: usage.inputTokens + usage.outputTokens, microUsd: toMicroUsd(costUsd) });
    },
  };
}

type Refusal = {
  scope: QuotaScope;
  /** calls under way hold what the tenant would have left */
  isHeld: boolean;
};

function refusalOf(limits: QuotaLimits, standing: Standing, need: CallNeed): Refusal | undefined {
  const refuses = (tried: QuotaLimits, counted: Standing) =>
    affordableOutput(tried, counted, need) < Math.max(1, need.leastTokens);
  if (!refuses(limits, standing)) return undefined;
  const isHeld = !refuses(limits, { used: standing.used, held: nothing });
  const isTokens = refuses({ tokens: limits.tokens, microUsd: undefined }, standing);
  return { scope: isTokens ? 'tokens' : 'cost', isHeld };
}

function quotaFault({ scope, isHeld }: Refusal, nowMs: number): Fault {
  const what = scope === 'tokens' ? "tenant's tokens" : "tenant's money for models";
  if (isHeld) {
    const message = `What is left today of the ${what} is held by answers under way; try again shortly.`;
    return new Fault('quota_exceeded', message, { retryAfterMs: heldRetryMs, retryable: true });
  }
  const message = `Too little is left today of the ${what}. The next day begins at midnight UTC.`;
  return new Fault('quota_exceeded', message, { retryAfterMs: untilMidnight(nowMs) });
}

const untilMidnight = (nowMs: number) => dayMs - (nowMs % dayMs);

function toCallNeed({ model, inputTokens, outputTokens, leastTokens }: HoldNeed): CallNeed {
  return { inputTokens, outputTokens, leastTokens, price: priceOf(model) };
}

/** Dollars for a million tokens are millionths of a dollar for one. */
function priceOf({ price }: Model): CallNeed['price'] {
  return price && (price.input > 0 || price.output > 0)
    ? { input: price.input, output: price.output }
    : undefined;
}

const dayOf = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);
