import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { publishedSecrets, weaknessOf } from '../../src/config/weak-secrets.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { createKey } from '../helpers/credentials.ts';

const good = 'k8Vq3Zt8Yw1Xr6Ks0Jd5Gh2Bn7Mf4Lc9';
const other = 'Pz5Nc1Xb8Qw3Et6Ry0Ui2Oa7Sd4Fg9Hj';
const keysOf = (entries: unknown) => JSON.stringify(entries);

type Env = Record<string, string>;

function load(env: Env, files: Env = {}) {
  try {
    const { config, warnings } = loadConfig(env, (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
      return text;
    });
    const { authMode, jwtKey, jwtIssuer, jwtAudience, hmacKeys, metricsToken, accessProblems } = config;
    return {
      authMode,
      jwtKey,
      jwtIssuer,
      jwtAudience,
      hmacKeys,
      metricsToken,
      warnings,
      accessProblems,
      problems: [],
    };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    throw error;
  }
}

const problemsOf = (env: Env, files?: Env) => load(env, files).problems;
const accessProblemsOf = (env: Env) => load(env).accessProblems;
const warningsOf = (env: Env) => load(env).warnings;

const nothing = {
  authMode: 'none',
  jwtKey: undefined,
  jwtIssuer: undefined,
  jwtAudience: undefined,
  hmacKeys: [],
  metricsToken: undefined,
  warnings: [],
  accessProblems: [],
  problems: [],
};

describe('AUTH_MODE', () => {
  test('is none unless set', () => {
    expect(load({})).toEqual(nothing);
    expect(load({ NODE_ENV: 'development', AUTH_MODE: ' ' })).toEqual(nothing);
  });

  test('needs what it asks callers for', () => {
    const sources = 'one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL';
    expect(problemsOf({ AUTH_MODE: 'jwt' })).toEqual([`AUTH_MODE jwt needs ${sources}`]);
    expect(problemsOf({ AUTH_MODE: 'jwt', HMAC_KEYS: keysOf({ a: { secret: good } }) })).toEqual([
      `AUTH_MODE jwt needs ${sources}`,
    ]);
    expect(problemsOf({ AUTH_MODE: 'hmac', JWT_SECRET: good })).toEqual(['AUTH_MODE hmac needs HMAC_KEYS']);
    expect(problemsOf({ AUTH_MODE: 'any' })).toEqual([`AUTH_MODE any needs ${sources}, or HMAC_KEYS`]);
    expect(problemsOf({ AUTH_MODE: 'oauth' })).toEqual([
      'AUTH_MODE must be one of none, jwt, hmac, any (it is "oauth")',
    ]);
    expect(problemsOf({ AUTH_MODE: 'any', HMAC_KEYS: keysOf({ a: { secret: good } }) })).toEqual([]);
    expect(problemsOf({ AUTH_MODE: 'any', JWT_SECRET: good })).toEqual([]);
  });

  test('with several sources of keys for tokens is a problem', () => {
    const env = { AUTH_MODE: 'jwt', JWT_SECRET: good, JWT_JWKS_URL: 'https://login.test/keys' };
    expect(problemsOf(env)).toEqual(['JWT_SECRET and JWT_JWKS_URL are set; keep one of them']);
    expect(problemsOf({ ...env, JWT_PUBLIC_KEY_FILE: '/key' }, { '/key': createKey('EdDSA').pem })).toEqual([
      'JWT_SECRET and JWT_PUBLIC_KEY and JWT_JWKS_URL are set; keep one of them',
    ]);
  });

  test('warns of what is set and not used', () => {
    const unused = (name: string, mode: string) => `${name} is set, but AUTH_MODE is ${mode}: it is not used`;
    const keys = keysOf({ a: { secret: good } });
    expect(warningsOf({ JWT_SECRET: good, JWT_ISSUER: 'a', JWT_AUDIENCE: 'b', HMAC_KEYS: keys })).toEqual(
      ['JWT_SECRET', 'JWT_ISSUER', 'JWT_AUDIENCE', 'HMAC_KEYS'].map((name) => unused(name, 'none')),
    );
    expect(warningsOf({ AUTH_MODE: 'jwt', JWT_SECRET: good, HMAC_KEYS: keys, ALLOW_ANONYMOUS: '1' })).toEqual(
      [unused('HMAC_KEYS', 'jwt'), unused('ALLOW_ANONYMOUS', 'jwt')],
    );
    expect(warningsOf({ AUTH_MODE: 'hmac', HMAC_KEYS: keys, JWT_JWKS_URL: 'http://a/' })).toEqual([
      unused('JWT_JWKS_URL', 'hmac'),
    ]);
  });
});

