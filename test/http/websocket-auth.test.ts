import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { registerWebSocket } from '../../src/http/routes/websocket.ts';
import { createServices } from '../../src/services.ts';
import { anyEnv, signed } from '../helpers/credentials.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { openSocket, socketUrl } from '../helpers/socket.ts';
import { bearer, jwtEnv, tokenOf } from '../helpers/tokens.ts';

const ann = { tenant: 'acme', subject: 'ann' };

type Url = Pick<TestService, 'url'>;

/** A handshake as it is on the wire; without a client library that would not send it, or would not take the answer. */
async function handshake({ url }: Url, headers: Record<string, string | string[]>, path = '/api/ws') {
  const asking = request(url + path, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      ...headers,
    },
  }).end();
  const opened = once(asking, 'upgrade').then(([response, wire]) => {
    wire.destroy();
    return { status: 101, headers: response.headers as Record<string, unknown>, problem: undefined };
  });
  const refused = once(asking, 'response').then(async ([response]) => {
    const text = Buffer.concat(await response.toArray()).toString();
    // nothing is kept open for somebody who may not come in
    if (!response.socket.destroyed) await once(response.socket, 'close');
    return {
      status: response.statusCode as number,
      headers: response.headers as Record<string, unknown>,
      problem: JSON.parse(text) as { type: string; detail: string },
    };
  });
  return Promise.race([opened, refused]);
}

const protocol = (value: string) => ({ 'sec-websocket-protocol': value });

/** The session of a run that a socket asked for, as `caller` sees it over HTTP. */
async function statusFor({ url }: Url, headers: Record<string, string>, sessionId: string | undefined) {
  return (await fetch(`${url}/api/sessions/${sessionId}`, { headers })).status;
}

test('a socket is opened with a token in a header, and what it starts is of the caller', async () => {
  const service = await startService(jwtEnv);
  const client = await openSocket(service, { headers: bearer(ann) });
  expect(client.socket.protocol).toBe('');
  client.send({ type: 'query', prompt: 'Say hello.' });
  const [{ sessionId } = {}] = await client.until('complete');
  expect(await statusFor(service, bearer(ann), sessionId)).toBe(200);
  expect(await statusFor(service, bearer({ tenant: 'acme', subject: 'bob' }), sessionId)).toBe(404);
});

test('a browser offers its token beside the protocol bearer, which is selected', async () => {
  const service = await startService(jwtEnv);
  const client = await openSocket(service, {}, undefined, ['bearer', tokenOf(ann)]);
  expect(client.socket.protocol).toBe('bearer');
  client.send({ type: 'query', prompt: 'Say hello.' });
  const [{ sessionId } = {}] = await client.until('complete');
  expect(await statusFor(service, bearer(ann), sessionId)).toBe(200);
});

test("the browser's own WebSocket gets in as well", async () => {
  const service = await startService(jwtEnv);
  const socket = new globalThis.WebSocket(socketUrl(service), ['bearer', tokenOf(ann)]);
  onTestFinished(() => socket.close());
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  expect(socket.protocol).toBe('bearer');
});

