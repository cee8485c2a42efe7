import { KeyObject } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet } from 'jose';
import { raceAbort } from '../core/abort.js';
import { type JwtKey, type JwtKeys, publicAlgorithms, type TokenHeader, toJwtKey } from './jwt-keys.js';
import { authUnavailable, unauthorized } from './refusal.js';

type Fetch = typeof globalThis.fetch;

export type JwksOptions = {
  url: string;
  fetch: Fetch;
  /** receives one line when the keys cannot be fetched */
  onTrouble(fields: { reason: string }): void;
  /** epoch milliseconds */
  now?: () => number;
  fetchTimeoutMs?: number;
};

/** Whatever tokens come, the address is asked once in this time at most. */
const minIntervalMs = 10_000;
/** After this a key that the issuer took back is no longer believed. */
const maxAgeMs = 600_000;
const usualFetchTimeoutMs = 5_000;
const maxBytes = 512 * 1024;

/**
 * The keys of a JWKS address, fetched when the first token comes, when one names a key that is not known, and when they are
 * old. Keys that were fetched once go on being used while the address does not answer.
 */
export function createJwks(options: JwksOptions): JwtKeys {
  const { url, now = Date.now, fetchTimeoutMs = usualFetchTimeoutMs } = options;
  const closing = new AbortController();
  const exported = new WeakMap<object, JwtKey | undefined>();
  let choose: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let isFailing = false;
  let fetching: Promise<void> | undefined;

  /** Joins the fetch that is under way, or starts one when the last one is long enough ago. */
  function refresh(): Promise<void> {
    if (fetching || now() - triedAt < minIntervalMs) return fetching ?? Promise.resolve();
    triedAt = now();
    fetching = fetchKeys().finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  async function fetchKeys(): Promise<void> {
    try {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(fetchTimeoutMs)]);
      choose = createLocalJWKSet(await readKeys(url, options.fetch, signal));
      fetchedAt = triedAt;
      isFailing = false;
    } catch (error) {
      isFailing = true;
      if (!closing.signal.aborted) options.onTrouble({ reason: reasonOf(error) });
    }
  }

  async function keyFor(header: TokenHeader): Promise<JwtKey | undefined> {
    if (!choose) return undefined;
    try {
      const chosen = await choose(header as Parameters<typeof choose>[0]);
      // the same object for each token of a key
      if (!exported.has(chosen)) exported.set(chosen, toJwtKey(KeyObject.from(chosen)));
      return exported.get(chosen);
    } catch (error) {
      // none, several or broken ones: nothing that a signature could be checked with
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException)
        return undefined;
      throw error;
    }
  }

  return {
    async find(header, signal) {
      if (!isAccepted(header.alg)) throw unauthorized('signature', "The token's algorithm is not accepted.");
      const isOld = now() - fetchedAt >= maxAgeMs;
      // an address that does not answer is asked again beside the requests, which would all wait for it
      if (isOld && isFailing && choose) void refresh();
      else if (isOld) await raceAbort(refresh(), signal);
      let key = await keyFor(header);
      if (!key) {
        await raceAbort(refresh(), signal);
        key = await keyFor(header);
      }
      if (key) return key;
      if (isFailing) {
        const retryAfterMs = Math.max(1000, triedAt + minIntervalMs - now());
        throw authUnavailable('The keys that tokens are checked with cannot be had now.', retryAfterMs);
      }
      throw unauthorized('unknown_key', 'The token is signed with a key that is not known here.');
    },
    close: () => closing.abort(),
  };
}

const isAccepted = (algorithm: unknown) => publicAlgorithms.some((accepted) => accepted === algorithm);

class JwksProblem extends Error {}

async function readKeys(url: string, fetch: Fetch, signal: AbortSignal): Promise<JSONWebKeySet> {
  const response = await fetch(url, { headers: { accept: 'application/json' }, signal });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new JwksProblem(`status ${response.status}`);
  }
  return parseKeys(await readBody(response));
}

async function readBody({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // leaving the loop ends the transfer
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new JwksProblem('too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseKeys(text: string): JSONWebKeySet {
  try {
    const value = JSON.parse(text) as JSONWebKeySet;
    if (Array.isArray(value?.keys)) return value;
  } catch {
    // said below
  }
  throw new JwksProblem('no key set');
}

/** In words of our own: an error of the network could quote the address. */
function reasonOf(error: unknown): string {
  if (error instanceof JwksProblem) return error.message;
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { code?: string } };
  if (name === 'TimeoutError') return 'timeout';
  return cause?.code ?? code ?? 'unreachable';
}
