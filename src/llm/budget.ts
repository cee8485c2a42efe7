import type { Attempt } from '../core/events.js';
import type { Model } from './provider.js';

export type BudgetLimits = {
  /** US dollars; undefined: no cap */
  maxCostUsd: number | undefined;
  /** input and output of all calls; undefined: no cap */
  maxTokens: number | undefined;
};

/** What a run may still spend. One budget is shared by all model calls of a run. */
export interface Budget {
  /**
   * The output tokens that a call can be given, whichever of the models answers; below 1 when not even its input is
   * affordable. `countInput` is only called when there is a cap.
   */
  affordableTokens(models: Model[], countInput: () => number): number;
  /** Settles a call that was made. */
  book(attempt: Attempt): void;
}

/** Models without a price cost nothing. */
export function createBudget({ maxCostUsd, maxTokens }: BudgetLimits): Budget {
  let spentUsd = 0;
  let spentTokens = 0;
  return {
    affordableTokens(models, countInput) {
      if (maxCostUsd === undefined && maxTokens === undefined) return Number.POSITIVE_INFINITY;
      const input = countInput();
      const byTokens = (maxTokens ?? Number.POSITIVE_INFINITY) - spentTokens - input;
      const leftUsd = (maxCostUsd ?? Number.POSITIVE_INFINITY) - spentUsd;
      const byCost = models.map((model) => tokensFor(model, leftUsd * 1_000_000, input));
      return Math.floor(Math.min(byTokens, ...byCost));
    },
    book({ costUsd, usage }) {
      spentUsd += costUsd ?? 0;
      spentTokens += usage.inputTokens + usage.outputTokens;
    },
  };
}

/** `left` is in millionths of a dollar, as prices are dollars for a million tokens. */
function tokensFor({ price }: Model, left: number, inputTokens: number): number {
  if (!price) return Number.POSITIVE_INFINITY;
  return (left - inputTokens * price.input) / price.output;
}
