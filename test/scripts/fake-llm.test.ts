import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type FakeLlm, hold, type ScriptedReply, startFakeLlm } from '../../scripts/fake-llm/server.ts';
import { refusedUrl, useFakeLlm } from '../helpers/fake-llm.ts';

function clientOf(fake: { url: string }): OpenAI {
  return new OpenAI({ baseURL: fake.url, apiKey: 'test-key', maxRetries: 0, timeout: 2000 });
}

type Extra = Partial<ChatCompletionCreateParamsStreaming>;

function ask(fake: { url: string }, content = 'hello', extra: Extra = {}, signal?: AbortSignal) {
  return clientOf(fake).chat.completions.create(
    {
      model: 'fake-model',
      messages: [{ role: 'user', content }],
      stream_options: { include_usage: true },
      ...extra,
      stream: true,
    },
    { signal },
  );
}

type Seen = { chunks: ChatCompletionChunk[]; error: unknown };

/** Everything that the SDK yields, and what it throws. */
async function see(
  fake: { url: string },
  content?: string,
  extra?: Extra,
  signal?: AbortSignal,
): Promise<Seen> {
  const chunks: ChatCompletionChunk[] = [];
  try {
    for await (const chunk of await ask(fake, content, extra, signal)) chunks.push(chunk);
    return { chunks, error: undefined };
  } catch (error) {
    return { chunks, error };
  }
}

async function seeScripted(reply: ScriptedReply): Promise<Seen> {
  const fake = await useFakeLlm();
  fake.script(reply);
  return see(fake);
}

const textOf = ({ chunks }: Seen) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
const reasonsOf = ({ chunks }: Seen) =>
  chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []).join();
const toolDeltasOf = ({ chunks }: Seen) =>
  chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);