test('the token is neither sent back nor logged, whether it is taken or not', async () => {
  const service = await startService(jwtEnv);
  const [good, expired] = [tokenOf(ann), tokenOf(ann, Date.now() / 1000 - 3600)];
  const answers = [
    await handshake(service, protocol(`bearer, ${good}`)),
    await handshake(service, protocol(`bearer, ${expired}`)),
    await handshake(service, protocol(`${good}, bearer`)),
    await handshake(service, { ...protocol(`bearer, ${good}`), 'x-request-id': `${good}, x` }),
    await handshake(service, {}, `/api/ws?token=${good}`),
    await handshake(service, { authorization: `Bearer ${good}`, 'sec-websocket-key': 'x' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([101, 401, 401, 101, 401, 400]);
  expect(answers[0]?.headers['sec-websocket-protocol']).toBe('bearer');
  await expect.poll(() => service.logs.filter(({ msg }) => msg === 'websocket')).toHaveLength(2);
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  const all = JSON.stringify([answers, service.logs, metrics]);
  for (const token of [good, expired]) {
    for (const part of [token, ...token.split('.').slice(1)]) expect(all).not.toContain(part);
  }
});

const token = tokenOf(ann);
const refusals: [name: string, headers: Record<string, string | string[]>, reason: string][] = [
  ['nothing', {}, 'missing'],
  ['another protocol', protocol('chat.v1'), 'missing'],
  ['bearer in another case', protocol(`Bearer, ${token}`), 'malformed'],
  ['bearer alone', protocol('bearer'), 'malformed'],
  ['the token first', protocol(`${token}, bearer`), 'malformed'],
  ['a protocol after the token', protocol(`bearer, ${token}, chat.v1`), 'malformed'],
  ['a protocol before', protocol(`chat.v1, bearer, ${token}`), 'malformed'],
  ['two tokens', { 'sec-websocket-protocol': ['bearer', token, tokenOf(ann)] }, 'malformed'],
  ['no JWT', protocol('bearer, secret'), 'malformed'],
  ['characters that no JWT has', protocol(`bearer, ${token}!`), 'malformed'],
  ['an empty token', protocol('bearer, '), 'malformed'],
  ['a header as well', { ...bearer(ann), ...protocol(`bearer, ${token}`) }, 'malformed'],
  [
    'another kind of credential',
    { authorization: 'Basic YTpi', ...protocol(`bearer, ${token}`) },
    'malformed',
  ],
  ['a token that expired', protocol(`bearer, ${tokenOf(ann, Date.now() / 1000 - 3600)}`), 'expired'],
  ['a wrong signature', protocol(`bearer, ${token.slice(0, -4)}AAAA`), 'signature'],
];

test.each(refusals)('a handshake with %s gets 401 and no socket', async (_name, headers, reason) => {
  const service = await startService(jwtEnv);
  const { status, headers: answered, problem } = await handshake(service, headers);
  expect({ status, problem }).toMatchObject({ status: 401, problem: { type: 'urn:paf:error:unauthorized' } });
  expect(answered).toMatchObject({
    'content-type': expect.stringMatching(/^application\/problem\+json/),
    connection: 'close',
    'www-authenticate': expect.stringMatching(/^Bearer realm="paf"(, error="invalid_token")?$/),
  });
  expect(answered).not.toHaveProperty('sec-websocket-protocol');
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain(`paf_auth_failures_total{reason="${reason}"} 1\n`);
  expect(metrics).toContain('paf_websocket_connections 0\n');
});

test('no other protocol is ever selected', async () => {
  const service = await startService(jwtEnv);
  const { status, headers } = await handshake(service, {
    ...bearer(ann),
    ...protocol('chat.v1, graphql-ws'),
  });
  expect(status).toBe(101);
  expect(headers).not.toHaveProperty('sec-websocket-protocol');
});

test('without authentication bearer is selected and what stands beside it ignored', async () => {
  const service = await startService();
  const selected = async (offered: string) => {
    const { status, headers } = await handshake(service, protocol(offered));
    return [status, headers['sec-websocket-protocol']];
  };
  expect(await selected('bearer, x')).toEqual([101, 'bearer']);
  expect(await selected('bearer')).toEqual([101, 'bearer']);
  expect(await selected('chat.v1')).toEqual([101, undefined]);
  const client = await openSocket(service, {}, undefined, ['bearer', 'anything']);
  client.send({ type: 'query', prompt: 'Say hello.' });
  await client.until('complete');
});

test.each(['', 'bearer,', 'a b', 'x, x', 'x,, y', '"x"'])(
  'the protocols %j are no list of names',
  async (value) => {
    const { status, problem } = await handshake(await startService(), protocol(value));
    expect([status, problem?.type]).toEqual([400, 'urn:paf:error:invalid_request']);
  },
);

test('a signed handshake opens a socket, once', async () => {
  const service = await startService(anyEnv);
  const nonce = randomUUID();
  const sign = (path: string) => signed({ path, nonce });
  const both = await handshake(service, { ...sign('/api/ws'), ...protocol(`bearer, ${token}`) });
  expect(both.status).toBe(401);
  expect((await handshake(service, sign('/api/chat'))).status).toBe(401);
  const client = await openSocket(service, { headers: sign('/api/ws') });
  client.send({ type: 'query', prompt: 'Say hello.' });
  const [{ sessionId } = {}] = await client.until('complete');
  // it is of the key, which nobody else is
  expect(await statusFor(service, bearer({ tenant: 'acme', subject: 'ann' }), sessionId)).toBe(404);
  expect(service.services.sessions.busyCount).toBe(0);
  const again = await handshake(service, sign('/api/ws'));
  expect([again.status, again.headers['www-authenticate']]).toEqual([
    401,
    expect.stringMatching(/^Bearer realm="paf".*PAF-HMAC realm="paf"/),
  ]);
});

test('sockets at / ask as well', async () => {
  const { config } = loadConfig({ HOST: '127.0.0.1', PORT: '0', ...jwtEnv });
  const services = createServices(config, pino({ level: 'silent' }));
  const app = await createApp(services);
  registerWebSocket(app, services, '/');
  await app.listen({ port: 0, host: '127.0.0.1' });
  await services.start();
  onTestFinished(async () => {
    await app.close();
    await services.close();
  });
  const service = { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` };
  expect((await handshake(service, {}, '/')).status).toBe(401);
  const client = await openSocket(service, {}, '/', ['bearer', token]);
  expect(client.socket.readyState).toBe(WebSocket.OPEN);
  client.socket.close();
  await client.closed;
});

test('pages of other origins stay out, whatever token they have', async () => {
  const service = await startService(jwtEnv);
  const { status } = await handshake(service, {
    ...protocol(`bearer, ${token}`),
    origin: 'https://evil.example',
  });
  expect(status).toBe(403);
});
