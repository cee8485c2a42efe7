import { expect, test } from 'vitest';
import { type FakeLlm, hold } from '../../scripts/fake-llm/server.ts';
import { namesOf, problemOf } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv, jsonPost, openStream, startService, type TestService } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';
import { bearer, jwtEnv } from '../helpers/tokens.ts';

const total = 4000;
const hi = { message: 'hi' };
const usedUp = "Too little is left today of the tenant's tokens. The next day begins at midnight UTC.";
const secondsToMidnight = () => 86_400 - ((Date.now() / 1000) % 86_400);

type World = { fake: FakeLlm; service: TestService; tenants: number };
type Headers = Record<string, string>;

async function start(env: Record<string, string> = {}): Promise<World> {
  const fake = await useFakeLlm({ requireScript: true });
  const settings = { ...jwtEnv, ...fakeModelEnv(fake.url), LOG_LEVEL: 'silent' };
  const service = await startService({ ...settings, TENANT_DAILY_TOKENS: String(total), ...env });
  return { fake, service, tenants: 0 };
}

const send = ({ service }: World, path: string, body: object, headers: Headers) =>
  fetch(service.url + path, jsonPost(body, headers));

/** Answers the next call, which takes so many tokens in all. */
const answerNext = ({ fake }: World, tokens: number) =>
  fake.script({ text: 'Hello.', usage: { prompt_tokens: tokens - 1, completion_tokens: 1 } });

/** A caller of a tenant of its own, which has so many tokens left today. */
async function callerWith(world: World, left: number): Promise<Headers> {
  world.tenants += 1;
  const caller = bearer({ tenant: `tenant ${world.tenants}`, subject: 'ada' });
  if (left === total) return caller;
  answerNext(world, total - left);
  expect((await send(world, '/api/chat', { ...hi, tools: [] }, caller)).status).toBe(200);
  return caller;
}

/** The fewest tokens with which the first call is made: what it holds for its input, and one of output. */
async function needOf(world: World, path: string, body: object): Promise<number> {
  const { fake, service } = world;
  const caller = await callerWith(world, total);
  const gate = hold(1);
  fake.script({ text: 'Hello.', hold: gate });
  const answer = send(world, path, body, caller);
  await gate.reached;
  const status = await fetch(`${service.url}/api/chat/status`, { headers: caller });
  const { quota } = (await status.json()) as { quota: { tokens: { left: number } } };
  gate.release();
  const response = await answer;
  expect(response.status).toBe(200);
  await response.arrayBuffer();
  return total - quota.tokens.left - Number(fake.requests.at(-1)?.body.max_tokens) + 1;
}

async function expectRefused(response: Response): Promise<void> {
  const { request_id: _, ...problem } = await problemOf(response);
  expect(problem).toMatchObject({ type: 'urn:paf:error:quota_exceeded', status: 429, detail: usedUp });
  expect(Math.abs(Number(response.headers.get('retry-after')) - secondsToMidnight())).toBeLessThan(5);
  // it was refused before there was a run
  expect(response.headers.get('x-run-id')).toBeNull();
}

async function endsOf(world: World, path: string, body: object, headers: Headers) {
  const stream = await openStream(world.service.url + path, jsonPost(body, headers));
  return (await stream.ended).slice(-2);
}

test('a stream is refused like an answer, however few tokens are left', async () => {
  const world = await start();
  const need = await needOf(world, '/api/chat', hi);
  for (let left = need - 1; left > 0; left -= 1) {
    const caller = await callerWith(world, left);
    for (const path of ['/api/chat', '/api/chat/stream']) {
      await expectRefused(await send(world, path, hi, caller));
    }
  }
  const called = world.fake.requests.length;
  for (const path of ['/api/chat', '/api/chat/stream']) {
    const caller = await callerWith(world, need);
    answerNext(world, need);
    const response = await send(world, path, hi, caller);
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect(world.fake.requests.at(-1)?.body.max_tokens).toBe(1);
  }
  expect(world.fake.requests.length - called).toBe(4);
}, 30_000);

const turn = (text: string) => [
  { role: 'user', content: text },
  { role: 'assistant', content: text },
];
const schema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] };

