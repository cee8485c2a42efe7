import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createJwks } from '../../src/auth/jwks.ts';
import { createFetch } from '../../src/outgoing/fetch.ts';
import { bearer, createKey, hs256, mint, nowSeconds, tokenOf } from '../helpers/credentials.ts';
import { type KeyServer, startKeyServer } from './key-server.ts';
import { createTestAuthenticator, never, outcomeOf, requestOf } from './verifier.ts';

const unknown = 'unknown_key: The token is signed with a key that is not known here.';
const unavailable = 'auth_unavailable: The keys that tokens are checked with cannot be had now.';
const ada = { caller: { tenant: 'default', subject: 'ada', roles: [] }, scheme: 'jwt' };

/** A service that takes tokens of these keys; `passSeconds` moves its time on. */
async function setUp(server: KeyServer) {
  let nowMs = Date.now();
  const troubles: object[] = [];
  const authenticator = await createTestAuthenticator(
    { authMode: 'jwt', jwtKey: { kind: 'jwks', url: server.url } },
    { now: () => nowMs, onTrouble: (fields) => troubles.push(fields) },
  );
  return {
    troubles,
    outcome: (token: string) => outcomeOf(authenticator, requestOf(bearer(token))),
    passSeconds(seconds: number) {
      nowMs += seconds * 1000;
    },
  };
}

const day = { exp: nowSeconds() + 86_400 };

