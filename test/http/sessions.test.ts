import { describe, expect, test } from 'vitest';
import { send } from '../helpers/contract.ts';
import { jsonPost, startService } from '../helpers/service.ts';
import {
  createSession,
  deleteSession,
  forkSession,
  getSession,
  linesOf,
  listSessions,
  patchSession,
  say,
} from '../helpers/sessions.ts';

const notFound = (text: string) => {
  const { type, title, status, detail } = JSON.parse(text);
  return { type, title, status, detail };
};
const noSession = {
  type: 'urn:paf:error:not_found',
  title: 'Not Found',
  status: 404,
  detail: 'There is no such session.',
};

describe('a session', () => {
  test('is created without or with a title', async () => {
    const service = await startService();
    const plain = await createSession(service);
    expect(plain).toEqual({
      id: expect.stringMatching(/^sess_[0-9a-f]{32}$/),
      title: '',
      created_at: expect.any(Number),
      updated_at: plain.created_at,
    });
    expect(Math.abs(plain.created_at - Date.now() / 1000)).toBeLessThan(5);
    expect((await createSession(service, {})).title).toBe('');
    expect((await createSession(service, { title: ' Tea \u0000\n\u202efor two ' })).title).toBe(
      'Tea for two',
    );
  });

  test('shows its messages and how it is', async () => {
    const service = await startService();
    const { id } = await createSession(service);
    const status = { mcp_connected: false, agent_ready: true, is_processing: false };
    expect(await getSession(service, id)).toMatchObject({ id, messages: [], status });
    const answer = JSON.parse((await say(service, id, 'My name is Ada. What is 6 times 7?')).text);
    expect(answer.session_id).toBe(id);
    const session = await getSession(service, id);
    expect(linesOf(session)).toEqual([
      'user: My name is Ada. What is 6 times 7?',
      `assistant: ${answer.content}`,
    ]);
    expect(session.title).toBe('My name is Ada.');
    expect(session.updated_at).toBeGreaterThan(session.created_at);
    expect(session.messages[0]).toEqual({
      id: expect.stringMatching(/^msg_[0-9a-f]{32}$/),
      role: 'user',
      content: 'My name is Ada. What is 6 times 7?',
      created_at: expect.any(Number),
    });
    const again = JSON.parse((await say(service, id, 'What is my name?')).text);
    expect(again.content).toContain('your name is Ada');
    expect((await getSession(service, id)).title).toBe('My name is Ada.');
  });

  test('is renamed, which nothing said later undoes', async () => {
    const service = await startService();
    const { id } = await createSession(service);
    const renamed = await patchSession(service, id, { title: 'Tea\ttime' });
    expect([renamed.status, JSON.parse(renamed.text).title]).toEqual([200, 'Tea time']);
    await say(service, id, 'Hello.');
    expect((await getSession(service, id)).title).toBe('Tea time');
  });

  test('is deleted with all that was said', async () => {
    const service = await startService();
    const { id } = await createSession(service);
    const { status, text } = await deleteSession(service, id);
    expect([status, text]).toEqual([204, '']);
    expect((await listSessions(service)).sessions).toEqual([]);
    expect((await deleteSession(service, id)).status).toBe(404);
  });

  test('is forked at a message, or at its end', async () => {
    const service = await startService();
    const { id } = await createSession(service);
    await say(service, id, 'My name is Ada.');
    await say(service, id, 'My dog is called Rex.');
    const { messages, title } = await getSession(service, id);
    const all = await getSession(service, (await forkSession(service, id)).id);
    expect([linesOf(all), all.title]).toEqual([messages.map((m) => `${m.role}: ${m.content}`), title]);
    const part = await forkSession(service, id, { message_id: messages[1]?.id });
    await say(service, part.id, 'What is my name?');
    const forked = await getSession(service, part.id);
    expect(forked.messages.slice(0, 2)).toEqual(messages.slice(0, 2));
    expect(forked.messages[3]?.content).toContain('your name is Ada');
    expect((await getSession(service, id)).messages).toEqual(messages);
    const wrong = await send(service, `/api/sessions/${id}/fork`, jsonPost({ message_id: 'msg_nope' }));
    expect([wrong.status, JSON.parse(wrong.text).detail]).toEqual([
      404,
      'There is no such message in this session.',
    ]);
  });

  test('that does not exist is the same 404 on every route, whatever its id looks like', async () => {
    const service = await startService();
    const ids = ['sess_00000000000000000000000000000000', 'x', '..%2F..%2Fetc', '%00', 'a'.repeat(5_000)];
    for (const id of ids) {
      const path = `/api/sessions/${id}`;
      const answers = [
        await send(service, path),
        await patchSession(service, id, { title: 'x' }),
        await deleteSession(service, id),
        await send(service, `${path}/fork`, { method: 'POST' }),
        ...(id.length < 128 ? [await say(service, id, 'Hi')] : []),
      ];
      for (const answer of answers) expect(notFound(answer.text)).toEqual(noSession);
    }
  });
});

