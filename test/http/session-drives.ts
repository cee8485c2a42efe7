import { expect } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { type Answer, send } from '../helpers/contract.ts';
import { jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';
import { createSession, deleteSession, patchSession, say } from '../helpers/sessions.ts';

type Drive = () => Promise<Answer[]>;

const post =
  (path: string, body: unknown, headers = {}) =>
  (service: TestService) =>
    send(service, path, jsonPost(body, headers));
const rename =
  (body: unknown, headers = {}) =>
  (service: TestService) =>
    send(service, '/api/sessions/x', { ...jsonPost(body, headers), method: 'PATCH' });

/** The answers of a service in which nothing is wrong but the request. */
const ask =
  (...requests: ((service: TestService) => Promise<Answer>)[]): Drive =>
  async () => {
    const service = await startService();
    return Promise.all(requests.map((request) => request(service)));
  };

/** What the routes answer whose storage is away. */
const withoutStorage =
  (request: (service: TestService) => Promise<Answer>): Drive =>
  async () => [await request(await startService(noStorage))];

const noStorage = { MEMORY_BACKEND: 'redis', REDIS_URL: 'redis://127.0.0.1:1' };

const broken =
  (request: (service: TestService) => Promise<Answer>): Drive =>
  async () => {
    const service = await startService();
    const fail = () => Promise.reject(new Error('secret'));
    Object.assign(service.services.sessions.store, {
      find: fail,
      read: fail,
      list: fail,
      create: fail,
      update: fail,
    });
    return [await request(service)];
  };

/** The refusals that routes with a body have in common. */
function bodyRefusals(
  operation: string,
  request: (body: unknown, headers?: object) => (service: TestService) => Promise<Answer>,
): Record<string, Drive> {
  return {
    [`${operation} 400`]: ask(request({ nope: 1 }), request([])),
    [`${operation} 413`]: async () => [
      await request({ title: 'far too long' })(await startService({ MAX_BODY_BYTES: '10' })),
    ],
    [`${operation} 415`]: ask(
      request({}, { 'content-type': 'text/plain' }),
      request({}, { 'content-encoding': 'gzip' }),
    ),
    [`${operation} 500`]: broken(request({ title: 'x' })),
    [`${operation} 503`]: withoutStorage(request({ title: 'x' })),
  };
}

const list =
  (query = '') =>
  (service: TestService) =>
    send(service, `/api/sessions${query}`);
const get = (service: TestService) => send(service, '/api/sessions/x');
const remove = (service: TestService) => deleteSession(service, 'x');
const fork = (service: TestService) => send(service, '/api/sessions/x/fork', { method: 'POST' });

/** Answers of the session routes by operation and status. */
export const sessionDrives: Record<string, Drive> = {
  ...bodyRefusals('createSession', (body, headers) => post('/api/sessions', body, headers)),
  'createSession 201': ask(
    (service) => send(service, '/api/sessions', { method: 'POST' }),
    post('/api/sessions', {}),
    post('/api/sessions', { title: 'Tea' }),
  ),
  'listSessions 200': async () => {
    const service = await startService();
    const empty = await list()(service);
    for (let count = 0; count < 3; count += 1) await createSession(service);
    return [empty, await list()(service), await list('?limit=2')(service)];
  },
  'listSessions 400': ask(list('?limit=0'), list('?cursor=x')),
  'listSessions 500': broken(list()),
  'listSessions 503': withoutStorage(list()),
  'getSession 200': async () => [await detailed()],
  'getSession 404': ask(get),
  'getSession 500': broken(get),
  'getSession 503': withoutStorage(get),
  ...bodyRefusals('renameSession', rename),
  'renameSession 200': async () => {
    const service = await startService();
    return [await patchSession(service, (await createSession(service)).id, { title: 'Tea' })];
  },
  'renameSession 404': ask(rename({ title: 'Tea' })),
  ...bodyRefusals('forkSession', (body, headers) => post('/api/sessions/x/fork', body, headers)),
  'forkSession 201': async () => {
    const service = await startService();
    const path = `/api/sessions/${(await createSession(service)).id}/fork`;
    return [await send(service, path, { method: 'POST' }), await send(service, path, jsonPost({}))];
  },
  'forkSession 404': ask(fork, post('/api/sessions/x/fork', { message_id: 'x' })),
  'forkSession 500': broken(fork),
  'forkSession 503': withoutStorage(fork),
  'deleteSession 204': async () => {
    const service = await startService();
    return [await deleteSession(service, (await createSession(service)).id)];
  },
  'deleteSession 404': ask(remove),
  'deleteSession 500': broken(remove),
  'deleteSession 503': withoutStorage(remove),
};

/** A session with everything that one can show. */
async function detailed(): Promise<Answer> {
  const calling = { text: 'Hm.', toolCalls: [{ id: 'c', name: 'calculator', arguments: '{"expression":' }] };
  const { service } = await startChat([calling, { text: 'Done.' }], { UPEE_MAX_REVISIONS: '0' });
  const { sessions } = service.services;
  const { id } = await createSession(service);
  await say(service, id, 'Hi.');
  const owner = { tenant: 'default', subject: 'anonymous' };
  const image = { type: 'image' as const, data: 'AAAA', mimeType: 'image/png' };
  const messages = [
    { message: { role: 'user' as const, content: [image] } },
    { message: { role: 'system' as const, content: 'Be kind.' } },
    { message: { role: 'weather', celsius: 20 } },
    { message: { role: 'assistant' as const, content: [] }, isInterrupted: true },
  ];
  await sessions.append(owner, id, { messages }, new AbortController().signal);
  const answer = await send(service, `/api/sessions/${id}`);
  const roles = JSON.parse(answer.text).messages.map(({ role }: { role: string }) => role);
  expect(roles).toEqual(['user', 'assistant', 'tool', 'assistant', 'user', 'system', 'weather', 'assistant']);
  return answer;
}

/** A message for a session that is busy. */
export async function conflictOf(path: string): Promise<Answer> {
  const first = hold(1);
  const { service } = await startChat([{ text: 'Hello there.', hold: first }]);
  const { id } = await createSession(service);
  const running = await streamChat(service, { message: 'Hi.', session_id: id });
  await first.reached;
  const answer = await send(service, path, jsonPost({ message: 'Hi.', session_id: id }));
  first.release();
  await running.ended;
  return answer;
}

export async function chatWithoutStorage(path: string): Promise<Answer> {
  return send(await startService(noStorage), path, jsonPost({ message: 'Hi.', session_id: 'x' }));
}