test.each([
  ['history', { ...hi, history: [...turn('My boat is called Ada.'), ...turn('It has two masts.')] }],
  ['the newest of a history', { ...hi, history: turn('My boat is called Ada.'), memory_limit: 1 }],
  ['no tools', { ...hi, tools: [] }],
  ['one tool', { ...hi, tools: ['current_time'] }],
  ['a schema', { ...hi, response_format: { type: 'json_schema', schema } }],
  ['requirements', { message: 'Write a haiku about the sea in exactly three lines, without any commas.' }],
  ['a calculation', { message: 'Calculate 17 * 23.' }],
  ['a model', { ...hi, model: 'fake-model' }],
  ['a long message', { message: 'What is a fair wind for a small boat? '.repeat(60) }],
])('what the first call reads is known beforehand: %s', async (_name, body) => {
  const world = await start();
  const need = await needOf(world, '/api/chat/stream', body);
  await expectRefused(await send(world, '/api/chat/stream', body, await callerWith(world, need - 1)));
  const caller = await callerWith(world, need);
  answerNext(world, need);
  const [last] = await endsOf(world, '/api/chat/stream', body, caller);
  expect(last?.event).toBe('complete');
});

const longHistory = Array.from({ length: 5 }, (_none, index) =>
  turn(`Day ${index} at sea. `.repeat(40)),
).flat();
const file = (name: string) => ({ file_name: name, content: 'The boat is blue.\n'.repeat(20) });

test.each([
  ['history that is cut', { ...hi, history: longHistory, context_window_size: 2000 }],
  ['tools that do not fit', { ...hi, context_window_size: 300 }],
  ['tools that files put out', { ...hi, files: [file(`${'a'.repeat(900)}.txt`)], context_window_size: 700 }],
  ['files', { message: 'Compute 6*7 from the files.', files: [file('one.txt'), file('two.txt')] }],
])('what may be left out refuses nobody: %s', async (_name, body) => {
  const world = await start();
  const need = await needOf(world, '/api/chat', body);
  const caller = await callerWith(world, need);
  answerNext(world, need);
  const response = await send(world, '/api/chat', body, caller);
  expect(response.status).toBe(200);
});

test('what only the run finds says on the stream when to try again', async () => {
  const world = await start();
  const body = { ...hi, files: [file('one.txt')] };
  const need = await needOf(world, '/api/chat', body);
  const [error, done] = await endsOf(world, '/api/chat/stream', body, await callerWith(world, need - 1));
  expect([error?.event, done?.event]).toEqual(['error', 'done']);
  expect(error?.data).toMatchObject({ error: usedUp, error_type: 'quota_exceeded', retryable: false });
  expect(Math.abs(Number(error?.data.retry_after) - secondsToMidnight())).toBeLessThan(5);
  const peer = await openSocket(world.service, { headers: await callerWith(world, need - 1) });
  const { message: prompt, files } = body;
  peer.send({ type: 'query', prompt, files });
  const frame = await peer.waitFor(({ type }) => type === 'error');
  expect(frame).toMatchObject({ seq: 1, error_type: 'quota_exceeded', retryable: false });
  expect(Math.abs(Number(frame.retry_after) - secondsToMidnight())).toBeLessThan(5);
});

test('a socket and the model back end of agents know it as well', async () => {
  const world = await start();
  const need = await needOf(world, '/api/chat', hi);
  const ask = async (left: number) => {
    const peer = await openSocket(world.service, { headers: await callerWith(world, left) });
    peer.send({ type: 'query', prompt: hi.message });
    return peer;
  };
  const refused = await (await ask(need - 1)).waitFor(({ type }) => type === 'error');
  expect(refused).toMatchObject({ error: usedUp, error_type: 'quota_exceeded', retryable: false });
  expect(refused).not.toHaveProperty('seq');
  const served = await ask(need);
  answerNext(world, need);
  await served.waitFor(({ type }) => type === 'complete');

  const asked = {
    model: { provider: 'openai', id: 'fake-model' },
    context: {
      systemPrompt: 'Be brief.',
      messages: [...turn('My boat is called Ada.').slice(0, 1), { role: 'user', content: 'hi' }],
      tools: [{ name: 'look', description: 'Looks out to sea.', parameters: { type: 'object' } }],
    },
  };
  const agentNeed = await needOf(world, '/api/agent', asked);
  await expectRefused(await send(world, '/api/agent', asked, await callerWith(world, agentNeed - 1)));
  const caller = await callerWith(world, agentNeed);
  answerNext(world, agentNeed);
  const [last] = await endsOf(world, '/api/agent', asked, caller);
  expect(namesOf(last ? [last] : [])).toEqual(['complete']);
});
