import { describe, expect, test } from 'vitest';
import type { NonceStore } from '../../src/auth/authenticator.ts';
import { createMemoryNonces } from '../../src/auth/memory-nonces.ts';
import { bearer, hmacSecret, jwtSecret, mint, signed } from '../helpers/credentials.ts';
import { createTestAuthenticator, hashOf, never, outcomeOf, requestOf } from './verifier.ts';

const path = '/api/chat/models?full=1&name=a%2Fb';
const reports = { id: 'reports', secrets: [hmacSecret], tenant: 'acme', roles: ['admin'] };
const identity = { caller: { tenant: 'acme', subject: 'reports', roles: ['admin'] }, scheme: 'hmac' };
const wrong =
  'The signature is not right, or its key is not known here. It is made of the method in upper case, path and query as ' +
  'they are sent, and the bytes of the body.';

const createSigned = (parts: Parameters<typeof createTestAuthenticator>[1] = {}, keys = [reports]) =>
  createTestAuthenticator({ authMode: 'hmac', hmacKeys: keys }, parts);

const askWith = (headers: Record<string, string>, others = {}) =>
  requestOf(headers, { url: path, ...others });

describe('a signature', () => {
  test('says who asks', async () => {
    expect(await outcomeOf(await createSigned(), askWith(signed({ path })))).toEqual(identity);
  });

  test('is for one method, address, time, nonce and body', async () => {
    const authenticator = await createSigned();
    const body = Buffer.from('{"message": "Hi"}');
    const headers = signed({ method: 'POST', path, body });
    const right = { method: 'POST', bodyHash: hashOf(body) };
    const refused = [
      askWith(headers, { ...right, method: 'PUT' }),
      askWith(headers, { ...right, url: '/api/chat/models' }),
      askWith(headers, { ...right, url: path.replace('%2F', '%2f') }),
      askWith(headers, { ...right, url: `${path}&` }),
      askWith(headers, { ...right, bodyHash: hashOf('{"message": "Ho"}') }),
      askWith(headers, { ...right, bodyHash: hashOf('') }),
      askWith({ ...headers, 'x-paf-timestamp': String(Number(headers['x-paf-timestamp']) + 1) }, right),
      askWith({ ...headers, 'x-paf-nonce': `${headers['x-paf-nonce']}a` }, right),
    ];
    for (const request of refused)
      expect(await outcomeOf(authenticator, request)).toBe(`signature: ${wrong}`);
    expect(await outcomeOf(authenticator, askWith(headers, right))).toEqual(identity);
  });

  test('is answered alike for a key that nobody has', async () => {
    const authenticator = await createSigned();
    const outcome = (others: object) => outcomeOf(authenticator, askWith(signed({ path, ...others })));
    expect(await outcome({ keyId: 'nobody' })).toBe(`unknown_key: ${wrong}`);
    expect(await outcome({ keyId: 'constructor' })).toBe(`unknown_key: ${wrong}`);
    expect(await outcome({ secret: 'another' })).toBe(`signature: ${wrong}`);
  });

  test('may be by any of the secrets of its key', async () => {
    const keys = [{ ...reports, secrets: ['first-secret', 'second-secret', 'third-secret'] }];
    const authenticator = await createSigned({}, keys);
    for (const secret of ['first-secret', 'second-secret', 'third-secret']) {
      expect(await outcomeOf(authenticator, askWith(signed({ path, secret })))).toEqual(identity);
    }
    expect(await outcomeOf(authenticator, askWith(signed({ path, secret: 'fourth' })))).toBe(
      `signature: ${wrong}`,
    );
  });

  test('is good for 300 s before and after its time, to the millisecond', async () => {
    const seconds = 1_900_000_000;
    const at = async (ms: number) => {
      const authenticator = await createSigned({ now: () => seconds * 1000 + ms });
      return outcomeOf(authenticator, askWith(signed({ path, timestamp: String(seconds) })));
    };
    const far =
      'timestamp: X-PAF-Timestamp is more than 300 seconds away from the time here, which is in the header Date.';
    expect([await at(-300_001), await at(-300_000), await at(300_000), await at(300_001)]).toEqual([
      far,
      identity,
      identity,
      far,
    ]);
  });

  test('is good once, as long as its time would be accepted', async () => {
    let nowMs = 1_900_000_000_000;
    const authenticator = await createSigned({ now: () => nowMs });
    const timestamp = String(nowMs / 1000 + 300);
    const headers = signed({ path, timestamp });
    const replayed = 'replayed: X-PAF-Nonce was used before; sign each request anew.';
    expect(await outcomeOf(authenticator, askWith(headers))).toEqual(identity);
    expect(await outcomeOf(authenticator, askWith(headers))).toBe(replayed);
    nowMs += 600_000;
    expect(await outcomeOf(authenticator, askWith(headers))).toBe(replayed);
    nowMs += 1;
    expect(await outcomeOf(authenticator, askWith(headers))).toMatch(/^timestamp: /);
  });

  test('of one caller can use up no nonce of another, nor one that is wrong any', async () => {
    const keys = [reports, { ...reports, id: 'other', secrets: ['other-secret'] }];
    const authenticator = await createSigned({}, keys);
    const nonce = 'n'.repeat(16);
    const outcome = (others: object) => outcomeOf(authenticator, askWith(signed({ path, nonce, ...others })));
    expect(await outcome({ secret: 'guessed' })).toBe(`signature: ${wrong}`);
    expect(await outcome({ keyId: 'other', secret: 'other-secret' })).toMatchObject({
      caller: { subject: 'other' },
    });
    expect(await outcome({})).toEqual(identity);
    expect(await outcome({})).toMatch(/^replayed: /);
  });

  test('of which many copies come at once lets one in', async () => {
    const authenticator = await createSigned();
    const headers = signed({ path });
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => outcomeOf(authenticator, askWith(headers))),
    );
    expect(outcomes.filter((outcome) => typeof outcome === 'object')).toEqual([identity]);
  });

  const nonceForm = 'X-PAF-Nonce must have 16 to 128 letters, digits, - or _.';
  const signatureForm = 'X-PAF-Signature must be v1= and 64 lower-case hex digits.';
  const timeForm = 'X-PAF-Timestamp must be unix seconds.';
  test.each<[string, Record<string, string | undefined>, string]>([
    ['no key', { 'x-paf-key-id': undefined }, 'A signed request needs X-PAF-Key-Id too.'],
    [
      'the signature alone',
      { 'x-paf-key-id': undefined, 'x-paf-timestamp': undefined, 'x-paf-nonce': undefined },
      'A signed request needs X-PAF-Key-Id and X-PAF-Timestamp and X-PAF-Nonce too.',
    ],
    ['an empty key', { 'x-paf-key-id': '' }, 'X-PAF-Key-Id is not the name of a key.'],
    ['a key with spaces', { 'x-paf-key-id': 'a b' }, 'X-PAF-Key-Id is not the name of a key.'],
    ['a long key', { 'x-paf-key-id': 'a'.repeat(129) }, 'X-PAF-Key-Id is not the name of a key.'],
    ['a time with a fraction', { 'x-paf-timestamp': '1900000000.5' }, timeForm],
    ['a time with a sign', { 'x-paf-timestamp': '-1900000000' }, timeForm],
    ['a time in words', { 'x-paf-timestamp': 'now' }, timeForm],
    ['no digits of time', { 'x-paf-timestamp': '' }, timeForm],
    ['a time without end', { 'x-paf-timestamp': '9'.repeat(13) }, timeForm],
    ['a short nonce', { 'x-paf-nonce': 'n'.repeat(15) }, nonceForm],
    ['a long nonce', { 'x-paf-nonce': 'n'.repeat(129) }, nonceForm],
    ['other characters in the nonce', { 'x-paf-nonce': `${'n'.repeat(16)}+/=` }, nonceForm],
    ['another version', { 'x-paf-signature': `v2=${'0'.repeat(64)}` }, signatureForm],
    ['a short signature', { 'x-paf-signature': `v1=${'0'.repeat(62)}` }, signatureForm],
    ['upper case in the signature', { 'x-paf-signature': `v1=${'A'.repeat(64)}` }, signatureForm],
    ['no version', { 'x-paf-signature': '0'.repeat(64) }, signatureForm],
  ])('with %s is refused', async (_name, change, message) => {
    const headers = Object.fromEntries(
      Object.entries({ ...signed({ path }), ...change }).filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
    expect(await outcomeOf(await createSigned(), askWith(headers))).toBe(`malformed: ${message}`);
  });

  test('whose headers come twice is refused', async () => {
    for (const name of ['X-PAF-Key-Id', 'X-PAF-Timestamp', 'X-PAF-Nonce', 'X-PAF-Signature']) {
      const headers = signed({ path });
      const rawHeaders = [...Object.entries(headers).flat(), name, headers[name.toLowerCase()] as string];
      const request = askWith({}, { rawHeaders });
      expect(await outcomeOf(await createSigned(), request)).toBe(
        `malformed: The header ${name} came more than once.`,
      );
    }
  });

  test('is asked for its body only when nothing else speaks against it', async () => {
    const authenticator = await createSigned();
    const bodyHash = async () => {
      throw new Error('read');
    };
    for (const headers of [
      {},
      signed({ path, timestamp: '1' }),
      { ...signed({ path }), 'x-paf-nonce': 'short' },
    ]) {
      expect(await outcomeOf(authenticator, askWith(headers, { bodyHash }))).not.toMatch(/internal_error/);
    }
    expect(await outcomeOf(authenticator, askWith(signed({ path }), { bodyHash }))).toMatch(/internal_error/);
  });
});

