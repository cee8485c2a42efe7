import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { startKeyServer } from '../auth/key-server.ts';
import {
  anyEnv,
  bearer,
  createKey,
  hmacEnv,
  jwtEnv,
  jwtSecret,
  mint,
  nowSeconds,
} from '../helpers/credentials.ts';
import { jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';

/** All that is asked of who calls, by method and address. */
const closedRoutes: [string, string][] = [
  ['POST', '/api/chat'],
  ['POST', '/api/chat/stream'],
  ['POST', '/api/agent'],
  ['GET', '/api/chat/models'],
  ['HEAD', '/api/chat/models'],
  ['GET', '/api/chat/providers'],
  ['GET', '/api/chat/status'],
  ['GET', '/api/runs/run_1'],
  ['GET', '/api/runs/run_1/events'],
  ['POST', '/api/runs/run_1/cancel'],
  ['GET', '/api/sessions'],
  ['POST', '/api/sessions'],
  ['GET', '/api/sessions/1'],
  ['PATCH', '/api/sessions/1'],
  ['DELETE', '/api/sessions/1'],
  ['POST', '/api/sessions/1/fork'],
  ['GET', '/api/mcp/servers'],
  ['GET', '/api/workers'],
  ['GET', '/api/ws'],
];

const openRoutes: [string, string, number][] = [
  ['GET', '/api/health', 200],
  ['HEAD', '/api/health', 200],
  ['GET', '/api/health/live', 200],
  ['GET', '/api/health/live/', 200],
  ['GET', '/api/health/ready', 200],
  ['GET', '/metrics', 200],
  ['GET', '/docs', 200],
  ['GET', '/docs/json', 200],
  ['GET', '/docs/static/swagger-ui.css', 200],
  ['GET', '/openapi.json', 200],
  ['HEAD', '/openapi.json', 200],
  ['GET', '/api/nothing', 404],
  ['PUT', '/api/chat', 405],
  ['OPTIONS', '/api/chat', 405],
];

const ask = (service: TestService, path: string, init: RequestInit = {}) => fetch(service.url + path, init);

async function problemOf(response: Response) {
  const { request_id, ...problem } = (await response.json()) as Record<string, unknown>;
  expect(request_id).toBe(response.headers.get('x-request-id'));
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  return { ...problem, challenge: response.headers.get('www-authenticate') };
}

const unauthorized = (detail: string, challenge: string) => ({
  type: 'urn:paf:error:unauthorized',
  title: 'Unauthorized',
  status: 401,
  detail,
  challenge,
});

const failuresOf = async ({ services }: TestService) => {
  const { values } = await services.metrics.authFailures.get();
  const failures = values.filter(({ value }) => value > 0);
  return Object.fromEntries(failures.map(({ labels, value }) => [labels.reason, value]));
};

describe('every route', () => {
  const modes = [
    ['jwt', jwtEnv, 'Bearer realm="paf"'],
    ['hmac', hmacEnv, 'PAF-HMAC realm="paf"'],
    ['any', anyEnv, 'Bearer realm="paf", PAF-HMAC realm="paf"'],
  ] as const;

  test.each(modes)('but the public ones asks who calls, with AUTH_MODE=%s', async (_mode, env, challenge) => {
    const service = await startService(env);
    for (const [method, path] of closedRoutes) {
      const response = await ask(service, path, { method });
      expect([method, path, response.status, response.headers.get('www-authenticate')]).toEqual([
        method,
        path,
        401,
        challenge,
      ]);
    }
    for (const [method, path, status] of openRoutes) {
      const response = await ask(service, path, { method });
      expect([method, path, response.status, response.headers.get('www-authenticate')]).toEqual([
        method,
        path,
        status,
        null,
      ]);
    }
    expect(await failuresOf(service)).toEqual({ missing: closedRoutes.length });
  });

  test.each(modes)('is in these lists, with AUTH_MODE=%s', async (_mode, env) => {
    const service = await startService(env);
    const { paths } = (await (await ask(service, '/openapi.json')).json()) as {
      paths: Record<string, object>;
    };
    const listed = new Set(
      [...closedRoutes, ...openRoutes].map(
        ([method, path]) => `${method} ${path.replace(/\/(run_1|1)(?=\/|$)/, '/{id}')}`,
      ),
    );
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.filter((name) => !listed.has(name))).toEqual([]);
  });

  test('is open with AUTH_MODE=none, which the log warns of', async () => {
    const service = await startService();
    for (const [method, path] of closedRoutes) {
      const { status } = await ask(service, path, { method });
      expect([method, path, status === 401]).toEqual([method, path, false]);
    }
    expect(service.logs.filter(({ level }) => level === 40).map(({ msg }) => msg)).toContain(
      'AUTH_MODE is none: everybody who reaches this service may use all of it, and all of them are one caller. ' +
        'Set AUTH_MODE to jwt, hmac or any before others can reach it.',
    );
    const asked = await startService(jwtEnv);
    expect(asked.logs.filter(({ msg }) => String(msg).startsWith('AUTH_MODE'))).toEqual([]);
  });
});

