import { readFileSync } from 'node:fs';
import { EventSource } from 'eventsource';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { eventsUrl, startChat } from '../helpers/chat.ts';
import { jsonPost, type TestService } from '../helpers/service.ts';
import { type Frame, openSocket, textOf } from '../helpers/socket.ts';
import { bearer, jwtEnv, tokenOf } from '../helpers/tokens.ts';

/** A loaded machine may stop the test itself for longer than the promised time. */
const timed = { retry: 2 };

const ann = { tenant: 'acme', subject: 'ann' };
const graceMs = 200;
const env = { ...jwtEnv, AUTH_GRACE: String(graceMs / 1000) };

/** A token that ends so soon, and when a reader with it has to go, in epoch milliseconds. */
function shortToken(lifeMs = 300) {
  const expiresAt = Date.now() + lifeMs;
  return {
    headers: bearer(ann, expiresAt / 1000),
    token: tokenOf(ann, expiresAt / 1000),
    endsAt: expiresAt + graceMs,
  };
}

const words = ['Hello ', 'there, ', 'my ', 'good ', 'old ', 'friend.'];

/** The text of an answer to its end, and when that came. */
async function readAll(response: Response) {
  expect(response.status).toBe(200);
  const text = await response.text();
  return { text, endedAt: Date.now() };
}

const runOf = async (service: TestService, id: string) =>
  (await (await fetch(`${service.url}/api/runs/${id}`, { headers: bearer(ann) })).json()) as {
    status: string;
  };

/** What a stream ends with when its reader's token has. */
function expectExpired({ text, endedAt }: { text: string; endedAt: number }, endsAt: number, runId: string) {
  expect(endedAt).toBeGreaterThanOrEqual(endsAt);
  expect(endedAt - endsAt).toBeLessThan(250);
  const [last = '', done] = text.split('\n\n').slice(-3);
  expect(done).toBe('event: done\ndata: [DONE]');
  expect(text.endsWith('\n\n')).toBe(true);
  const [event, data = ''] = last.split('\ndata: ');
  expect(event).toBe('event: error');
  expect(JSON.parse(data)).toEqual({
    error: 'The token has expired; resume with a new one, or ask again.',
    error_type: 'unauthorized',
    retryable: true,
    request_id: 'my-request',
    run_id: runId,
    timestamp: expect.any(Number),
  });
  const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  expect(ids).toEqual(ids.map((_, index) => index + 1));
  return ids.length;
}

test(
  'a stream ends after the token and its grace, and the run that nobody reads is cancelled',
  timed,
  async () => {
    const { service, fake } = await startChat([{ chunks: words, hold: hold(3) }], env);
    const { headers, endsAt } = shortToken();
    const response = await fetch(
      `${service.url}/api/chat/stream`,
      jsonPost({ message: 'Say hello.' }, { ...headers, 'x-request-id': 'my-request' }),
    );
    const runId = response.headers.get('x-run-id') ?? '';
    expect(expectExpired(await readAll(response), endsAt, runId)).toBe(3);
    expect((await fake.waitForAbort()).at).toBeTypeOf('number');
    await expect.poll(async () => (await runOf(service, runId)).status).toBe('cancelled');
    expect(await (await fetch(`${service.url}/metrics`)).text()).toContain(
      'paf_errors_total{type="unauthorized"} 1\n',
    );
  },
);

test('a run that is to continue does so, and a fresh token reads on without loss', timed, async () => {
  const middle = hold(3);
  const { service } = await startChat([{ chunks: words, hold: middle }], env);
  const { headers, endsAt } = shortToken();
  const response = await fetch(
    `${service.url}/api/chat/stream`,
    jsonPost(
      { message: 'Say hello.', on_disconnect: 'continue' },
      { ...headers, 'x-request-id': 'my-request' },
    ),
  );
  const runId = response.headers.get('x-run-id') ?? '';
  const seen = expectExpired(await readAll(response), endsAt, runId);
  expect((await runOf(service, runId)).status).toBe('running');
  // the clocks' leeway lets the old token in, but not for long
  const stale = await readAll(await fetch(eventsUrl(service, runId), { headers }));
  expect(stale.text).toMatch(
    /\n\nevent: error\ndata: .*"error_type":"unauthorized".*\n\nevent: done\ndata: \[DONE\]\n\n$/,
  );
  expect((await runOf(service, runId)).status).toBe('running');
  middle.release();
  const rest = await fetch(eventsUrl(service, runId), {
    headers: { ...bearer(ann), 'last-event-id': String(seen) },
  });
  const { text } = await readAll(rest);
  expect(text).toContain(`id: ${seen + 1}\nevent: content\ndata: {"content":"good "`);
  expect(text).toMatch(/event: complete\n/);
});

