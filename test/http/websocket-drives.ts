import { once } from 'node:events';
import { type RequestOptions, request } from 'node:http';
import { expect } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { startChat } from '../helpers/chat.ts';
import { type Answer, send } from '../helpers/contract.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { type Frame, openSocket, typesOf } from '../helpers/socket.ts';

type Drive = () => Promise<Answer[]>;

const ask = { type: 'query', prompt: 'Say hello.' };

const handshake = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
};

/** The answer to a handshake that is refused. */
async function refused(
  { url }: Pick<TestService, 'url'>,
  changes: RequestOptions['headers'],
  path = '/api/ws',
): Promise<Answer> {
  const asking = request(`${url}${path}`, { headers: { ...handshake, ...changes } }).end();
  const [response] = await once(asking, 'response');
  const headers = new Headers(response.headers);
  const text = Buffer.concat(await response.toArray()).toString();
  return {
    status: response.statusCode,
    type: headers.get('content-type')?.split(';')[0] ?? '',
    headers,
    text,
  };
}

const reporting: Tool = {
  name: 'slow',
  description: 'Reports on its way.',
  parameters: { type: 'object' },
  isParallel: true,
  async execute(_args, { onProgress }) {
    onProgress({ message: 'half way', progress: 1, total: 2 });
    return { content: [{ type: 'text', text: 'done' }], isError: false };
  },
};

/** Every frame of the union, and the requests that lead to them. */
async function everyFrame(): Promise<object[]> {
  const { service } = await startChat([
    { reasoning: 'Let me see.', toolCalls: [{ id: 'call_1', name: 'slow', arguments: '{}' }] },
    { text: 'That is no JSON.' },
    { text: '{"greeting":"hello"}' },
    { text: 'Never.', hold: hold(1) },
  ]);
  service.services.tools.list = () => [reporting];
  const client = await openSocket(service);
  const requests: object[] = [];
  const say = (message: object) => {
    requests.push(message);
    client.send(message);
  };
  say({ ...ask, show_thinking: true, allow_revision: true, response_format: { type: 'json_object' } });
  const [{ sessionId, runId } = {}] = await client.until('complete');
  say({ type: 'resume', runId, after: 0 });
  await client.until('complete');
  say({ type: 'clear', sessionId });
  await client.until('cleared');
  say({ ...ask, sessionId });
  const [live] = await client.until('chunk');
  say({ type: 'steer', runId: live?.runId, content: 'Shorter.' });
  say({ type: 'cancel' });
  await client.until('error');
  client.socket.send('{"type":"cancel","all":true}');
  await client.until('error');
  const types = new Set(typesOf(client.frames));
  expect([...types].toSorted()).toEqual([
    'chunk',
    'cleared',
    'complete',
    'error',
    'reasoning',
    'revision',
    'thinking',
    'tool_call',
    'tool_progress',
    'tool_result',
  ] satisfies Frame['type'][]);
  return [...requests, ...client.frames];
}

async function drained(): Promise<TestService> {
  const service = await startService();
  // the app that closes refuses sockets that come while it sends the rest
  const client = await openSocket(service);
  client.wire.pause();
  void service.close();
  return service;
}

/** Answers of the WebSocket route by status; the messages of a socket are documented as the body of its first one. */
export const socketDrives: Record<string, Drive> = {
  'openWebSocket 101': async () => {
    const headers = new Headers();
    const messages = await everyFrame();
    return messages.map((message) => ({
      status: 101,
      type: 'application/json',
      headers,
      text: JSON.stringify(message),
    }));
  },
  'openWebSocket 400': async () => [await refused(await startService(), { 'sec-websocket-key': 'x' })],
  'openWebSocket 403': async () => [await refused(await startService(), { origin: 'https://evil.example' })],
  'openWebSocket 426': async () => [await send(await startService(), '/api/ws')],
  'openWebSocket 503': async () => [
    await refused(await startService({}, { maxWebSockets: 0 }), {}),
    await refused(await drained(), {}),
  ],
};
