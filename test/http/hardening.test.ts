import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { createServices } from '../../src/services.ts';
import { bearer, jwtEnv, mint } from '../helpers/credentials.ts';
import { type RawAnswer, sendRaw } from '../helpers/raw-http.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';

const body = JSON.stringify({ message: 'Say hello.' });
const host = 'Host: service.test\r\n';
const json = 'Content-Type: application/json\r\n';
const length = `Content-Length: ${body.length}\r\n`;
const close = 'Connection: close\r\n';
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

/** A request for what asks who is there, with more headers; `TOKEN` stands for the caller's. */
const get = (target: string, headers = host, version = 'HTTP/1.1') =>
  `GET ${target} ${version}\r\n${headers}TOKEN${close}\r\n`;
const post = (headers: string, content: string, version = 'HTTP/1.1') =>
  `POST /api/chat ${version}\r\n${host}TOKEN${close}${headers}\r\n${content}`;

/** What must come back: a status alone, whatever the words, or with the words of the problem. */
type Expected = number | [status: number, detail: string];
type Table = Record<string, [bytes: string, expected: Expected]>;

function seen(answers: RawAnswer[]): string {
  return answers.map((answer) => `${answer.status} ${detailOf(answer)}`.trim()).join(', ');
}

function detailOf({ head, body: text }: RawAnswer): string {
  return /content-type: application\/problem\+json/i.test(head) ? JSON.parse(text).detail : '';
}

/** Sends every request of a table, with a token or none, and compares all answers with what the table says. */
async function expectAnswers(service: TestService, table: Table, token: string | undefined): Promise<void> {
  const header = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  const found: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  for (const [name, [bytes, expected]] of Object.entries(table)) {
    const answers = await sendRaw(service, Buffer.from(bytes.replace('TOKEN', header), 'latin1'));
    wanted[name] = [expected].flat().join(' ');
    found[name] = typeof expected === 'number' ? answers.map(({ status }) => status).join() : seen(answers);
  }
  expect(found).toEqual(wanted);
}

const noHttp: Expected = [400, 'The request is not valid HTTP.'];
const onlyChunked: Expected = [400, 'Transfer-Encoding may be chunked only, and only with HTTP/1.1.'];
const badHost: Expected = [400, 'Host is not a valid host.'];
const models = '/api/chat/models';