describe('NODE_ENV=production', () => {
  const env = { NODE_ENV: 'production' };

  test('refuses AUTH_MODE=none, unless that is said twice', () => {
    const refused = [
      'AUTH_MODE is none, which NODE_ENV=production refuses: set it to jwt, hmac or any, or set ALLOW_ANONYMOUS=true',
    ];
    expect(accessProblemsOf(env)).toEqual(refused);
    expect(accessProblemsOf({ ...env, AUTH_MODE: 'none', ALLOW_ANONYMOUS: 'false' })).toEqual(refused);
    expect(accessProblemsOf({ NODE_ENV: ' Production ' })).toEqual(refused);
    expect(load({ ...env, ALLOW_ANONYMOUS: 'true', DEMO_MODEL: 'true' })).toEqual(nothing);
  });

  test.each(['prod', 'PRD', 'live', 'produktion', 'produciton'])(
    'is probably meant by NODE_ENV=%s',
    (NODE_ENV) => {
      expect(load({ NODE_ENV })).toEqual({
        ...nothing,
        warnings: [`NODE_ENV is ${NODE_ENV}; only production turns on the checks for production`],
      });
    },
  );

  test.each(['development', 'test', 'staging', 'pod', 'preproduction'])('is not meant by %s', (NODE_ENV) => {
    expect(load({ NODE_ENV })).toEqual(nothing);
  });

  test('warns of a demo model that nobody asked for', () => {
    const anybody = { ...env, ALLOW_ANONYMOUS: 'true' };
    expect(warningsOf(anybody)).toEqual([
      'No provider is configured: the demo model answers. Set OPENAI_API_KEY or another one, see README.md.',
    ]);
    expect(warningsOf({ ...anybody, OPENAI_API_KEY: 'sk-one' })).toEqual([]);
    expect(warningsOf({ ...anybody, NODE_ENV: 'test' })).toEqual([]);
  });

  test('refuses weak secrets, of which it otherwise warns', () => {
    const weak = {
      AUTH_MODE: 'any',
      JWT_SECRET: 'short',
      METRICS_TOKEN: 'x'.repeat(40),
      HMAC_KEYS: keysOf({
        a: { secret: [good, 'changeme-changeme-changeme-changeme-1'] },
        b: { secret: good.slice(1) },
      }),
    };
    const found = [
      'JWT_SECRET has less than 32 bytes',
      'METRICS_TOKEN repeats itself',
      'HMAC_KEYS: a.secret is a sample that anybody can read somewhere',
      'HMAC_KEYS: b.secret has less than 32 bytes',
    ];
    expect(accessProblemsOf({ ...env, ...weak })).toEqual(
      found.map((text) => `${text}; openssl rand -hex 32 makes a good one`),
    );
    expect(warningsOf(weak)).toEqual(found.map((text) => `${text}: NODE_ENV=production refuses it`));
    expect(JSON.stringify([accessProblemsOf({ ...env, ...weak }), warningsOf(weak)])).not.toMatch(
      /short|changeme|k8Vq/,
    );
    expect(accessProblemsOf({ ...env, ...weak, AUTH_MODE: 'none', ALLOW_ANONYMOUS: 'yes' })).toEqual([
      'METRICS_TOKEN repeats itself; openssl rand -hex 32 makes a good one',
    ]);
  });

  test('takes good ones', () => {
    const keys = keysOf({ a: { secret: good } });
    expect(
      accessProblemsOf({
        ...env,
        AUTH_MODE: 'any',
        JWT_SECRET: other,
        HMAC_KEYS: keys,
        METRICS_TOKEN: 'f3'.repeat(8) + good,
      }),
    ).toEqual([]);
  });
});

