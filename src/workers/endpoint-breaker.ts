import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleType } from 'cockatiel';
import { WorkerFailure } from './failures.js';

/** Tasks in a row that a worker did not survive, or did not answer in time. */
const failuresToOpen = 3;

export interface EndpointBreaker {
  /** Whether the worker is given a rest after it failed several times in a row, whatever its health says. */
  isResting(): boolean;
  /** Runs a task, which counts unless its worker merely refused it. After a rest the first task is a trial. */
  run<T>(task: () => Promise<T>): Promise<T>;
}

export function createEndpointBreaker(restMs: number): EndpointBreaker {
  const policy = circuitBreaker(
    handleType(WorkerFailure, ({ kind }) => kind === 'lost' || kind === 'deadline' || kind === 'broken'),
    { halfOpenAfter: restMs, breaker: new ConsecutiveBreaker(failuresToOpen) },
  );
  let openedMs = 0;
  policy.onBreak(() => {
    openedMs = performance.now();
  });
  return {
    isResting() {
      if (policy.state === CircuitState.Closed) return false;
      return policy.state !== CircuitState.Open || performance.now() - openedMs < restMs;
    },
    run: (task) => policy.execute(task),
  };
}