/** Whatever a proxy in front may have taken for another request, or for two. */
const ambiguous: Table = {
  'no Host': [get(models, ''), [400, 'Host is missing.']],
  'two Hosts': [get(models, `${host}Host: other.test\r\n`), [400, 'Host must be sent once only.']],
  'the same Host twice': [get(models, host + host), [400, 'Host must be sent once only.']],
  'a Host with a space': [get(models, 'Host: a b\r\n'), badHost],
  'a Host with a user': [get(models, 'Host: me@service.test\r\n'), badHost],
  'a Host with a path': [get(models, 'Host: service.test/x\r\n'), badHost],
  'a Host with two ports': [get(models, 'Host: service.test:1:2\r\n'), badHost],
  'HTTP/0.9': [`GET ${models}\r\n\r\n`, [400, 'The version of HTTP must be 1.1 or 1.0.']],
  'HTTP/1.2': [get(models, host, 'HTTP/1.2'), noHttp],
  'HTTP/2 in a line': [get(models, host, 'HTTP/2.0'), [400, 'The version of HTTP must be 1.1 or 1.0.']],
  'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', noHttp],
  TLS: ['\x16\x03\x01\x00\xa5\x01\x00\x00\xa1', noHttp],
  'two equal Content-Lengths': [post(json + length + length, body), noHttp],
  'two Content-Lengths': [post(`${json}${length}Content-Length: 5\r\n`, body), noHttp],
  'a list of Content-Lengths': [post(`${json}Content-Length: 24, 24\r\n`, body), noHttp],
  'a Content-Length with a sign': [post(`${json}Content-Length: +24\r\n`, body), noHttp],
  'a Content-Length below zero': [post(`${json}Content-Length: -1\r\n`, body), noHttp],
  'a Content-Length in hex': [post(`${json}Content-Length: 0x18\r\n`, body), noHttp],
  'a Content-Length beyond 64 bits': [post(`${json}Content-Length: 99999999999999999999\r\n`, body), noHttp],
  'Content-Length, then Transfer-Encoding': [
    post(`${json}${length}Transfer-Encoding: chunked\r\n`, chunked),
    noHttp,
  ],
  'Transfer-Encoding, then Content-Length': [
    post(`${json}Transfer-Encoding: chunked\r\n${length}`, chunked),
    noHttp,
  ],
  'chunked twice': [post(`${json}Transfer-Encoding: chunked, chunked\r\n`, chunked), noHttp],
  'chunked in two headers': [
    post(`${json}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`, chunked),
    noHttp,
  ],
  'chunked, then something': [post(`${json}Transfer-Encoding: chunked, identity\r\n`, chunked), noHttp],
  'something, then chunked': [post(`${json}Transfer-Encoding: gzip, chunked\r\n`, chunked), onlyChunked],
  'not chunked': [post(`${json}Transfer-Encoding: identity\r\n`, body), noHttp],
  'almost chunked': [post(`${json}Transfer-Encoding: xchunked\r\n`, chunked), noHttp],
  'chunked behind a vertical tab': [post(`${json}Transfer-Encoding: \x0bchunked\r\n`, chunked), noHttp],
  'chunked with HTTP/1.0': [post(`${json}Transfer-Encoding: chunked\r\n`, chunked, 'HTTP/1.0'), onlyChunked],
  'chunks that end with LF': [
    post(`${json}Transfer-Encoding: chunked\r\n`, chunked.replaceAll('\r\n', '\n')),
    noHttp,
  ],
  'a chunk size with a space': [
    post(`${json}Transfer-Encoding: chunked\r\n`, chunked.replace('\r\n', ' \r\n')),
    noHttp,
  ],
  'a chunk size that is none': [post(`${json}Transfer-Encoding: chunked\r\n`, 'zz\r\n'), noHttp],
  'a chunk with 20 KB of extensions': [
    post(`${json}Transfer-Encoding: chunked\r\n`, chunked.replace('\r\n', `;${'a'.repeat(20_000)}\r\n`)),
    noHttp,
  ],
  'a folded header': [get(models, `${host}X-A: b\r\n c\r\n`), noHttp],
  'a folded first header': [get(models, ` X-A: b\r\n${host}`), noHttp],
  'lines that end with LF': [`GET ${models} HTTP/1.1\nHost: service.test\n\n`, noHttp],
  'lines that end with CR': [`GET ${models} HTTP/1.1\rHost: service.test\r\r`, noHttp],
  'a space before the colon': [get(models, 'Host : service.test\r\n'), noHttp],
  'a space in a name': [get(models, `${host}X A: b\r\n`), noHttp],
  'no name': [get(models, `${host}: b\r\n`), noHttp],
  'NUL in a header': [get(models, `${host}X-A: a\0b\r\n`), noHttp],
  'LF in a header': [get(models, `${host}X-A: a\nX-B: b\r\n`), noHttp],
  'tabs in the first line': [`GET\t${models}\tHTTP/1.1\r\n${host}\r\n`, noHttp],
  'a space before the method': [` ${get(models)}`, noHttp],
  'a method in lower case': [get(models).replace('GET', 'get'), noHttp],
  'a method that nobody knows': [get(models).replace('GET', 'STEAL'), noHttp],
  'bytes beyond ASCII in the path': [get(`${models}\xff`), noHttp],
  'a target without a slash': [get('api/chat/models'), noHttp],
  'no target': [get(''), noHttp],
};

/** Targets that are no route, however near to one they look. */
const nearRoutes = [
  '//api/chat/models',
  '/api//chat/models',
  '/api/chat/models//',
  '/api/./chat/models',
  '/api/chat/./models',
  '/api/health/../chat/models',
  '/api/health/%2e%2e/chat/models',
  '/docs/../api/chat/models',
  '/docs/%2e%2e/api/chat/models',
  '/API/chat/models',
  '/api/Chat/models',
  '/api%2fchat%2fmodels',
  '/api/chat%2Fmodels',
  '/api/chat/models%00',
  '/api/chat/models%20',
  '/api/chat/models;a=b',
  '/api\\chat\\models',
  '/api/chat/%256dodels',
  '/*/chat/models',
  '*',
  'ftp://other.test/api/chat/models',
];

