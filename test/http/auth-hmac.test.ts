import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { anyEnv, bearer, hmacEnv, hmacSecret, mint, signed, type ToSign } from '../helpers/credentials.ts';
import { startService, streamChat, type TestService } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';

const json = { 'content-type': 'application/json' };
const chat = { method: 'POST', path: '/api/chat', body: '{"message": "Hi"}' };
const wrong =
  'The signature is not right, or its key is not known here. It is made of the method in upper case, path and query as ' +
  'they are sent, and the bytes of the body.';
const replayed = 'X-PAF-Nonce was used before; sign each request anew.';

/** Sends what is signed, but for what is told otherwise. */
function send(
  service: TestService,
  parts: ToSign,
  others: Partial<ToSign> & { headers?: Record<string, string> } = {},
) {
  const { method = 'GET', path, body } = { ...parts, ...others };
  const headers = { ...(body === undefined ? {} : json), ...signed(parts), ...others.headers };
  return fetch(service.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
}

async function refusalOf(response: Response): Promise<string> {
  const { detail } = (await response.json()) as { detail: string };
  return `${response.status} ${response.headers.get('www-authenticate')}: ${detail}`;
}

const refusal = (detail: string) => `401 PAF-HMAC realm="paf": ${detail}`;

const failuresOf = async ({ services }: TestService) => {
  const { values } = await services.metrics.authFailures.get();
  const failures = values.filter(({ value }) => value > 0);
  return Object.fromEntries(failures.map(({ labels, value }) => [labels.reason, value]));
};

/** Sends bytes as they are and resolves with all that comes back. */
async function sendRaw({ url }: TestService, ...parts: string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  for (const part of parts) socket.write(part);
  await once(socket, 'close');
  return answer;
}

const lines = (headers: Record<string, string>) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');

describe('a signed request', () => {
  test('is answered, whatever its method and address', async () => {
    const service = await startService(hmacEnv);
    expect((await send(service, { path: '/api/chat/models' })).status).toBe(200);
    expect((await send(service, { method: 'HEAD', path: '/api/chat/models' })).status).toBe(200);
    expect((await send(service, { path: '/api/sessions?limit=1&x=a%2Fb%20c&x=+&y' })).status).toBe(200);
    expect((await send(service, { path: '/api/sessions/?limit=2' })).status).toBe(200);
    expect((await send(service, chat)).status).toBe(200);
    const path = '/api/chat/stream';
    const stream = await streamChat(
      service,
      { message: 'Hi' },
      signed({ ...chat, path, body: '{"message":"Hi"}' }),
    );
    expect((await stream.ended).at(-1)?.event).toBe('done');
    expect(await failuresOf(service)).toEqual({});
  });

  test('acts for its key: its sessions and runs are nobody else’s', async () => {
    const keys = {
      one: { secret: hmacSecret, tenant: 'acme' },
      two: { secret: `${hmacSecret}2`, tenant: 'acme' },
      three: { secret: `${hmacSecret}3` },
    };
    const service = await startService({ AUTH_MODE: 'hmac', HMAC_KEYS: JSON.stringify(keys) });
    const created = await send(service, { method: 'POST', path: '/api/sessions', keyId: 'one' });
    const { id } = (await created.json()) as { id: string };
    const status = async (keyId: keyof typeof keys) =>
      (await send(service, { path: `/api/sessions/${id}`, keyId, secret: keys[keyId].secret })).status;
    expect([await status('one'), await status('two'), await status('three')]).toEqual([200, 404, 404]);
  });

  test('without a body is checked too where routes read none', async () => {
    const service = await startService(hmacEnv);
    const session = await send(service, { method: 'POST', path: '/api/sessions' });
    const { id } = (await session.json()) as { id: string };
    const path = `/api/sessions/${id}`;
    expect(await refusalOf(await send(service, { method: 'DELETE', path }, { path: `${path}?a` }))).toBe(
      refusal(wrong),
    );
    expect((await send(service, { method: 'DELETE', path })).status).toBe(204);
  });

  test('has its body checked also by routes that read none', async () => {
    const service = await startService(hmacEnv);
    const cancel = { method: 'POST', path: '/api/runs/none/cancel', body: '{"a": 1}' };
    expect((await send(service, cancel)).status).toBe(404);
    expect(await refusalOf(await send(service, cancel, { body: '{"a": 2}' }))).toBe(refusal(wrong));
    expect(await refusalOf(await send(service, { ...cancel, body: '' }, { body: '{"a": 1}' }))).toBe(
      refusal(wrong),
    );
    const remove = { method: 'DELETE', path: '/api/sessions/none', body: 'hello' };
    const plain = { headers: { 'content-type': 'text/plain' } };
    expect((await send(service, remove, plain)).status).toBe(404);
    expect(await refusalOf(await send(service, remove, { ...plain, body: 'hallo' }))).toBe(refusal(wrong));
  });

  test('that was changed on its way is refused before its body is looked into', async () => {
    const service = await startService(hmacEnv);
    const changes: Parameters<typeof send>[2][] = [
      { body: '{"message": "Ho"}' },
      { body: '{"message": ' },
      { body: '{"message": "Hi"} ' },
      { path: '/api/chat/stream' },
      { path: '/api/chat?x' },
      { headers: { 'x-paf-nonce': randomUUID() } },
      { headers: { 'x-paf-timestamp': String(Math.floor(Date.now() / 1000) - 7) } },
      { headers: { 'x-paf-key-id': 'nobody' } },
      { headers: { 'x-paf-signature': `v1=${'0'.repeat(64)}` } },
    ];
    for (const change of changes) {
      expect(await refusalOf(await send(service, chat, change))).toBe(refusal(wrong));
    }
    const patch = { method: 'PATCH', path: '/api/sessions/none', body: '{"title": "a"}' };
    expect(await refusalOf(await send(service, { ...patch, method: 'DELETE' }, patch))).toBe(refusal(wrong));
    expect(await failuresOf(service)).toEqual({ signature: 9, unknown_key: 1 });
  });

  test('is taken once, and no answer tells why a wrong one is wrong', async () => {
    const service = await startService(hmacEnv);
    const headers: Record<string, string> = { ...json, ...signed(chat) };
    const ask = () => fetch(`${service.url}/api/chat`, { method: 'POST', headers, body: chat.body });
    expect((await ask()).status).toBe(200);
    expect(await refusalOf(await ask())).toBe(refusal(replayed));
    const late = signed({ ...chat, timestamp: String(Math.floor(Date.now() / 1000) - 302) });
    expect(await refusalOf(await send(service, chat, { headers: late }))).toBe(
      refusal(
        'X-PAF-Timestamp is more than 300 seconds away from the time here, which is in the header Date.',
      ),
    );
    const answers = [{ keyId: 'nobody' }, { secret: 'guessed' }].map(async (parts) =>
      refusalOf(await send(service, { ...chat, ...parts })),
    );
    expect(await Promise.all(answers)).toEqual([refusal(wrong), refusal(wrong)]);
    expect(await failuresOf(service)).toEqual({ replayed: 1, timestamp: 1, unknown_key: 1, signature: 1 });
    const written = JSON.stringify(service.logs);
    expect(written).not.toContain(hmacSecret);
    expect(written).not.toContain(headers['x-paf-signature']);
    expect(written).not.toContain(headers['x-paf-nonce']);
  });

  test('goes on while its secret is replaced', async () => {
    const old = randomUUID() + randomUUID();
    const keys = { reports: { secret: [hmacSecret, old] } };
    const service = await startService({ AUTH_MODE: 'hmac', HMAC_KEYS: JSON.stringify(keys) });
    expect((await send(service, chat)).status).toBe(200);
    expect((await send(service, { ...chat, secret: old })).status).toBe(200);
    expect((await send(service, { ...chat, secret: randomUUID() })).status).toBe(401);
  });

  test('may have no token beside it', async () => {
    const service = await startService(anyEnv);
    expect((await send(service, chat)).status).toBe(200);
    const both = await send(service, chat, { headers: bearer(mint()) });
    expect(await refusalOf(both)).toBe(
      '401 Bearer realm="paf", error="invalid_token", PAF-HMAC realm="paf": The request has a token and a signature; send one of them.',
    );
  });
});

describe('the body of a signed request', () => {
  test('is bounded, and refused as it always was', async () => {
    const service = await startService({ ...hmacEnv, MAX_BODY_BYTES: '100' });
    const fits = { ...chat, body: `{"message": "${'x'.repeat(85)}"}` };
    expect(fits.body.length).toBe(100);
    expect((await send(service, fits)).status).toBe(200);
    const tooLarge = { ...chat, body: `${fits.body} ` };
    const response = await send(service, tooLarge);
    expect([response.status, response.headers.get('connection')]).toEqual([413, 'close']);
    expect(((await response.json()) as { detail: string }).detail).toBe('The body is too large.');
    expect(await failuresOf(service)).toEqual({});
    expect((await send(service, { ...chat, body: '{"message"' })).status).toBe(400);
    expect((await send(service, chat, { headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  });

  test('that says it is too large is not waited for', async () => {
    const service = await startService({ ...hmacEnv, MAX_BODY_BYTES: '100' });
    const head = `POST /api/chat HTTP/1.1\r\nhost: a\r\n${lines({ ...json, ...signed(chat) })}content-length: 101\r\n\r\n`;
    expect(await sendRaw(service, head)).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('may come in pieces', async () => {
    const service = await startService({ ...hmacEnv, MAX_BODY_BYTES: '100' });
    const head = (headers: Record<string, string>) =>
      `POST /api/chat HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines({ ...json, ...headers })}transfer-encoding: chunked\r\n\r\n`;
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const whole = await sendRaw(
      service,
      head(signed(chat)),
      chunk('{"message"'),
      chunk(': "Hi"}'),
      chunk(''),
    );
    expect(whole).toMatch(/^HTTP\/1\.1 200 /);
    const changed = await sendRaw(
      service,
      head(signed(chat)),
      chunk('{"message"'),
      chunk(': "Ho"}'),
      chunk(''),
    );
    expect(changed).toMatch(/^HTTP\/1\.1 401 /);
    const empty = await sendRaw(service, head(signed({ ...chat, body: '' })), chunk(''));
    expect(empty).toMatch(/^HTTP\/1\.1 400 [\s\S]*The body is empty/);
    const endless = await sendRaw(service, head(signed(chat)), chunk('x'.repeat(60)), chunk('x'.repeat(60)));
    expect(endless).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('takes little memory until it is checked, however many come, and keeps no small one out', async () => {
    const service = await startService({ ...hmacEnv, MAX_BODY_BYTES: String(1 << 20) });
    const large = { ...chat, body: JSON.stringify({ message: 'Hi', metadata: { x: 'x'.repeat(900_000) } }) };
    const forged = lines({ ...json, ...signed({ ...large, secret: 'guessed' }) });
    const head = `POST /api/chat HTTP/1.1\r\nhost: a\r\n${forged}content-length: ${large.body.length}\r\n\r\n`;
    const sockets = Array.from({ length: 5 }, () => connect(Number(new URL(service.url).port), '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {}).write(head + large.body.slice(0, -1));
    await vi.waitFor(async () => {
      const response = await send(service, large);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
      expect(await response.json()).toMatchObject({ type: 'urn:paf:error:auth_unavailable' });
    });
    expect((await send(service, chat)).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    // its metadata is too large, which is told to nobody whose signature is not right
    await vi.waitFor(async () => expect((await send(service, large)).status).toBe(400));
  });

  test('that ends too early is refused, and the service goes on', async () => {
    const service = await startService(hmacEnv);
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write(
      `POST /api/chat HTTP/1.1\r\nhost: a\r\n${lines({ ...json, ...signed(chat) })}content-length: 17\r\n\r\n{"mess`,
    );
    socket.end();
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
    expect((await send(service, chat)).status).toBe(200);
  });

  test('counts also where the method has none', async () => {
    const service = await startService(hmacEnv);
    const get = (headers: Record<string, string>, body: string) =>
      sendRaw(
        service,
        `GET /api/chat/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines(headers)}content-length: ${body.length}\r\n\r\n${body}`,
      );
    const path = '/api/chat/models';
    expect(await get(signed({ path, body: 'hello' }), 'hello')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get(signed({ path }), 'hello')).toMatch(/^HTTP\/1\.1 401 /);
    expect(await get(signed({ path }), '')).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('what only raw bytes can say', () => {
  const get = (service: TestService, target: string, headers: string, method = 'GET') =>
    sendRaw(service, `${method} ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${headers}\r\n`);

  test('a header that comes twice is refused, in any spelling', async () => {
    const service = await startService(hmacEnv);
    const path = '/api/chat/models';
    for (const name of ['x-paf-key-id', 'X-PAF-Timestamp', 'X-Paf-Nonce', 'x-PAF-signature']) {
      const headers = signed({ path });
      const answer = await get(service, path, `${lines(headers)}${name}: ${headers[name.toLowerCase()]}\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 401 /);
      expect(answer).toMatch(/The header X-PAF-[\w-]+ came more than once\./);
    }
    expect(await get(service, path, lines(signed({ path })))).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('the address is signed as it is sent, not as it is understood', async () => {
    const service = await startService(hmacEnv);
    for (const path of [
      '/api/%63hat/models',
      '/api/chat/models?',
      '/api/chat/models?a=%2f',
      '/api/chat/models/',
    ]) {
      expect(await get(service, path, lines(signed({ path })))).toMatch(/^HTTP\/1\.1 200 /);
      expect(await get(service, path, lines(signed({ path: '/api/chat/models' })))).toMatch(
        /^HTTP\/1\.1 401 /,
      );
    }
  });

  test('a method in lower case is none', async () => {
    const service = await startService(hmacEnv);
    const path = '/api/chat/models';
    expect(await get(service, path, lines(signed({ path, method: 'get' })), 'get')).toMatch(
      /^HTTP\/1\.1 400 /,
    );
    expect(await get(service, path, lines(signed({ path, method: 'get' })))).toMatch(/^HTTP\/1\.1 401 /);
  });

  test('a token in two headers is refused', async () => {
    const service = await startService(anyEnv);
    const authorization = `Authorization: Bearer ${mint()}\r\n`;
    expect(await get(service, '/api/chat/models', authorization)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get(service, '/api/chat/models', authorization + authorization)).toMatch(
      /The header Authorization came more than once\./,
    );
  });
});

describe('a WebSocket', () => {
  test('is opened by a signature over its address and no body, once', async () => {
    const service = await startService(hmacEnv);
    const headers = signed({ path: '/api/ws' });
    const socket = await openSocket(service, { headers });
    socket.send({ type: 'query', prompt: 'Hi' });
    await socket.until('complete');
    await expect(openSocket(service, { headers })).rejects.toThrow('401');
    await expect(openSocket(service, { headers: signed({ path: '/api/chat' }) })).rejects.toThrow('401');
    await expect(openSocket(service)).rejects.toThrow('401');
    expect(await failuresOf(service)).toEqual({ replayed: 1, signature: 1, missing: 1 });
  });

  test('is opened by a token in Authorization', async () => {
    const service = await startService(anyEnv);
    const socket = await openSocket(service, { headers: bearer(mint()) });
    socket.send({ type: 'query', prompt: 'Hi' });
    await socket.until('complete');
    await expect(openSocket(service, { headers: bearer(mint({ exp: 1 })) })).rejects.toThrow('401');
    await expect(
      openSocket(service, { headers: bearer(mint()) }, undefined, ['bearer', mint()]),
    ).rejects.toThrow('401');
  });
});