describe('a token', () => {
  test('opens all that its caller may use', async () => {
    const service = await startService(jwtEnv);
    const headers = bearer(mint());
    expect((await ask(service, '/api/chat/models', { headers })).status).toBe(200);
    expect((await ask(service, '/api/chat/models', { method: 'HEAD', headers })).status).toBe(200);
    expect((await ask(service, '/api/chat', jsonPost({ message: 'Hi' }, headers))).status).toBe(200);
    const stream = await streamChat(service, { message: 'Hi' }, headers);
    expect((await stream.ended).at(-1)?.event).toBe('done');
    expect(service.services.runs.find(stream.runId, { tenant: 'default', subject: 'ada' }).id).toBe(
      stream.runId,
    );
    expect(await failuresOf(service)).toEqual({});
  });

  test('that is refused is answered without what it holds', async () => {
    const service = await startService({ ...jwtEnv, JWT_ISSUER: 'login', JWT_AUDIENCE: 'paf' });
    const right = { iss: 'login', aud: 'paf' };
    const bad = 'Bearer realm="paf", error="invalid_token"';
    const none = 'Bearer realm="paf"';
    const cases: [string, Record<string, string>, string, string][] = [
      ['missing', {}, 'This needs Authorization: Bearer and a token.', none],
      [
        'malformed',
        { authorization: 'Basic marked' },
        'Authorization must be: Bearer, a space, the token.',
        none,
      ],
      ['malformed', bearer('marked'), 'The token is not a signed JSON Web Token.', bad],
      ['signature', bearer(mint(right, 'marked')), "The token's signature is not right.", bad],
      ['expired', bearer(mint({ ...right, exp: 1 })), 'The token has expired.', bad],
      ['not_yet_valid', bearer(mint({ ...right, nbf: 5e9, exp: 6e9 })), 'The token is not valid yet.', bad],
      [
        'issuer',
        bearer(mint({ ...right, iss: 'marked' })),
        'The token is from an issuer that is not accepted here.',
        bad,
      ],
      ['audience', bearer(mint({ ...right, aud: 'marked' })), 'The token is for another service.', bad],
      [
        'claims',
        bearer(mint({ ...right, sub: ['marked'] })),
        "The token's claim sub must be a text of 1 to 256 characters.",
        bad,
      ],
    ];
    for (const [reason, headers, detail, challenge] of cases) {
      const response = await ask(service, '/api/chat', jsonPost({ message: 'marked' }, headers));
      expect(response.status).toBe(401);
      expect(await problemOf(response)).toEqual(unauthorized(detail, challenge));
      expect(service.logs.filter(({ msg }) => msg === 'authentication failed').at(-1)).toMatchObject({
        level: 30,
        reason,
      });
    }
    expect(await failuresOf(service)).toEqual({
      missing: 1,
      malformed: 2,
      signature: 1,
      expired: 1,
      not_yet_valid: 1,
      issuer: 1,
      audience: 1,
      claims: 1,
    });
    const written = JSON.stringify(service.logs) + (await service.services.metrics.registry.metrics());
    expect(written).not.toContain('marked');
    expect(written).not.toContain(jwtSecret);
  });

  test('of a key set is checked with its keys; without them it is the service that is out of order', async () => {
    const key = createKey('EdDSA');
    const server = await startKeyServer(key);
    const service = await startService({ AUTH_MODE: 'jwt', JWT_JWKS_URL: server.url, JWT_AUDIENCE: 'paf' });
    const get = (headers: Record<string, string>) => ask(service, '/api/chat/models', { headers });
    expect((await get(bearer(key.mint({ aud: ['paf'] })))).status).toBe(200);
    const stranger = await get(bearer(createKey('EdDSA').mint({ aud: 'paf' })));
    expect(await problemOf(stranger)).toEqual(
      unauthorized(
        'The token is signed with a key that is not known here.',
        'Bearer realm="paf", error="invalid_token"',
      ),
    );
    expect(server.asked).toBe(1);

    const broken = await startService({
      AUTH_MODE: 'jwt',
      JWT_JWKS_URL: `${server.url}/none`,
      JWT_AUDIENCE: 'paf',
    });
    server.answer((_request, response) => void response.writeHead(404).end());
    const response = await ask(broken, '/api/chat/models', { headers: bearer(key.mint({ aud: 'paf' })) });
    expect(response.headers.get('retry-after')).toBe('10');
    expect(await problemOf(response)).toEqual({
      type: 'urn:paf:error:auth_unavailable',
      title: 'Service Unavailable',
      status: 503,
      detail: 'The keys that tokens are checked with cannot be had now.',
      challenge: null,
    });
    expect(await failuresOf(broken)).toEqual({ unavailable: 1 });
    expect(broken.logs).toContainEqual(
      expect.objectContaining({
        level: 40,
        reason: 'status 404',
        msg: 'the keys of JWT_JWKS_URL cannot be fetched',
      }),
    );
  });

  test('is checked before the body, its type and its size', async () => {
    const service = await startService({ ...jwtEnv, MAX_BODY_BYTES: '100' });
    const big = jsonPost({ message: 'x'.repeat(1000) });
    expect((await ask(service, '/api/chat', big)).status).toBe(401);
    const withToken = { ...big, headers: { ...big.headers, ...bearer(mint()) } };
    expect((await ask(service, '/api/chat', withToken)).status).toBe(413);
  });

  test('is named in the description of each closed route, as signatures are', async () => {
    const service = await startService(anyEnv);
    const document = (await (await ask(service, '/openapi.json')).json()) as {
      components: { securitySchemes: object };
      paths: Record<string, Record<string, { security: object[] }>>;
    };
    expect(Object.keys(document.components.securitySchemes)).toContain('bearer');
    expect(document.paths['/api/chat']?.post?.security).toHaveLength(2);
    expect(document.paths['/api/health']?.get?.security).toEqual([]);
  });
});

