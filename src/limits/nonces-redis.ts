import { createHash, randomUUID } from 'node:crypto';
import type { NonceStore } from '../auth/authenticator.js';
import type { RedisConnection } from '../redis/connection.js';
import { orUnavailable } from './limits-fault.js';

/** Nonces that were used, in Redis: what one replica has seen, no other accepts. */
export function createRedisNonces(redis: RedisConnection): NonceStore {
  return {
    async claim(keyId, nonce, ttlMs, signal) {
      const hash = createHash('sha256')
        .update(JSON.stringify([keyId, nonce]))
        .digest('hex');
      const claimed = await orUnavailable(
        redis.call((client) => client.eval(claimScript, 1, `paf:nonce:${hash}`, randomUUID(), ttlMs), signal),
      );
      return claimed === 1;
    },
  };
}

/** KEYS nonce; ARGV claim, ttlMs. A command that was lost on its way and is sent again finds its own claim. */
const claimScript = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0`;
