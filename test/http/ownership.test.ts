import { describe, expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { type Answer, loadContract, send } from '../helpers/contract.ts';
import { useFolder } from '../helpers/folders.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { jsonPost, startService, type TestService } from '../helpers/service.ts';
import { openSocket, refusalOf, type TestSocket } from '../helpers/socket.ts';
import { bearer, jwtEnv, type TestCaller } from '../helpers/tokens.ts';

const ann: TestCaller = { tenant: 'acme', subject: 'ann' };
/** Who is not Ann, each in one respect only. */
const strangers: Record<string, TestCaller> = {
  'another user': { tenant: 'acme', subject: 'bob' },
  'her name in another tenant': { tenant: 'globex', subject: 'ann' },
  'an administrator of her tenant': { tenant: 'acme', subject: 'root', roles: ['admin', '*'] },
};

type Request = { path: string; init?: RequestInit };
/** What Ann has. */
type Belongings = { session: string; message: string; run: string };

function ask(service: TestService, caller: TestCaller | undefined, { path, init }: Request): Promise<Answer> {
  const headers = new Headers(init?.headers);
  if (caller) headers.set('authorization', bearer(caller).authorization);
  return send(service, path, { ...init, headers });
}

const askJson = async (service: TestService, caller: TestCaller, request: Request) =>
  JSON.parse((await ask(service, caller, request)).text);

/** A service in which Ann has a session with a finished run. */
async function startWorld(): Promise<{ service: TestService; belongings: Belongings }> {
  const service = await startService(jwtEnv);
  const { id } = await askJson(service, ann, { path: '/api/sessions', init: jsonPost({ title: 'Diary' }) });
  const chat = await askJson(service, ann, {
    path: '/api/chat',
    init: jsonPost({ message: 'Dear diary.', session_id: id, metadata: { mood: 'secret' } }),
  });
  const { messages } = await askJson(service, ann, { path: `/api/sessions/${id}` });
  return { service, belongings: { session: id, message: messages[0].id, run: chat.run_id } };
}

/**
 * `own`: what the request names by its id is Ann's, and nobody else may know that it is there. `each`: everybody who says
 * who they are has one of their own. `shared`: everybody who does so gets the same. `public`: so does everybody else.
 */
type Row = {
  kind: 'own' | 'each' | 'shared' | 'public';
  request: (belongings: Belongings) => Request;
  status?: number;
};

const rows: Record<string, Row> = {
  chat: {
    kind: 'own',
    request: ({ session }) => ({
      path: '/api/chat',
      init: jsonPost({ message: 'Hi.', session_id: session }),
    }),
  },
  streamChat: {
    kind: 'own',
    request: ({ session }) => ({
      path: '/api/chat/stream',
      init: jsonPost({ message: 'Hi.', session_id: session }),
    }),
  },
  streamModel: {
    kind: 'each',
    request: () => ({
      path: '/api/agent',
      init: jsonPost({
        model: { provider: 'demo', id: 'demo' },
        context: { messages: [{ role: 'user', content: 'Hi.' }] },
      }),
    }),
  },
  resumeRun: { kind: 'own', request: ({ run }) => ({ path: `/api/runs/${run}/events?after=1` }) },
  getRun: { kind: 'own', request: ({ run }) => ({ path: `/api/runs/${run}` }) },
  cancelRun: {
    kind: 'own',
    request: ({ run }) => ({ path: `/api/runs/${run}/cancel`, init: { method: 'POST' } }),
  },
  createSession: {
    kind: 'each',
    status: 201,
    request: () => ({ path: '/api/sessions', init: jsonPost({ title: 'Mine' }) }),
  },
  listSessions: { kind: 'each', request: () => ({ path: '/api/sessions' }) },
  getSession: { kind: 'own', request: ({ session }) => ({ path: `/api/sessions/${session}` }) },
  renameSession: {
    kind: 'own',
    request: ({ session }) => ({
      path: `/api/sessions/${session}`,
      init: { ...jsonPost({ title: 'Taken' }), method: 'PATCH' },
    }),
  },
  forkSession: {
    kind: 'own',
    status: 201,
    request: ({ session, message }) => ({
      path: `/api/sessions/${session}/fork`,
      init: jsonPost({ message_id: message }),
    }),
  },
  deleteSession: {
    kind: 'own',
    status: 204,
    request: ({ session }) => ({ path: `/api/sessions/${session}`, init: { method: 'DELETE' } }),
  },
  listModels: { kind: 'shared', request: () => ({ path: '/api/chat/models' }) },
  listProviders: { kind: 'shared', request: () => ({ path: '/api/chat/providers' }) },
  getStatus: { kind: 'shared', request: () => ({ path: '/api/chat/status' }) },
  listMcpServers: { kind: 'shared', request: () => ({ path: '/api/mcp/servers' }) },
  listWorkers: { kind: 'shared', request: () => ({ path: '/api/workers' }) },
  // without an upgrade: the handshake has tests of its own
  openWebSocket: { kind: 'shared', status: 426, request: () => ({ path: '/api/ws' }) },
  getHealth: { kind: 'public', request: () => ({ path: '/api/health' }) },
  getLiveness: { kind: 'public', request: () => ({ path: '/api/health/live' }) },
  getReadiness: { kind: 'public', request: () => ({ path: '/api/health/ready' }) },
  getMetrics: { kind: 'public', request: () => ({ path: '/metrics' }) },
  getOpenApi: { kind: 'public', request: () => ({ path: '/openapi.json' }) },
};

test('the table has a row for every route', async () => {
  const { operations } = await loadContract(await startService(jwtEnv));
  expect(Object.keys(rows).toSorted()).toEqual(
    operations.map(({ operation }) => operation.operationId).toSorted(),
  );
});

/** Ids that are nobody's: never given, and of no form that is. */
const noIds = [
  'run_00000000000000000000000000000000',
  'nope',
  '..%2F..%2Fetc',
  "'",
  '%22',
  '%00',
  '%F0%9F%AB%A5',
];

/** What a refusal says, without what differs from request to request. */
function faceOf({ status, type, headers, text }: Answer) {
  const { request_id, trace_id: _, ...body } = JSON.parse(text);
  expect(request_id).toBe(headers.get('x-request-id'));
  const ofRequest = /^(x-request-id|date|.*ratelimit.*|traceparent)$/;
  return { status, type, body, headers: [...headers.keys()].filter((name) => !ofRequest.test(name)) };
}

async function ofAnn(service: TestService, { session, run }: Belongings) {
  const paths = [`/api/sessions/${session}`, `/api/runs/${run}`, '/api/sessions'];
  return Promise.all(paths.map((path) => askJson(service, ann, { path })));
}

describe.each(Object.entries(rows))('%s', (_operation, { kind, request, status = 200 }) => {
  test('for nobody in particular', async () => {
    const { service, belongings } = await startWorld();
    const answer = await ask(service, undefined, request(belongings));
    if (kind === 'public') return expect(answer.status).toBe(200);
    expect([answer.status, answer.type]).toEqual([401, 'application/problem+json']);
    expect(JSON.parse(answer.text)).toMatchObject({ type: 'urn:paf:error:unauthorized', status: 401 });
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="paf"/);
    // whether it is there is no matter before that
    const unknown = { session: 'nope', message: 'nope', run: 'nope' };
    expect(faceOf(await ask(service, undefined, request(unknown)))).toEqual(faceOf(answer));
  });

  test('for its owner and everybody else', async () => {
    const { service, belongings } = await startWorld();
    const before = await ofAnn(service, belongings);
    const answers: string[] = [];
    for (const [name, stranger] of Object.entries(strangers)) {
      const answer = await ask(service, stranger, request(belongings));
      if (kind !== 'own') {
        expect(answer.status, `${name}: ${answer.text}`).toBe(status);
        expect(answer.text).not.toMatch(/Diary|diary/);
        answers.push(answer.text);
        continue;
      }
      const face = faceOf(answer);
      expect(face, name).toMatchObject({ status: 404, body: { type: 'urn:paf:error:not_found' } });
      for (const id of noIds) {
        const none = await ask(service, stranger, request({ session: id, message: 'x', run: id }));
        expect(faceOf(none), `${name} ${id}`).toEqual(face);
      }
    }
    expect(await ofAnn(service, belongings)).toEqual(before);
    const own = await ask(service, ann, request(belongings));
    expect(own.status, own.text).toBe(status);
    if (kind === 'shared' && status === 200) {
      const changing = /"(last_check|latency_ms)":[^,}]+/g;
      for (const text of answers) expect(text.replace(changing, '')).toBe(own.text.replace(changing, ''));
    }
  });
});

