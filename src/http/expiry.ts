import type { Identity } from '../auth/authenticator.js';
import { Fault } from '../core/errors.js';

/** A timer that is asked for more than this fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** When, in epoch milliseconds, what the caller reads ends because their credentials did; undefined: never. */
export function endOfAccess({ expiresAt }: Identity, { authGraceMs }: { authGraceMs: number }) {
  return expiresAt === undefined ? undefined : expiresAt + authGraceMs;
}

/** What a reader is told whose credentials ended; with new ones they can go on where they were. */
export function expiredFault(): Fault {
  return new Fault('unauthorized', 'The token has expired; resume with a new one, or ask again.', {
    retryable: true,
  });
}

/** Calls `action` once at a time in epoch milliseconds, never when it is undefined. Returns what calls it off. */
export function callAt(atMs: number | undefined, action: () => void): () => void {
  if (atMs === undefined) return () => {};
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const leftMs = Math.max(0, atMs - Date.now());
    timer = leftMs > longestTimerMs ? setTimeout(arm, longestTimerMs) : setTimeout(action, leftMs);
    timer.unref();
  };
  arm();
  return () => clearTimeout(timer);
}