describe('the list', () => {
  test('has the newest first, in pages that miss none and repeat none', async () => {
    const service = await startService();
    const ids: string[] = [];
    for (let count = 0; count < 7; count += 1) ids.unshift((await createSession(service)).id);
    const seen: string[] = [];
    let query = '?limit=3';
    for (let page = await listSessions(service, query); ; page = await listSessions(service, query)) {
      seen.push(...page.sessions.map(({ id }) => id));
      if (page.next_cursor === undefined) break;
      query = `?limit=3&cursor=${page.next_cursor}`;
    }
    expect(seen).toEqual(ids);
    await say(service, ids[6] as string, 'Hello.');
    expect((await listSessions(service, '?limit=1')).sessions[0]?.id).toBe(ids[6]);
    expect((await listSessions(service, '?limit=7')).next_cursor).toBeUndefined();
  });

  test.each([
    'limit=0',
    'limit=101',
    'limit=x',
    'cursor=',
    'cursor=nope',
    `cursor=${'a'.repeat(2_000)}`,
    'cursor=W10',
  ])('refuses ?%s', async (query) => {
    const service = await startService();
    const { status, text } = await send(service, `/api/sessions?${query}`);
    expect([status, JSON.parse(text).errors[0].path]).toEqual([400, query.split('=')[0]]);
  });
});

test('bodies are checked', async () => {
  const service = await startService();
  const { id } = await createSession(service);
  const problems = async (path: string, method: string, body: unknown) => {
    const { status, text } = await send(service, path, { ...jsonPost(body), method });
    expect(status, text).toBe(400);
    return JSON.parse(text).errors.map(
      (problem: { path: string; message: string }) => `${problem.path} ${problem.message}`,
    );
  };
  const title = 'x'.repeat(201);
  expect(await problems('/api/sessions', 'POST', { title })).toContain(
    'title must have at most 200 characters',
  );
  expect(await problems('/api/sessions', 'POST', { title: ' ' })).toEqual(['title must not be blank']);
  expect(await problems('/api/sessions', 'POST', [])).toEqual(['body must be an object or null']);
  expect(await problems('/api/sessions', 'POST', { titles: 'x' })).toEqual([
    'titles is not a known field; did you mean title?',
  ]);
  expect(await problems(`/api/sessions/${id}`, 'PATCH', {})).toEqual(['title is required']);
  expect(await problems(`/api/sessions/${id}`, 'PATCH', { title: '\u0000' })).toEqual([
    'title must not be blank',
  ]);
  expect(await problems(`/api/sessions/${id}/fork`, 'POST', { message_id: 1 })).toContain(
    'message_id must be a string',
  );
});

test('MAX_SESSIONS keeps the newest', async () => {
  const service = await startService({ MAX_SESSIONS: '3' });
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await createSession(service)).id);
  expect((await listSessions(service)).sessions.map(({ id }) => id)).toEqual(ids.slice(0, 3));
});

test('the methods of a path are told, and pages of other origins may use them', async () => {
  const service = await startService({ CORS_ORIGINS: 'https://app.example.com' });
  const { status, headers } = await send(service, '/api/sessions/x', { method: 'PUT' });
  expect([status, headers.get('allow')]).toEqual([405, 'DELETE, GET, HEAD, PATCH']);
  const preflight = await send(service, '/api/sessions/x', {
    method: 'OPTIONS',
    headers: { origin: 'https://app.example.com', 'access-control-request-method': 'DELETE' },
  });
  expect(preflight.headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST, PATCH, DELETE');
});