test('an EventSource that gets a fresh token for each connection misses nothing', timed, async () => {
  const middle = hold(3);
  const { service } = await startChat([{ chunks: words, hold: middle }], env);
  const started = await fetch(
    `${service.url}/api/chat/stream`,
    jsonPost({ message: 'Say hello.', on_disconnect: 'continue' }, bearer(ann)),
  );
  await started.body?.cancel();
  const runId = started.headers.get('x-run-id') ?? '';
  const cursors: (string | null)[] = [];
  const fetchWithToken = async (url: string | URL, init: RequestInit) => {
    const headers = new Headers(init.headers);
    cursors.push(headers.get('last-event-id'));
    headers.set(
      'authorization',
      (cursors.length === 1 ? shortToken() : shortToken(60_000)).headers.authorization,
    );
    return fetch(url, { ...init, headers });
  };
  const source = new EventSource(eventsUrl(service, runId), { fetch: fetchWithToken as never });
  onTestFinished(() => source.close());
  const seen: { id: string; event: string; content?: string; error_type?: string }[] = [];
  const completed = new Promise<void>((resolve) => {
    for (const event of ['content', 'error', 'complete', 'done']) {
      source.addEventListener(event, (message: { data?: string; lastEventId?: string }) => {
        // without data it is what the client itself says of its connection
        if (message.data === undefined) return;
        const data = event === 'done' ? {} : JSON.parse(message.data);
        seen.push({
          id: message.lastEventId ?? '',
          event,
          content: data.content,
          error_type: data.error_type,
        });
        if (event === 'error') middle.release();
        if (event === 'complete') resolve();
      });
    }
  });
  await completed;
  expect(cursors).toEqual([null, '3']);
  const events = seen.map(({ id, event }) => `${id} ${event}`);
  expect(events.slice(0, 6)).toEqual([
    '1 content',
    '2 content',
    '3 content',
    '3 error',
    '3 done',
    '4 content',
  ]);
  expect(seen[3]).toMatchObject({ error_type: 'unauthorized' });
  expect(seen.map(({ content = '' }) => content).join('')).toBe(words.join(''));
});

test('a call to the model for an agent elsewhere ends too', timed, async () => {
  const { service, fake } = await startChat([{ chunks: words, hold: hold(3) }], env);
  const { headers, endsAt } = shortToken();
  const body = {
    model: { provider: 'openai', id: 'fake-model' },
    context: { messages: [{ role: 'user', content: 'Say hello.' }] },
  };
  const asked = jsonPost(body, { ...headers, 'x-request-id': 'my-request' });
  const response = await fetch(`${service.url}/api/agent`, asked);
  expectExpired(await readAll(response), endsAt, response.headers.get('x-run-id') ?? '');
  await fake.waitForAbort();
});

test('a JSON answer just finishes, and the next request of its connection needs a token of its own', async () => {
  const middle = hold(3);
  const { service } = await startChat([{ chunks: words, hold: middle }], { ...env, AUTH_GRACE: '0' });
  const { headers, endsAt } = shortToken(100);
  const answer = fetch(`${service.url}/api/chat`, jsonPost({ message: 'Say hello.' }, headers));
  await middle.reached;
  await expect.poll(() => Date.now()).toBeGreaterThan(endsAt);
  middle.release();
  const response = await answer;
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ content: words.join('') });
  expect((await fetch(`${service.url}/api/sessions`)).status).toBe(401);
});

test('a stream that ends before its token is not touched', async () => {
  const { service } = await startChat([{ chunks: words }], env);
  const { headers } = shortToken(60_000);
  const response = await fetch(
    `${service.url}/api/chat/stream`,
    jsonPost({ message: 'Say hello.' }, headers),
  );
  const { text } = await readAll(response);
  expect(text).not.toContain('unauthorized');
  expect(text).toMatch(/event: complete\n.*\n\nid: \d+\nevent: done\ndata: \[DONE\]\n\n$/);
});

test(
  'a socket tells of each run that it follows, closes with 1008, and the next one reads on',
  timed,
  async () => {
    const pauses = [hold(2), hold(2)];
    const { service, fake } = await startChat(
      pauses.map((pause) => ({ chunks: words, hold: pause })),
      env,
    );
    const { token, endsAt } = shortToken(400);
    const client = await openSocket(service, {}, undefined, ['bearer', token]);
    for (const on_disconnect of ['continue', 'cancel']) {
      client.send({ type: 'query', prompt: 'Say hello.', on_disconnect });
      await client.waitFor(
        ({ seq, runId }) => seq === 2 && (on_disconnect === 'continue' || runId !== client.frames[0]?.runId),
      );
    }
    const [kept, dropped] = [client.frames.at(0), client.frames.at(-1)] as [Frame, Frame];
    expect(await client.closed).toBe(1008);
    expect(Date.now()).toBeGreaterThanOrEqual(endsAt);
    expect(Date.now() - endsAt).toBeLessThan(250);
    expect(client.reason()).toBe('The token has expired.');
    const told = client.frames.filter(({ type }) => type === 'error');
    expect(told).toEqual(
      [kept, dropped].map(({ runId, sessionId }) => ({
        type: 'error',
        runId,
        sessionId,
        error: 'The token has expired; resume with a new one, or ask again.',
        error_type: 'unauthorized',
        retryable: true,
        request_id: expect.any(String),
      })),
    );
    await fake.waitForAbort();
    expect((await runOf(service, kept.runId ?? '')).status).toBe('running');
    await expect.poll(async () => (await runOf(service, dropped.runId ?? '')).status).toBe('cancelled');
    const next = await openSocket(service, { headers: bearer(ann) });
    next.send({ type: 'resume', runId: kept.runId, after: 2 });
    pauses[0]?.release();
    await next.until('complete');
    expect(next.frames.map(({ seq }) => seq)).toEqual(next.frames.map((_, index) => index + 3));
    expect(textOf(client.frames.filter(({ runId }) => runId === kept.runId)) + textOf(next.frames)).toBe(
      words.join(''),
    );
  },
);