describe('the wire', () => {
  test('role delta, text, finish chunk, usage chunk, [DONE], end', async () => {
    const fake = await useFakeLlm();
    fake.script({ text: 'Hello there, friend.' });
    const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'x' }] };
    const response = await fetch(`${fake.url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...body, stream_options: { include_usage: true } }),
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const frames = (await response.text()).split('\n\n');
    expect(frames.splice(-2)).toEqual(['data: [DONE]', '']);
    const chunks = frames.map((frame) => JSON.parse(frame.replace(/^data: /, '')));
    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '' },
      { content: 'Hello' },
      { content: ' there,' },
      { content: ' friend.' },
      {},
      undefined,
    ]);
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason)).toEqual([
      null,
      null,
      null,
      null,
      'stop',
      undefined,
    ]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.object} ${chunk.created}`)).size).toBe(1);
  });

  test('no usage without include_usage', async () => {
    const fake = await useFakeLlm();
    const seen = await see(fake, 'hello', { stream_options: null });
    expect(reasonsOf(seen)).toBe('stop');
    expect(seen.chunks.every((chunk) => !('usage' in chunk))).toBe(true);
  });

  test('text, usage and finish reason as scripted', async () => {
    const seen = await seeScripted({
      chunks: ['a', 'b'],
      finishReason: 'length',
      usage: { prompt_tokens: 7, completion_tokens: 2 },
    });
    expect(textOf(seen)).toBe('ab');
    expect(reasonsOf(seen)).toBe('length');
    expect(seen.chunks.at(-1)?.usage).toEqual({ prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
  });

  test('usage may come with the finish reason or not at all', async () => {
    const withFinish = await seeScripted({ text: 'a', usagePlace: 'finish' });
    expect(withFinish.chunks.at(-1)).toMatchObject({
      choices: [{ finish_reason: 'stop' }],
      usage: { completion_tokens: 1 },
    });
    const without = await seeScripted({ text: 'a', usage: null });
    expect(without.chunks.every((chunk) => !chunk.usage)).toBe(true);
  });

  test.each(['reasoning_content', 'reasoning'] as const)('reasoning as %s', async (reasoningField) => {
    const seen = await seeScripted({ reasoning: ['let me', ' think'], reasoningField, text: 'Done.' });
    const deltas = seen.chunks.map((chunk) => chunk.choices[0]?.delta as Record<string, unknown> | undefined);
    expect(deltas.flatMap((delta) => delta?.[reasoningField] ?? [])).toEqual(['let me', ' think']);
    expect(textOf(seen)).toBe('Done.');
  });

  test('tool calls in fragments', async () => {
    const seen = await seeScripted({
      toolCalls: [
        { id: 'call_1', name: 'add', arguments: '{"a":1,"b":2}', fragments: 4 },
        { id: 'call_2', name: 'now', arguments: '{}', fragments: 1 },
      ],
    });
    const deltas = toolDeltasOf(seen);
    expect(deltas.map((delta) => delta.index)).toEqual([0, 0, 0, 0, 0, 1, 1]);
    expect(deltas[0]).toEqual({
      index: 0,
      id: 'call_1',
      type: 'function',
      function: { name: 'add', arguments: '' },
    });
    expect(
      deltas
        .slice(1, 5)
        .map((delta) => delta.function?.arguments)
        .join(''),
    ).toBe('{"a":1,"b":2}');
    expect(reasonsOf(seen)).toBe('tool_calls');
  });

  test('a whole answer when no stream is asked for', async () => {
    const fake = await useFakeLlm();
    fake.script({ text: 'Hi.', toolCalls: [{ id: 'c', name: 'now', arguments: '{}' }] });
    const completion = await clientOf(fake).chat.completions.create({
      model: 'fake-model',
      messages: [{ role: 'user', content: 'x' }],
    });
    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: 'Hi.',
        tool_calls: [{ id: 'c', function: { name: 'now', arguments: '{}' } }],
      },
    });
    expect(completion.usage?.completion_tokens).toBe(4);
  });

  test('the models list, with a fault when told so', async () => {
    const fake = await useFakeLlm({ contextWindow: 4096 });
    const list = await clientOf(fake).models.list();
    expect(list.data).toMatchObject([{ id: 'fake-model', object: 'model', max_model_len: 4096 }]);
    fake.models = [];
    expect((await clientOf(fake).models.list()).data).toEqual([]);
    fake.modelsFault = 'status:403';
    await expect(clientOf(fake).models.list()).rejects.toMatchObject({ status: 403 });
    expect(fake.modelRequests).toBe(3);
  });
});

describe('what strict servers refuse', () => {
  test.each([
    ['an orphan tool result', [{ role: 'tool', tool_call_id: 'x', content: '1' }], /preceding message/],
    [
      'an unanswered tool call',
      [
        {
          role: 'assistant',
          tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'user', content: 'and?' },
      ],
      /must be followed by tool messages.*x/,
    ],
  ] as const)('%s', async (_, messages, message) => {
    const fake = await useFakeLlm();
    const { error } = await see(fake, '', { messages: [...messages] as never });
    expect(error).toMatchObject({ status: 400, message: expect.stringMatching(message) });
  });

  test('a wrong key, a prompt that is too long, a broken body', async () => {
    const fake = await useFakeLlm({ apiKey: 'right', contextWindow: 50 });
    expect((await see(fake)).error).toMatchObject({ status: 401, code: 'invalid_api_key' });
    const headers = { authorization: 'Bearer right' };
    const post = (body: string) =>
      fetch(`${fake.url}/chat/completions`, { method: 'POST', headers, body }).then((response) =>
        response.json(),
      );
    const long = { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(400) }] };
    expect(await post(JSON.stringify(long))).toMatchObject({ error: { code: 'context_length_exceeded' } });
    expect(await post('{"model":')).toMatchObject({ error: { type: 'invalid_request_error' } });
  });
});