test('a body is held only when its key is known', async () => {
  const authenticator = await createSigned();
  const held: boolean[] = [];
  const bodyHash = (isKept: boolean) => {
    held.push(isKept);
    return hashOf('')();
  };
  for (const keyId of ['reports', 'nobody']) {
    await outcomeOf(authenticator, askWith(signed({ path, keyId }), { bodyHash }));
  }
  expect(held).toEqual([true, false]);
});

describe('tokens and signatures', () => {
  const both = (keys = [reports]) =>
    createTestAuthenticator({
      jwtKey: { kind: 'key', key: { algorithm: 'HS256', material: jwtSecret } },
      hmacKeys: keys,
    });

  test('are both taken, one of them in a request', async () => {
    const authenticator = await both();
    expect(authenticator.schemes).toEqual(['jwt', 'hmac']);
    expect(await outcomeOf(authenticator, askWith(signed({ path })))).toEqual(identity);
    expect(await outcomeOf(authenticator, askWith(bearer(mint())))).toMatchObject({ scheme: 'jwt' });
    expect(await outcomeOf(authenticator, askWith({ ...signed({ path }), ...bearer(mint()) }))).toBe(
      'malformed: The request has a token and a signature; send one of them.',
    );
    expect(await outcomeOf(authenticator, askWith({}))).toBe(
      'missing: This needs Authorization: Bearer and a token, or a signature in the X-PAF headers.',
    );
  });

  test('a token makes nobody one of those who sign', async () => {
    const authenticator = await both();
    expect(await outcomeOf(authenticator, askWith(bearer(mint({ sub: 'reports', tenant: 'acme' }))))).toBe(
      "claims: The token's claim sub is the name of a signing key.",
    );
    expect(await outcomeOf(authenticator, askWith(bearer(mint({ sub: 'reports' }))))).toMatchObject({
      caller: { tenant: 'default', subject: 'reports' },
    });
  });

  test('a token makes nobody the owner of what was made without authentication', async () => {
    const authenticator = await both();
    expect(await outcomeOf(authenticator, askWith(bearer(mint({ sub: 'anonymous' }))))).toBe(
      "claims: The token's claim sub is the name for callers who are not known.",
    );
    expect(
      await outcomeOf(authenticator, askWith(bearer(mint({ sub: 'anonymous', tenant: 'acme' })))),
    ).toMatchObject({ caller: { tenant: 'acme', subject: 'anonymous' } });
  });

  test('of the kind that is not taken count as none', async () => {
    expect(await outcomeOf(await createSigned(), askWith(bearer(mint())))).toBe(
      'missing: This needs a signature in the X-PAF headers.',
    );
  });
});

describe('the memory of nonces', () => {
  const claim = (store: NonceStore, nonce: string, keyId = 'a') => store.claim(keyId, nonce, 1000, never);

  test('forgets them when their time is over', async () => {
    let nowMs = 0;
    const store = createMemoryNonces(() => nowMs);
    expect([await claim(store, 'x'), await claim(store, 'x'), await claim(store, 'x', 'b')]).toEqual([
      true,
      false,
      true,
    ]);
    nowMs = 999;
    expect(await claim(store, 'x')).toBe(false);
    nowMs = 1000;
    expect(await claim(store, 'x')).toBe(true);
  });

  test('refuses all when it is full, until the oldest ends', async () => {
    let nowMs = 0;
    const store = createMemoryNonces(() => nowMs, 2);
    await claim(store, 'x');
    nowMs = 500;
    await claim(store, 'y');
    await expect(claim(store, 'z')).rejects.toMatchObject({ type: 'auth_unavailable', retryAfterMs: 5000 });
    expect(await claim(store, 'y')).toBe(false);
    nowMs = 1000;
    expect(await claim(store, 'z')).toBe(true);
    await expect(claim(store, 'w')).rejects.toMatchObject({ type: 'auth_unavailable' });
  });
});