const [bob] = Object.values(strangers) as [TestCaller];

test('a live run goes on whatever others do to it, on HTTP and on sockets', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ text: 'Hello there, my old friend.', hold: middle }], jwtEnv);
  const owner = await openSocket(service, { headers: bearer(ann) });
  owner.send({ type: 'query', prompt: 'Say hello.' });
  const { runId = '', sessionId = '' } = await owner.waitFor(({ type }) => type === 'chunk');
  for (const stranger of Object.values(strangers)) {
    const client = await openSocket(service, { headers: bearer(stranger) });
    for (const request of [
      { type: 'cancel', runId },
      { type: 'resume', runId, after: 0 },
      { type: 'steer', runId, content: 'Say no more.' },
      { type: 'clear', sessionId },
    ]) {
      const refusal = await refusalTo(client, request);
      expect(refusal, JSON.stringify(request)).toMatchObject({ error_type: 'not_found', retryable: false });
      expect(JSON.stringify(refusal)).not.toContain('seq');
      const nobodys = { ...request, ...('runId' in request ? { runId: 'nope' } : { sessionId: 'nope' }) };
      const { error, error_type, retryable } = await refusalTo(client, nobodys);
      expect({ error, error_type, retryable }).toEqual({
        error: refusal.error,
        error_type: refusal.error_type,
        retryable: refusal.retryable,
      });
    }
    // one that is nobody's would be made; this one is somebody's
    const taken = await refusalTo(client, { type: 'query', prompt: 'Say hello.', sessionId });
    expect(taken).toMatchObject({ error_type: 'not_found', error: 'There is no such session.' });
    client.send({ type: 'cancel' });
    expect(await client.until('error')).toMatchObject([{ error_type: 'not_found' }]);
    const cancelled = await ask(service, stranger, {
      path: `/api/runs/${runId}/cancel`,
      init: { method: 'POST' },
    });
    expect(cancelled.status).toBe(404);
  }
  middle.release();
  const frames = await owner.until('complete', 'error');
  expect(frames.at(-1)).toMatchObject({ type: 'complete', runId, sessionId });
  const own = await askJson(service, ann, { path: `/api/sessions/${sessionId}` });
  expect(own.messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant']);
});

