import { Fault } from '../core/errors.js';
import { RedisFailure } from '../redis/connection.js';

/** What cannot be counted is refused: a limit that fails open is none. */
export function limitsUnavailable(cause: unknown): Fault {
  const message = 'The limits cannot be checked now; try again shortly.';
  return new Fault('limits_unavailable', message, { cause, retryAfterMs: 1000 });
}

/** Settles as the call to Redis does, with its failure as a fault. */
export async function orUnavailable<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof RedisFailure ? limitsUnavailable(error) : error;
  }
}
