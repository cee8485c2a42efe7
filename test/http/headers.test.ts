import { describe, expect, test } from 'vitest';
import { type Answer, send } from '../helpers/contract.ts';
import { anyEnv } from '../helpers/credentials.ts';
import { jsonPost, startService, type TestService } from '../helpers/service.ts';

const ask = { message: 'Say hello.' };

/** One answer of every kind, all with the same headers of the caller. */
async function answersOfEveryKind(
  service: TestService,
  headers: Record<string, string> = {},
): Promise<Record<string, Answer>> {
  const get = (path: string) => send(service, path, { headers });
  const post = (path: string, body: unknown) => send(service, path, jsonPost(body, headers));
  const stream = await post('/api/chat/stream', ask);
  const run = `/api/runs/${stream.headers.get('x-run-id')}`;
  return {
    stream,
    answer: await post('/api/chat', ask),
    resumed: await get(`${run}/events`),
    'nothing more': await get(`${run}/events?after=${stream.text.match(/^id: /gm)?.length}`),
    record: await get(run),
    cancel: await send(service, `${run}/cancel`, { method: 'POST', headers }),
    models: await get('/api/chat/models'),
    health: await get('/api/health'),
    metrics: await get('/metrics'),
    openapi: await get('/openapi.json'),
    docs: await get('/docs'),
    asset: await get('/docs/static/index.css'),
    'bad body': await post('/api/chat', {}),
    'broken body': await send(service, '/api/chat', { ...jsonPost({}, headers), body: '{' }),
    'wrong type': await send(service, '/api/chat', { method: 'POST', headers, body: 'Hi' }),
    'no route': await get('/nothing'),
    'no run': await get('/api/runs/nope'),
    'wrong method': await send(service, '/api/chat', { method: 'PUT', headers }),
    'broken path': await get('/api/runs/%zz'),
  };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('X-Request-Id', () => {
  test('comes back on every answer when it is well-formed', async () => {
    const service = await startService();
    const id = 'Trace_1.2:3-4';
    const answers = await answersOfEveryKind(service, { 'x-request-id': id });
    for (const [name, { headers, type, text }] of Object.entries(answers)) {
      expect(headers.get('x-request-id'), name).toBe(id);
      if (type === 'application/problem+json') expect(JSON.parse(text).request_id, name).toBe(id);
    }
    expect(answers.answer?.text).toContain(`"request_id":"${id}"`);
    expect(answers.stream?.text).toContain(`"request_id":"${id}"`);
  });

  test('is made up otherwise, a new one each time', async () => {
    const service = await startService();
    const answers = Object.entries(await answersOfEveryKind(service));
    const ids = answers.map(([, { headers }]) => headers.get('x-request-id') ?? '');
    for (const [index, id] of ids.entries()) expect(id, answers[index]?.[0]).toMatch(uuid);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each([
    ['blanks', 'a b'],
    ['a quote', 'a"b'],
    ['an escaped line break', 'a%0d%0aSet-Cookie:x'],
    ['markup', '<script>'],
    ['letters beyond ASCII', 'caf\u00e9'],
    ['129 characters', 'a'.repeat(129)],
    ['nothing', ''],
  ])('is replaced when it has %s', async (_name, sent) => {
    const service = await startService();
    const { headers } = await send(service, '/api/health/live', { headers: { 'x-request-id': sent } });
    expect(headers.get('x-request-id')).toMatch(uuid);
    expect(headers.get('set-cookie')).toBeNull();
  });

  test('of 128 characters is still taken', async () => {
    const service = await startService();
    const id = 'a'.repeat(128);
    const { headers } = await send(service, '/api/health/live', { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toBe(id);
  });
});

const guardNames =
  /^(x-(?!request-id|run-id|accel)|cross-origin-|content-security|strict-|referrer|origin-agent|permissions)/;
/** Nothing more is in the answers, so nothing more is said of what serves them. */
const expectedGuards = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'SAMEORIGIN',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};

describe('every answer', () => {
  test('is guarded, and says nothing of what serves it', async () => {
    const service = await startService();
    const { 'broken path': brokenPath, ...answers } = await answersOfEveryKind(service);
    expect(brokenPath?.headers.get('x-content-type-options')).toBe('nosniff');
    for (const [name, { headers, status }] of Object.entries(answers)) {
      const guards = Object.fromEntries([...headers].filter(([header]) => guardNames.test(header)));
      const isPage = (name === 'docs' || name === 'asset') && status === 200;
      expect(guards, name).toEqual({
        ...expectedGuards,
        ...(isPage && { 'content-security-policy': expect.stringMatching(/^default-src 'self';/) }),
      });
      for (const banner of ['x-powered-by', 'server', 'via', 'x-runtime']) {
        expect(headers.get(banner), `${name} ${banner}`).toBeNull();
      }
    }
  });

  test('is kept by no cache, but for the files of the API page', async () => {
    const service = await startService();
    const answers = await answersOfEveryKind(service);
    for (const [name, { headers }] of Object.entries(answers)) {
      const streams = name === 'stream' || name === 'resumed' ? 'no-cache, no-transform' : undefined;
      const assets = name === 'asset' ? 'public, max-age=0' : undefined;
      expect(headers.get('cache-control'), name).toBe(streams ?? assets ?? 'no-store');
    }
  });

  test('of a run names the run', async () => {
    const service = await startService();
    const { stream, answer, resumed } = await answersOfEveryKind(service);
    expect(stream?.headers.get('x-run-id')).toMatch(/^run_[0-9a-f]{32}$/);
    expect(answer?.headers.get('x-run-id')).toBe(JSON.parse(answer?.text ?? '{}').run_id);
    expect(resumed?.headers.get('x-run-id')).toBe(stream?.headers.get('x-run-id'));
  });
});

const origin = 'https://app.example';
const preflight = {
  origin,
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'content-type,idempotency-key,last-event-id',
};
const corsOf = ({ headers }: Answer) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));

const exposed =
  'X-Request-Id, X-Run-Id, Retry-After, WWW-Authenticate, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset';

describe('other origins', () => {
  test('may nothing by default', async () => {
    const service = await startService();
    const answers = await answersOfEveryKind(service, { origin });
    for (const [name, answer] of Object.entries(answers)) {
      expect(corsOf(answer), name).toEqual({});
      expect(answer.headers.get('vary'), name).toBeNull();
    }
    const asked = await send(service, '/api/chat', { method: 'OPTIONS', headers: preflight });
    expect({ status: asked.status, cors: corsOf(asked) }).toEqual({ status: 405, cors: {} });
  });

  test('that CORS_ORIGINS names may call every route, and read the headers they need', async () => {
    const service = await startService({ CORS_ORIGINS: `https://other.example,${origin}` });
    const { 'broken path': _, ...answers } = await answersOfEveryKind(service, { origin });
    for (const [name, answer] of Object.entries(answers)) {
      expect(corsOf(answer), name).toEqual({
        'access-control-allow-origin': origin,
        'access-control-expose-headers': exposed,
      });
      expect(answer.headers.get('vary'), name).toBe('Origin');
    }
  });

  test('are told so by a preflight, for a POST with an Idempotency-Key too', async () => {
    const service = await startService({ CORS_ORIGINS: origin });
    for (const path of ['/api/chat', '/api/chat/stream', '/api/runs/any/events']) {
      const answer = await send(service, path, { method: 'OPTIONS', headers: preflight });
      expect(answer.status).toBe(204);
      expect(corsOf(answer)).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-headers': 'content-type,idempotency-key,last-event-id',
      });
      expect(answer.headers.get('access-control-allow-methods')?.split(/,\s*/)).toEqual(
        expect.arrayContaining(['GET', 'POST']),
      );
    }
  });

  test('that CORS_ORIGINS does not name get no leave', async () => {
    const service = await startService({ CORS_ORIGINS: origin });
    const stranger = { origin: 'https://evil.example' };
    const answer = await send(service, '/api/health', { headers: stranger });
    expect(corsOf(answer)).not.toHaveProperty('access-control-allow-origin');
    const asked = await send(service, '/api/chat', {
      method: 'OPTIONS',
      headers: { ...preflight, ...stranger },
    });
    expect(corsOf(asked)).not.toHaveProperty('access-control-allow-origin');
  });

  test('may all call with CORS_ORIGINS=*, without credentials', async () => {
    const service = await startService({ CORS_ORIGINS: '*' });
    const answer = await send(service, '/api/health', { headers: { origin } });
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  });

  test('that send OPTIONS without a preflight get an answer', async () => {
    const service = await startService({ CORS_ORIGINS: origin });
    const answer = await send(service, '/api/chat', { method: 'OPTIONS' });
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 204, text: '' });
  });

  test('may send every header that the service reads, and ask once in ten minutes', async () => {
    const service = await startService({ ...anyEnv, CORS_ORIGINS: origin });
    const names =
      'authorization,content-type,idempotency-key,last-event-id,traceparent,tracestate,x-request-id,' +
      'x-paf-key-id,x-paf-nonce,x-paf-signature,x-paf-timestamp';
    const headers = { ...preflight, 'access-control-request-headers': names };
    // nobody says who they are in a preflight
    for (const path of ['/api/chat', '/api/sessions/any', '/api/runs/any/cancel', '/nothing']) {
      const asked = await send(service, path, { method: 'OPTIONS', headers });
      expect({ status: asked.status, text: asked.text, vary: asked.headers.get('vary') }).toEqual({
        status: 204,
        text: '',
        vary: 'Origin, Access-Control-Request-Headers',
      });
      expect(corsOf(asked)).toEqual({
        'access-control-allow-origin': origin,
        'access-control-allow-headers': names,
        'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
        'access-control-expose-headers': exposed,
        'access-control-max-age': '600',
      });
    }
  });

  test('can read why they were refused', async () => {
    const service = await startService({ ...anyEnv, CORS_ORIGINS: origin });
    const refused = await send(service, '/api/chat/models', { headers: { origin } });
    expect(refused.status).toBe(401);
    expect(corsOf(refused)).toEqual({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': exposed,
    });
    expect(refused.headers.get('www-authenticate')).toContain('Bearer realm="paf"');
    expect(refused.headers.get('vary')).toBe('Origin');
  });

  test.each([
    'null',
    'https://app.example.evil.test',
    'https://app.example:8443',
    'http://app.example',
    'HTTPS://APP.EXAMPLE',
    'https://evil.test, https://app.example',
  ])('like %s are not those that CORS_ORIGINS names', async (stranger) => {
    const service = await startService({ CORS_ORIGINS: origin });
    for (const [path, method] of [
      ['/api/health', 'GET'],
      ['/api/chat', 'OPTIONS'],
    ] as const) {
      const { headers } = await send(service, path, { method, headers: { ...preflight, origin: stranger } });
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('vary')).toMatch(/^Origin/);
    }
  });
});