describe('faults as the SDK sees them', () => {
  test.each([400, 401, 403, 404, 409, 422, 429, 500, 503, 529])('status %i', async (status) => {
    const { error } = await seeScripted({ fault: { type: 'status', status } });
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status, error: { message: expect.stringContaining(`${status}`) } });
  });

  test('Retry-After and bodies that are no OpenAI error', async () => {
    const limited = await seeScripted({ fault: 'status:429:2' });
    expect((limited.error as APIError).headers?.get('retry-after')).toBe('2');
    for (const fault of ['status:502:html', 'status:500:garbage', 'status:503:empty']) {
      const { error } = await seeScripted({ fault });
      expect(error).toBeInstanceOf(APIError);
      expect((error as APIError).error).toBeUndefined();
    }
  });

  test('connection refused, and reset before headers', async () => {
    expect((await see({ url: await refusedUrl() })).error).toBeInstanceOf(APIConnectionError);
    expect((await seeScripted({ fault: 'reset' })).error).toBeInstanceOf(APIConnectionError);
  });

  test('no answer at all', async () => {
    const fake = await useFakeLlm();
    fake.script({ fault: 'hang' });
    const client = new OpenAI({ baseURL: fake.url, apiKey: 'k', maxRetries: 0, timeout: 100 });
    const call = client.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    });
    await expect(call).rejects.toBeInstanceOf(APIConnectionTimeoutError);
    await fake.waitForAbort();
  });

  test.each([0, 2])('a stall after %i deltas lasts until the client leaves', async (after) => {
    const fake = await useFakeLlm();
    fake.script({ text: 'one two three', fault: { type: 'stall', after } });
    const leave = new AbortController();
    const seen = see(fake, 'x', {}, leave.signal);
    await fake.waitForRequest();
    await expect(fake.waitForAbort(1, 100)).rejects.toThrow('no abort 1 within 100 ms');
    leave.abort();
    await fake.waitForAbort();
    expect(textOf(await seen)).toBe(['', 'one', 'one two'][after]);
  });

  test.each([0, 2])('a cut after %i deltas throws', async (after) => {
    const seen = await seeScripted({ text: 'one two three', fault: { type: 'cut', after }, delayMs: 1 });
    expect(seen.error).toMatchObject({ message: 'terminated' });
    expect(textOf(seen)).toBe(['', 'one', 'one two'][after]);
  });

  test.each(['end:2', 'end:2:done'])('%s looks complete and has no finish reason', async (fault) => {
    const seen = await seeScripted({ text: 'one two three', fault });
    expect(seen.error).toBeUndefined();
    expect(textOf(seen)).toBe('one two');
    expect(reasonsOf(seen)).toBe('');
  });

  test('broken JSON throws', async () => {
    vi.spyOn(console, 'error').mockReturnValue();
    onTestFinished(() => void vi.restoreAllMocks());
    const seen = await seeScripted({ text: 'one two three', fault: 'malformed:2' });
    expect(seen.error).toBeInstanceOf(SyntaxError);
    expect(textOf(seen)).toBe('one two');
  });

  test('an error object in the stream throws', async () => {
    const seen = await seeScripted({ text: 'one two three', fault: 'error:2' });
    expect(seen.error).toBeInstanceOf(APIError);
    expect(textOf(seen)).toBe('one two');
    const own = { error: { message: 'quota', code: 429 } };
    const { error } = await seeScripted({ fault: { type: 'error', after: 0, body: own } });
    expect(error).toMatchObject({ error: own.error });
  });

  test('a fault beyond the end still happens', async () => {
    expect((await seeScripted({ text: 'one two', fault: 'cut:99' })).error).toBeDefined();
    expect(reasonsOf(await seeScripted({ text: 'one two', fault: 'end:99' }))).toBe('');
  });

  test('duplicate deltas, empty deltas, empty choices', async () => {
    expect(textOf(await seeScripted({ text: 'one two', fault: 'duplicate:1' }))).toBe('one two two');
    const seen = await seeScripted({ text: 'one two', fault: ['empty-deltas', 'empty-choices'] });
    expect(textOf(seen)).toBe('one two');
    expect(seen.chunks.filter((chunk) => chunk.choices.length === 0)).toHaveLength(3);
  });

  test.each([
    ['wrong', [7, 7, 10, 10]],
    ['missing', [undefined, undefined, undefined, undefined]],
    ['duplicate', [0, 0, 0, 0]],
  ] as const)('tool indexes %s', async (how, indexes) => {
    const call = { name: 'f', arguments: '{}', fragments: 1 };
    const seen = await seeScripted({
      toolCalls: [
        { id: 'a', ...call },
        { id: 'b', ...call },
      ],
      fault: { type: 'tool-index', how },
    });
    expect(toolDeltasOf(seen).map((delta) => delta.index)).toEqual(indexes);
  });

  test('arguments before the id', async () => {
    const seen = await seeScripted({
      toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
      fault: 'arguments-first',
    });
    const deltas = toolDeltasOf(seen);
    expect(deltas.map((delta) => delta.id)).toEqual([undefined, 'a', undefined]);
    expect(deltas.map((delta) => delta.function?.arguments).join('')).toBe('{"x":1}');
  });

  test.each(['one-byte', 'split-utf8', 'crlf', 'pings'])(
    '%s changes nothing for the reader',
    async (fault) => {
      const text = 'Grüße an 🦊 und 世界.';
      const seen = await seeScripted({ text, fault });
      expect(seen.error).toBeUndefined();
      expect(textOf(seen)).toBe(text);
      expect(reasonsOf(seen)).toBe('stop');
    },
  );

  test('split-utf8 really splits characters, one-byte really bytes', async () => {
    const fake = await useFakeLlm();
    fake.script({ text: 'é🦊', fault: 'split-utf8' }, { text: 'é', fault: 'one-byte' });
    const pieces = async () => {
      const sent = request(`${fake.url}/chat/completions`, { method: 'POST' });
      sent.end(JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'x' }] }));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const seen: Buffer[] = [];
      response.on('data', (piece: Buffer) => seen.push(piece));
      await once(response, 'end');
      return seen;
    };
    const split = await pieces();
    expect(split.filter((piece) => ((piece[0] ?? 0) & 0xc0) === 0x80)).toHaveLength(2);
    expect(Math.max(...(await pieces()).map((piece) => piece.length))).toBe(1);
  });

  test('an endless answer goes on until the client leaves', async () => {
    const fake = await useFakeLlm();
    fake.script({ text: 'on', fault: 'endless', delayMs: 1 });
    const leave = new AbortController();
    let deltas = 0;
    for await (const _ of await ask(fake, 'x', {}, leave.signal)) {
      deltas += 1;
      if (deltas === 20) leave.abort();
    }
    const { request } = await fake.waitForAbort();
    expect(request.state).toBe('aborted');
    expect(deltas).toBeGreaterThanOrEqual(20);
  });

  test('wrong content type, and JSON instead of a stream', async () => {
    const typed = await seeScripted({ text: 'one', fault: 'content-type:text/html' });
    expect(textOf(typed)).toBe('one');
    const whole = await seeScripted({ text: 'one', fault: 'json' });
    expect(whole).toEqual({ chunks: [], error: undefined });
  });
});