const onlyGet = `${models} does not take METHOD, only GET, HEAD.`;
const asMethod = (method: string, headers = '') =>
  `${method} ${models} HTTP/1.1\r\n${host}TOKEN${close}${headers}\r\n`;

describe('with authentication', () => {
  test('what is not one request beyond doubt is refused, token or not, and the connection closed', async () => {
    const service = await startService(jwtEnv);
    await expectAnswers(service, ambiguous, mint());
    await expectAnswers(service, ambiguous, undefined);
    expect(service.services.runs.activeCount).toBe(0);
    expect(service.logs.filter(({ msg }) => msg === 'run')).toEqual([]);
  });

  test('its answer is a problem of its own, after which nothing is read', async () => {
    const service = await startService(jwtEnv);
    const smuggled = get('/api/health/live');
    for (const name of ['two Hosts', 'something, then chunked', 'chunked twice']) {
      const bytes = ambiguous[name]?.[0] ?? '';
      const answers = await sendRaw(service, `${bytes.replace('TOKEN', '').replace(close, '')}${smuggled}`);
      expect(answers).toHaveLength(1);
      expect(answers[0]?.head).toMatch(/\r\nconnection: close\r\n/i);
      const problem = JSON.parse(answers[0]?.body ?? '');
      expect(problem).toMatchObject({
        type: 'urn:paf:error:invalid_request',
        title: 'Bad Request',
        status: 400,
      });
      expect(answers[0]?.head.toLowerCase()).toContain(`\r\nx-request-id: ${problem.request_id}\r\n`);
    }
  });

  test('no way to write a path leads around it', async () => {
    const service = await startService(jwtEnv);
    const missing: Table = Object.fromEntries(
      nearRoutes.map((target) => [target, [get(target), [404, `There is no route GET ${target}.`]]]),
    );
    await expectAnswers(service, missing, undefined);
    await expectAnswers(service, missing, mint());
    const escapes: Table = Object.fromEntries(
      ['/api/chat%c0%afmodels', '/api/runs/%c0%af', '/api/runs/%', '/api/runs/%zz', '/api/%u002e'].map(
        (target) => [
          target,
          [get(target), [400, 'The path has a percent sign that no valid escape follows.']],
        ],
      ),
    );
    await expectAnswers(service, escapes, undefined);
  });

  /** Other ways to ask for the same, which are right or do no harm. */
  const odd: Record<string, string> = {
    'a usual request': get(models),
    'a slash at the end': get(`${models}/`),
    'a letter that is escaped': get('/api/%63hat/models'),
    'a fragment': get(`${models}#health`),
    'a query that names another route': get(`${models}?/api/health`),
    'a whole address': get(`http://other.test${models}`),
    'a whole address with a user': get(`http://me:word@other.test${models}`),
    'two spaces': get(` ${models}`),
    'empty lines before it': `\r\n\r\n${get(models)}`,
    'an empty Host': get(models, 'Host:\r\n'),
    'an IPv6 Host': get(models, 'Host: [::1]:8000\r\n'),
    'HTTP/1.0 without a Host': get(models, '', 'HTTP/1.0'),
    'bytes beyond ASCII in a header': get(models, `${host}X-A: \xff\r\n`),
    HEAD: get(models).replace('GET', 'HEAD'),
    'a body that nobody wants': get(models, `${host}${json}${length}`) + body,
    'headers that name another path': get(
      models,
      `${host}X-Original-URL: /api/health\r\nX-Rewrite-URL: /api/health\r\nX-Forwarded-Prefix: /docs\r\n`,
    ),
    'headers that name another method': get(
      models,
      `${host}X-HTTP-Method-Override: OPTIONS\r\nX-Method: OPTIONS\r\n`,
    ),
    'headers that name another host': get(
      models,
      `${host}X-Forwarded-Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n`,
    ),
    'an upgrade to HTTP/2': get(
      models,
      `${host}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`,
    ),
    'a chat in chunks': post(`${json}Transfer-Encoding: chunked\r\n`, chunked),
    'a chat in chunks, in capitals': post(`${json}Transfer-Encoding: CHUNKED\r\n`, chunked),
    'a chunk with an extension': post(
      `${json}Transfer-Encoding: chunked\r\n`,
      chunked.replace('\r\n', ';a=b\r\n'),
    ),
  };

  test('every other way to ask for what needs a token needs one', async () => {
    const service = await startService(jwtEnv);
    const table = (expected: Expected): Table =>
      Object.fromEntries(Object.entries(odd).map(([name, bytes]) => [name, [bytes, expected]]));
    await expectAnswers(service, table(401), undefined);
    await expectAnswers(service, table(200), mint());
  });

  test('a token in a trailer, or after the head, is none', async () => {
    const service = await startService(jwtEnv);
    const trailer = chunked.replace(/\r\n$/, `Authorization: Bearer ${mint()}\r\n\r\n`);
    const [answer] = await sendRaw(
      service,
      post(`${json}Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n`, trailer).replace('TOKEN', ''),
    );
    expect(answer?.status).toBe(401);
  });

  test('of several requests on one connection each is asked for its own', async () => {
    const service = await startService(jwtEnv);
    const header = `Authorization: Bearer ${mint()}\r\n`;
    const request = (authorization: string, last = '') =>
      `GET ${models} HTTP/1.1\r\n${host}${authorization}${last}\r\n`;
    const answers = await sendRaw(
      service,
      [request(header), request(''), request(header), request('', close)].join(''),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 200, 401]);
  });

  test('methods', async () => {
    const service = await startService(jwtEnv);
    const refused = (method: string): [string, Expected] => [
      asMethod(method, 'Content-Length: 0\r\n'),
      [405, onlyGet.replace('METHOD', method)],
    ];
    const methods = [
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
      'MKCOL',
      'PURGE',
      'SEARCH',
    ];
    const table: Table = Object.fromEntries(methods.map((method) => [method, refused(method)]));
    table['CONNECT to a host'] = [
      'CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n',
      [405, 'This is no proxy: CONNECT is not taken.'],
    ];
    table['CONNECT to a path'] = [asMethod('CONNECT'), [405, 'This is no proxy: CONNECT is not taken.']];
    table['OPTIONS *'] = [`OPTIONS * HTTP/1.1\r\n${host}${close}\r\n`, [404, 'There is no route OPTIONS *.']];
    await expectAnswers(service, table, undefined);
    await expectAnswers(service, table, mint());
  });

  test('Expect', async () => {
    const service = await startService(jwtEnv);
    const header = `Authorization: Bearer ${mint()}\r\n`;
    const expecting = (what: string, authorization = header) =>
      sendRaw(service, post(`${json}${length}Expect: ${what}\r\n`, body).replace('TOKEN', authorization));
    expect(seen(await expecting('100-continue'))).toBe('100, 200');
    expect(seen(await expecting('something'))).toBe('417 Expect may be 100-continue only.');
    expect((await expecting('100-continue', '')).at(-1)?.status).toBe(401);
    const large = post(`${json}Content-Length: 99999999999\r\nExpect: 100-continue\r\n`, '');
    expect(seen(await sendRaw(service, large.replace('TOKEN', header)))).toBe(
      '100, 413 The body is too large.',
    );
  });

  test('types and charsets of a body', async () => {
    const service = await startService(jwtEnv);
    const typed = (type: string) => post(`Content-Type: ${type}\r\n${length}`, body);
    const notJson: Expected = [415, 'The Content-Type must be application/json.'];
    const notUtf8: Expected = [415, 'The body must be in UTF-8.'];
    await expectAnswers(
      service,
      {
        'in capitals': [typed('Application/JSON'), 200],
        'with UTF-8': [typed('application/json;charset=UTF-8'), 200],
        'with UTF-8 in quotes': [typed('application/json; charset="utf-8"'), 200],
        'with a boundary': [typed('application/json; boundary=x'), 200],
        'with UTF-16': [typed('application/json; charset=utf-16'), notUtf8],
        'with UTF-7': [typed('application/json;charset=utf-7'), notUtf8],
        'two types': [typed('application/json, text/plain'), notJson],
        'two headers': [
          post(`${json}Content-Type: text/plain\r\n${length}`, body),
          [400, 'Content-Type must be sent once only.'],
        ],
        'almost JSON': [typed('application/jsonx'), notJson],
        text: [typed('text/plain'), notJson],
        'a form': [typed('application/x-www-form-urlencoded'), notJson],
        parts: [typed('multipart/form-data; boundary=x'), notJson],
        none: [post(length, body), notJson],
        compressed: [
          post(`${json}${length}Content-Encoding: gzip\r\n`, body),
          [415, 'The body must not be compressed: no Content-Encoding is supported.'],
        ],
      },
      mint(),
    );
  });

  test('what is too large', async () => {
    const service = await startService({ ...jwtEnv, MAX_BODY_BYTES: '1000' });
    const tooLarge: Expected = [431, 'The headers are too large.'];
    const many = (count: number) => Array.from({ length: count }, (_, index) => `a${index}: b\r\n`).join('');
    await expectAnswers(
      service,
      {
        'a path of 20 KB': [get(`/api/runs/${'a'.repeat(20_000)}`), tooLarge],
        'a query of 20 KB': [get(`${models}?${'a'.repeat(20_000)}`), tooLarge],
        'a header of 20 KB': [get(models, `${host}X-A: ${'a'.repeat(20_000)}\r\n`), tooLarge],
        '3000 headers': [get(models, host + many(3_000)), tooLarge],
        'a body that says so': [post(`${json}Content-Length: 1001\r\n`, ''), [413, 'The body is too large.']],
        'a body that does not say so': [
          post(`${json}Transfer-Encoding: chunked\r\n`, `3e9\r\n${' '.repeat(1001)}\r\n0\r\n\r\n`),
          [413, 'The body is too large.'],
        ],
      },
      mint(),
    );
    // all headers count, also the last of many
    const last = get(models, host + many(900));
    await expectAnswers(service, { 'a token behind 900 headers': [last, 200] }, mint());
  });
});

