import { createHmac, type createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { JwtKeySource } from '../../src/auth/jwt-keys.ts';
import { readPublicKey } from '../../src/auth/jwt-keys.ts';
import {
  bearer,
  type Claims,
  createKey,
  hs256,
  jwtSecret,
  mint,
  nowSeconds,
  tokenOf,
} from '../helpers/credentials.ts';
import { createTestAuthenticator, outcomeOf, requestOf } from './verifier.ts';

const secretKey: JwtKeySource = { kind: 'key', key: { algorithm: 'HS256', material: jwtSecret } };
const keyOf = (pem: string): JwtKeySource => ({ kind: 'key', key: readPublicKey(pem) as never });

const withSecret = (settings = {}, now?: () => number) =>
  createTestAuthenticator({ authMode: 'jwt', jwtKey: secretKey, ...settings }, now ? { now } : {});

const tokenOutcome = async (token: string, settings = {}) =>
  outcomeOf(await withSecret(settings), requestOf(bearer(token)));

const ada = (others: object = {}) => ({
  caller: { tenant: 'default', subject: 'ada', roles: [] },
  scheme: 'jwt',
  ...others,
});

describe('a token', () => {
  test('says who asks, in which tenant and roles, and until when', async () => {
    const exp = nowSeconds() + 60.5;
    const claims = {
      sub: 'ada@example.org',
      tenant: 'acme',
      roles: ['editor', 'chat'],
      scope: 'chat files:read',
      exp,
    };
    expect(await tokenOutcome(mint(claims))).toEqual({
      caller: { tenant: 'acme', subject: 'ada@example.org', roles: ['editor', 'chat', 'files:read'] },
      scheme: 'jwt',
      expiresAt: exp * 1000,
    });
  });

  test('never gives the role that stands for all', async () => {
    const exp = nowSeconds() + 60;
    expect(await tokenOutcome(mint({ exp, roles: ['*', 'editor'], scope: '* *' }))).toEqual(
      ada({ caller: { tenant: 'default', subject: 'ada', roles: ['editor'] }, expiresAt: exp * 1000 }),
    );
  });

  test('may come with any spelling of Bearer, and beside Authorization for a WebSocket', async () => {
    const authenticator = await withSecret();
    const exp = nowSeconds() + 60;
    const token = mint({ exp });
    for (const request of [
      requestOf({ authorization: `bearer  ${token}` }),
      requestOf({ AUTHORIZATION: `BEARER ${token}` }),
      requestOf({}, { bearerToken: token }),
    ]) {
      expect(await outcomeOf(authenticator, request)).toEqual(ada({ expiresAt: exp * 1000 }));
    }
  });

  const noToken = 'malformed: The token is not a signed JSON Web Token.';
  const wrongForm = 'malformed: Authorization must be: Bearer, a space, the token.';
  test.each([
    ['nothing', {}, 'missing: This needs Authorization: Bearer and a token.'],
    ['another scheme', { authorization: 'Basic YTpi' }, wrongForm],
    ['no token after Bearer', { authorization: 'Bearer' }, wrongForm],
    ['two words', { authorization: 'Bearer a.b.c d' }, wrongForm],
    ['nothing in it', { authorization: '' }, wrongForm],
    ['no token', bearer('abc'), noToken],
    ['two parts', bearer(mint().split('.').slice(0, 2).join('.')), noToken],
    ['five parts', bearer('a.b.c.d.e'), noToken],
    ['no JSON', bearer('YQ.YQ.YQ'), noToken],
    ['a header that is a list', bearer(tokenOf([], {}, hs256(jwtSecret))), noToken],
    ['a body that is a list', bearer(tokenOf({ alg: 'HS256' }, [], hs256(jwtSecret))), noToken],
    ['a body that is no JSON', bearer(tokenOf({ alg: 'HS256' }, 'hello', hs256(jwtSecret))), noToken],
    ['padding', bearer(`${mint()}=`), noToken],
    ['more than 16 KiB', bearer(mint({ note: 'x'.repeat(16_384) })), noToken],
    ['a kid that is no name', bearer(mint({}, jwtSecret, { kid: 7 })), noToken],
    [
      'extensions',
      bearer(mint({}, jwtSecret, { crit: ['b64'], b64: false })),
      'malformed: The token demands extensions that are not known here.',
    ],
    [
      'an empty list of extensions',
      bearer(mint({}, jwtSecret, { crit: [] })),
      'malformed: The token demands extensions that are not known here.',
    ],
    [
      'no list of extensions',
      bearer(mint({}, jwtSecret, { crit: null })),
      'malformed: The token demands extensions that are not known here.',
    ],
  ])('with %s is refused', async (_name, headers: Record<string, string>, outcome) => {
    expect(await outcomeOf(await withSecret(), requestOf(headers))).toBe(outcome);
  });

  test('that comes twice is refused', async () => {
    const authenticator = await withSecret();
    const token = mint();
    const twice = {
      ...requestOf({}),
      rawHeaders: ['Authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}`],
    };
    expect(await outcomeOf(authenticator, twice)).toBe(
      'malformed: The header Authorization came more than once.',
    );
    const both = requestOf(bearer(token), { bearerToken: token });
    expect(await outcomeOf(authenticator, both)).toBe('malformed: The request has two tokens.');
  });

  const text = 'a text of 1 to 256 characters.';
  test.each<[string, Claims, string]>([
    ['no sub', { sub: undefined }, `sub must be ${text}`],
    ['an empty sub', { sub: '' }, `sub must be ${text}`],
    ['a sub of spaces', { sub: '  ' }, `sub must be ${text}`],
    ['a number as sub', { sub: 7 }, `sub must be ${text}`],
    ['a line break in sub', { sub: 'ada\nroot' }, `sub must be ${text}`],
    ['half a character in sub', { sub: '\ud800' }, `sub must be ${text}`],
    ['a sub of 257 characters', { sub: 'a'.repeat(257) }, `sub must be ${text}`],
    ['null as tenant', { tenant: null }, `tenant must be ${text}`],
    ['a list as tenant', { tenant: ['acme'] }, `tenant must be ${text}`],
    ['a text as roles', { roles: 'admin' }, 'roles must be a list of texts.'],
    ['numbers as roles', { roles: [1] }, 'roles must be a list of texts.'],
    ['a list as scope', { scope: ['chat'] }, 'scope must be a text.'],
    [
      'too many roles',
      { roles: Array.from({ length: 101 }, (_value, at) => `r${at}`) },
      'roles must be a list of at most 100 roles, scopes included.',
    ],
    ['an exp that no date has', { exp: 1e300 }, 'exp must be a time in seconds, not in milliseconds.'],
    [
      'an exp in milliseconds',
      { exp: 1_795_000_000_000 },
      'exp must be a time in seconds, not in milliseconds.',
    ],
  ])('with %s is refused', async (_name, claims, rest) => {
    expect(await tokenOutcome(mint(claims))).toBe(`claims: The token's claim ${rest}`);
  });

  const times = "claims: The token's claims exp and nbf must be times in seconds.";
  test.each<[string, Claims, string]>([
    ['no exp', { exp: undefined }, 'claims: The token has no claim exp, the time of its end.'],
    ['a text as exp', { exp: '2999-01-01' }, times],
    ['null as exp', { exp: null }, times],
    ['a list as exp', { exp: [nowSeconds() + 60] }, expect.stringMatching(/^claims: /)],
    ['a text as nbf', { nbf: 'now' }, times],
    ['an exp before all dates', { exp: -1e300 }, times],
    ['an nbf after all dates', { nbf: 1e300 }, times],
  ])('with %s is refused', async (_name, claims, outcome) => {
    expect(await tokenOutcome(mint(claims))).toEqual(outcome);
  });

  test('with an exp beyond all numbers is refused', async () => {
    const token = tokenOf({ alg: 'HS256' }, '{"sub":"ada","exp":1e999}', hs256(jwtSecret));
    expect(await tokenOutcome(token)).toBe(
      "claims: The token's claim exp must be a time in seconds, not in milliseconds.",
    );
  });

  test('may have been given in the future, and a sub of 256 characters', async () => {
    const exp = nowSeconds() + 60;
    const sub = '🎈'.repeat(256);
    expect(await tokenOutcome(mint({ exp, sub, iat: nowSeconds() + 500 }))).toMatchObject({
      caller: { subject: sub },
    });
  });

  test('is good from 30 s before nbf until 30 s after exp, to the millisecond', async () => {
    const start = 1_900_000_000;
    const token = mint({ nbf: start, exp: start + 100 });
    const at = async (ms: number) =>
      outcomeOf(await withSecret({}, () => start * 1000 + ms), requestOf(bearer(token)));
    expect(await at(-30_001)).toBe('not_yet_valid: The token is not valid yet.');
    expect(await at(-30_000)).toEqual(ada({ expiresAt: (start + 100) * 1000 }));
    expect(await at(130_000)).toEqual(ada({ expiresAt: (start + 100) * 1000 }));
    expect(await at(130_001)).toBe('expired: The token has expired.');
  });

  test('is from the issuer and for the audience that are set', async () => {
    const settings = { jwtIssuer: 'https://login.test/', jwtAudience: 'paf' };
    const right = { iss: 'https://login.test/', aud: 'paf' };
    const outcome = (claims: Claims) => tokenOutcome(mint({ ...right, ...claims }), settings);
    const issuer = 'issuer: The token is from an issuer that is not accepted here.';
    const audience = 'audience: The token is for another service.';
    expect(await outcome({})).toMatchObject(ada());
    expect(await outcome({ aud: ['other', 'paf'] })).toMatchObject(ada());
    for (const iss of [undefined, 'https://login.test', ['https://login.test/'], null]) {
      expect(await outcome({ iss })).toBe(issuer);
    }
    for (const aud of [undefined, 'other', [], [['paf']], { paf: true }, null]) {
      expect(await outcome({ aud })).toBe(audience);
    }
  });
});

describe('the signature', () => {
  const wrong = "signature: The token's signature is not right.";
  const otherAlgorithm = "signature: The token's algorithm is not accepted.";
  const claims = { sub: 'ada', exp: nowSeconds() + 600 };

  test('by another secret, changed or left out is refused', async () => {
    const [header, body, signature] = mint().split('.');
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url');
    expect(await tokenOutcome(mint({}, 'another secret'))).toBe(wrong);
    expect(await tokenOutcome(`${header}.${forged}.${signature}`)).toBe(wrong);
    expect(await tokenOutcome(`${header}.${body}.${signature?.slice(0, -2)}`)).toBe(wrong);
    expect(await tokenOutcome(`${header}.${body}.`)).toBe('signature: The token is not signed.');
  });

  test.each(['none', 'None', 'NONE', '', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA', undefined, null, 1])(
    'by the algorithm %j is refused where a secret is set',
    async (alg) => {
      for (const signature of [hs256(jwtSecret), () => Buffer.alloc(0)]) {
        expect(await tokenOutcome(tokenOf({ alg }, claims, signature))).toBe(otherAlgorithm);
      }
      const long = (text: string) => createHmac('sha512', jwtSecret).update(text).digest();
      expect(await tokenOutcome(tokenOf({ alg }, claims, long))).toBe(otherAlgorithm);
    },
  );

  test.each(['RS256', 'ES256', 'EdDSA'] as const)(
    'by a key of %s is checked with its public key',
    async (algorithm) => {
      const key = createKey(algorithm);
      const other = createKey(algorithm);
      const authenticator = await createTestAuthenticator({ authMode: 'jwt', jwtKey: keyOf(key.pem) });
      const outcome = (token: string) => outcomeOf(authenticator, requestOf(bearer(token)));
      expect(await outcome(key.mint())).toMatchObject(ada());
      expect(await outcome(key.mint({}, { kid: 'whatever' }))).toMatchObject(ada());
      expect(await outcome(other.mint())).toBe(wrong);
      // the public key is known to everybody, so it must be no secret
      for (const secret of [key.pem, key.pem.trim(), key.publicKey.export({ type: 'spki', format: 'der' })]) {
        expect(await outcome(tokenOf({ alg: 'HS256' }, claims, hs256(secret)))).toBe(otherAlgorithm);
        expect(await outcome(tokenOf({ alg: algorithm }, claims, hs256(secret)))).toBe(wrong);
      }
      for (const alg of ['none', 'PS256', 'RS512', 'ES384', 'Ed25519', 'HS256']) {
        expect(await outcome(key.mint({}, { alg }))).toBe(otherAlgorithm);
      }
    },
  );

  test('by a key of the right kind and another algorithm of it is refused', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const authenticator = await createTestAuthenticator({ authMode: 'jwt', jwtKey: keyOf(pem) });
    const rs512 = (text: string) => sign('sha512', Buffer.from(text), privateKey);
    for (const alg of ['RS512', 'RS256']) {
      const outcome = await outcomeOf(authenticator, requestOf(bearer(tokenOf({ alg }, claims, rs512))));
      expect(outcome).toBe(alg === 'RS256' ? wrong : otherAlgorithm);
    }
  });
});

describe('a public key', () => {
  const exported = (key: ReturnType<typeof createPublicKey>, type: 'spki' | 'pkcs1' = 'spki') =>
    key.export({ type, format: 'pem' } as never).toString();

  test('is taken in the forms that tools write', () => {
    const rsa = createKey('RS256');
    expect(readPublicKey(exported(rsa.publicKey, 'pkcs1'))).toEqual({
      algorithm: 'RS256',
      material: rsa.pem,
    });
    expect(readPublicKey(`\n${rsa.pem.replaceAll('\n', '\r\n')}`)).toEqual({
      algorithm: 'RS256',
      material: rsa.pem,
    });
  });

  test('is not taken when it is private, weak, of another kind or no key', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
    const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
    const wide = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const { privateKey } = createKey('ES256');
    const texts = [
      exported(short),
      exported(curve),
      exported(wide),
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      '-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----',
      'hello',
    ];
    expect(texts.map(readPublicKey)).toEqual(texts.map(() => undefined));
  });
});