async function refusalTo(client: TestSocket, request: object) {
  client.send(request);
  const frames = await client.until('error', 'complete', 'cleared');
  expect(frames).toHaveLength(1);
  return frames[0] as NonNullable<(typeof frames)[0]>;
}

test('an event of a run is shown to its owner only, also one who resumes on another socket', async () => {
  const { service, belongings } = await startWorld();
  const { run } = belongings;
  const client = await openSocket(service, { headers: bearer(ann) });
  client.send({ type: 'resume', runId: run, after: 0 });
  expect((await client.until('complete')).every(({ runId }) => runId === run)).toBe(true);
  const refusal = await refusalOf(service);
  expect(refusal).toMatchObject({ status: 401, problem: { type: 'urn:paf:error:unauthorized' } });
});

test('a run that is forgotten is gone for its owner, and never was for others', async () => {
  const { service, belongings } = await startWorld();
  service.services.runs.close();
  for (const path of [`/api/runs/${belongings.run}`, `/api/runs/${belongings.run}/events`]) {
    expect((await ask(service, ann, { path })).status).toBe(410);
    for (const stranger of Object.values(strangers)) {
      const answer = await ask(service, stranger, { path });
      const nobodys = await ask(service, stranger, { path: path.replace(belongings.run, 'nope') });
      expect(answer.status).toBe(404);
      expect(faceOf(answer)).toEqual(faceOf(nobodys));
    }
  }
});

test('the list of sessions has those of its caller, page by page', async () => {
  const { service, belongings } = await startWorld();
  const made = async (caller: TestCaller) =>
    (await askJson(service, caller, { path: '/api/sessions', init: { method: 'POST' } })).id;
  const [bobs, hers] = [[await made(bob)], [await made(ann)]];
  bobs.unshift(await made(bob));
  const idsOf = async (caller: TestCaller, query = '') => {
    const { sessions, next_cursor } = await askJson(service, caller, { path: `/api/sessions${query}` });
    return { ids: sessions.map(({ id }: { id: string }) => id), cursor: next_cursor };
  };
  expect((await idsOf(bob)).ids).toEqual(bobs);
  expect((await idsOf(ann)).ids).toEqual([...hers, belongings.session]);
  // a cursor says where in time a page ends, and nothing more
  const { cursor } = await idsOf(ann, '?limit=1');
  expect((await idsOf(bob, `?cursor=${cursor}`)).ids).not.toContain(belongings.session);
});

test('an Idempotency-Key is that of its caller', async () => {
  const service = await startService(jwtEnv);
  const request = (message: string) => ({
    path: '/api/chat',
    init: jsonPost({ message }, { 'idempotency-key': 'one' }),
  });
  const hers = await askJson(service, ann, request('Say hello.'));
  expect((await askJson(service, ann, request('Say hello.'))).run_id).toBe(hers.run_id);
  expect((await ask(service, ann, request('Else.'))).status).toBe(422);
  for (const stranger of Object.values(strangers)) {
    expect((await askJson(service, stranger, request('Say hello.'))).run_id).not.toBe(hers.run_id);
  }
  expect((await ask(service, { tenant: 'acme', subject: 'carl' }, request('Else.'))).status).toBe(200);
});