describe('a key set', () => {
  test('gives keys of all three algorithms, and is fetched once for all their tokens', async () => {
    const keys = [createKey('RS256'), createKey('ES256'), createKey('EdDSA')];
    const server = await startKeyServer(...keys);
    const { outcome } = await setUp(server);
    const outcomes = await Promise.all([...keys, ...keys].map((key) => outcome(key.mint())));
    for (const each of outcomes) expect(each).toMatchObject(ada);
    expect(outcomes).toHaveLength(6);
    expect(server.asked).toBe(1);
  });

  test('is fetched anew for a key that was added, and a key that is gone ends within ten minutes', async () => {
    const [old, next] = [createKey('ES256'), createKey('EdDSA')];
    const server = await startKeyServer(old);
    const { outcome, passSeconds } = await setUp(server);
    expect(await outcome(old.mint(day))).toMatchObject(ada);
    server.serve(next);
    expect(await outcome(next.mint(day))).toBe(unknown);
    passSeconds(9.999);
    expect(await outcome(next.mint(day))).toBe(unknown);
    expect(server.asked).toBe(1);
    passSeconds(0.001);
    expect(await outcome(next.mint(day))).toMatchObject(ada);
    expect(await outcome(old.mint(day))).toBe(unknown);
    expect(server.asked).toBe(2);

    server.serve(old);
    passSeconds(599.999);
    expect(await outcome(next.mint(day))).toMatchObject(ada);
    expect(server.asked).toBe(2);
    passSeconds(0.001);
    expect(await outcome(next.mint(day))).toBe(unknown);
    expect(server.asked).toBe(3);
  });

  test('is asked once in ten seconds for however many keys that nobody knows', async () => {
    const key = createKey('ES256');
    const server = await startKeyServer(key);
    const { outcome, passSeconds } = await setUp(server);
    const strangers = () =>
      Array.from({ length: 50 }, (_value, at) => key.mint(day, { kid: `stranger-${at}` }));
    const ask = () => Promise.all(strangers().map(outcome));
    expect(new Set(await ask())).toEqual(new Set([unknown]));
    expect(server.asked).toBe(1);
    for (const asked of [1, 2]) {
      await ask();
      await ask();
      expect(server.asked).toBe(asked);
      passSeconds(10);
    }
    expect(await outcome(key.mint(day))).toMatchObject(ada);
  });

  test('is not asked for tokens of algorithms that it cannot have', async () => {
    const server = await startKeyServer(createKey('ES256'));
    const { outcome } = await setUp(server);
    for (const alg of ['HS256', 'none', 'PS256', undefined]) {
      const token = tokenOf({ alg, kid: 'a' }, { sub: 'ada', ...day }, hs256('x'));
      expect(await outcome(token)).toBe("signature: The token's algorithm is not accepted.");
    }
    expect(server.asked).toBe(0);
  });

  test('decides about the algorithm, not the token', async () => {
    const [rsa, curve] = [createKey('RS256', 'a'), createKey('ES256', 'b')];
    const server = await startKeyServer(rsa, curve);
    const { outcome } = await setUp(server);
    const secret = { kty: 'oct', kid: 'c', k: Buffer.from('secret').toString('base64url'), alg: 'HS256' };
    expect(await outcome(rsa.mint(day, { kid: 'b' }))).toBe(unknown);
    expect(await outcome(curve.mint(day, { kid: 'a', alg: 'RS256' }))).toBe(
      "signature: The token's signature is not right.",
    );
    server.serve(rsa, secret);
    expect(await outcome(mint(day, 'secret', { kid: 'c' }))).toMatch(/^signature: /);
  });

  test('without a name in the token works where it has one key of the algorithm only', async () => {
    const [one, other] = [createKey('ES256'), createKey('ES256')];
    const server = await startKeyServer(one, createKey('RS256'));
    const { outcome, passSeconds } = await setUp(server);
    expect(await outcome(one.mint(day, { kid: undefined }))).toMatchObject(ada);
    server.serve(one, other);
    passSeconds(600);
    expect(await outcome(one.mint(day, { kid: undefined }))).toBe(unknown);
    expect(await outcome(one.mint(day))).toMatchObject(ada);
  });

  test('with keys that are of no use gives the others', async () => {
    const key = createKey('EdDSA');
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const server = await startKeyServer(
      { ...createKey('EdDSA', 'sealed').jwk, use: 'enc' },
      { ...createKey('ES256', 'signing').jwk, key_ops: ['sign'] },
      { ...createKey('RS256', 'other').jwk, alg: 'PS256' },
      { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak' },
      { kty: 'EC', crv: 'P-256', kid: 'torn', x: 'AA', y: 'AA' },
      { ...createKey('EdDSA', 'private').privateKey.export({ format: 'jwk' }), kid: 'private' },
      { kty: 'future' },
      key,
    );
    const { outcome } = await setUp(server);
    const names: [string, 'RS256' | 'ES256' | 'EdDSA'][] = [
      ['sealed', 'EdDSA'],
      ['signing', 'ES256'],
      ['other', 'RS256'],
      ['weak', 'RS256'],
      ['torn', 'ES256'],
      ['private', 'EdDSA'],
    ];
    for (const [kid, algorithm] of names) {
      expect([kid, await outcome(createKey(algorithm, kid).mint(day))]).toEqual([kid, unknown]);
    }
    expect(await outcome(key.mint(day))).toMatchObject(ada);
  });
});

describe('an address that does not answer', () => {
  const failures: [string, Parameters<KeyServer['answer']>[0], string][] = [
    ['a status', (_request, response) => void response.writeHead(500).end(), 'status 500'],
    [
      'a redirect elsewhere',
      (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.2:1/' }).end(),
      'status 302',
    ],
    ['no JSON', (_request, response) => void response.end('<html>'), 'no key set'],
    ['another JSON', (_request, response) => void response.end('{"keys": {}}'), 'no key set'],
    ['null', (_request, response) => void response.end('null'), 'no key set'],
    ['a list of texts', (_request, response) => void response.end('{"keys": ["a"]}'), 'ERR_JWKS_INVALID'],
    [
      'too much',
      (_request, response) => void response.end(`{"keys": [], "x": "${'x'.repeat(600_000)}"}`),
      'too large',
    ],
    ['a cut connection', (_request, response) => void response.socket?.destroy(), 'UND_ERR_SOCKET'],
  ];

  test.each(failures)(
    'but sends %s refuses as unavailable, and is asked once in ten seconds',
    async (_name, answer, reason) => {
      const key = createKey('ES256');
      const server = await startKeyServer();
      server.answer(answer);
      const { outcome, passSeconds, troubles } = await setUp(server);
      const tokens = Array.from({ length: 20 }, (_value, at) => key.mint(day, { kid: `k${at}` }));
      expect(new Set(await Promise.all(tokens.map(outcome)))).toEqual(new Set([unavailable]));
      expect(await outcome(key.mint(day))).toBe(unavailable);
      expect(server.asked).toBe(1);
      expect(troubles).toEqual([{ reason }]);
      server.serve(key);
      passSeconds(10);
      expect(await outcome(key.mint(day))).toMatchObject(ada);
      expect(server.asked).toBe(2);
    },
  );

  test('leaves the keys that are known in use, and says of others that it cannot know', async () => {
    const [key, next] = [createKey('RS256'), createKey('RS256')];
    const server = await startKeyServer(key);
    const { outcome, passSeconds } = await setUp(server);
    expect(await outcome(key.mint(day))).toMatchObject(ada);
    server.answer((_request, response) => void response.writeHead(503).end());
    passSeconds(10);
    expect(await outcome(next.mint(day))).toBe(unavailable);
    expect(await outcome(key.mint(day))).toMatchObject(ada);
    expect(server.asked).toBe(2);
    passSeconds(3600);
    expect(await outcome(key.mint(day))).toMatchObject(ada);
    expect(await outcome(next.mint(day))).toBe(unavailable);
    expect(server.asked).toBe(3);
    server.serve(next);
    passSeconds(10);
    expect(await outcome(next.mint(day))).toMatchObject(ada);
  });

  test('is given up after a while, and by a caller who leaves', async () => {
    const server = await startKeyServer();
    let connected = () => {};
    const asked = new Promise<void>((resolve) => {
      connected = resolve;
    });
    server.answer(() => connected());
    const troubles: object[] = [];
    const keys = createJwks({
      url: server.url,
      fetch: createFetch(),
      fetchTimeoutMs: 200,
      onTrouble: (fields) => troubles.push(fields),
    });
    onTestFinished(() => keys.close());
    const leaving = new AbortController();
    const left = keys.find({ alg: 'ES256' }, leaving.signal);
    const stayed = keys.find({ alg: 'ES256' }, never);
    await asked;
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    await expect(stayed).rejects.toMatchObject({ type: 'auth_unavailable', status: 503, retryable: true });
    expect(troubles).toEqual([{ reason: 'timeout' }]);
  });

  test('makes nobody wait whose key is known, once it has failed', async () => {
    const key = createKey('EdDSA');
    const server = await startKeyServer(key);
    let nowMs = 0;
    const keys = createJwks({
      url: server.url,
      fetch: createFetch(),
      fetchTimeoutMs: 600_000,
      onTrouble() {},
      now: () => nowMs,
    });
    onTestFinished(() => keys.close());
    const find = () => keys.find({ alg: 'EdDSA', kid: key.kid }, never);
    const found = { algorithm: 'EdDSA', material: key.pem };
    expect(await find()).toEqual(found);
    server.answer((_request, response) => void response.writeHead(503).end());
    nowMs += 600_000;
    expect(await find()).toEqual(found);
    const asked = new Promise<void>((resolve) => server.answer(() => resolve()));
    nowMs += 10_000;
    expect(await find()).toEqual(found);
    await asked;
    expect(await find()).toEqual(found);
  });

  test('tells callers when to come back', async () => {
    const server = await startKeyServer();
    server.answer((_request, response) => void response.writeHead(404).end());
    let nowMs = 1000;
    const keys = createJwks({ url: server.url, fetch: createFetch(), onTrouble() {}, now: () => nowMs });
    const find = () => keys.find({ alg: 'ES256' }, never);
    await expect(find()).rejects.toMatchObject({ retryAfterMs: 10_000 });
    nowMs += 9_500;
    await expect(find()).rejects.toMatchObject({ retryAfterMs: 1000 });
  });
});