describe('a secret', () => {
  test.each([
    ['', 'has less than 32 bytes'],
    [good.slice(1), 'has less than 32 bytes'],
    ['ab'.repeat(15), 'has less than 32 bytes'],
    ['a'.repeat(48), 'repeats itself'],
    ['ab'.repeat(40), 'repeats itself'],
    [good.slice(0, 20).repeat(3), 'repeats itself'],
    [`${'1'.repeat(31)}0${'1'.repeat(7)}0`, 'is made of too few different characters'],
    ['your-256-bit-secret', 'is a sample that anybody can read somewhere'],
    ['a-string-secret-at-least-256-bits-long', 'is a sample that anybody can read somewhere'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZ123456', 'is a sample that anybody can read somewhere'],
    ['please-change-me-before-production-2024', 'is a sample that anybody can read somewhere'],
    ['super_secret_key_for_the_jwt_of_my_app', 'is a sample that anybody can read somewhere'],
    ['replace-with-output-of-openssl-rand-hex', 'is a sample that anybody can read somewhere'],
  ])('%j %s', (secret, weakness) => {
    expect(weaknessOf(secret)).toBe(weakness);
  });

  test('of 32 bytes or more that nobody published is good', () => {
    const secrets = [
      good,
      'größe'.concat(good.slice(7)),
      '31415926535897932384626433832795',
      `${good}${good[0]}`,
    ];
    expect(secrets.map(weaknessOf)).toEqual(secrets.map(() => undefined));
  });
});

/** What a text shows in the place of a secret, what only stands for one left out. */
function secretsIn(text: string): string[] {
  const forms = [
    /\b(?:JWT_SECRET|HMAC_SECRET|METRICS_TOKEN)(?:=|: *)["']?([^\s"'`$<|#;,)}-][^\s"'`$<|#;,)}]*)/g,
    /["']?secret\\?["']?\s*:\s*\[?\s*\\?["']([^"'\\]+)/g,
  ];
  const found = forms.flatMap((form) => [...text.matchAll(form)].map(([, secret = '']) => secret));
  return found.filter((secret) => !/^(…|\.\.\.|\$|%s)/.test(secret));
}

test('every secret that our own pages and scripts show counts as published', () => {
  const shown =
    'JWT_SECRET=one ./run; METRICS_TOKEN: "two" HMAC_KEYS=\'{"a": {"secret": ["three"]}}\' HMAC_SECRET=…';
  expect(secretsIn(shown)).toEqual(['one', 'two', 'three']);
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const list = (folder: string, form: RegExp) =>
    readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => form.test(name))
      .map((name) => `${folder}/${name}`);
  const names = [
    'README.md',
    'CONTRIBUTING.md',
    '.env.example',
    ...list('docs', /\.md$/),
    ...list('scripts', /\.(sh|ts)$/),
    ...list('deploy', /\.(md|ya?ml|json|sh)$/),
  ];
  const unlisted = names.flatMap((name) =>
    secretsIn(readFileSync(root + name, 'utf8'))
      .filter((secret) => !publishedSecrets.has(secret.toLowerCase()))
      .map((secret) => `${name}: ${secret}`),
  );
  expect(unlisted).toEqual([]);
});

describe('keys of tokens', () => {
  test('are read from a variable or the file that it names', () => {
    const secret = { kind: 'key', key: { algorithm: 'HS256', material: good } };
    expect(load({ AUTH_MODE: 'jwt', JWT_SECRET: good }).jwtKey).toEqual(secret);
    expect(load({ AUTH_MODE: 'jwt', JWT_SECRET_FILE: '/s' }, { '/s': `${good}\n` }).jwtKey).toEqual(secret);
    for (const algorithm of ['RS256', 'ES256', 'EdDSA'] as const) {
      const { pem } = createKey(algorithm);
      const key = { kind: 'key', key: { algorithm, material: pem } };
      expect(load({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: pem }).jwtKey).toEqual(key);
      expect(load({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: pem.trim().replaceAll('\n', '\\n') }).jwtKey).toEqual(
        key,
      );
      expect(load({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY_FILE: '/k' }, { '/k': pem }).jwtKey).toEqual(key);
    }
    expect(
      load({ AUTH_MODE: 'jwt', JWT_JWKS_URL: 'https://login.test/keys?policy=1', JWT_AUDIENCE: 'paf' }),
    ).toEqual({
      ...nothing,
      authMode: 'jwt',
      jwtKey: { kind: 'jwks', url: 'https://login.test/keys?policy=1' },
      jwtAudience: 'paf',
    });
  });

  test('that cannot be right stop the start, unshown', () => {
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: 'marked' })).toEqual([
      'JWT_PUBLIC_KEY must be a public key or certificate in PEM: RSA of at least 2048 bits, P-256 or Ed25519',
    ]);
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: '~/key.pem' })).toEqual([
      'JWT_PUBLIC_KEY must be a public key or certificate in PEM: RSA of at least 2048 bits, P-256 or Ed25519; ' +
        'to read it from a file, set JWT_PUBLIC_KEY_FILE',
    ]);
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_SECRET: 'two words' })).toEqual([
      'JWT_SECRET must be one line of plain characters without spaces inside',
    ]);
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_SECRET: JSON.stringify(createKey('EdDSA').jwk) })).toEqual([
      'JWT_SECRET must not be a key in JSON; a public key goes into JWT_PUBLIC_KEY, as PEM',
    ]);
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_JWKS_URL: 'https://me:marked@login.test/' })).toEqual([
      'JWT_JWKS_URL must not hold a user name or a password',
    ]);
    expect(problemsOf({ AUTH_MODE: 'jwt', JWT_SECRET_FILE: '/none' })).toEqual([
      'JWT_SECRET_FILE names a file that cannot be read (ENOENT): /none',
    ]);
  });

  test('of a key set are warned of where others could make them', () => {
    expect(warningsOf({ AUTH_MODE: 'jwt', JWT_JWKS_URL: 'http://login.test/keys' })).toEqual([
      "JWT_JWKS_URL is set without JWT_AUDIENCE: its issuer's tokens for other services are taken too",
      'JWT_JWKS_URL is not https: whoever is on the way to it can say which tokens are right',
    ]);
  });
});

describe('HMAC_KEYS', () => {
  const hmac = (entries: unknown) => ({ AUTH_MODE: 'hmac', HMAC_KEYS: keysOf(entries) });

  test('are read from the variable or the file that it names', () => {
    const entries = {
      reports: { secret: good, tenant: 'acme', roles: ['admin', 'chat'] },
      'cron@host:1.2-3': { secret: [other, `${good}2`] },
    };
    const keys = [
      { id: 'reports', secrets: [good], tenant: 'acme', roles: ['admin', 'chat'] },
      { id: 'cron@host:1.2-3', secrets: [other, `${good}2`], tenant: 'default', roles: [] },
    ];
    expect(load(hmac(entries))).toMatchObject({ hmacKeys: keys, warnings: [] });
    expect(load({ AUTH_MODE: 'hmac', HMAC_KEYS_FILE: '/k' }, { '/k': keysOf(entries) }).hmacKeys).toEqual(
      keys,
    );
  });

  const secretForm =
    'must be one line of plain characters without spaces inside, or a list of 1 to 3 of them';
  test.each<[unknown, string[]]>([
    [{ a: {} }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [{ a: { secret: 7 } }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [{ a: { secret: '' } }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [{ a: { secret: 'two words' } }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [{ a: { secret: [] } }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [{ a: { secret: [good, good, good, good] } }, [`HMAC_KEYS: a.secret ${secretForm}`]],
    [
      { a: { secret: [other, good] }, b: { secret: good } },
      ['HMAC_KEYS: b.secret must not be one of another key'],
    ],
    [{ a: good }, ['HMAC_KEYS: a must be an object with secret, tenant, roles']],
    [{ a: { secret: good, role: 'x' } }, ['HMAC_KEYS: a.role is not a known field']],
    [{ a: { secret: good, tenant: '' } }, ['HMAC_KEYS: a.tenant must be a text of 1 to 256 characters']],
    [{ a: { secret: good, roles: 'admin' } }, ['HMAC_KEYS: a.roles must be a list of texts']],
    [{ a: { secret: good, roles: [''] } }, ['HMAC_KEYS: a.roles must be a list of texts']],
    [
      { a: { secret: good, roles: ['*'] } },
      ['HMAC_KEYS: a.roles must not have *, which stands for all roles'],
    ],
    [
      { [`${good}${good}${good}`]: { secret: 7 }, 'a b': { secret: good } },
      [
        `HMAC_KEYS: ….secret ${secretForm}`,
        'HMAC_KEYS: … must have 1 to 128 letters, digits, or any of _ . : @ -',
      ],
    ],
  ])('%j stops the start and says where', (entries, problems) => {
    expect(problemsOf(hmac(entries))).toEqual(problems);
  });

  test.each(['{}', '[]', 'null', '7', '"a"', '{', 'a=b'])('%s stops the start', (text) => {
    expect(problemsOf({ AUTH_MODE: 'hmac', HMAC_KEYS: text })).toEqual([
      'HMAC_KEYS must be a JSON object with at least one key, such as {"id": {"secret": "…", "tenant": "…", "roles": ["…"]}}',
    ]);
  });

  test('that are the path of a file are told of the setting for it', () => {
    expect(problemsOf({ AUTH_MODE: 'hmac', HMAC_KEYS: '/etc/keys.json' })).toEqual([
      expect.stringMatching(/^HMAC_KEYS must be .*; to read it from a file, set HMAC_KEYS_FILE$/),
    ]);
  });
});
