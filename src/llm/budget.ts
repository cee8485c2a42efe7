import type { Attempt } from '../core/events.js';
import type { LlmRequest, Model } from './provider.js';
import { countMessagesTokens } from './tokens.js';

export type BudgetLimits = {
  /** US dollars; undefined: no cap */
  maxCostUsd: number | undefined;
  /** input and output of all calls; undefined: no cap */
  maxTokens: number | undefined;
};

/** A call to a model before it is made. */
export type HoldNeed = {
  model: Model;
  inputTokens: number;
  outputTokens: number;
  /** the call is not made when its output could not be so long */
  leastTokens: number;
};

/** What is held for one call. */
export type Hold = {
  /** the tokens of output that the call may give */
  outputTokens: number;
  /** Books what the call took, for the first time that it is told; undefined: it was not made. Waits for nothing. */
  settle(attempt: Attempt | undefined): void;
};

/** Whom runs are charged to. */
export interface SpendingAccount {
  /**
   * Holds what a call may come to until it is settled. Gives less output than was asked for when no more is left; throws
   * `quota_exceeded` when that is too little, or `limits_unavailable`.
   */
  hold(need: HoldNeed, signal: AbortSignal): Promise<Hold>;
}

/** What a run may still spend. One budget is shared by all model calls of a run. */
export interface Budget {
  /**
   * The output tokens that a call can be given, whichever of the models answers; below 1 when not even its input is
   * affordable. `countInput` is only called when there is a cap.
   */
  affordableTokens(models: Model[], countInput: () => number): number;
  /** Settles a call that was made. */
  book(attempt: Attempt): void;
  /** Holds what a call may come to on the account that the run is charged to; absent: it is charged to none. */
  hold?: (request: LlmRequest, leastTokens: number, signal: AbortSignal) => Promise<Hold>;
  /** whether the call that was held for last was given less output than it asked for */
  readonly isCut?: boolean;
}

/** Models without a price cost nothing. */
export function createBudget({ maxCostUsd, maxTokens }: BudgetLimits, account?: SpendingAccount): Budget {
  let spentUsd = 0;
  let spentTokens = 0;
  let isCut = false;
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
    ...(account && {
      async hold({ model, messages, tools, maxTokens: asked = model.maxOutput }, leastTokens, signal) {
        const inputTokens = countMessagesTokens(messages, tools);
        const held = await account.hold({ model, inputTokens, outputTokens: asked, leastTokens }, signal);
        isCut = held.outputTokens < asked;
        return held;
      },
    }),
    get isCut() {
      return isCut;
    },
  };
}

/** Holds what a call may come to, which may lower its output. A call that is not made says nothing of its provider. */
export async function holdFor(
  { budget, leastTokens = 1 }: { budget: Budget; leastTokens?: number },
  llmRequest: LlmRequest,
  leave: (outcome: undefined) => void,
  signal: AbortSignal,
): Promise<Hold | undefined> {
  try {
    const hold = await budget.hold?.(llmRequest, leastTokens, signal);
    if (hold) llmRequest.maxTokens = hold.outputTokens;
    return hold;
  } catch (error) {
    leave(undefined);
    throw error;
  }
}

/** `left` is in millionths of a dollar, as prices are dollars for a million tokens. */
function tokensFor({ price }: Model, left: number, inputTokens: number): number {
  if (!price) return Number.POSITIVE_INFINITY;
  return (left - inputTokens * price.input) / price.output;
}
