import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  IsolatedCircuitError,
  type CircuitBreakerPolicy as Policy,
} from 'cockatiel';
import type { BreakerState } from '../core/breaker-state.js';
import { Fault } from '../core/errors.js';

/** Failures in a row that open a breaker. */
const failuresToOpen = 5;
/** How long an open breaker lets nothing through before it tries one call. */
const halfOpenAfterMs = 10_000;

export interface Breakers {
  state(provider: string): BreakerState;
  /**
   * Lets a call through, or throws `provider_unavailable` at once while the provider is given a rest. The returned
   * function must be called with how the call ended, of which only the first word counts; an abort (undefined) says nothing about the provider.
   */
  enter(provider: string): Promise<(outcome: 'ok' | Fault | undefined) => void>;
}

/** One breaker a provider: it opens after failures in a row, and one trial call closes it again. */
export function createBreakers(providers: string[], halfOpenMs = halfOpenAfterMs): Breakers {
  const breakers = new Map(providers.map((provider) => [provider, createBreaker(halfOpenMs)]));
  const breakerOf = (provider: string) => breakers.get(provider) ?? createBreaker(halfOpenMs);
  return {
    state: (provider) => breakerOf(provider).state(),
    async enter(provider) {
      const breaker = breakerOf(provider);
      const { policy } = breaker;
      // the policy would let others wait until the call that tries has ended
      if (isHalfOpen(policy)) throw resting(provider, halfOpenMs);
      const entered = Promise.withResolvers<void>();
      const call = Promise.withResolvers<void>();
      const guarded = policy.execute(() => {
        entered.resolve();
        return call.promise;
      });
      guarded.catch(() => {});
      const isTrial = isHalfOpen(policy);
      try {
        await Promise.race([entered.promise, guarded]);
      } catch (error) {
        if (error instanceof BrokenCircuitError || error instanceof IsolatedCircuitError)
          throw resting(provider, halfOpenMs);
        throw error;
      }
      let isOver = false;
      return (outcome) => {
        if (isOver) return;
        isOver = true;
        if (outcome === 'ok') call.resolve();
        else if (outcome) call.reject(outcome);
        else {
          if (isTrial) breaker.forgetTrial();
          // neither a success nor a failure to the policy
          call.reject(new Error('aborted'));
        }
      };
    },
  };
}

function createBreaker(halfOpenMs: number) {
  let policy = createPolicy();
  let openedMs = 0;

  function createPolicy(before?: Policy): Policy {
    const created = circuitBreaker(
      handleWhen((error) => error instanceof Fault && countsAgainst(error)),
      {
        halfOpenAfter: halfOpenMs,
        breaker: new ConsecutiveBreaker(failuresToOpen),
        ...(before ? { initialState: before.toJSON() } : {}),
      },
    );
    created.onBreak(() => {
      openedMs = performance.now();
    });
    return created;
  }

  return {
    get policy() {
      return policy;
    },
    /** The next call tries in place of the one that was aborted; a policy brought back does not remember that one. */
    forgetTrial(): void {
      policy = createPolicy(policy);
    },
    state(): BreakerState {
      if (policy.state === CircuitState.Closed) return 'closed';
      // the policy itself only notices at the next call that it may let one through
      const isOver = performance.now() - openedMs >= halfOpenMs;
      return isHalfOpen(policy) || isOver ? 'half_open' : 'open';
    },
  };
}

function isHalfOpen({ state }: Policy): boolean {
  return state === CircuitState.HalfOpen;
}

/** A refused request or key and a rate limit say nothing about whether the provider works. */
function countsAgainst({ type, upstreamStatus }: Fault): boolean {
  if (type === 'provider_error' || type === 'provider_timeout') return true;
  return type === 'provider_unavailable' && ![401, 403, 429].includes(upstreamStatus ?? 0);
}

function resting(provider: string, retryAfterMs: number): Fault {
  const text = `The provider ${provider} failed several times in a row and is given a rest.`;
  return new Fault('provider_unavailable', text, { retryAfterMs });
}
