import { expect } from 'vitest';
import { type Answer, send } from './contract.ts';
import { jsonPost, type TestService } from './service.ts';

export type SessionRecord = { id: string; title: string; created_at: number; updated_at: number };
export type SessionMessageRecord = {
  id: string;
  role: string;
  content: string;
  created_at: number;
  interrupted?: true;
  tool_calls?: { id: string; name: string; arguments: unknown }[];
  tool_call_id?: string;
  name?: string;
  is_error?: boolean;
  images?: { mime_type: string }[];
};
export type SessionDetail = SessionRecord & {
  messages: SessionMessageRecord[];
  status: { mcp_connected: boolean; agent_ready: boolean; is_processing: boolean };
};

async function ok<T>(answer: Promise<Answer>, status = 200): Promise<T> {
  const { status: actual, text } = await answer;
  expect(actual, text).toBe(status);
  return JSON.parse(text) as T;
}

export const createSession = (service: TestService, body?: object) =>
  ok<SessionRecord>(send(service, '/api/sessions', body ? jsonPost(body) : { method: 'POST' }), 201);

export const getSession = (service: TestService, id: string) =>
  ok<SessionDetail>(send(service, `/api/sessions/${id}`));

export const listSessions = (service: TestService, query = '') =>
  ok<{ sessions: SessionRecord[]; next_cursor?: string }>(send(service, `/api/sessions${query}`));

export const forkSession = (service: TestService, id: string, body?: object) =>
  ok<{ id: string }>(
    send(service, `/api/sessions/${id}/fork`, body ? jsonPost(body) : { method: 'POST' }),
    201,
  );

export const patchSession = (service: TestService, id: string, body: object) =>
  send(service, `/api/sessions/${id}`, { ...jsonPost(body), method: 'PATCH' });

export const deleteSession = (service: TestService, id: string) =>
  send(service, `/api/sessions/${id}`, { method: 'DELETE' });

export const say = (service: TestService, sessionId: string, message: string, more: object = {}) =>
  send(service, '/api/chat', jsonPost({ message, session_id: sessionId, ...more }));

/** Who said what, as one line each. */
export const linesOf = ({ messages }: SessionDetail) =>
  messages.map(({ role, content, interrupted }) => `${role}: ${content}${interrupted ? ' …' : ''}`);
