import type { Model } from '../llm/provider.js';

/** What a run may still spend. One budget is shared by all model calls of a run. */
export interface Budget {
  /**
   * The output tokens that a call can be given, whichever of the models answers; 0 when not even its input is
   * affordable. `countInput` is only called when there is a cap.
   */
  affordableTokens(models: Model[], countInput: () => number): number;
  book(costUsd: number): void;
}

/** `maxCostUsd` undefined: no cap. Models without a price cost nothing. */
export function createBudget(maxCostUsd: number | undefined): Budget {
  let spentUsd = 0;
  return {
    affordableTokens(models, countInput) {
      if (maxCostUsd === undefined) return Number.POSITIVE_INFINITY;
      const left = (maxCostUsd - spentUsd) * 1_000_000;
      const input = countInput();
      return Math.max(0, Math.floor(Math.min(...models.map((model) => tokensFor(model, left, input)))));
    },
    book(costUsd) {
      spentUsd += costUsd;
    },
  };
}

function tokensFor(model: Model, left: number, inputTokens: number): number {
  if (!model.price) return Number.POSITIVE_INFINITY;
  return (left - inputTokens * model.price.input) / model.price.output;
}