describe('for tests', () => {
  test('records bodies and headers, and the state of each request', async () => {
    const fake = await useFakeLlm();
    const gate = hold(1);
    fake.script({ text: 'one two', hold: gate });
    const seen = see(fake, 'remember me');
    const request = await fake.waitForRequest();
    expect(request.body.messages).toEqual([{ role: 'user', content: 'remember me' }]);
    expect(request.headers.authorization).toBe('Bearer test-key');
    await gate.reached;
    expect(request.state).toBe('open');
    gate.release();
    expect(textOf(await seen)).toBe('one two');
    await expect.poll(() => request.state).toBe('finished');
    expect(request.endedAt).toBeGreaterThan(request.startedAt);
  });

  test('waitForAbort tells when the client left', async () => {
    const fake = await useFakeLlm();
    const gate = hold(0);
    fake.script({ text: 'one', hold: gate });
    const leave = new AbortController();
    const seen = see(fake, 'x', {}, leave.signal);
    await gate.reached;
    const leftAt = performance.now();
    leave.abort();
    const { at } = await fake.waitForAbort();
    expect(at - leftAt).toBeLessThan(250);
    await seen;
  });

  test('delays are kept', async () => {
    const startedAt = performance.now();
    await seeScripted({ text: 'one two three', firstDelayMs: 60, delayMs: 30 });
    expect(performance.now() - startedAt).toBeGreaterThan(110);
  });

  test('verify complains about what was left over and what was not expected', async () => {
    await using fake = await startFakeLlm({ requireScript: true });
    expect((await see(fake)).error).toMatchObject({ status: 500 });
    expect(() => fake.verify()).toThrow('1 requests had no scripted reply');
    fake.script({ text: 'unused' });
    expect(() => fake.verify()).toThrow('1 scripted replies were not used');
    expect(() => fake.script({ fault: 'cutt:1' })).toThrow('unknown fault "cutt:1"');
  });
});

