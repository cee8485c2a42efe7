import type { Attempt, LlmEvent } from '../core/events.js';
import type { LlmRequest } from './provider.js';

/** One call to a provider as it is watched from outside. Must not throw. */
export type FollowedCall = {
  /** The events of the stream that `start` makes, as they are. */
  events(start: () => AsyncIterable<LlmEvent>): AsyncIterable<LlmEvent>;
  /** Called once, however the call ended. */
  end(attempt: Attempt): void;
};

export type CallFollower = (request: LlmRequest) => FollowedCall;
