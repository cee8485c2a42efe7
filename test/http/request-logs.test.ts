import { describe, expect, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { patient } from '../helpers/mcp.ts';
import { countsOf, scrape, seriesOf } from '../helpers/metrics.ts';
import { sendRaw } from '../helpers/raw-http.ts';
import { jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';
import { bearer, jwtEnv } from '../helpers/tokens.ts';

const ask = { message: 'Say hello.', effort: 'quick' };
const info = 30;
const debug = 20;
const warn = 40;

/** The one line about a request, without what every line has. */
async function lineOf(service: TestService, requestId: string) {
  const found = await vi.waitFor(() => {
    const lines = service.logs.filter((line) => line.msg === 'request' && line.request_id === requestId);
    expect(lines).toHaveLength(1);
    return lines[0] as Record<string, unknown>;
  }, patient);
  const { time: _, pid: __, hostname: ___, msg: ____, duration_ms, ...fields } = found;
  expect(duration_ms).toBeGreaterThanOrEqual(0);
  return fields;
}

const everybody = { tenant: 'default', subject: 'anonymous', scheme: 'none', remote_address: '127.0.0.1' };
const withId = (id: string) => ({ 'x-request-id': id });
const idIn = (head = '') => /x-request-id: (\S+)/i.exec(head)?.[1] ?? '';

describe('the line of a request', () => {
  test('says who asked what, how it went and which run it was', async () => {
    const { service } = await startChat([{ text: 'Hello.' }]);
    const stream = await streamChat(service, ask, withId('req-stream'));
    await stream.ended;
    expect(await lineOf(service, 'req-stream')).toEqual({
      level: info,
      request_id: 'req-stream',
      method: 'POST',
      route: '/api/chat/stream',
      status_code: 200,
      ...everybody,
      run_id: stream.runId,
    });
    await send(service, `/api/runs/${stream.runId}`, { headers: withId('req-run') });
    expect(await lineOf(service, 'req-run')).toEqual({
      level: info,
      request_id: 'req-run',
      method: 'GET',
      route: '/api/runs/:id',
      status_code: 200,
      ...everybody,
      run_id: stream.runId,
    });
  });

  test.each<[what: string, status: number, route: string, type: string, path: string, init: RequestInit]>([
    ['a bad body', 400, '/api/chat', 'invalid_request', '/api/chat', jsonPost({ message: 1 })],
    ['broken JSON', 400, '/api/chat', 'invalid_request', '/api/chat', { ...jsonPost({}), body: '{"a' }],
    ['no route', 404, 'unmatched', 'not_found', '/MARK?MARK=1', {}],
    ['no run', 404, '/api/runs/:id', 'not_found', '/api/runs/MARK', {}],
    ['another method', 405, 'unmatched', 'method_not_allowed', '/api/chat', {}],
    ['a bad path', 400, 'unmatched', 'invalid_request', '/api/%MARK', {}],
  ])('names why %s was refused, and nothing of the request', async (_, status, route, type, path, init) => {
    const service = await startService();
    const headers = { ...(init.headers as Record<string, string>), ...withId('req-1'), 'user-agent': 'MARK' };
    expect((await send(service, path, { ...init, headers })).status).toBe(status);
    expect(await lineOf(service, 'req-1')).toMatchObject({
      level: info,
      route,
      status_code: status,
      error_type: type,
      remote_address: '127.0.0.1',
    });
    expect(JSON.stringify(service.logs)).not.toContain('MARK');
    const counted = seriesOf(await scrape(service), 'http_request_duration_seconds_count');
    expect(counted[`${init.method ?? 'GET'} ${route} ${status}`]).toBe(1);
  });

  test('says that a run failed, at a level of its own', async () => {
    const { service } = await startChat([{ fault: 'status:400' }]);
    expect((await send(service, '/api/chat', jsonPost(ask, withId('req-1')))).status).toBe(502);
    expect(await lineOf(service, 'req-1')).toMatchObject({
      level: warn,
      status_code: 502,
      error_type: 'provider_rejected',
      run_id: expect.stringMatching(/^run_/),
    });
  });

  test('says when its client left before the end', async () => {
    const [middle, second] = [hold(1), hold(1)];
    const replies = [middle, second].map((each) => ({ text: 'Hello there.', hold: each }));
    const { service } = await startChat(replies);
    const stream = await streamChat(service, ask, withId('req-1'));
    await middle.reached;
    stream.abort();
    expect(await lineOf(service, 'req-1')).toMatchObject({ ...everybody, status_code: 200, aborted: true });
    const controller = new AbortController();
    const unanswered = fetch(`${service.url}/api/chat`, {
      ...jsonPost(ask, withId('req-2')),
      signal: controller.signal,
    });
    await second.reached;
    controller.abort();
    await expect(unanswered).rejects.toThrow();
    expect(await lineOf(service, 'req-2')).toMatchObject({ status_code: 499, aborted: true });
    expect(seriesOf(await scrape(service), 'http_request_duration_seconds_count')).toMatchObject({
      'POST /api/chat/stream 200': 1,
      'POST /api/chat 499': 1,
    });
  });
});

describe('with authentication', () => {
  test('the lines name the caller, in at most 128 characters', async () => {
    const service = await startService(jwtEnv);
    const credentials = bearer({ subject: 'ada', tenant: 't'.repeat(200) });
    const headers = { ...withId('req-1'), ...credentials };
    expect((await send(service, '/api/chat', jsonPost(ask, headers))).status).toBe(200);
    const who = { tenant: `${'t'.repeat(128)}…`, subject: 'ada' };
    expect(await lineOf(service, 'req-1')).toMatchObject({ ...who, scheme: 'jwt' });
    expect(service.logs.find(({ msg }) => msg === 'run completed')).toMatchObject(who);
    expect(JSON.stringify(service.logs)).not.toContain(credentials.authorization.slice('Bearer '.length));
  });

  test('a request that is refused names nobody', async () => {
    const service = await startService(jwtEnv);
    const { authorization } = bearer({ subject: 'MARK', tenant: 'MARK' });
    const headers = { ...withId('req-1'), authorization: `${authorization.slice(0, -3)}abc` };
    expect((await send(service, '/api/chat', jsonPost(ask, headers))).status).toBe(401);
    expect(await lineOf(service, 'req-1')).toEqual({
      level: info,
      request_id: 'req-1',
      method: 'POST',
      route: '/api/chat',
      status_code: 401,
      remote_address: '127.0.0.1',
      error_type: 'unauthorized',
    });
    expect(JSON.stringify(service.logs)).not.toContain('MARK');
    expect(countsOf(await scrape(service), 'paf_auth_failures_total')).toEqual({ signature: 1 });
  });
});

test('the line of a run says who it was for, what it took and how it ended', async () => {
  const usage = {
    prompt_tokens: 100,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 40 },
    completion_tokens_details: { reasoning_tokens: 5 },
  };
  const call = { id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' };
  const { service } = await startChat([
    { toolCalls: [call], usage },
    { text: 'It is two.', usage },
  ]);
  const { text } = await send(service, '/api/sessions', jsonPost({}));
  const session = (JSON.parse(text) as { id: string }).id;
  const body = { ...ask, model: 'gpt-6-luna', session_id: session };
  const answer = await send(service, '/api/chat', jsonPost(body, withId('req-1')));
  const { run_id: runId, cost_usd: cost } = JSON.parse(answer.text);
  const line = service.logs.find(({ msg }) => msg === 'run completed');
  expect(line).toEqual({
    level: info,
    time: expect.any(Number),
    pid: expect.any(Number),
    hostname: expect.any(String),
    msg: 'run completed',
    request_id: 'req-1',
    run_id: runId,
    tenant: 'default',
    subject: 'anonymous',
    session_id: session,
    outcome: 'completed',
    duration_ms: expect.any(Number),
    time_to_first_token_ms: expect.any(Number),
    phases_ms: {
      understand: expect.any(Number),
      plan: expect.any(Number),
      execute: expect.any(Number),
      evaluate: expect.any(Number),
    },
    provider: 'openai',
    model: 'gpt-6-luna',
    input_tokens: 200,
    output_tokens: 40,
    cached_tokens: 80,
    reasoning_tokens: 10,
    estimated: false,
    cost_usd: cost,
    attempts: ['openai/gpt-6-luna: ok', 'openai/gpt-6-luna: ok'],
    tool_calls: 1,
    events: expect.any(Number),
    exit_reason: 'completed',
    finish_reason: 'stop',
    score: expect.any(Number),
    revisions: 0,
  });
});

test('of probes and scrapes there is a line for the first one and for each change, and at debug level the rest', async () => {
  const service = await startService();
  const shown = () =>
    service.logs.filter(({ msg, level }) => msg === 'request' && Number(level) > debug).map(briefly);
  const briefly = ({ route, status_code, level, skipped }: Record<string, unknown>) =>
    [route, status_code, level, skipped].filter((field) => field !== undefined).join(' ');
  for (let count = 0; count < 5; count += 1) {
    for (const path of ['/api/health/live', '/api/health/ready', '/metrics']) await send(service, path);
  }
  const first = ['/api/health/live 200 30', '/api/health/ready 200 30', '/metrics 200 30'];
  expect(shown()).toEqual(first);
  expect(service.logs.filter(({ msg, level }) => msg === 'request' && level === debug)).toHaveLength(12);

  await service.services.drain();
  for (let count = 0; count < 3; count += 1) await send(service, '/api/health/ready');
  expect(shown()).toEqual([...first, '/api/health/ready 503 40 4']);

  const laterMs = performance.now() + 60_000;
  vi.spyOn(performance, 'now').mockReturnValue(laterMs);
  await send(service, '/api/health/live');
  vi.restoreAllMocks();
  expect(shown().at(-1)).toBe('/api/health/live 200 30 4');
});

test('a refused request for the metrics is logged each time', async () => {
  const service = await startService();
  for (let count = 0; count < 3; count += 1) {
    await send(service, '/metrics', jsonPost({}, withId(`req-${count}`)));
    expect(await lineOf(service, `req-${count}`)).toMatchObject({ level: info, status_code: 405 });
  }
});

test('what a caller sends as its id is not taken unless it is well-formed', async () => {
  const service = await startService();
  const headers = 'Host: a\r\nX-Request-Id: a"b\r\nConnection: close\r\n';
  const [answer] = await sendRaw(service, `GET /api/chat/models HTTP/1.1\r\n${headers}\r\n`);
  const id = idIn(answer?.head);
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(await lineOf(service, id)).toMatchObject({ status_code: 200 });
});

test('a WebSocket that is refused has a line like any request, and one that was open a line of its own', async () => {
  const service = await startService();
  const handshake = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
  const headers = [...handshake, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'X-Request-Id: req-1'];
  const lines = ['GET /api/chat/models HTTP/1.1', 'Host: a', ...headers];
  const [refused] = await sendRaw(service, `${lines.join('\r\n')}\r\n\r\n`);
  expect(refused?.status).toBe(404);
  expect(await lineOf(service, 'req-1')).toMatchObject({ status_code: 404, error_type: 'not_found' });

  const socket = new WebSocket(`${service.url.replace('http', 'ws')}/api/ws`);
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  socket.close(1000);
  const line = await vi.waitFor(() => {
    const found = service.logs.find(({ msg }) => msg === 'websocket');
    expect(found).toBeDefined();
    return found;
  }, patient);
  expect(line).toMatchObject({ ...everybody, route: '/api/ws', close_code: 1000 });
  expect(service.logs.filter(({ msg }) => msg === 'request')).toHaveLength(1);
});

test.each([
  ['is no HTTP', 400, 'MARK\r\n\r\n'],
  ['asks for a proxy', 405, 'CONNECT mark.test:443 HTTP/1.1\r\nHost: MARK\r\n\r\n'],
  ['expects what is unknown', 417, 'GET /MARK HTTP/1.1\r\nHost: a\r\nExpect: MARK\r\n\r\n'],
  ['has too large headers', 431, `GET / HTTP/1.1\r\nHost: a\r\nMARK: ${'a'.repeat(20_000)}\r\n\r\n`],
])('what %s, and reaches no route, has a line and is counted too', async (_, status, bytes) => {
  const service = await startService();
  const [answer] = await sendRaw(service, bytes);
  expect(answer?.status).toBe(status);
  const lines = service.logs.filter(({ msg }) => msg === 'request');
  expect(lines).toEqual([
    expect.objectContaining({
      level: info,
      request_id: idIn(answer?.head),
      route: 'unmatched',
      status_code: status,
      error_type: 'invalid_request',
      remote_address: '127.0.0.1',
    }),
  ]);
  expect(JSON.stringify(service.logs).toLowerCase()).not.toContain('mark');
  expect(countsOf(await scrape(service), 'paf_errors_total')).toMatchObject({ invalid_request: 1 });
});

test('a request whose body turns out to be no HTTP has one line, by the id that its client is told', async () => {
  const service = await startService();
  const headers = 'Host: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n';
  const [answer] = await sendRaw(service, `POST /api/chat HTTP/1.1\r\n${headers}\r\nzz\r\n`);
  expect(answer?.status).toBe(400);
  const requestId = idIn(answer?.head);
  expect(await lineOf(service, requestId)).toEqual({
    level: info,
    request_id: requestId,
    method: 'POST',
    route: '/api/chat',
    status_code: 400,
    error_type: 'invalid_request',
    ...everybody,
  });
  expect(service.logs.filter(({ msg }) => msg === 'request')).toHaveLength(1);
  const families = await scrape(service);
  expect(countsOf(families, 'paf_errors_total')).toMatchObject({ invalid_request: 1 });
  expect(seriesOf(families, 'http_request_duration_seconds_count')).toMatchObject({
    'POST /api/chat 400': 1,
  });
});

describe('at level debug', () => {
  const phaseLines = ({ logs }: TestService) =>
    logs
      .filter(({ msg }) => msg === 'phase')
      .map(({ time: _, pid: __, hostname: ___, duration_ms, ...fields }) => {
        expect(duration_ms).toBeGreaterThanOrEqual(0);
        return fields;
      });

  test('each phase that ends has a line that says what came of it, without a text', async () => {
    const { service } = await startChat([{ text: 'As a MARK: yes.' }], { UPEE_MAX_REVISIONS: '0' });
    const body = {
      message: 'What does the MARK file say? Answer in fewer than 2 words.',
      files: [{ file_name: 'MARK.txt', content: 'MARK' }],
      metadata: { MARK: 'MARK' },
    };
    const { run_id: runId } = JSON.parse(
      (await send(service, '/api/chat', jsonPost(body, withId('req-1')))).text,
    );
    const known = { level: debug, request_id: 'req-1', run_id: runId, msg: 'phase' };
    expect(phaseLines(service)).toEqual([
      { ...known, phase: 'understand', intent: 'question', language: 'en', complexity: 'simple', tokens: 16 },
      {
        ...known,
        phase: 'plan',
        strategy: 'grounded',
        model: 'fake-model',
        fallbacks: 0,
        tools: 4,
        left_out: 0,
      },
      { ...known, phase: 'execute', turns: 1 },
      { ...known, phase: 'evaluate', score: 0.92, passed: false, failed_checks: 1 },
    ]);
    expect(JSON.stringify(service.logs)).not.toContain('MARK');
  });

  test('there are none at info', async () => {
    const { service } = await startChat([{ text: 'Hello.' }], { LOG_LEVEL: 'info' });
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(200);
    expect(phaseLines(service)).toEqual([]);
  });
});

test('messages that a WebSocket is refused have a line of each kind, and are counted at its end', async () => {
  const service = await startService();
  const client = await openSocket(service);
  for (const type of ['MARK', 'MARK', 'cancel', 'MARK']) {
    client.send({ type });
    await client.until('error');
  }
  client.socket.close();
  await client.closed;
  const line = await vi.waitFor(() => {
    const found = service.logs.find(({ msg }) => msg === 'websocket');
    expect(found).toBeDefined();
    return found;
  }, patient);
  expect(line).toMatchObject({ ...everybody, refused: { invalid_request: 3, not_found: 1 } });
  const refused = service.logs.filter(({ msg }) => msg === 'message refused');
  const known = { level: info, request_id: line?.request_id, route: '/api/ws', ...everybody };
  expect(refused).toEqual([
    expect.objectContaining({ ...known, error_type: 'invalid_request' }),
    expect.objectContaining({ ...known, error_type: 'not_found' }),
  ]);
  expect(JSON.stringify(service.logs)).not.toContain('MARK');
});

test('sessions and tools are counted by what became of them', async () => {
  const middle = hold(1);
  const calls = [
    { id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' },
    { id: 'call_2', name: 'calculator', arguments: '{"expression":"one"}' },
    { id: 'call_3', name: 'MADE UP', arguments: '{}' },
  ];
  const { service } = await startChat(
    [{ toolCalls: calls }, { text: 'Done.' }, { text: 'It waits.', hold: middle }],
    { MAX_SESSIONS: '2' },
  );
  const create = async () =>
    (JSON.parse((await send(service, '/api/sessions', jsonPost({}))).text) as { id: string }).id;
  await create();
  const second = await create();
  const third = await create();
  expect((await send(service, `/api/sessions/${third}/fork`, jsonPost({}))).status).toBe(201);
  const fourth = await create();
  const inSession = { ...ask, session_id: fourth };
  expect((await send(service, '/api/chat', jsonPost(inSession))).status).toBe(200);
  const waiting = await streamChat(service, inSession);
  await middle.reached;
  expect((await send(service, '/api/chat', jsonPost(inSession))).status).toBe(409);
  expect((await send(service, `/api/sessions/${fourth}`, { method: 'DELETE' })).status).toBe(204);
  expect((await send(service, `/api/sessions/${second}`, { method: 'DELETE' })).status).toBe(404);
  await waiting.ended;

  const families = await scrape(service);
  expect(countsOf(families, 'paf_sessions_total')).toEqual({ created: 4, forked: 1, evicted: 3, deleted: 1 });
  expect(countsOf(families, 'paf_session_conflicts_total')).toEqual({ '': 1 });
  const operations = Object.keys(countsOf(families, 'paf_session_store_duration_seconds_count'));
  expect(operations.toSorted()).toEqual(
    ['check_writable', 'create', 'delete', 'find', 'list', 'read', 'update'].map((name) => `${name} ok`),
  );
  expect(countsOf(families, 'paf_tool_calls_total')).toEqual({
    'calculator ok': 1,
    'calculator error': 1,
    'unknown error': 1,
  });
  expect(countsOf(families, 'paf_tool_duration_seconds_count')).toEqual({ calculator: 2, unknown: 1 });
});
