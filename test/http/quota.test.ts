import { expect, test } from 'vitest';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import type { Config } from '../../src/config.ts';
import { type ChatWorld, namesOf, problemOf, startChat } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import {
  contentOf,
  fakeModelEnv,
  jsonPost,
  openStream,
  startService,
  streamChat,
  type TestService,
} from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';
import { bearer, jwtEnv, type TestCaller } from '../helpers/tokens.ts';

const ada = { tenant: 'acme', subject: 'ada' };
const bob = { tenant: 'acme', subject: 'bob' };
const eve = { tenant: 'other', subject: 'ada' };
const question = { message: 'Say hello.' };
const askModel = {
  model: { provider: 'openai', id: 'fake-model' },
  context: { messages: [{ role: 'user', content: 'Say hello.' }] },
};

const usageOf = (input: number, output: number) => ({ prompt_tokens: input, completion_tokens: output });
const hello = (input: number, output: number): ScriptedReply => ({
  text: 'Hello there, my friend.',
  usage: usageOf(input, output),
});

const start = (replies: ScriptedReply[], env: Record<string, string>, overrides: Partial<Config> = {}) =>
  startChat(replies, { ...jwtEnv, LOG_LEVEL: 'silent', ...env }, overrides);

const ask = (service: TestService, caller: TestCaller = ada, body: object = {}, headers: object = {}) =>
  fetch(`${service.url}/api/chat`, jsonPost({ ...question, ...body }, { ...bearer(caller), ...headers }));

