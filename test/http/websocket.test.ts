import { expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { endOf, namesOf, resume, startChat } from '../helpers/chat.ts';
import { contentOf, startService, streamChat } from '../helpers/service.ts';
import { createSession, getSession, linesOf } from '../helpers/sessions.ts';
import { openSocket, socketUrl, textOf, typesOf } from '../helpers/socket.ts';

const ask = { type: 'query', prompt: 'Say hello to me.' };
const hello = { text: 'Hello there, my good old friend.' };
const calling = {
  text: 'Let me see.',
  toolCalls: [{ id: 'c1', name: 'calculator', arguments: '{"expression":"1+2"}' }],
};

test('a query is answered frame by frame, each numbered, in a session of its own', async () => {
  const { service } = await startChat([calling, { text: 'It is 3.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'How much is 1+2?' });
  const frames = await client.until('complete', 'error');
  const [{ sessionId, runId } = {}] = frames;
  expect(sessionId).toMatch(/^sess_[0-9a-f]{32}$/);
  expect(runId).toMatch(/^run_[0-9a-f]{32}$/);
  const timestamp = expect.any(Number);
  const calls = frames.findIndex(({ type }) => type === 'tool_call');
  const base = (index: number) => ({ sessionId, runId, seq: index + 1, timestamp });
  expect(frames[0]).toEqual({ ...base(0), type: 'chunk', content: 'Let', revision: 0 });
  expect(frames[calls]).toEqual({
    ...base(calls),
    type: 'tool_call',
    toolCall: { id: 'c1', name: 'calculator', arguments: { expression: '1+2' } },
  });
  expect(frames[calls + 1]).toEqual({
    ...base(calls + 1),
    type: 'tool_result',
    toolResult: {
      id: 'c1',
      name: 'calculator',
      result: '3',
      is_error: false,
      duration_ms: expect.any(Number),
    },
  });
  expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
  expect(textOf(frames)).toBe('Let me see.\n\nIt is 3.');
  expect(frames.at(-1)).toMatchObject({
    ...base(frames.length - 1),
    type: 'complete',
    model: 'fake-model',
    provider: 'openai',
    usage: { output_tokens: expect.any(Number) },
    finish_reason: 'stop',
    exit_reason: 'completed',
    evaluation: { passed: true },
    attempts: [{ outcome: 'ok' }, { outcome: 'ok' }],
  });
});

test('the frames are the events that the same run has over SSE', async () => {
  const { service } = await startChat([calling, { text: 'It is 3.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'How much is 1+2?', show_thinking: true });
  const frames = await client.until('complete');
  const events = await endOf(service, frames[0]?.runId ?? '');
  const sseName = (type: string) => (type === 'chunk' ? 'content' : type);
  expect(frames.map(({ seq, type }) => [seq, sseName(type)])).toEqual(
    events.slice(0, -1).map(({ id, event }) => [id, event]),
  );
  expect(events.at(-1)).toMatchObject({ id: frames.length + 1, event: 'done' });
  expect(textOf(frames)).toBe(contentOf(events));
  expect(frames[0]).toMatchObject(events[0]?.data ?? {});
  const { run_id, session_id, ...facts } = events.at(-2)?.data ?? {};
  expect(frames.at(-1)).toEqual({
    ...facts,
    type: 'complete',
    runId: run_id,
    sessionId: session_id,
    seq: frames.length,
  });
});

test('a session goes on with its id; one that nobody holds is made, somebody else has none', async () => {
  const { service, fake } = await startChat([{ text: 'Hello Ada.' }, { text: 'You are Ada.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'I am Ada.', sessionId: 'my/../own id' });
  await client.until('complete');
  client.send({ ...ask, prompt: 'Who am I?', sessionId: 'my/../own id' });
  const frames = await client.until('complete');
  expect(new Set(frames.map(({ sessionId }) => sessionId))).toEqual(new Set(['my/../own id']));
  expect(fake.requests[1]?.body.messages.slice(1)).toEqual([
    { role: 'user', content: 'I am Ada.' },
    { role: 'assistant', content: 'Hello Ada.' },
    { role: 'user', content: 'Who am I?' },
  ]);
  const { sessions } = service.services;
  const signal = new AbortController().signal;
  await sessions.create({ tenant: 'other', subject: 'eve' }, { id: 'taken' }, signal);
  client.send({ ...ask, sessionId: 'taken' });
  expect(await client.until('complete', 'error')).toMatchObject([
    { type: 'error', sessionId: 'taken', error_type: 'not_found', retryable: false },
  ]);
  client.send({ type: 'clear', sessionId: 'taken' });
  expect(await client.until('error')).toMatchObject([{ sessionId: 'taken', error_type: 'not_found' }]);
  expect(fake.requests.length).toBe(2);
});

test('clear forgets what was said and keeps the id', async () => {
  const { service, fake } = await startChat([{ text: 'Hello Ada.' }, { text: 'I do not know.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'I am Ada.' });
  const sessionId = (await client.until('complete'))[0]?.sessionId ?? '';
  client.send({ type: 'clear', sessionId });
  expect(await client.until('cleared', 'error')).toEqual([{ type: 'cleared', sessionId }]);
  client.send({ ...ask, prompt: 'Who am I?', sessionId });
  await client.until('complete');
  expect(fake.requests[1]?.body.messages.slice(1)).toEqual([{ role: 'user', content: 'Who am I?' }]);
});

test('history of a query without a session is where its session begins', async () => {
  const { service } = await startChat([{ text: 'You are Ada.' }]);
  const client = await openSocket(service);
  const history = [
    { role: 'user', content: 'I am Ada.' },
    { role: 'assistant', content: 'Hello.' },
  ];
  client.send({ ...ask, prompt: 'Who am I?', history });
  const [{ sessionId = '' } = {}] = await client.until('complete');
  expect(linesOf(await getSession(service, sessionId))).toEqual([
    'user: I am Ada.',
    'assistant: Hello.',
    'user: Who am I?',
    'assistant: You are Ada.',
  ]);
  client.send({ ...ask, history, sessionId });
  expect(await client.until('error')).toMatchObject([
    { error: 'history must not come together with sessionId.', errors: [{ path: 'history' }] },
  ]);
});

test('started on one socket, followed by a second, cancelled from a third', async () => {
  const middle = hold(2);
  const { service, fake } = await startChat([{ ...hello, hold: middle }]);
  const [starter, viewer, other] = await Promise.all([1, 2, 3].map(() => openSocket(service)));
  if (!starter || !viewer || !other) throw new Error('no sockets');
  starter.send(ask);
  const { runId } = await starter.waitFor(({ seq }) => seq === 2);
  viewer.send({ type: 'resume', runId, after: 1 });
  await viewer.waitFor(({ seq }) => seq === 2);
  other.send({ type: 'cancel', runId });
  const frames = await starter.until('complete', 'error');
  expect(typesOf(frames)).toEqual(['chunk', 'chunk', 'error']);
  expect(frames[2]).toMatchObject({ runId, seq: 3, error_type: 'cancelled', retryable: false });
  expect(await viewer.until('error')).toEqual(frames.slice(1));
  expect(other.frames).toEqual([]);
  await fake.waitForAbort();
});

test('cancel without a run means the newest live one of the socket, even right after its query', async () => {
  const { service } = await startChat([{ ...hello, hold: hold(1) }]);
  const client = await openSocket(service);
  client.send(ask);
  const first = await client.waitFor(({ type }) => type === 'chunk');
  client.wire.cork();
  client.send({ ...ask, prompt: 'Say it again.' });
  client.send({ type: 'cancel' });
  client.wire.uncork();
  const error = await client.waitFor(({ type }) => type === 'error');
  expect(error).toMatchObject({ error_type: 'cancelled' });
  expect(error.runId).not.toBe(first.runId);
  client.send({ type: 'cancel' });
  await client.waitFor(({ type, runId }) => type === 'error' && runId === first.runId);
  client.send({ type: 'cancel' });
  expect(await client.waitFor(({ type, runId }) => type === 'error' && runId === undefined)).toMatchObject({
    error: 'No run is under way on this socket.',
    error_type: 'not_found',
  });
});

test('what is said by steer is heard before the next call to the model', async () => {
  const pause = hold(1);
  const { service, fake } = await startChat([{ ...calling, hold: pause }, { text: 'Trois.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'How much is 1+2?' });
  const { runId } = await client.waitFor(({ type }) => type === 'chunk');
  const other = await openSocket(service);
  other.send({ type: 'steer', runId, content: 'Answer in French.' });
  for (let count = 1; count < 17; count += 1) other.send({ type: 'steer', runId, content: 'Really.' });
  expect(await other.until('error')).toMatchObject([{ runId, error_type: 'overloaded', retryable: true }]);
  pause.release();
  await client.until('complete');
  const heard = fake.requests[1]?.body.messages.filter(({ role }) => role === 'user');
  expect(heard?.slice(1, 3)).toEqual([
    { role: 'user', content: 'Answer in French.' },
    { role: 'user', content: 'Really.' },
  ]);
  expect(heard?.length).toBe(17);
  other.send({ type: 'steer', runId, content: 'Too late.' });
  expect(await other.until('error')).toMatchObject([{ runId, error_type: 'conflict' }]);
});

test('resume after each number gives exactly the rest', async () => {
  const { service } = await startChat([calling, { text: 'It is 3.' }]);
  const client = await openSocket(service);
  client.send({ ...ask, prompt: 'How much is 1+2?' });
  const frames = await client.until('complete');
  const [{ runId } = {}] = frames;
  for (let after = 0; after < frames.length; after += 1) {
    const again = await openSocket(service);
    again.send({ type: 'resume', runId, after });
    expect(await again.until('complete', 'error')).toEqual(frames.slice(after));
    // at the end there is nothing more
    again.send({ type: 'resume', runId, after: frames.length });
    again.send({ type: 'resume', runId, after: frames.length + 1 });
    again.send({ type: 'resume', runId, after: frames.length + 2 });
    expect(await again.until('error')).toMatchObject([
      { runId, errors: [{ path: 'after', message: `is beyond the newest event, ${frames.length + 1}` }] },
    ]);
    again.socket.terminate();
  }
});

test('a live run is cut at each number and resumed: nothing is lost and nothing comes twice', async () => {
  const words = Array.from({ length: 12 }, (_, index) => `word${index} `);
  const pauses = words.map((_, index) => hold(index + 1));
  const { service } = await startChat(pauses.map((pause) => ({ chunks: words, hold: pause })));
  for (const [index, pause] of pauses.entries()) {
    const first = await openSocket(service);
    first.send({ ...ask, on_disconnect: 'continue' });
    const { runId = '', seq: after = 0 } = await first.waitFor(({ seq }) => seq === index + 1);
    first.socket.terminate();
    const second = await openSocket(service);
    second.send({ type: 'resume', runId, after });
    pause.release();
    const rest = await second.until('complete', 'error');
    const all = [...first.frames, ...rest];
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => at + 1));
    expect(textOf(all)).toBe(words.join(''));
    second.socket.terminate();
  }
});

test('a socket that resumes a run it follows already starts afresh from there', async () => {
  const middle = hold(3);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const client = await openSocket(service);
  client.send(ask);
  const { runId } = await client.waitFor(({ seq }) => seq === 3);
  client.send({ type: 'resume', runId, after: 1 });
  await client.waitFor(() => client.frames.length === 5);
  middle.release();
  await client.until('complete', 'error');
  const numbers = client.frames.map(({ seq }) => seq);
  expect(numbers).toEqual([1, 2, 3, ...numbers.slice(3).map((_, index) => index + 2)]);
  expect(numbers.at(-1)).toBeGreaterThan(4);
});

test('a socket follows several runs at once, sixteen at most', async () => {
  const pauses = Array.from({ length: 16 }, () => hold(1));
  const { service } = await startChat(
    pauses.map((pause, index) => ({ chunks: ['One ', `two ${index}.`], hold: pause })),
  );
  const client = await openSocket(service);
  for (let count = 0; count < 17; count += 1) client.send(ask);
  expect(await client.waitFor(({ type }) => type === 'error')).toMatchObject({
    error_type: 'overloaded',
    retryable: true,
  });
  await client.waitFor(() => client.frames.filter(({ seq }) => seq === 1).length === 16);
  for (const pause of pauses) pause.release();
  await client.waitFor(() => client.frames.filter(({ type }) => type === 'complete').length === 16);
  const byRun = Map.groupBy(
    client.frames.filter(({ runId }) => runId),
    ({ runId }) => runId,
  );
  expect(byRun.size).toBe(16);
  for (const frames of byRun.values()) {
    expect(frames.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(textOf(frames)).toMatch(/^One two \d+\.$/);
  }
  expect(new Set([...byRun.values()].map(textOf)).size).toBe(16);
  expect(new Set(client.frames.map(({ sessionId }) => sessionId)).size).toBe(17);
});

test('a run of HTTP can be followed, and one of a socket read over HTTP', async () => {
  const middle = hold(2);
  const { service } = await startChat([{ ...hello, hold: middle }, hello]);
  const stream = await streamChat(service, { message: 'Say hello to me.' });
  await stream.waitFor(({ id }) => id === 2);
  const client = await openSocket(service);
  client.send({ type: 'resume', runId: stream.runId, after: 0 });
  await client.waitFor(({ seq }) => seq === 2);
  stream.abort();
  await expect
    .poll(async () => (await service.services.metrics.streamReaders.get()).values[0]?.value)
    .toBe(0);
  middle.release();
  const frames = await client.until('complete', 'error');
  expect(textOf(frames)).toBe(hello.text);
  expect('sessionId' in (frames[0] ?? {})).toBe(false);
  client.send(ask);
  const [{ runId = '' } = {}] = await client.until('complete');
  expect(namesOf(await (await resume(service, runId, 0)).ended).at(-2)).toBe('complete');
});

test('a busy session refuses the second query with a conflict', async () => {
  const middle = hold(1);
  const { service } = await startChat([{ ...hello, hold: middle }]);
  const { id: sessionId } = await createSession(service);
  const client = await openSocket(service);
  client.send({ ...ask, sessionId });
  client.send({ ...ask, sessionId });
  const error = await client.waitFor(({ type }) => type === 'error');
  expect(error).toMatchObject({ sessionId, error_type: 'conflict', retryable: true });
  expect('runId' in error).toBe(false);
  middle.release();
  await client.waitFor(({ type }) => type === 'complete');
});

test('a revision is a frame of its own', async () => {
  const { service } = await startChat([{ text: 'That is no JSON.' }, { text: '{"greeting":"hello"}' }]);
  const client = await openSocket(service);
  client.send({ ...ask, allow_revision: true, response_format: { type: 'json_object' } });
  const frames = await client.until('complete');
  const revision = frames.findIndex(({ type }) => type === 'revision');
  expect(frames[revision]).toMatchObject({ seq: revision + 1, revision: 1, reason: expect.any(String) });
  expect(textOf(frames.slice(revision))).toBe('{"greeting":"hello"}');
});

test('works with the WebSocket that is built into Node', async () => {
  const { service } = await startChat([hello]);
  const socket = new WebSocket(socketUrl(service));
  const text = await new Promise<string>((resolve, reject) => {
    let answer = '';
    socket.onopen = () => socket.send(JSON.stringify(ask));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === 'chunk') answer += frame.content;
      if (frame.type === 'complete') resolve(answer);
    };
    socket.onerror = reject;
  });
  socket.close();
  expect(text).toBe(hello.text);
});

test('a hundred sockets are answered at once, and counted', async () => {
  const service = await startService();
  const gauge = async () => (await service.services.metrics.webSockets.get()).values[0]?.value;
  const clients = await Promise.all(Array.from({ length: 100 }, () => openSocket(service)));
  expect(await gauge()).toBe(100);
  for (const client of clients) client.send({ ...ask, effort: 'quick' });
  const answers = await Promise.all(clients.map((client) => client.until('complete', 'error')));
  for (const frames of answers) {
    expect(frames.at(-1)?.type).toBe('complete');
    expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
    expect(textOf(frames)).not.toBe('');
  }
  for (const { socket } of clients) socket.close();
  await expect.poll(gauge).toBe(0);
});
