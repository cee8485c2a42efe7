import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AuthRequest, Identity, NonceStore } from './authenticator.js';
import { singleHeader, unauthorized } from './refusal.js';

/** Who signs with a key. `secrets` has more than one while they are being replaced. */
export type HmacKey = { id: string; secrets: string[]; tenant: string; roles: string[] };

export type HmacOptions = {
  keys: HmacKey[];
  nonces: NonceStore;
  /** epoch milliseconds */
  now: () => number;
};

/** What came in the four headers, well-formed. */
export type Signed = { keyId: string; timestamp: string; nonce: string; signature: Buffer };

export const mostSecrets = 3;
export const keyIdForm = /^[\w.:@-]{1,128}$/;

const headerNames = ['X-PAF-Key-Id', 'X-PAF-Timestamp', 'X-PAF-Nonce', 'X-PAF-Signature'] as const;
const wrongSignature =
  'The signature is not right, or its key is not known here. It is made of the method in upper case, path and query as ' +
  'they are sent, and the bytes of the body.';
const windowMs = 300_000;
/** From the earliest moment at which a timestamp is accepted to the last one, and a second for rounding. */
const nonceTtlMs = 2 * windowMs + 1000;

/** The signature of a request; undefined when it has none. Throws when it is not whole. */
export function readSignature(request: AuthRequest): Signed | undefined {
  const [keyId, timestamp, nonce, signature] = headerNames.map((name) => singleHeader(request, name));
  const missing = headerNames.filter((_name, at) => [keyId, timestamp, nonce, signature][at] === undefined);
  if (missing.length === headerNames.length) return undefined;
  if (missing.length > 0) throw malformed(`A signed request needs ${missing.join(' and ')} too.`);
  if (!keyId || !keyIdForm.test(keyId)) throw malformed('X-PAF-Key-Id is not the name of a key.');
  if (!timestamp || !/^\d{1,12}$/.test(timestamp)) throw malformed('X-PAF-Timestamp must be unix seconds.');
  if (!nonce || !/^[\w-]{16,128}$/.test(nonce)) {
    throw malformed('X-PAF-Nonce must have 16 to 128 letters, digits, - or _.');
  }
  const [, hex] = /^v1=([\da-f]{64})$/.exec(signature ?? '') ?? [];
  if (hex === undefined) throw malformed('X-PAF-Signature must be v1= and 64 lower-case hex digits.');
  return { keyId, timestamp, nonce, signature: Buffer.from(hex, 'hex') };
}

const malformed = (message: string) => unauthorized('malformed', message);

/** Tells who signed a request: the same work and the same answer for an unknown key as for a wrong signature. */
export function createSignatureCheck({ keys, nonces, now }: HmacOptions) {
  const known = new Map(keys.map((key) => [key.id, key]));
  const nobody: HmacKey = { id: '', secrets: [randomBytes(32).toString('hex')], tenant: '', roles: [] };

  return async (signed: Signed, request: AuthRequest, signal: AbortSignal): Promise<Identity> => {
    const { keyId, timestamp, nonce, signature } = signed;
    if (Math.abs(now() - Number(timestamp) * 1000) > windowMs) {
      throw unauthorized(
        'timestamp',
        'X-PAF-Timestamp is more than 300 seconds away from the time here, which is in the header Date.',
      );
    }
    const key = known.get(keyId);
    const bodyHash = await request.bodyHash(key !== undefined);
    const text = ['v1', timestamp, nonce, request.method, request.url, bodyHash].join('\n');
    const isRight = isSignedBy(key ?? nobody, text, signature);
    if (!key || !isRight) {
      throw unauthorized(key ? 'signature' : 'unknown_key', wrongSignature);
    }
    // only now: nobody else may use up a caller's nonces
    if (!(await nonces.claim(key.id, nonce, nonceTtlMs, signal))) {
      throw unauthorized('replayed', 'X-PAF-Nonce was used before; sign each request anew.');
    }
    const { tenant, roles } = key;
    return { caller: { tenant, subject: key.id, roles }, scheme: 'hmac' };
  };
}

/** Compares with as many secrets as a key may have, whichever fits. */
function isSignedBy({ secrets }: HmacKey, text: string, signature: Buffer): boolean {
  let isRight = false;
  for (let at = 0; at < mostSecrets; at += 1) {
    const expected = createHmac('sha256', secrets[at % secrets.length] as string)
      .update(text)
      .digest();
    isRight = timingSafeEqual(expected, signature) || isRight;
  }
  return isRight;
}