test.each([
  [{}, 10],
  [{ MAX_SESSIONS: '2' }, 2],
])('with %j each caller keeps their newest %d sessions', async (env, limit) => {
  const service = await startService({ ...jwtEnv, ...env });
  const [olga, dan] = [
    { tenant: 'acme', subject: 'olga' },
    { tenant: 'acme', subject: 'dan' },
  ];
  const create = async (caller: TestCaller) =>
    (await askJson(service, caller, { path: '/api/sessions', init: { method: 'POST' } })).id as string;
  const dans = await create(dan);
  const olgas: string[] = [];
  for (let count = 0; count < limit + 2; count += 1) olgas.unshift(await create(olga));
  const idsOf = async (caller: TestCaller) =>
    (await askJson(service, caller, { path: '/api/sessions?limit=100' })).sessions.map(
      ({ id }: { id: string }) => id,
    );
  expect(await idsOf(olga)).toEqual(olgas.slice(0, limit));
  expect(await idsOf(dan)).toEqual([dans]);
  expect((await askJson(service, dan, { path: '/api/chat/status' })).limits.max_sessions).toBe(limit);
});

test('without authentication there is no such limit unless it is set', async () => {
  const service = await startService();
  for (let count = 0; count < 12; count += 1) await send(service, '/api/sessions', { method: 'POST' });
  const { sessions } = JSON.parse((await send(service, '/api/sessions?limit=100')).text);
  expect(sessions).toHaveLength(12);
  expect(JSON.parse((await send(service, '/api/chat/status')).text).limits.max_sessions).toBeNull();
});

/** Pairs of callers whose names are the same to whoever joins, folds or cleans them carelessly. */
const lookalikes: [left: TestCaller, right: TestCaller][] = [
  [
    { tenant: 'a:b', subject: 'c' },
    { tenant: 'a', subject: 'b:c' },
  ],
  [
    { tenant: 'a-b', subject: 'c' },
    { tenant: 'a', subject: 'b-c' },
  ],
  [
    { tenant: 'a","b', subject: 'c' },
    { tenant: 'a', subject: 'b","c' },
  ],
  [
    { tenant: 'Acme', subject: 'ann' },
    { tenant: 'acme', subject: 'ANN' },
  ],
  [
    { tenant: 'acme', subject: 'zoe\u0301' },
    { tenant: 'acme', subject: 'zo\u00e9' },
  ],
  [
    { tenant: 'acme', subject: '../globex/ann' },
    { tenant: 'acme/../globex', subject: 'ann' },
  ],
  [
    { tenant: 'acme}', subject: '{x' },
    { tenant: 'acme', subject: '}{x' },
  ],
];

const stores: Record<string, () => Promise<Record<string, string>>> = {
  memory: async () => ({}),
  filesystem: async () => ({ MEMORY_BACKEND: 'filesystem', MEMORY_FILESYSTEM_PATH: useFolder() }),
  redis: async () => ({ MEMORY_BACKEND: 'redis', REDIS_URL: (await useRedis()).url }),
};

describe.each(Object.entries(stores))('%s', (name, start) => {
  test.skipIf(name === 'redis' && !hasRedis)('keeps callers apart whose names look alike', async () => {
    const service = await startService({ ...jwtEnv, ...(await start()) });
    for (const [left, right] of lookalikes) {
      const what = JSON.stringify([left, right]);
      const { id } = await askJson(service, left, {
        path: '/api/sessions',
        init: jsonPost({ title: 'Left' }),
      });
      const client = await openSocket(service, { headers: bearer(right) });
      expect(await refusalTo(client, { type: 'query', prompt: 'Hi.', sessionId: id }), what).toMatchObject({
        error_type: 'not_found',
      });
      expect(await refusalTo(client, { type: 'clear', sessionId: id }), what).toMatchObject({
        error_type: 'not_found',
      });
      client.socket.close();
      for (const init of [{}, { method: 'DELETE' }, { ...jsonPost({ title: 'x' }), method: 'PATCH' }]) {
        expect((await ask(service, right, { path: `/api/sessions/${id}`, init })).status, what).toBe(404);
      }
      expect((await askJson(service, right, { path: '/api/sessions' })).sessions, what).toEqual([]);
      const keyed = { path: '/api/chat', init: jsonPost({ message: 'Hi.' }, { 'idempotency-key': 'one' }) };
      const runOf = async (caller: TestCaller) => (await askJson(service, caller, keyed)).run_id as string;
      const run = await runOf(left);
      expect(await runOf(left), what).toBe(run);
      expect(await runOf(right), what).not.toBe(run);
      expect((await ask(service, right, { path: `/api/runs/${run}` })).status, what).toBe(404);
      expect((await askJson(service, left, { path: `/api/sessions/${id}` })).title, what).toBe('Left');
      await ask(service, left, { path: `/api/sessions/${id}`, init: { method: 'DELETE' } });
    }
  });
});
