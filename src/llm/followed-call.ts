import type { Attempt, LlmEvent } from '../core/events.js';
import type { LlmRequest } from './provider.js';

/** One call to a provider as it is watched from outside. Must not throw. */
export type FollowedCall = {
  /** The stream that `start` makes. Its request is made when the first event is asked for. */
  open(start: () => AsyncIterable<LlmEvent>): AsyncIterable<LlmEvent>;
  onEvent(event: LlmEvent): void;
  /** Called once, however the call ended. */
  end(attempt: Attempt): void;
};

export type CallFollower = (request: LlmRequest) => FollowedCall;