test('the page of docs/websocket.md reads on with a fresh token', timed, async () => {
  const middle = hold(3);
  const { service } = await startChat([{ chunks: words, hold: middle }], env);
  const docs = readFileSync(new URL('../../docs/websocket.md', import.meta.url), 'utf8');
  const [, code = ''] = /```js\n(let after.*?)```/s.exec(docs) ?? [];
  const tokens = [shortToken().token, shortToken(60_000).token];
  const socketUrls: unknown[] = [];
  const finished = Promise.withResolvers<void>();
  class PageSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      socketUrls.push(url);
      this.addEventListener('close', ({ code: closeCode }) => {
        if (closeCode === 1008) middle.release();
        else finished.resolve();
      });
    }
  }
  let shown = '';
  const errors: string[] = [];
  const page = new Function(
    'fetchToken',
    'show',
    'WebSocket',
    'console',
    code.replace('wss://paf.example.com', service.url.replace('http', 'ws')),
  );
  page(
    async () => tokens.shift(),
    (text: string) => {
      shown += text;
    },
    PageSocket,
    { error: (text: string) => errors.push(text) },
  );
  await finished.promise;
  expect(shown).toBe(words.join(''));
  expect(errors).toEqual(['The token has expired; resume with a new one, or ask again.']);
  expect(socketUrls).toHaveLength(2);
});

test('a stream and a socket that close before the token each leave no timer behind', async () => {
  const { service } = await startChat([{ chunks: words }], env);
  const { headers } = shortToken(500_000);
  const set = vi.spyOn(globalThis, 'setTimeout');
  const clear = vi.spyOn(globalThis, 'clearTimeout');
  onTestFinished(() => {
    set.mockRestore();
    clear.mockRestore();
  });
  const timers = () => set.mock.results.filter((_, at) => isNear(set.mock.calls[at]?.[1], 500_000 + graceMs));
  const isCleared = ({ value }: { value: unknown }) => clear.mock.calls.some(([timer]) => timer === value);
  const stream = await fetch(`${service.url}/api/chat/stream`, jsonPost({ message: 'Say hello.' }, headers));
  await readAll(stream);
  const client = await openSocket(service, { headers });
  expect(timers()).toHaveLength(2);
  client.socket.close();
  await client.closed;
  await expect.poll(() => timers().every(isCleared)).toBe(true);
});

const isNear = (ms: number | undefined, expected: number) =>
  ms !== undefined && Math.abs(ms - expected) < 10_000;

test('a peer that does not read is cut off all the same', timed, async () => {
  const { service, fake } = await startChat([{ chunks: words, hold: hold(2) }], env);
  const { headers, endsAt } = shortToken();
  const client = await openSocket(service, { headers });
  client.send({ type: 'query', prompt: 'Say hello.' });
  await client.until('chunk');
  client.wire.pause();
  const { at } = await fake.waitForAbort();
  expect(performance.timeOrigin + at - endsAt).toBeLessThan(250);
  client.wire.resume();
  expect(await client.closed).toBe(1008);
});

test('what a peer asked for and waits when its token expires is not done', timed, async () => {
  const { service } = await startChat([], env);
  const { headers } = shortToken();
  const client = await openSocket(service, { headers });
  const reached = Promise.withResolvers<void>();
  const { sessions } = service.services;
  const find = sessions.store.find.bind(sessions.store);
  sessions.store.find = async (...args) => {
    reached.resolve();
    await client.closed;
    return find(...args);
  };
  client.send({ type: 'clear', sessionId: 'mine' });
  await reached.promise;
  client.send({ type: 'query', prompt: 'Say hello.', on_disconnect: 'continue' });
  expect(await client.closed).toBe(1008);
  expect(client.frames).toEqual([]);
  await expect.poll(() => service.services.runs.activeCount).toBe(0);
});
