import {
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
} from 'node:crypto';

/** Of this process only, so that nothing that a test signs is of use anywhere. */
export const jwtSecret = randomBytes(32).toString('base64url');
export const hmacSecret = randomBytes(32).toString('base64url');

export const jwtEnv = { AUTH_MODE: 'jwt', JWT_SECRET: jwtSecret };
export const hmacEnv = {
  AUTH_MODE: 'hmac',
  HMAC_KEYS: JSON.stringify({ reports: { secret: hmacSecret, tenant: 'acme', roles: ['admin'] } }),
};
export const anyEnv = { ...jwtEnv, ...hmacEnv, AUTH_MODE: 'any' };

export type Claims = Record<string, unknown>;

export const nowSeconds = () => Math.floor(Date.now() / 1000);

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token as it is told to be, right or wrong; `signature` makes its last part of the two before. */
export function tokenOf(header: unknown, payload: unknown, signature: (text: string) => Buffer): string {
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${signature(text).toString('base64url')}`;
}

export const hs256 = (secret: string | Buffer) => (text: string) =>
  createHmac('sha256', secret).update(text).digest();

/** A token of HS256 that the service of `jwtEnv` takes, but for what is told otherwise. */
export function mint(claims: Claims = {}, secret = jwtSecret, header: Claims = {}): string {
  const payload = { sub: 'ada', exp: nowSeconds() + 600, ...claims };
  return tokenOf({ alg: 'HS256', typ: 'JWT', ...header }, payload, hs256(secret));
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const signers: Record<string, (key: KeyObject) => (text: string) => Buffer> = {
  RS256: (key) => (text) => sign('sha256', Buffer.from(text), key),
  ES256: (key) => (text) => sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }),
  EdDSA: (key) => (text) => sign(null, Buffer.from(text), key),
};

export type TestKey = ReturnType<typeof createKey>;

/** A key pair that signs tokens. */
export function createKey(algorithm: 'RS256' | 'ES256' | 'EdDSA', kid: string = randomUUID()) {
  const { publicKey, privateKey } = generate(algorithm);
  return {
    kid,
    algorithm,
    publicKey,
    privateKey,
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: algorithm } as Record<
      string,
      unknown
    >,
    mint(claims: Claims = {}, header: Claims = {}) {
      const payload = { sub: 'ada', exp: nowSeconds() + 600, ...claims };
      const signature = signers[algorithm]?.(privateKey) as (text: string) => Buffer;
      return tokenOf({ alg: algorithm, kid, ...header }, payload, signature);
    },
  };
}

function generate(algorithm: 'RS256' | 'ES256' | 'EdDSA') {
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('ed25519');
}

export type ToSign = {
  method?: string;
  path: string;
  body?: string | Buffer;
  keyId?: string;
  secret?: string;
  timestamp?: string;
  nonce?: string;
};

/** The headers of a signed request, by the description in the README. */
export function signed({
  method = 'GET',
  path,
  body = '',
  keyId = 'reports',
  secret = hmacSecret,
  timestamp = String(nowSeconds()),
  nonce = randomUUID(),
}: ToSign): Record<string, string> {
  const hash = createHash('sha256').update(body).digest('hex');
  const text = `v1\n${timestamp}\n${nonce}\n${method}\n${path}\n${hash}`;
  return {
    'x-paf-key-id': keyId,
    'x-paf-timestamp': timestamp,
    'x-paf-nonce': nonce,
    'x-paf-signature': `v1=${createHmac('sha256', secret).update(text).digest('hex')}`,
  };
}