describe('names that could reach a prototype', () => {
  const reached = () => ({}) as Record<string, unknown>;

  test('do nothing in a query', async () => {
    const service = await startService();
    for (const query of [
      '__proto__[polluted]=1',
      '__proto__.polluted=1',
      'constructor[prototype][polluted]=1',
      '__proto__=1&constructor=2&prototype=3',
    ]) {
      const response = await fetch(`${service.url}/api/sessions?${query}`);
      expect(response.status, query).toBe(200);
      expect(reached().polluted).toBeUndefined();
    }
    expect((await fetch(`${service.url}/api/sessions?limit=1&__proto__[limit]=x`)).status).toBe(200);
  });

  test('do nothing in a header', async () => {
    const service = await startService();
    const [answer] = await sendRaw(
      service,
      get(models, `${host}__proto__: x\r\nconstructor: y\r\n`).replace('TOKEN', ''),
    );
    expect(answer?.status).toBe(200);
    expect(reached().x).toBeUndefined();
  });

  test('are refused in a message of a WebSocket, which stays open', async () => {
    const service = await startService();
    const client = await openSocket(service);
    for (const member of [
      '"__proto__":{"polluted":1}',
      '"metadata":{"constructor":{"prototype":{"polluted":1}}}',
    ]) {
      client.socket.send(`{"type":"query","prompt":"Hi.",${member}}`);
      const [frame] = await client.until('error');
      expect(frame?.error).toMatch(/is not an allowed name\.$/);
      expect(reached().polluted).toBeUndefined();
    }
    client.send({ type: 'query', prompt: 'Hi.' });
    expect((await client.until('complete', 'error')).at(-1)?.type).toBe('complete');
  });
});

