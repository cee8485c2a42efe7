import {
  affordableOutput,
  nothing,
  type QuotaLimits,
  type QuotaStore,
  type Spent,
  worstCase,
} from './quota-store.js';

type Ledger = { used: Spent; held: Spent; holds: Map<string, Spent> };

const plus = (left: Spent, right: Spent): Spent => ({
  tokens: left.tokens + right.tokens,
  microUsd: left.microUsd + right.microUsd,
});
const minus = (left: Spent, right: Spent): Spent => ({
  tokens: left.tokens - right.tokens,
  microUsd: left.microUsd - right.microUsd,
});

/** Quotas of one process, which are gone with it. Holds what tenants did today only, and what is still held of earlier days. */
export function createMemoryQuotas(limits: QuotaLimits): QuotaStore {
  const days = new Map<string, Map<string, Ledger>>();

  function find(tenant: string, day: string): Ledger | undefined {
    return days.get(day)?.get(tenant);
  }

  function open(tenant: string, day: string): Ledger {
    let ledgers = days.get(day);
    if (!ledgers) {
      ledgers = new Map();
      days.set(day, ledgers);
      forgetBefore(day);
    }
    let ledger = ledgers.get(tenant);
    if (!ledger) {
      ledger = { used: nothing, held: nothing, holds: new Map() };
      ledgers.set(tenant, ledger);
    }
    return ledger;
  }

  /** Nobody asks for what was used on an earlier day. */
  function forgetBefore(today: string): void {
    for (const [day, ledgers] of days) {
      if (day >= today) continue;
      for (const [tenant, { holds }] of ledgers) if (holds.size === 0) ledgers.delete(tenant);
      if (ledgers.size === 0) days.delete(day);
    }
  }

  return {
    limits,
    async hold({ tenant, day, id }, need) {
      const ledger = open(tenant, day);
      const { used, held, holds } = ledger;
      const standing = { used, held };
      const affordable = affordableOutput(limits, standing, need);
      if (affordable < Math.max(1, need.leastTokens)) return { outputTokens: undefined, standing };
      const outputTokens = Math.min(need.outputTokens, affordable);
      const amount = worstCase(limits, need, outputTokens);
      ledger.held = plus(held, amount);
      holds.set(id, amount);
      return { outputTokens, standing };
    },
    async settle({ tenant, day, id }, spent) {
      const ledger = find(tenant, day);
      const amount = ledger?.holds.get(id);
      if (!ledger || !amount) return;
      ledger.holds.delete(id);
      ledger.held = minus(ledger.held, amount);
      ledger.used = plus(ledger.used, spent);
    },
    async standing(tenant, day) {
      const { used, held } = find(tenant, day) ?? { used: nothing, held: nothing };
      return { used, held };
    },
  };
}
