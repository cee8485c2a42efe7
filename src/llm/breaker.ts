import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  IsolatedCircuitError,
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
   * function must be called once with how the call ended; an abort (undefined) says nothing about the provider.
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
      const { policy } = breakerOf(provider);
      const entered = Promise.withResolvers<void>();
      const call = Promise.withResolvers<void>();
      const guarded = policy.execute(() => {
        entered.resolve();
        return call.promise;
      });
      guarded.catch(() => {});
      try {
        await Promise.race([entered.promise, guarded]);
      } catch (error) {
        if (error instanceof BrokenCircuitError || error instanceof IsolatedCircuitError)
          throw resting(provider, halfOpenMs);
        throw error;
      }
      return (outcome) => (outcome instanceof Fault ? call.reject(outcome) : call.resolve());
    },
  };
}

function createBreaker(halfOpenMs: number) {
  const policy = circuitBreaker(
    handleWhen((error) => error instanceof Fault && countsAgainst(error)),
    { halfOpenAfter: halfOpenMs, breaker: new ConsecutiveBreaker(failuresToOpen) },
  );
  let openedMs = 0;
  policy.onBreak(() => {
    openedMs = performance.now();
  });
  return {
    policy,
    state(): BreakerState {
      if (policy.state === CircuitState.Closed) return 'closed';
      // the policy itself only notices at the next call that it may let one through
      const isOver = performance.now() - openedMs >= halfOpenMs;
      return policy.state === CircuitState.HalfOpen || isOver ? 'half_open' : 'open';
    },
  };
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