test('a WebSocket is opened by an unambiguous request only', async () => {
  const service = await startService();
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';
  const upgrade = (headers: string) =>
    `GET /api/ws HTTP/1.1\r\n${headers}Connection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`;
  await expectAnswers(
    service,
    {
      'two Hosts': [upgrade(host + host), [400, 'Host must be sent once only.']],
      'no Host': [upgrade(''), [400, 'Host is missing.']],
      'another path before it': [
        upgrade(host).replace('/api/ws', '/api/./ws'),
        [404, 'Nothing here takes WebSockets.'],
      ],
    },
    undefined,
  );
});

test.each([
  ['HTTP/2', get('/api/health/live', `${host}Upgrade: h2c\r\n`), 200],
  ['WebSockets with HTTP/1.0', get('/api/ws', `${host}Upgrade: websocket\r\n`, 'HTTP/1.0'), 426],
])('a connection whose upgrade to %s was passed over ends with the answer', async (_name, bytes, status) => {
  const service = await startService();
  const asked = bytes.replace('TOKEN', '').replace('Connection: close', 'Connection: Upgrade, keep-alive');
  const answers = await sendRaw(service, asked + get('/api/health/live').replace('TOKEN', ''));
  expect(answers.map((answer) => answer.status)).toEqual([status]);
});