async function answerOf(response: Response | Promise<Response>): Promise<Record<string, unknown>> {
  const answer = await response;
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

/** The output that each call to the model was allowed. */
const limitsOf = ({ fake }: Pick<ChatWorld, 'fake'>) =>
  fake.requests.map(({ body }) => Number(body.max_tokens));

const secondsToMidnight = () => 86_400 - ((Date.now() / 1000) % 86_400);

async function expectUsedUp(response: Response): Promise<void> {
  expect(await problemOf(response)).toMatchObject({
    type: 'urn:paf:error:quota_exceeded',
    status: 429,
    detail: "Too little is left today of the tenant's tokens. The next day begins at midnight UTC.",
  });
  expect(Math.abs(Number(response.headers.get('retry-after')) - secondsToMidnight())).toBeLessThan(5);
}

const rejections = async ({ services }: TestService) => {
  const { values } = await services.metrics.rateLimitRejections.get();
  return Object.fromEntries(
    values.flatMap(({ labels, value }) => (value > 0 ? [[labels.scope, value]] : [])),
  );
};

test('a call is given no more output than the tenant has left, and what it took is counted', async () => {
  const world = await start([hello(100, 50), hello(30, 20), hello(1, 1)], { TENANT_DAILY_TOKENS: '2000' });
  await answerOf(ask(world.service, ada));
  await answerOf(ask(world.service, bob));
  await answerOf(ask(world.service, eve));
  const [first = 0, second, other] = limitsOf(world);
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(2000);
  // what was held and not used is there again, for every subject of the tenant
  expect(second).toBe(first - 150);
  expect(other).toBe(first);
});

test('an answer that the quota cut ends with the exit reason of a budget', async () => {
  const cut = { ...hello(100, 1900), finishReason: 'length' };
  const { service } = await start([cut], { TENANT_DAILY_TOKENS: '2000' });
  const answer = await answerOf(ask(service));
  expect(answer).toMatchObject({ finish_reason: 'length', exit_reason: 'budget' });
  await expectUsedUp(await ask(service));
});

test('with nothing left every way to ask is refused before a run starts, until midnight', async () => {
  const { service } = await start([hello(500, 600)], { TENANT_DAILY_TOKENS: '1000' });
  const key = { 'idempotency-key': 'one' };
  const first = await ask(service, ada, {}, key);
  const { run_id: runId } = await answerOf(first);
  for (const path of ['/api/chat', '/api/chat/stream']) {
    await expectUsedUp(await fetch(service.url + path, jsonPost(question, bearer(bob))));
  }
  await expectUsedUp(await fetch(`${service.url}/api/agent`, jsonPost(askModel, bearer(bob))));
  const peer = await openSocket(service, { headers: bearer(bob) });
  peer.send({ type: 'query', prompt: 'Say hello.' });
  const [refused] = await peer.until('error');
  expect(refused).toMatchObject({ error_type: 'quota_exceeded', retryable: false });
  expect(Math.abs(Number(refused?.retry_after) - secondsToMidnight())).toBeLessThan(5);
  expect(await rejections(service)).toEqual({ tokens: 4 });
  // what was paid for already costs nothing
  expect((await answerOf(ask(service, ada, {}, key))).run_id).toBe(runId);
  const events = `${service.url}/api/runs/${runId}/events`;
  expect(namesOf(await (await openStream(events, { headers: bearer(ada) })).ended)).toContain('complete');
});

const quotaOf = async ({ url }: TestService, caller: TestCaller) => {
  const response = await fetch(`${url}/api/chat/status`, { headers: bearer(caller) });
  return ((await response.json()) as { quota?: unknown }).quota;
};

test('the status tells each tenant what is left of its day', async () => {
  const gate = hold(1);
  const priced = { LLM_MODEL: 'gpt-4o-mini', TENANT_DAILY_TOKENS: '5000', TENANT_DAILY_COST_USD: '0.01' };
  const world = await start([hello(1000, 500), { ...hello(1, 1), hold: gate }], priced);
  await answerOf(ask(world.service, ada));
  const resets_at = Math.ceil(Date.now() / 86_400_000) * 86_400;
  // $0.15 and $0.60 for a million tokens
  expect(await quotaOf(world.service, bob)).toEqual({
    tokens: { limit: 5000, used: 1500, left: 3500, resets_at },
    cost_usd: { limit: 0.01, used: 0.00045, left: 0.00955, resets_at },
  });
  const waiting = ask(world.service, ada);
  await gate.reached;
  // the answer under way holds all that it may come to
  expect(await quotaOf(world.service, bob)).toMatchObject({ tokens: { used: 1500, left: 0 } });
  gate.release();
  await answerOf(waiting);
  const unused = { limit: 5000, used: 0, left: 5000, resets_at };
  expect(await quotaOf(world.service, eve)).toMatchObject({ tokens: unused });
});

test.skipIf(!hasRedis)('the status says so when the quota cannot be told', async () => {
  const redis = await useRedis();
  const { service } = await start([], { TENANT_DAILY_TOKENS: '2000', REDIS_URL: redis.url });
  await redis.stop();
  expect(await quotaOf(service, ada)).toBeNull();
});

test('another tenant has a quota of its own', async () => {
  const { service } = await start([hello(500, 600), hello(1, 1)], { TENANT_DAILY_TOKENS: '1000' });
  await answerOf(ask(service, ada));
  expect((await ask(service, bob)).status).toBe(429);
  await answerOf(ask(service, eve));
});

const callTool = (text: string): ScriptedReply => ({
  text,
  toolCalls: [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"6*7"}' }],
  usage: usageOf(900, 1090),
});

test('a run whose quota is used up on the way ends with what it has', async () => {
  const { service } = await start([callTool('Let me see.')], { TENANT_DAILY_TOKENS: '2000' });
  const events = await (await streamChat(service, question, bearer(ada))).ended;
  expect(contentOf(events)).toBe('Let me see.');
  expect(events.find(({ event }) => event === 'complete')?.data).toMatchObject({
    finish_reason: 'length',
    exit_reason: 'budget',
    total_tokens: 1990,
  });
  expect(await rejections(service)).toEqual({ tokens: 1 });
});

test('a run whose quota is used up before anything was shown ends in an error', async () => {
  const { service } = await start([callTool(''), callTool('')], { TENANT_DAILY_TOKENS: '2000' });
  const events = await (await streamChat(service, question, bearer(ada))).ended;
  expect(namesOf(events).slice(-2)).toEqual(['error', 'done']);
  expect(events.at(-2)?.data).toMatchObject({ error_type: 'quota_exceeded', retryable: false });
  await expectUsedUp(await ask(service, eve));
});

test('the model back end of agents is charged as well', async () => {
  const world = await start([hello(100, 50), hello(1, 1)], { TENANT_DAILY_TOKENS: '2000' });
  for (const caller of [ada, bob]) {
    const stream = await openStream(`${world.service.url}/api/agent`, jsonPost(askModel, bearer(caller)));
    expect(namesOf(await stream.ended)).toContain('complete');
  }
  const [first = 0, second] = limitsOf(world);
  expect(second).toBe(first - 150);
});

test('money is counted by the prices of the catalogue', async () => {
  const priced = { LLM_MODEL: 'gpt-4o-mini', TENANT_DAILY_COST_USD: '0.001' };
  const world = await start([hello(1000, 500), hello(1000, 500), hello(1000, 500)], priced);
  const { cost_usd: cost } = await answerOf(ask(world.service));
  await answerOf(ask(world.service));
  const [first = 0, second = 0] = limitsOf(world);
  // $0.60 for a million tokens of output
  expect(cost).toBeCloseTo(0.00045, 9);
  expect(first - second).toBe(450 / 0.6);
  await answerOf(ask(world.service));
  const refused = await ask(world.service);
  expect((await problemOf(refused)).detail).toContain("tenant's money for models");
  expect(await rejections(world.service)).toEqual({ cost: 1 });
});

test('an aborted call is charged for what came of it, and the rest is given back', async () => {
  const middle = hold(3);
  const aborted = { text: 'One two three four five six.', hold: middle };
  const world = await start([aborted, hello(1, 1)], { TENANT_DAILY_TOKENS: '2000' });
  const stream = await streamChat(world.service, question, bearer(ada));
  await stream.waitFor(({ event }) => event === 'content');
  await middle.reached;
  const ended = world.service.services.runs.find(stream.runId, { ...ada }).ended;
  stream.abort();
  await ended;
  const run = world.service.services.runs.find(stream.runId, { ...ada });
  const spent = run.usage.inputTokens + run.usage.outputTokens;
  expect(run.usage.estimated).toBe(true);
  await answerOf(ask(world.service, bob));
  const [first = 0, second] = limitsOf(world);
  expect(second).toBe(first - spent);
});

test('a call that failed is given back whole', async () => {
  const failing = { ...hello(1, 1), fault: 'status:400' };
  const world = await start([failing, hello(1, 1)], { TENANT_DAILY_TOKENS: '2000' });
  expect((await ask(world.service)).status).toBe(502);
  await answerOf(ask(world.service));
  expect(new Set(limitsOf(world)).size).toBe(1);
});

test('twenty runs at once are given no more than the quota, and all of it is counted', async () => {
  const total = 4000;
  const gate = hold(1);
  const fake = await useFakeLlm();
  const env = { ...jwtEnv, ...fakeModelEnv(fake.url), TENANT_DAILY_TOKENS: String(total) };
  const service = await startService({ ...env, LOG_LEVEL: 'silent' });
  fake.script(hello(1, 1));
  await answerOf(ask(service, eve));
  const input = total - (limitsOf({ fake })[0] ?? 0);

  // as many as there can be: the others are refused, before their runs or in them
  const most = Math.ceil(total / (800 + input));
  fake.script(...Array.from({ length: most }, () => ({ ...hello(10, 5), hold: gate })));
  const refused: Response[] = [];
  const sent = Array.from({ length: 20 }, async (_none, index) => {
    const response = await ask(service, { ...ada, subject: `user ${index}` }, { max_tokens: 800 });
    if (response.status === 429) refused.push(response);
    return response;
  });
  await expect.poll(() => fake.requests.length + refused.length, { timeout: 5000 }).toBe(21);
  const limits = limitsOf({ fake }).slice(1);
  expect(limits).toHaveLength(most);
  expect(limits.filter((limit) => limit === 800)).toHaveLength(most - 1);
  expect(limits.reduce((sum, limit) => sum + limit + input, 0)).toBe(total);
  for (const response of refused) {
    expect(response.headers.get('retry-after')).toBe('5');
    expect((await problemOf(response)).detail).toContain('held by answers under way');
  }
  gate.release();
  const statuses = (await Promise.all(sent)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(most);

  fake.script(hello(1, 1));
  await answerOf(ask(service, bob));
  expect(limitsOf({ fake }).at(-1)).toBe(total - input - most * 15);
});

test('a call that only helps with the answer is left out when it leaves too little for it', async () => {
  const models = [{ id: 'planner-model', max_model_len: 32_768 }];
  const message =
    'Compare three harbours for a small boat step by step: first look at the depth, then at the price, after that at the ' +
    'weather, finally judge in detail which one is best for somebody who sails alone and tell me why you think so.';
  const modelsAsked = async (quota: string) => {
    const fake = await useFakeLlm({ models });
    const env = { ...jwtEnv, ...fakeModelEnv(fake.url), UPEE_PLANNER_MODEL: 'planner-model' };
    const service = await startService({ ...env, LOG_LEVEL: 'silent', TENANT_DAILY_TOKENS: quota });
    await answerOf(ask(service, ada, { message, effort: 'determined' }));
    return { asked: fake.requests.map(({ body }) => body.model), refused: await rejections(service) };
  };
  expect((await modelsAsked('100000')).asked[0]).toBe('planner-model');
  const { asked, refused } = await modelsAsked('7000');
  expect(asked).not.toContain('planner-model');
  expect(asked[0]).toBe('fake-model');
  expect(refused).toEqual({});
});

test.skipIf(!hasRedis)(
  'what a replica that died had held is given back after the end of its run',
  async () => {
    const { url } = await useRedis();
    const gate = hold(1);
    const env = { TENANT_DAILY_TOKENS: '2000', REDIS_URL: url, RUN_TIMEOUT: '1' };
    const overrides = { quotaMarginMs: 200 };
    const dying = await start([{ ...hello(1, 1), hold: gate }], env, overrides);
    const living = await start([hello(1, 1)], env, overrides);
    void ask(dying.service, ada).then(
      (response) => response.arrayBuffer(),
      () => {},
    );
    await gate.reached;
    // from now on it can tell nobody anything
    await dying.service.services.limits.redis?.close();
    expect((await ask(living.service, bob)).status).toBe(429);
    const next = async () => (await ask(living.service, bob)).status;
    await expect.poll(next, { timeout: 5000, interval: 50 }).toBe(200);
    expect(limitsOf(living)).toEqual(limitsOf(dying));
    gate.release();
  },
);

test.skipIf(!hasRedis)('two services on one Redis have one quota', async () => {
  const { url } = await useRedis();
  const env = { TENANT_DAILY_TOKENS: '2000', REDIS_URL: url };
  const one = await start([hello(100, 50)], env);
  const two = await start([hello(900, 1000)], env);
  await answerOf(ask(one.service, ada));
  await answerOf(ask(two.service, bob));
  const [first = 0] = limitsOf(one);
  expect(limitsOf(two)).toEqual([first - 150]);
  await expectUsedUp(await ask(one.service));
  await expectUsedUp(await ask(two.service));
});

test.skipIf(!hasRedis)('what a run took while Redis was away is booked when it is back', async () => {
  const redis = await useRedis();
  const gate = hold(1);
  const env = { TENANT_DAILY_TOKENS: '2000', REDIS_URL: redis.url };
  const world = await start([{ ...hello(100, 50), hold: gate }, hello(1, 1)], env);
  const answer = ask(world.service, ada);
  await gate.reached;
  await redis.stop();
  gate.release();
  await answerOf(answer);
  const refused = await ask(world.service, ada);
  expect(await problemOf(refused)).toMatchObject({ type: 'urn:paf:error:limits_unavailable', status: 503 });
  await redis.start();
  const next = async () => (await ask(world.service, bob)).status;
  await expect.poll(next, { timeout: 10_000, interval: 100 }).toBe(200);
  const [first = 0, second] = limitsOf(world);
  expect(second).toBe(first - 150);
});

test.skipIf(!hasRedis)(
  'a run that cannot be charged on the way ends in an error that a retry mends',
  async () => {
    const redis = await useRedis();
    const gate = hold(1);
    const env = { TENANT_DAILY_TOKENS: '50000', REDIS_URL: redis.url };
    const { service } = await start([{ ...callTool('Let me see.'), hold: gate }], env);
    const stream = await streamChat(service, question, bearer(ada));
    await gate.reached;
    redis.pause();
    gate.release();
    const events = await stream.ended;
    expect(events.at(-2)?.data).toMatchObject({ error_type: 'limits_unavailable', retryable: true });
    redis.resume();
  },
);