describe('unscripted answers', () => {
  const answers: [string, FakeAnswer][] = [
    ['hello', { text: 'This is the fake model. You said: hello', reasons: 'stop' }],
    ['please /say it works', { text: 'it works', reasons: 'stop' }],
    ['/think hard\n/say done', { text: 'done', reasons: 'stop' }],
    ['/say one two three\n/fault end:2', { text: 'one two', reasons: '' }],
    ['/tool add {"a": {"b": 1}}', { text: '', reasons: 'tool_calls' }],
  ];
  type FakeAnswer = { text: string; reasons: string };

  test.each(answers)('%s', async (message, { text, reasons }) => {
    const seen = await see(await useFakeLlm(), message);
    expect(seen.error).toBeUndefined();
    expect(textOf(seen)).toBe(text);
    expect(reasonsOf(seen)).toBe(reasons);
  });

  test('/tokens gives that many deltas, max_tokens fewer, a tool result ends the loop', async () => {
    const fake = await useFakeLlm();
    const long = await see(fake, '/tokens 100');
    expect(long.chunks.at(-1)?.usage?.completion_tokens).toBe(100);
    expect(textOf(long)).toBe(textOf(await see(fake, '/tokens 100')));
    const short = await see(fake, '/tokens 100', { max_tokens: 10 });
    expect(short.chunks.at(-1)?.usage?.completion_tokens).toBe(10);
    expect(reasonsOf(short)).toBe('length');
    const call = { id: 'c', type: 'function' as const, function: { name: 'f', arguments: '{}' } };
    const answered = await see(fake, '', {
      messages: [
        { role: 'user', content: '/tool f {}' },
        { role: 'assistant', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c', content: '42' },
      ],
    });
    expect(textOf(answered)).toBe('The tool answered: 42');
    expect((await see(fake, '/fault nonsense')).error).toMatchObject({ status: 400 });
  });
});

describe('the command', () => {
  const script = fileURLToPath(new URL('../../scripts/fake-llm.ts', import.meta.url));

  function run(...args: string[]): ChildProcess & { output: () => string } {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    return Object.assign(child, { output: () => output });
  }

  test('serves, says how to use it, and exits cleanly on SIGTERM', async () => {
    const child = run('--port', '0', '--tokens', '5', '--model', 'mine');
    await expect.poll(child.output, { timeout: 5000 }).toMatch(/OPENAI_BASE_URL=\S+ LLM_MODEL=mine\n/);
    const url = /OPENAI_BASE_URL=(\S+)/.exec(child.output())?.[1] ?? '';
    const fake: Pick<FakeLlm, 'url'> = { url };
    expect((await see(fake)).chunks.at(-1)?.usage?.completion_tokens).toBe(5);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test.each([
    [['--help'], 0, /Usage: /],
    [['--port', 'x'], 2, /--port must be a whole number/],
    [['--nonsense'], 2, /Unknown option '--nonsense'/],
    [['--fault', 'cutt:1'], 2, /unknown fault "cutt:1"/],
  ] as const)('%j', async (args, code, output) => {
    const child = run(...args);
    expect(await once(child, 'close')).toEqual([code, null]);
    expect(child.output()).toMatch(output);
  });
});