/** Starts the app itself, whose server the service of other tests does not show. */
async function startApp() {
  const { config } = loadConfig({ LOG_LEVEL: 'silent' });
  const services = createServices(config);
  const app = await createApp(services);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(async () => {
    app.server.closeAllConnections();
    await app.close();
    await services.close();
  });
  return { server: app.server, service: { url } as TestService };
}

describe('a connection', () => {
  test('that is cut after CONNECT ends nothing else', async () => {
    const { server, service } = await startApp();
    server.on('connect', (_request, socket) => {
      socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    });
    await sendRaw(service, 'CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n');
    expect((await fetch(`${service.url}/api/health/live`)).status).toBe(200);
  });

  test('has limits', async () => {
    const { server } = await startApp();
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, timeout } = server;
    expect({ headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, timeout }).toEqual({
      headersTimeout: 30_000,
      requestTimeout: 120_000,
      keepAliveTimeout: 75_000,
      maxConnections: 10_000,
      // a stream may be silent for longer than any limit on silence
      timeout: 0,
    });
  });

  test('on which a head or a body comes too slowly, or nothing at all, is answered with 408', async () => {
    const { server, service } = await startApp();
    server.headersTimeout = 100;
    server.requestTimeout = 200;
    const slow = [
      '',
      'GET /api/health',
      get('/api/health').replace(/\r\n$/, ''),
      post(json + length, 'x').slice(0, 40),
      post(json + length, 'x').replace('TOKEN', ''),
    ];
    const answers = await Promise.all(slow.map((bytes) => sendRaw(service, bytes)));
    expect(answers.map(seen)).toEqual(slow.map(() => '408 The request did not arrive in time.'));
  }, 15_000);

  test('beyond the last that there is room for is dropped', async () => {
    const { server, service } = await startApp();
    server.maxConnections = 1;
    const held = connect(Number(new URL(service.url).port), '127.0.0.1');
    onTestFinished(() => void held.destroy());
    await once(held, 'connect');
    const refused = await sendRaw(service, get('/api/health/live').replace('TOKEN', '')).catch(() => []);
    expect(refused).toEqual([]);
    held.destroy();
    await expect
      .poll(async () =>
        seen(await sendRaw(service, get('/api/health/live').replace('TOKEN', '')).catch(() => [])),
      )
      .toBe('200');
  });
});

test('no line of the log has the path, the query, a header or the body of a request', async () => {
  const service = await startService(jwtEnv);
  const mark = 'marked-7f3a';
  const headers = { ...bearer(mint()), 'x-api-key': mark, cookie: mark, referer: mark, 'user-agent': mark };
  const paths = [
    `/${mark}`,
    `/${mark}?${mark}`,
    `/api/chat/models?access_token=${mark}`,
    `/api/runs/${mark}`,
    `/api/runs/${mark}/events?after=${mark}`,
    `/api/sessions/${mark}`,
    `/api/sessions?cursor=${mark}`,
    `/api/runs/%zz${mark}`,
    `/docs/static/${mark}`,
    `/api/ws?token=${mark}`,
  ];
  for (const path of paths) await fetch(service.url + path, { headers });
  for (const path of paths)
    await sendRaw(service, get(path, `${host}Upgrade: websocket\r\n`).replace('TOKEN', ''));
  await fetch(`${service.url}/api/chat?${mark}`, { method: 'POST', headers, body: `{"${mark}":1}` });
  const typed = { ...headers, 'content-type': 'application/json' };
  await fetch(`${service.url}/api/chat?${mark}`, { method: 'POST', headers: typed, body: `{"${mark}":1}` });
  await sendRaw(service, `GET /${mark} HTTP/1.1\r\nHost: ${mark}\r\n${mark}\r\n\r\n`);
  await expect
    .poll(() => service.logs.filter(({ msg }) => msg === 'request').length)
    .toBeGreaterThan(paths.length);
  expect(JSON.stringify(service.logs)).not.toContain(mark);
});
