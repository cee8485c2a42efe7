import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { anonymous } from '../../src/auth/authenticator.ts';
import { historyOf } from '../../src/sessions/history.ts';
import { cancelRun, endOf, isContent, namesOf, problemOf, startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { canMount, fillDisk, useDisk, useFolder } from '../helpers/folders.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import {
  contentOf,
  fakeModelEnv,
  jsonPost,
  startService,
  streamChat,
  type TestService,
} from '../helpers/service.ts';
import { createSession, deleteSession, getSession, linesOf, say } from '../helpers/sessions.ts';

const call = { id: 'call_1', name: 'calculator', arguments: '{"expression":"6*7"}' };
const roles = (body: unknown) => (body as { messages: { role: string }[] }).messages.map(({ role }) => role);

describe('what a run adds', () => {
  test('is there before the caller sees complete, tool calls and results included', async () => {
    const { service, fake } = await startChat([
      { text: 'Let me see.', toolCalls: [call] },
      { text: 'It is 42.' },
      { text: 'Because.' },
    ]);
    const { id } = await createSession(service);
    const stream = await streamChat(service, { message: 'What is 6*7?', session_id: id });
    const complete = await stream.waitFor(({ event }) => event === 'complete');
    const session = await getSession(service, id);
    expect(complete.data.session_id).toBe(id);
    expect(session.status.is_processing).toBe(false);
    expect(session.messages).toMatchObject([
      { role: 'user', content: 'What is 6*7?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [{ id: 'call_1', name: 'calculator', arguments: { expression: '6*7' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', name: 'calculator', content: '42', is_error: false },
      { role: 'assistant', content: 'It is 42.' },
    ]);
    await stream.ended;
    await say(service, id, 'Why?');
    expect(roles(fake.requests[2]?.body)).toEqual([
      'system',
      'user',
      'assistant',
      'tool',
      'assistant',
      'user',
    ]);
  });

  test('by a run that is cancelled is kept as far as it came, and the next turn is accepted', async () => {
    const middle = hold(3);
    const { service } = await startChat([
      { text: 'One two three four five.', hold: middle },
      { text: 'Fine.' },
    ]);
    const { id } = await createSession(service);
    const stream = await streamChat(service, { message: 'Count.', session_id: id });
    await stream.waitFor(isContent);
    await middle.reached;
    expect((await getSession(service, id)).status.is_processing).toBe(true);
    await cancelRun(service, stream.runId);
    expect(linesOf(await getSession(service, id))).toEqual(['user: Count.', 'assistant: One two three …']);
    expect(JSON.parse((await say(service, id, 'Go on.')).text).content).toBe('Fine.');
  });

  test('by a run that is cancelled while a tool is at work has a result for the call', async () => {
    const { service, fake } = await startChat([
      { toolCalls: [{ ...call, name: 'wait', arguments: '{}' }] },
      { text: 'Fine.' },
    ]);
    service.services.tools.list = () => [
      {
        name: 'wait',
        description: 'Waits.',
        parameters: { type: 'object' },
        isParallel: true,
        execute: (_args, _context, signal) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
    ];
    const { id } = await createSession(service);
    const stream = await streamChat(service, { message: 'Wait.', session_id: id });
    await stream.waitFor(({ event }) => event === 'tool_call');
    await cancelRun(service, stream.runId);
    expect((await getSession(service, id)).messages).toMatchObject(
      [
        { role: 'user' },
        { role: 'assistant', tool_calls: [{ id: 'call_1' }] },
        { role: 'tool', tool_call_id: 'call_1', is_error: true, content: /interrupted/ },
        { role: 'assistant', content: '', interrupted: true },
      ].map((message) =>
        'content' in message && message.content instanceof RegExp
          ? { ...message, content: expect.stringMatching(message.content) }
          : message,
      ),
    );
    expect((await say(service, id, 'Go on.')).status).toBe(200);
    expect(JSON.stringify(fake.requests.at(-1)?.body)).toContain('[The answer was interrupted here.]');
  });

  test('is nothing when it said nothing', async () => {
    const { service } = await startChat([{ text: 'x', fault: 'status:400' }, { text: 'Fine.' }]);
    const { id } = await createSession(service);
    expect((await say(service, id, 'Hi.')).status).toBe(502);
    expect((await getSession(service, id)).messages).toEqual([]);
    await say(service, id, 'Hi.');
    expect(linesOf(await getSession(service, id))).toEqual(['user: Hi.', 'assistant: Fine.']);
  });

  test('is added once, however often it is asked for with one Idempotency-Key', async () => {
    const { service } = await startChat([{ text: 'Once.' }]);
    const { id } = await createSession(service);
    const request = jsonPost({ message: 'Hi.', session_id: id }, { 'idempotency-key': 'k' });
    const answers = await Promise.all([1, 2, 3].map(() => send(service, '/api/chat', request)));
    answers.push(await send(service, '/api/chat', request));
    expect(new Set(answers.map(({ status, text }) => `${status} ${JSON.parse(text).content}`))).toEqual(
      new Set(['200 Once.']),
    );
    expect(linesOf(await getSession(service, id))).toEqual(['user: Hi.', 'assistant: Once.']);
    await deleteSession(service, id);
    expect((await send(service, '/api/chat', request)).status).toBe(200);
  });

  test('names files without their content, and keeps images for models that see', async () => {
    const { service } = await startChat([{ text: 'Seen.' }]);
    const { id } = await createSession(service);
    const more = { files: [{ file_name: 'a.txt', content: 'secret content' }] };
    await say(service, id, 'Look.', more);
    expect(linesOf(await getSession(service, id))[0]).toBe('user: Look.\n\n[Attached files: a.txt]');
  });
});

/** Two requests on one session, the first of which is held in the middle of its answer. */
async function startBusy(conflict: string, replies: { text: string }[], env: Record<string, string> = {}) {
  const middle = hold(1);
  const { service, fake } = await startChat([{ text: 'First answer here.', hold: middle }, ...replies], {
    SESSION_CONFLICT: conflict,
    ...env,
  });
  const { id } = await createSession(service);
  const first = await streamChat(service, { message: 'First.', session_id: id });
  await middle.reached;
  return { service, fake, id, first, middle };
}

describe('a second request on a busy session', () => {
  test('reject: gets 409 with an explanation and Retry-After, and is fine a moment later', async () => {
    const { service, id, first, middle } = await startBusy('reject', [{ text: 'Second.' }]);
    for (const path of ['/api/chat', '/api/chat/stream']) {
      const response = await fetch(service.url + path, jsonPost({ message: 'Second.', session_id: id }));
      expect(response.headers.get('retry-after')).toBe('1');
      expect(await problemOf(response)).toMatchObject({
        type: 'urn:paf:error:conflict',
        status: 409,
        detail:
          'This session is answering another message; one is answered at a time. Wait for its end, or cancel its run.',
      });
    }
    const other = await createSession(service);
    expect((await getSession(service, other.id)).status.is_processing).toBe(false);
    middle.release();
    await first.waitFor(({ event }) => event === 'complete');
    expect((await say(service, id, 'Second.')).status).toBe(200);
    expect(linesOf(await getSession(service, id))).toEqual([
      'user: First.',
      'assistant: First answer here.',
      'user: Second.',
      'assistant: Second.',
    ]);
  });

  test('reject: goes on as soon as the first one is cancelled', async () => {
    const { service, id, first } = await startBusy('reject', [{ text: 'Second.' }]);
    await cancelRun(service, first.runId);
    expect((await say(service, id, 'Second.')).status).toBe(200);
  });

  test('enqueue: waits its turn and knows what was said before', async () => {
    const { service, fake, id, first, middle } = await startBusy('enqueue', [
      { text: 'Second.' },
      { text: 'Third.' },
    ]);
    const second = await streamChat(service, { message: 'Second?', session_id: id });
    const third = await streamChat(service, { message: 'Third?', session_id: id });
    expect(fake.requests).toHaveLength(1);
    middle.release();
    expect(contentOf(await third.ended)).toBe('Third.');
    expect(contentOf(await second.ended)).toBe('Second.');
    await first.ended;
    expect(linesOf(await getSession(service, id))).toEqual([
      'user: First.',
      'assistant: First answer here.',
      'user: Second?',
      'assistant: Second.',
      'user: Third?',
      'assistant: Third.',
    ]);
    expect(roles(fake.requests[2]?.body)).toEqual([
      'system',
      'user',
      'assistant',
      'user',
      'assistant',
      'user',
    ]);
  });

  test('enqueue: one that leaves or is cancelled gives up its place', async () => {
    const { service, id, first, middle } = await startBusy('enqueue', [{ text: 'Last.' }]);
    const leaver = await streamChat(service, { message: 'Leaves.', session_id: id });
    leaver.abort();
    expect(namesOf(await endOf(service, leaver.runId))).toEqual(['error', 'done']);
    const cancelled = await streamChat(service, { message: 'Cancelled.', session_id: id });
    await cancelRun(service, cancelled.runId);
    const last = await streamChat(service, { message: 'Last.', session_id: id });
    // one that was cancelled before its turn tails on as anything does
    expect(namesOf(await endOf(service, cancelled.runId))).toEqual(['error', 'done']);
    middle.release();
    expect(contentOf(await last.ended)).toBe('Last.');
    await first.ended;
    expect(linesOf(await getSession(service, id))).toEqual([
      'user: First.',
      'assistant: First answer here.',
      'user: Last.',
      'assistant: Last.',
    ]);
  });

  test('enqueue: has a bound', async () => {
    const { service, id, first } = await startBusy('enqueue', []);
    const waiting = await Promise.all(
      Array.from({ length: 20 }, () => streamChat(service, { message: 'Waits.', session_id: id })),
    );
    const { status, text } = await say(service, id, 'One too many.');
    expect([status, JSON.parse(text).detail]).toEqual([
      409,
      '20 messages wait in this session already; try again later.',
    ]);
    for (const stream of [...waiting, first]) await cancelRun(service, stream.runId);
  });

  test('interrupt: ends the first one and answers the second', async () => {
    const { service, id, first } = await startBusy('interrupt', [{ text: 'Second.' }]);
    const second = await streamChat(service, { message: 'Second?', session_id: id });
    expect(contentOf(await second.ended)).toBe('Second.');
    expect((await first.ended).at(-2)?.data).toMatchObject({
      error_type: 'cancelled',
      error: 'The run was cancelled because a newer message came to its session.',
    });
    expect(linesOf(await getSession(service, id))).toEqual([
      'user: First.',
      'assistant: First …',
      'user: Second?',
      'assistant: Second.',
    ]);
  });

  test('deleting the session ends its runs', async () => {
    const { service, id, first } = await startBusy('enqueue', []);
    const second = await streamChat(service, { message: 'Second?', session_id: id });
    expect((await deleteSession(service, id)).status).toBe(204);
    for (const stream of [first, second]) {
      expect((await stream.ended).at(-2)?.data).toMatchObject({ error_type: 'cancelled' });
    }
    expect((await send(service, `/api/sessions/${id}`)).status).toBe(404);
  });

  test('a place is not lost to a request that is refused', async () => {
    const { service } = await startChat([{ text: 'Fine.' }]);
    const { id } = await createSession(service);
    expect((await say(service, id, 'Hi.', { model: 'nope' })).status).toBe(400);
    expect((await say(service, id, 'Hi.', { tools: ['nope'] })).status).toBe(400);
    expect((await say(service, id, 'Hi.')).status).toBe(200);
  });
});

describe('history', () => {
  const secondModel = async () => {
    const claude = await useFakeAnthropic({ requireScript: true });
    const env = { ANTHROPIC_API_KEY: 'sk-ant', ANTHROPIC_BASE_URL: claude.url };
    return { claude, env };
  };

  test('goes on with another vendor, and back', async () => {
    const { claude, env } = await secondModel();
    claude.script({ text: 'I am Claude.', toolCalls: [{ ...call, id: 'toolu_1' }] }, { text: 'Still 42.' });
    const { service, fake } = await startChat(
      [{ text: 'Hm.', toolCalls: [{ ...call, id: 'call.odd:1' }] }, { text: 'It is 42.' }, { text: 'Back.' }],
      env,
    );
    const { id } = await createSession(service);
    await say(service, id, 'What is 6*7?', { provider: 'openai' });
    const other = await say(service, id, 'And now?', { provider: 'anthropic' });
    expect([other.status, JSON.parse(other.text).provider]).toEqual([200, 'anthropic']);
    const back = await say(service, id, 'And you?', { provider: 'openai' });
    expect(JSON.parse(back.text).content).toBe('Back.');
    expect(roles(fake.requests.at(-1)?.body)).toEqual([
      'system',
      'user',
      'assistant',
      'tool',
      'assistant',
      'user',
      'assistant',
      'tool',
      'assistant',
      'user',
    ]);
    expect(claude.requests.length).toBe(2);
  });

  async function survivesRestart(env: Record<string, string>, between = async () => {}): Promise<void> {
    const fake = await useFakeLlm({ requireScript: true });
    fake.script({ text: 'Nice to meet you.' }, { text: 'Ada.' });
    const settings = { ...fakeModelEnv(fake.url), ...env };
    const first = await startService(settings);
    const { id } = await createSession(first);
    await say(first, id, 'My name is Ada.');
    await first.close();
    await between();
    const second = await startService(settings);
    await say(second, id, 'What is my name?');
    expect(roles(fake.requests[1]?.body)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(linesOf(await getSession(second, id))).toEqual([
      'user: My name is Ada.',
      'assistant: Nice to meet you.',
      'user: What is my name?',
      'assistant: Ada.',
    ]);
  }

  test('survives a restart on files', async () => {
    await survivesRestart({ MEMORY_BACKEND: 'filesystem', MEMORY_FILESYSTEM_PATH: useFolder() });
  });

  test.skipIf(!hasRedis)('survives a restart on Redis, and one of Redis', async () => {
    const redis = await useRedis();
    await survivesRestart({ MEMORY_BACKEND: 'redis', REDIS_URL: redis.url }, async () => {
      await redis.stop();
      await redis.start();
    });
  });
});

test('a long conversation is summed up once, and goes on from the summary', async () => {
  const service = await startService();
  const { sessions } = service.services;
  const { id } = await createSession(service);
  const { signal } = new AbortController();
  const messages = Array.from({ length: 30 }, (_, n) => [
    { message: { role: 'user' as const, content: `Question ${n}? ${`detail ${n} `.repeat(60)}` } },
    {
      message: { role: 'assistant' as const, content: [{ type: 'text' as const, text: `Answer ${n}.` }] },
    },
  ]).flat();
  await sessions.append(anonymous, id, { messages }, signal);
  const small = { context_window_size: 4_000 };
  expect((await say(service, id, 'And now?', small)).status).toBe(200);
  const { entries } = await sessions.read(anonymous, id, signal);
  const compactions = entries.filter(({ type }) => type === 'compaction');
  expect(compactions).toHaveLength(1);
  const [first, ...rest] = historyOf(entries).map(({ message }) => message);
  expect(first).toEqual({ role: 'user', content: expect.stringContaining('Summary') });
  expect(rest.length).toBeLessThan(40);
  expect(rest.at(-2)).toEqual({ role: 'user', content: 'And now?' });
  // nothing is lost to the reader
  expect((await getSession(service, id)).messages).toHaveLength(62);
  expect((await say(service, id, 'And then?')).status).toBe(200);
});

describe('storage that fails', () => {
  const errorOf = (text: string) => {
    const { type, status, detail } = JSON.parse(text);
    return { type, status, detail };
  };
  const full = {
    type: 'urn:paf:error:session_unavailable',
    status: 503,
    detail: 'The session could not be saved: the disk is full.',
  };
  const onFiles = (folder: string) => ({ MEMORY_BACKEND: 'filesystem', MEMORY_FILESYSTEM_PATH: folder });
  const healthOf = async (service: TestService) => JSON.parse((await send(service, '/api/health')).text);

  test.skipIf(!canMount)(
    'a full disk: refused before the model is asked, or said at the end; nothing old is lost',
    async () => {
      const folder = useDisk(4 * 1024 * 1024);
      // more than what is left of a page that is in use
      const long = Array.from({ length: 2_000 }, (_, n) => ` ${n}`).join('');
      const middle = hold(1);
      const { service, fake } = await startChat(
        [{ text: 'Old.' }, { chunks: ['Lost answer.', long], hold: middle }, { text: 'New.' }],
        onFiles(folder),
      );
      const { id } = await createSession(service);
      await say(service, id, 'First.');
      const stream = await streamChat(service, { message: 'Second.', session_id: id });
      await middle.reached;
      fillDisk(folder);
      middle.release();
      const events = await stream.ended;
      expect(contentOf(events)).toBe(`Lost answer.${long}`);
      expect(events.at(-2)).toMatchObject({
        event: 'error',
        data: { error_type: 'session_unavailable', retryable: true, error: full.detail },
      });
      const refused = await say(service, id, 'Third.');
      expect(errorOf(refused.text)).toEqual(full);
      expect(refused.headers.get('retry-after')).toBe('1');
      expect(fake.requests).toHaveLength(2);
      expect(await healthOf(service)).toMatchObject({
        status: 'degraded',
        services: { 'sessions:filesystem': { status: 'unhealthy', error: 'the disk is full' } },
      });
      expect((await send(service, '/api/health/ready')).status).toBe(200);
      expect(linesOf(await getSession(service, id))).toEqual(['user: First.', 'assistant: Old.']);
      rmSync(join(folder, 'ballast'));
      expect((await say(service, id, 'Fourth.')).status).toBe(200);
      expect(linesOf(await getSession(service, id)).slice(2)).toEqual(['user: Fourth.', 'assistant: New.']);
      expect((await healthOf(service)).status).toBe('healthy');
    },
  );

  test.skipIf(!hasRedis)('Redis that goes away and comes back: only sessions notice', async () => {
    const redis = await useRedis();
    const { service } = await startChat([{ text: 'Old.' }, { text: 'Free.' }, { text: 'Back.' }], {
      MEMORY_BACKEND: 'redis',
      REDIS_URL: redis.url,
    });
    const { id } = await createSession(service);
    await say(service, id, 'First.');
    await redis.stop();
    const refused = await say(service, id, 'Second.');
    expect(errorOf(refused.text)).toEqual({
      ...full,
      detail: 'The session could not be read: the session storage cannot be reached.',
    });
    const health = await healthOf(service);
    expect(health.services['sessions:redis']).toMatchObject({
      status: 'unhealthy',
      error: 'cannot be reached',
    });
    expect((await send(service, '/api/health/ready')).status).toBe(200);
    expect((await send(service, '/api/chat', jsonPost({ message: 'Hi.' }))).status).toBe(200);
    await redis.start();
    await expect.poll(async () => (await healthOf(service)).status, { timeout: 5_000 }).toBe('healthy');
    expect((await say(service, id, 'Third.')).status).toBe(200);
    expect(linesOf(await getSession(service, id))).toEqual([
      'user: First.',
      'assistant: Old.',
      'user: Third.',
      'assistant: Back.',
    ]);
  });

  test.skipIf(!hasRedis)('Redis that hangs costs a request two seconds, not more', async () => {
    const redis = await useRedis();
    const service = await startService({ MEMORY_BACKEND: 'redis', REDIS_URL: redis.url });
    redis.pause();
    const startedMs = performance.now();
    const { status, text } = await send(service, '/api/sessions');
    expect([status, errorOf(text).detail]).toEqual([
      503,
      'The session could not be read: the session storage does not answer.',
    ]);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
    redis.resume();
  });

  test.skipIf(!hasRedis)('Redis that comes up after the start is used from then on', async () => {
    const redis = await useRedis();
    await redis.stop();
    const service = await startService({ MEMORY_BACKEND: 'redis', REDIS_URL: redis.url });
    expect((await send(service, '/api/sessions')).status).toBe(503);
    expect(service.logs.filter(({ msg }) => msg === 'the session storage is not available')).toMatchObject([
      { level: 40, reason: 'cannot be reached' },
    ]);
    await redis.start();
    await expect
      .poll(async () => (await send(service, '/api/sessions')).status, { timeout: 5_000 })
      .toBe(200);
  });

  test('Redis that is not there at the start does not keep the service from starting', async () => {
    const service = await startService({ MEMORY_BACKEND: 'redis', REDIS_URL: 'redis://:hush@127.0.0.1:1' });
    const { status, text } = await send(service, '/api/sessions', { method: 'POST' });
    expect([status, errorOf(text).detail]).toEqual([
      503,
      'The session could not be saved: the session storage cannot be reached.',
    ]);
    expect((await send(service, '/api/chat', jsonPost({ message: 'Hi.' }))).status).toBe(200);
    expect(JSON.stringify([service.logs, await healthOf(service)])).not.toContain('hush');
  });
});
