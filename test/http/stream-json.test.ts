import { expect, test } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { getRun, problemOf, startChat } from '../helpers/chat.ts';
import { jsonPost, streamChat } from '../helpers/service.ts';

const ask = { message: 'Say hello to me.' };
const hello: ScriptedReply = {
  text: 'Hello there, friend.',
  reasoning: 'Be kind.',
  usage: { prompt_tokens: 40, completion_tokens: 6 },
};

test('the JSON answer is the complete payload and the whole content', async () => {
  const { service } = await startChat([hello, hello]);
  const response = await fetch(`${service.url}/api/chat`, jsonPost(ask, { 'x-request-id': 'req-9' }));
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^application\/json(;|$)/);
  const answer = (await response.json()) as Record<string, unknown>;
  const stream = await streamChat(service, ask, { 'x-request-id': 'req-9' });
  const complete = (await stream.ended).at(-2)?.data ?? {};
  const varying = {
    run_id: response.headers.get('x-run-id'),
    duration: expect.any(Number),
    time_to_first_token: expect.any(Number),
    timestamp: expect.any(Number),
  };
  expect(answer).toEqual({ ...complete, ...varying, content: 'Hello there, friend.' });
});

test('the phases are in the answer when asked for, the reasoning is not', async () => {
  const { service } = await startChat([hello]);
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ ...ask, show_thinking: true }));
  const answer = (await response.json()) as { thinking: { phase: string }[]; run_id: string };
  expect(answer.thinking.map(({ phase }) => phase)).toEqual(['understand', 'plan', 'execute', 'evaluate']);
  for (const item of answer.thinking) expect(Object.keys(item)).toEqual(['phase', 'content', 'metadata']);
  const { phases } = await getRun(service, answer.run_id);
  expect(phases.map(({ phase, content, metadata }) => ({ phase, content, metadata }))).toEqual(
    answer.thinking,
  );
});

test('an answer that fails its checks is revised, since nothing was shown yet', async () => {
  const { service } = await startChat([{ text: 'Sure, it is blue.' }, { text: '{"color": "blue"}' }]);
  const body = { message: 'Color of the sky?', response_format: { type: 'json_object' } };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(await response.json()).toMatchObject({
    content: '{"color": "blue"}',
    evaluation: { passed: true, revisions: 1 },
    attempts: [{ outcome: 'ok' }, { outcome: 'ok' }],
  });
});

/** As often as a provider is asked for one answer. */
const thrice = (reply: ScriptedReply) => [reply, reply, reply];

test.each<[string, number, string, ScriptedReply[]]>([
  ['a refused request', 502, 'provider_rejected', [{ fault: 'status:400' }]],
  ['a refused key', 503, 'provider_unavailable', [{ fault: 'status:401' }]],
  ['a broken server', 502, 'provider_error', [1, 2, 3].map(() => ({ fault: 'status:500' }))],
  ['a busy server', 503, 'provider_unavailable', [1, 2, 3].map(() => ({ fault: 'status:529' }))],
  ['a silent server', 504, 'provider_timeout', [1, 2, 3].map(() => ({ fault: 'hang' }))],
  ['an answer that breaks off', 502, 'provider_error', thrice({ text: 'Never to be seen.', fault: 'cut:2' })],
  ['an answer that stalls', 504, 'provider_timeout', thrice({ text: 'Never to be seen.', fault: 'stall:2' })],
])('%s is problem+json with status %i', async (_what, status, type, replies) => {
  const { service } = await startChat(replies, status === 504 ? { REQUEST_TIMEOUT: '0.3' } : {});
  const response = await fetch(`${service.url}/api/chat`, jsonPost(ask));
  expect(response.status).toBe(status);
  expect(response.headers.get('x-run-id')).toMatch(/^run_/);
  expect(response.headers.has('retry-after')).toBe(status === 503);
  const problem = await problemOf(response);
  expect(problem.type).toBe(`urn:paf:error:${type}`);
  expect(JSON.stringify(problem)).not.toMatch(/fake model was told|sk-test|Never to be|node_modules/);
});

test('a run that runs out of time without an answer is 504', async () => {
  const { service } = await startChat([{ fault: 'hang' }], { RUN_TIMEOUT: '0.2' });
  const response = await fetch(`${service.url}/api/chat`, jsonPost(ask));
  expect(response.status).toBe(504);
  expect((await problemOf(response)).type).toBe('urn:paf:error:provider_timeout');
});
