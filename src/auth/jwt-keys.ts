import { createPublicKey, type KeyObject } from 'node:crypto';

export const publicAlgorithms = ['RS256', 'ES256', 'EdDSA'] as const;

export type PublicAlgorithm = (typeof publicAlgorithms)[number];

/** A key and the one algorithm that it is for. `material` is the secret, or a public key as PEM. */
export type JwtKey = { algorithm: 'HS256' | PublicAlgorithm; material: string };

/** Where keys come from. */
export type JwtKeySource = { kind: 'key'; key: JwtKey } | { kind: 'jwks'; url: string };

/** What a token says about its key; none of it is to be believed yet. */
export type TokenHeader = { alg?: unknown; kid?: unknown };

export interface JwtKeys {
  /** The key that the token has to be signed with. Rejects with a Fault when there is none, or it cannot be had now. */
  find(header: TokenHeader, signal: AbortSignal): Promise<JwtKey>;
  close(): void;
}

/** One key for every token, whatever key the token names. */
export function fixedKey(key: JwtKey): JwtKeys {
  return { find: async () => key, close() {} };
}

const minRsaBits = 2048;

/** The key of a PEM text with the algorithm that its type stands for; undefined when it is none that is accepted. */
export function readPublicKey(text: string): JwtKey | undefined {
  // a public key could be derived from a private one too, which is then where it should not be
  if (!/^\s*-----BEGIN ((RSA )?PUBLIC KEY|CERTIFICATE)-----/.test(text)) return undefined;
  try {
    return toJwtKey(createPublicKey(text));
  } catch {
    return undefined;
  }
}

export function toJwtKey(key: KeyObject): JwtKey | undefined {
  const algorithm = algorithmOf(key);
  return algorithm && { algorithm, material: key.export({ type: 'spki', format: 'pem' }).toString() };
}

function algorithmOf({
  type,
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): PublicAlgorithm | undefined {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {};
  if (type !== 'public') return undefined;
  if (asymmetricKeyType === 'rsa' && modulusLength >= minRsaBits) return 'RS256';
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  return asymmetricKeyType === 'ed25519' ? 'EdDSA' : undefined;
}
