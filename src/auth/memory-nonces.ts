import { createHash } from 'node:crypto';
import type { NonceStore } from './authenticator.js';
import { authUnavailable } from './refusal.js';

/** About 100 MB of nonces: 1,600 signed requests a second all the time. */
const usualMostNonces = 1_000_000;

/** Nonces seen by this process. When there is no room left, requests are refused until the oldest ones end. */
export function createMemoryNonces(now: () => number = Date.now, mostNonces = usualMostNonces): NonceStore {
  // all live equally long, so the order of the claims is that of their ends
  const endsAt = new Map<string, number>();

  return {
    async claim(keyId, nonce, ttlMs) {
      for (const [name, end] of endsAt) {
        if (end > now()) break;
        endsAt.delete(name);
      }
      // short whatever the length of the names is
      const name = createHash('sha256').update(`${keyId}\n${nonce}`).digest('base64');
      if (endsAt.has(name)) return false;
      if (endsAt.size >= mostNonces) {
        throw authUnavailable('Too many signed requests came lately; try again shortly.', 5000);
      }
      endsAt.set(name, now() + ttlMs);
      return true;
    },
  };
}