describe('browsers', () => {
  test('ask before the request without a credential, and can read why they are refused', async () => {
    const service = await startService({ ...jwtEnv, CORS_ORIGINS: 'https://app.example' });
    const origin = { origin: 'https://app.example' };
    const preflight = await ask(service, '/api/chat', {
      method: 'OPTIONS',
      headers: {
        ...origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([
      204,
      'authorization',
    ]);
    const refused = await ask(service, '/api/chat/models', { headers: origin });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([
      401,
      'https://app.example',
    ]);
    expect(refused.headers.get('x-frame-options')).toBe('SAMEORIGIN');
  });
});

describe('/metrics', () => {
  const token = 'T0eWq9Rb2Xk7Zs4Lm1Cv6Hj3Np8Gd5Fy';

  test.each(['none', 'jwt'])('asks for METRICS_TOKEN only, with AUTH_MODE=%s', async (mode) => {
    const service = await startService({ ...jwtEnv, AUTH_MODE: mode, METRICS_TOKEN: token });
    const get = (headers: Record<string, string>) => ask(service, '/metrics', { headers });
    const missing = await get({});
    expect(await problemOf(missing)).toEqual(
      unauthorized('This needs Authorization: Bearer and the METRICS_TOKEN.', 'Bearer realm="paf"'),
    );
    for (const given of [mint(), token.slice(1), `${token}x`, token.toLowerCase()]) {
      expect(await problemOf(await get(bearer(given)))).toEqual(
        unauthorized('The token is not the right one.', 'Bearer realm="paf", error="invalid_token"'),
      );
    }
    expect((await get({ authorization: token })).status).toBe(401);
    expect((await get({ authorization: `bearer  ${token}` })).status).toBe(200);
    expect((await get(bearer(token))).status).toBe(200);
    expect((await ask(service, '/metrics', { method: 'HEAD', headers: {} })).status).toBe(401);
    expect(await failuresOf(service)).toEqual({ missing: 2, unknown_key: 5 });
    const elsewhere = await ask(service, '/api/chat/models', { headers: bearer(token) });
    expect(elsewhere.status).toBe(mode === 'none' ? 200 : 401);
  });
});

test('a token that a client signed for itself with the public key of the service is refused', async () => {
  const key = createKey('RS256');
  const service = await startService({ AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: key.pem.replaceAll('\n', '\\n') });
  const get = (token: string) => ask(service, '/api/chat/models', { headers: bearer(token) });
  expect((await get(key.mint())).status).toBe(200);
  expect((await get(mint({ exp: nowSeconds() + 60 }, key.pem))).status).toBe(401);
});

test('who is known and may not do something is told so, with a challenge', async () => {
  const service = await startService(anyEnv);
  const handshake = {
    ...bearer(mint()),
    origin: 'https://elsewhere.example',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const [response] = (await once(
    request(`${service.url}/api/ws`, { headers: handshake }).end(),
    'response',
  )) as [IncomingMessage];
  response.resume();
  expect(response.statusCode).toBe(403);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(response.headers['www-authenticate']).toBe(
    'Bearer realm="paf", error="insufficient_scope", PAF-HMAC realm="paf"',
  );
  expect(await failuresOf(service)).toEqual({ forbidden: 1 });
});

test('what is open to everybody and refused asks for no credential', async () => {
  const service = await startService(anyEnv);
  const climb = request({ port: Number(new URL(service.url).port), path: '/docs/static/../../package.json' });
  const [response] = (await once(climb.end(), 'response')) as [IncomingMessage];
  response.resume();
  expect([response.statusCode, response.headers['www-authenticate']]).toEqual([403, undefined]);
  expect(await failuresOf(service)).toEqual({});
});

test.each([{}, { CORS_ORIGINS: 'https://app.example' }])(
  'bodies that come without asking for a caller are not waited for, with %o',
  async (env) => {
    const service = await startService({ ...jwtEnv, ...env });
    const answerOf = async (method: string, path: string) => {
      const headers = { 'content-type': 'application/json', 'content-length': 1000 };
      const sent = request(service.url + path, { method, headers });
      sent.on('error', () => {}).write('{');
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      sent.destroy();
      return response.statusCode;
    };
    expect(await answerOf('POST', '/nowhere')).toBe(404);
    expect(await answerOf('PUT', '/api/chat')).toBe(405);
    expect(await answerOf('POST', '/metrics')).toBe(405);
    expect(await answerOf('OPTIONS', '/api/chat')).toBe('CORS_ORIGINS' in env ? 204 : 405);
    expect(await answerOf('POST', '/api/chat')).toBe(401);
  },
);
