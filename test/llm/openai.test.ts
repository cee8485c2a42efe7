import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type FakeLlm, hold, type ScriptedReply, startFakeLlm } from '../../scripts/fake-llm/server.ts';
import { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import type { Message } from '../../src/core/message.ts';
import { createOpenAiProvider } from '../../src/llm/openai.ts';
import type { LlmRequest, Model } from '../../src/llm/provider.ts';

const model: Model = {
  id: 'fake-model',
  provider: 'vllm',
  name: 'Fake',
  description: '',
  contextWindow: 32768,
  maxOutput: 4096,
  accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
};
const tool = {
  name: 'clock',
  description: 'The time',
  parameters: { type: 'object', properties: { zone: { type: 'string' } } },
};
const none = new AbortController().signal;
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function requestOf(change: Partial<LlmRequest> = {}): LlmRequest {
  const messages: Message[] = [{ role: 'user', content: 'Hello' }];
  return { model, messages, tools: [], responseFormat: { type: 'text' }, effort: 'standard', ...change };
}

async function fake(...replies: ScriptedReply[]): Promise<FakeLlm> {
  const llm = await startFakeLlm();
  cleanups.push(() => llm.close());
  llm.script(...replies);
  return llm;
}

function providerAt(baseUrl: string, name = 'vllm', apiKey?: string) {
  return createOpenAiProvider({ name, baseUrl, apiKey });
}

async function collect(events: AsyncIterable<LlmEvent>): Promise<LlmEvent[]> {
  const seen: LlmEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

async function answerTo(reply: ScriptedReply, change: Partial<LlmRequest> = {}): Promise<LlmEvent[]> {
  const llm = await fake(reply);
  return collect(providerAt(llm.url).stream(requestOf(change), none));
}

type Outcome = { events: LlmEvent[]; error: unknown };

async function outcomeOf(events: AsyncIterable<LlmEvent>): Promise<Outcome> {
  const seen: LlmEvent[] = [];
  try {
    for await (const event of events) seen.push(event);
  } catch (error) {
    return { events: seen, error };
  }
  return { events: seen, error: undefined };
}

async function faultOf(url: string, name = 'vllm'): Promise<Fault> {
  const { error } = await outcomeOf(providerAt(url, name).stream(requestOf(), none));
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
}

function textOf(events: LlmEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that does just what a test says; the base URL, and the requests' bodies. */
async function serve(handler: Handler) {
  const bodies: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      if (body) bodies.push(JSON.parse(body));
      handler(request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, bodies, server };
}

function sse(...parts: (string | object)[]): Handler {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const part of parts) {
      response.write(typeof part === 'string' ? part : `data: ${JSON.stringify(part)}\n\n`);
    }
    response.end();
  };
}

function delta(value: object, finishReason: string | null = null) {
  return { choices: [{ index: 0, delta: value, finish_reason: finishReason }] };
}

async function readRaw(...parts: (string | object)[]): Promise<Outcome> {
  const { url } = await serve(sse(...parts));
  return outcomeOf(providerAt(url).stream(requestOf(), none));
}

const done = 'data: [DONE]\n\n';
const stop = delta({}, 'stop');
const stopped: LlmEvent = { type: 'end', finishReason: 'stop' };

describe('an answer', () => {
  test('is its text deltas, then the end with usage', async () => {
    const usage = {
      prompt_tokens: 12,
      completion_tokens: 7,
      total_tokens: 19,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 3 },
    };
    expect(await answerTo({ chunks: ['Hel', 'lo ', 'there'], usage })).toEqual([
      { type: 'text-delta', text: 'Hel' },
      { type: 'text-delta', text: 'lo ' },
      { type: 'text-delta', text: 'there' },
      {
        type: 'end',
        finishReason: 'stop',
        usage: {
          inputTokens: 12,
          outputTokens: 7,
          cachedTokens: 8,
          reasoningTokens: 3,
          estimated: false,
        },
      },
    ]);
  });

  test('may be empty, and has no usage when none is reported', async () => {
    expect(await answerTo({ usage: null })).toEqual([stopped]);
    const { events } = await readRaw({ ...delta({ content: 'x' }, 'stop'), usage: null }, done);
    expect(events).toEqual([{ type: 'text-delta', text: 'x' }, stopped]);
  });

  test.each([
    ['zero for everything is no report', { prompt_tokens: 0, completion_tokens: 0 }, undefined],
    [
      'reasoning beside the output is added',
      {
        prompt_tokens: 5,
        completion_tokens: 2,
        total_tokens: 17,
        completion_tokens_details: { reasoning_tokens: 10 },
      },
      12,
    ],
    [
      'reasoning within the output is not',
      {
        prompt_tokens: 5,
        completion_tokens: 12,
        total_tokens: 17,
        completion_tokens_details: { reasoning_tokens: 10 },
      },
      12,
    ],
    ['nonsense is no report', { prompt_tokens: 'many', completion_tokens: -1 }, undefined],
  ])('usage: %s', async (_name, usage, outputTokens) => {
    const events = await answerTo({ text: 'x', usage });
    const end = events.at(-1);
    expect(end?.type === 'end' && end.usage?.outputTokens).toBe(outputTokens);
  });

  test('of 20,000 deltas is complete', async () => {
    const chunks = Array.from({ length: 20_000 }, (_, number) => `${number} `);
    expect(textOf(await answerTo({ chunks }))).toBe(chunks.join(''));
  });

  test.each(['reasoning_content', 'reasoning'] as const)('has reasoning from %s', async (reasoningField) => {
    const events = await answerTo({ reasoning: ['Let ', 'me'], reasoningField, text: 'Yes', usage: null });
    expect(events).toEqual([
      { type: 'reasoning-delta', text: 'Let ' },
      { type: 'reasoning-delta', text: 'me' },
      { type: 'text-delta', text: 'Yes' },
      stopped,
    ]);
  });

  test('takes a refusal, and content in parts, for text', async () => {
    const { events } = await readRaw(
      delta({ role: 'assistant', content: null, refusal: 'No' }),
      delta({ content: [{ type: 'text', text: ' way' }, { type: 'other' }] }),
      stop,
      done,
    );
    expect(events).toEqual([
      { type: 'text-delta', text: 'No' },
      { type: 'text-delta', text: ' way' },
      stopped,
    ]);
  });

  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['eos_token', 'stop'],
    ['tool_calls', 'stop'],
  ] as const)('finish reason %s is %s', async (finishReason, expected) => {
    expect((await answerTo({ text: 'x', finishReason, usage: null })).at(-1)).toEqual({
      type: 'end',
      finishReason: expected,
    });
  });

  test('survives comments, CRLF, empty choices and deltas, a repeated finish, and whatever follows [DONE]', async () => {
    const { events, error } = await readRaw(
      ': hello\r\n\r\n',
      { choices: [] },
      {},
      { choices: null },
      { choices: [{ index: 0 }] },
      delta({}),
      `data: ${JSON.stringify(delta({ content: 'a' }))}\r\n\r\n: ping\r\n\r\n`,
      delta({ content: '' }),
      delta({ content: 'b' }),
      stop,
      stop,
      { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } },
      done,
      delta({ content: 'never' }),
      'data: {garbage\n\n',
    );
    expect(error).toBeUndefined();
    expect(textOf(events)).toBe('ab');
    expect(events.filter((event) => event.type === 'end')).toHaveLength(1);
  });

  test.each([
    'crlf',
    'one-byte',
    'split-utf8',
    'pings',
    'empty-deltas',
    'empty-choices',
    'json',
    'content-type',
  ])('arrives whole in spite of %s', async (fault) => {
    const text = 'Grüße, 世界 👩‍🚀 and a tab\tand "quotes"';
    expect(textOf(await answerTo({ text, fault }))).toBe(text);
  });

  test('is read right wherever the network cuts it', async () => {
    const text = 'é世👩‍🚀';
    const whole = Buffer.from(
      `data: ${JSON.stringify(delta({ content: text }, 'stop'))}\r\n\r\ndata: [DONE]\r\n\r\n`,
    );
    let cut = 1;
    const { url } = await serve(async (_request, response) => {
      const at = cut;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.socket?.setNoDelay(true);
      response.write(whole.subarray(0, at));
      await sleep(1);
      response.end(whole.subarray(at));
    });
    const provider = providerAt(url);
    for (; cut < whole.length; cut += 1) {
      const events = await collect(provider.stream(requestOf(), none));
      expect(events, `cut at ${cut}`).toEqual([{ type: 'text-delta', text }, stopped]);
    }
  });

  test('never has half a character: halves join across deltas, and a lone one is replaced', async () => {
    const { events } = await readRaw(
      'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n',
      'data: {"choices":[{"delta":{"content":"\\ude00b"}}]}\n\n',
      'data: {"choices":[{"delta":{"reasoning":"\\ud83d"}}]}\n\n',
      'data: {"choices":[{"delta":{"reasoning":"\\ude01"}}]}\n\n',
      'data: {"choices":[{"delta":{"content":"\\ude00c\\ud83d"}}]}\n\n',
      stop,
      done,
    );
    expect(events).toEqual([
      { type: 'text-delta', text: 'a' },
      { type: 'text-delta', text: '😀b' },
      { type: 'reasoning-delta', text: '😁' },
      { type: 'text-delta', text: '\ufffdc' },
      { type: 'text-delta', text: '\ufffd' },
      stopped,
    ]);
  });

  test('needs no [DONE], and does not wait for more after it or after the finish', async () => {
    expect((await readRaw(delta({ content: 'x' }), stop)).events.at(-1)).toEqual(stopped);
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(stop)}\n\n${done}`);
    });
    const startedAt = performance.now();
    expect(await collect(providerAt(url).stream(requestOf(), none))).toEqual([stopped]);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('that has finished survives a broken connection', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(delta({ content: 'x' }, 'stop'))}\n\n`, () => {
        setTimeout(() => response.destroy(), 20);
      });
    });
    expect(await collect(providerAt(url).stream(requestOf(), none))).toEqual([
      { type: 'text-delta', text: 'x' },
      stopped,
    ]);
  });

  test('leaves its connection open for the next one', async () => {
    const { url, server } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(stop)}\n\n${done}`);
      setTimeout(() => response.end(ended.resolve), 10);
    });
    let ended = Promise.withResolvers<void>();
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    const other = providerAt(url);
    for (let turn = 0; turn < 3; turn += 1) {
      ended = Promise.withResolvers<void>();
      await collect(other.stream(requestOf(), none));
      await ended.promise;
      await sleep(40);
    }
    expect(connections).toBe(1);
  });
});

describe('tool calls', () => {
  const one = { id: 'call_a', name: 'clock', arguments: '{"zone":"Europe/Paris"}' };
  const two = [
    { ...one, fragments: 4 },
    { id: 'call_b', name: 'add', arguments: '{"x":1,"y":2}' },
  ];
  const ends = (events: LlmEvent[]) => events.filter((event) => event.type === 'tool-call-end');

  test('come as start, deltas and end, and end the turn', async () => {
    const events = await answerTo({ toolCalls: [one], usage: null }, { tools: [tool] });
    const deltas = events.filter((event) => event.type === 'tool-call-delta');
    expect(events[0]).toEqual({ type: 'tool-call-start', id: 'call_a', name: 'clock' });
    expect(deltas.map((event) => event.text).join('')).toBe('{"zone":"Europe/Paris"}');
    expect(events.slice(-2)).toEqual([
      { type: 'tool-call-end', id: 'call_a', name: 'clock', argumentsText: '{"zone":"Europe/Paris"}' },
      { type: 'end', finishReason: 'tool_calls' },
    ]);
  });

  test.each([
    [[]],
    [['tool-index:wrong']],
    [['tool-index:missing']],
    [['tool-index:duplicate']],
    [['arguments-first']],
    [['one-byte']],
    [['empty-deltas', 'pings']],
  ])('several, with %j, keep apart', async (fault) => {
    const events = await answerTo({ toolCalls: two, fault, usage: null }, { tools: [tool] });
    expect(ends(events)).toEqual([
      { type: 'tool-call-end', id: 'call_a', name: 'clock', argumentsText: '{"zone":"Europe/Paris"}' },
      { type: 'tool-call-end', id: 'call_b', name: 'add', argumentsText: '{"x":1,"y":2}' },
    ]);
    expect(events.at(-1)).toEqual({ type: 'end', finishReason: 'tool_calls' });
  });

  test.each(['stop', 'function_call'])('decide over the finish reason %s', async (finishReason) => {
    const events = await answerTo({ toolCalls: two, finishReason, usage: null }, { tools: [tool] });
    expect(events.at(-1)).toEqual({ type: 'end', finishReason: 'tool_calls' });
  });

  test('cut off by the length stay cut off', async () => {
    const events = await answerTo({ toolCalls: two, finishReason: 'length', usage: null }, { tools: [tool] });
    expect(events.at(-1)).toEqual({ type: 'end', finishReason: 'length' });
  });

  test('of the older form work', async () => {
    const { events } = await readRaw(
      delta({ function_call: { name: 'clock', arguments: '{"zone":' } }),
      delta({ function_call: { arguments: '"UTC"}' } }),
      delta({}, 'function_call'),
      done,
    );
    expect(ends(events)).toMatchObject([{ name: 'clock', argumentsText: '{"zone":"UTC"}' }]);
  });
});

describe('what goes wrong in the stream', () => {
  test.each([
    ['garbage', 'malformed:2'],
    ['a cut connection', 'cut:2'],
    ['an end without a finish reason', 'end:2'],
    ['[DONE] without a finish reason', 'end:2:done'],
    ['an error object', 'error:2'],
  ])('%s is a retryable provider_error after the text so far', async (_name, fault) => {
    const llm = await fake({ chunks: ['a', 'b', 'c', 'd'], fault });
    const { events, error } = await outcomeOf(providerAt(llm.url).stream(requestOf(), none));
    expect(textOf(events)).toBe('ab');
    expect(error).toMatchObject({ name: 'Fault', type: 'provider_error', retryable: true });
  });

  test.each([
    [
      { error: { message: 'secret', type: 'rate_limit_error', code: null } },
      'provider_unavailable',
      true,
      undefined,
    ],
    [{ error: { message: 'secret', type: 'BadRequestError', code: 400 } }, 'provider_rejected', false, 400],
    [
      { error: { message: 'secret', code: 'context_length_exceeded' } },
      'provider_rejected',
      false,
      undefined,
    ],
    [{ error: { message: 'secret', code: 503 } }, 'provider_unavailable', true, 503],
    [{ error: { message: 'secret', type: 'overloaded_error' } }, 'provider_unavailable', true, undefined],
    [{ error: 'secret' }, 'provider_error', true, undefined],
    [
      { object: 'error', message: 'secret', type: 'invalid_request_error' },
      'provider_rejected',
      false,
      undefined,
    ],
  ])('%j is %s', async (body, type, retryable, upstreamStatus) => {
    const { events, error } = await readRaw(delta({ content: 'x' }), body);
    expect(textOf(events)).toBe('x');
    expect(error).toMatchObject({ type, retryable, upstreamStatus });
    expect((error as Fault).message).not.toContain('secret');
  });

  test('an event named error is an error whatever it says', async () => {
    const { error } = await readRaw('event: error\ndata: out of memory\n\n');
    expect(error).toMatchObject({ type: 'provider_error', message: 'The model provider vllm failed.' });
  });

  test.each([
    ['JSON that is no answer', 'application/json', '{"hello":1}'],
    ['broken JSON', 'application/json', '{"hello'],
    ['a page', 'text/html', '<html>Sign in</html>'],
    ['nothing', 'text/event-stream', ''],
    ['plain text', 'text/plain', 'hello\n\nworld'],
    ['a number', 'text/event-stream', 'data: 7\n\n'],
  ])('%s with status 200 is a provider_error', async (_name, type, body) => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': type }).end(body);
    });
    expect(await faultOf(url)).toMatchObject({ type: 'provider_error', retryable: true });
  });

  test('a JSON error with status 200 is classified', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
      response.end('{"error":{"message":"secret","code":429}}');
    });
    expect(await faultOf(url)).toMatchObject({ type: 'provider_unavailable', upstreamStatus: 429 });
  });

  test('a line without end is given up', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: ');
      const more = () => {
        while (response.write('x'.repeat(1024 * 1024)));
        response.once('drain', more);
      };
      more();
    });
    expect(await faultOf(url)).toMatchObject({ type: 'provider_error' });
  });
});

describe('a status', () => {
  test.each([
    [400, 'provider_rejected', false, 'The model provider vllm refused the request.'],
    [
      401,
      'provider_unavailable',
      false,
      'The model provider vllm does not accept the credentials of this service.',
    ],
    [402, 'provider_unavailable', false, 'The account of this service with vllm has no credit left.'],
    [
      403,
      'provider_unavailable',
      false,
      'The model provider vllm does not accept the credentials of this service.',
    ],
    [
      404,
      'provider_rejected',
      false,
      'The model provider vllm does not know the model or the address it was asked at.',
    ],
    [408, 'provider_timeout', true, 'The model provider vllm did not answer in time.'],
    [409, 'provider_unavailable', true, 'The model provider vllm is overloaded or down.'],
    [
      413,
      'provider_rejected',
      false,
      'The model provider vllm refused the request: it is too long for the model.',
    ],
    [422, 'provider_rejected', false, 'The model provider vllm refused the request.'],
    [429, 'provider_unavailable', true, 'The model provider vllm takes no more requests at the moment.'],
    [500, 'provider_error', true, 'The model provider vllm failed.'],
    [502, 'provider_error', true, 'The model provider vllm failed.'],
    [503, 'provider_unavailable', true, 'The model provider vllm is overloaded or down.'],
    [504, 'provider_timeout', true, 'The model provider vllm did not answer in time.'],
    [529, 'provider_unavailable', true, 'The model provider vllm is overloaded or down.'],
  ])('%i is %s', async (status, type, retryable, message) => {
    const llm = await fake({ fault: { type: 'status', status, body: { error: { message: 'secret' } } } });
    const fault = await faultOf(llm.url);
    expect(fault).toMatchObject({ type, retryable, message, upstreamStatus: status });
    expect(llm.requests).toHaveLength(1);
  });

  test.each(['html', 'garbage', 'empty'])('500 with a body of %s is a provider_error', async (body) => {
    const llm = await fake({ fault: `status:500:${body}` });
    expect(await faultOf(llm.url)).toMatchObject({ type: 'provider_error', upstreamStatus: 500 });
  });

  test.each([
    [{ code: 'context_length_exceeded', message: 'secret' }],
    [{ code: null, message: "This model's maximum context length is 8192 tokens" }],
    [{ type: 'BadRequestError', code: 400, message: 'The prompt is too long' }],
  ])('400 with %j says that the request is too long', async (error) => {
    const llm = await fake({ fault: { type: 'status', status: 400, body: { error } } });
    expect((await faultOf(llm.url)).message).toBe(
      'The model provider vllm refused the request: it is too long for the model.',
    );
  });

  test('429 for want of credit is not retried', async () => {
    const body = { error: { message: 'secret', type: 'insufficient_quota', code: 'insufficient_quota' } };
    const llm = await fake({ fault: { type: 'status', status: 429, body } });
    expect(await faultOf(llm.url)).toMatchObject({ type: 'provider_unavailable', retryable: false });
  });

  test.each([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after-ms': '1250', 'retry-after': '7' }, 1250],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0],
    [{}, undefined],
  ])('429 with %j', async (headers, retryAfterMs) => {
    const { url } = await serve((_request, response) => {
      response.writeHead(429, headers as Record<string, string>).end();
    });
    expect((await faultOf(url)).retryAfterMs).toBe(retryAfterMs);
  });

  test('Retry-After may be a date', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(503, { 'retry-after': new Date(Date.now() + 20_000).toUTCString() }).end();
    });
    const { retryAfterMs } = await faultOf(url);
    expect(retryAfterMs).toBeGreaterThan(17_000);
    expect(retryAfterMs).toBeLessThanOrEqual(20_000);
  });

  test.each([
    [500, 'false', false],
    [400, 'true', true],
    [401, 'true', false],
  ])('%i with x-should-retry: %s', async (status, hint, retryable) => {
    const { url } = await serve((_request, response) => {
      response.writeHead(status, { 'x-should-retry': hint }).end('{}');
    });
    expect((await faultOf(url)).retryable).toBe(retryable);
  });

  test('with an endless body does not keep us', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' });
      const more = () => {
        while (response.write('x'.repeat(65536)));
        response.once('drain', more);
      };
      more();
    });
    expect(await faultOf(url)).toMatchObject({ type: 'provider_error' });
  });
});

describe('no connection', () => {
  test.each(['http://127.0.0.1:9', 'http://no-such-host.invalid/v1'])('to %s', async (url) => {
    expect(await faultOf(url, 'ollama')).toMatchObject({
      type: 'provider_unavailable',
      retryable: true,
      message: 'The model provider ollama cannot be reached.',
    });
  });

  test('one that is reset before any answer', async () => {
    const llm = await fake({ fault: 'reset' });
    expect(await faultOf(llm.url)).toMatchObject({ type: 'provider_unavailable', retryable: true });
  });

  test('a key that cannot be sent says so without the key', async () => {
    const llm = await fake();
    const provider = createOpenAiProvider({ name: 'openai', baseUrl: llm.url, apiKey: 'sk-se\ncret' });
    const lost = await providerAt('nowhere')
      .probe(none)
      .catch((error: unknown) => error);
    expect(lost).toMatchObject({ type: 'provider_unavailable', retryable: false });
    const probed = await provider.probe(none).catch((error: unknown) => error);
    const { error } = await outcomeOf(provider.stream(requestOf(), none));
    for (const fault of [probed, error]) {
      expect(fault).toMatchObject({ type: 'provider_unavailable', retryable: false });
      expect((fault as Fault).message).toBe(
        'The model provider openai cannot be asked: its key or its address is not valid.',
      );
    }
  });
});

describe('abort', () => {
  const reason = new Error('the caller left');

  test('before the call asks nobody', async () => {
    const llm = await fake();
    const { error } = await outcomeOf(providerAt(llm.url).stream(requestOf(), AbortSignal.abort(reason)));
    expect(error).toBe(reason);
    expect(llm.requests).toHaveLength(0);
  });

  test.each([
    ['before the headers', { fault: 'hang' }, 0],
    ['before the first token', { fault: 'stall:0' }, 0],
    ['in the middle', { chunks: ['a', 'b', 'c'], fault: 'stall:2' }, 2],
  ])('%s throws the reason and closes the connection', async (_name, reply, deltas) => {
    const llm = await fake(reply);
    const controller = new AbortController();
    const outcome = outcomeOf(providerAt(llm.url).stream(requestOf(), controller.signal));
    await llm.waitForRequest();
    await sleep(50);
    const abortedAt = performance.now();
    controller.abort(reason);
    const { events, error } = await outcome;
    expect(performance.now() - abortedAt).toBeLessThan(100);
    expect(error).toBe(reason);
    expect(events).toHaveLength(deltas);
    const { at } = await llm.waitForAbort();
    expect(at - abortedAt).toBeLessThan(250);
  });

  test('between two events of one packet yields no more', async () => {
    const { url } = await serve(sse(delta({ content: 'a' }), delta({ content: 'b' }), stop, done));
    const controller = new AbortController();
    const seen: LlmEvent[] = [];
    const read = async () => {
      for await (const event of providerAt(url).stream(requestOf(), controller.signal)) {
        seen.push(event);
        controller.abort(reason);
      }
    };
    await expect(read()).rejects.toBe(reason);
    expect(seen).toEqual([{ type: 'text-delta', text: 'a' }]);
  });

  test('while an error body stalls', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(500).write('{');
    });
    const controller = new AbortController();
    const outcome = outcomeOf(providerAt(url).stream(requestOf(), controller.signal));
    await sleep(50);
    controller.abort(reason);
    expect((await outcome).error).toBe(reason);
  });

  test('a consumer that stops early closes the connection', async () => {
    const gate = hold(3);
    const llm = await fake({ chunks: ['a', 'b', 'c', 'd'], hold: gate });
    for await (const event of providerAt(llm.url).stream(requestOf(), none)) {
      if (event.type === 'text-delta' && event.text === 'b') break;
    }
    const stoppedAt = performance.now();
    const { at } = await llm.waitForAbort();
    expect(at - stoppedAt).toBeLessThan(250);
  });

  test('leaves no listener on the signal behind', async () => {
    const llm = await fake({ text: 'x' }, { fault: 'status:500' });
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const provider = providerAt(llm.url);
    await outcomeOf(provider.stream(requestOf(), signal));
    await outcomeOf(provider.stream(requestOf(), signal));
    expect(listeners).toBe(0);
  });
});

describe('a request', () => {
  async function bodyOf(change: Partial<LlmRequest>, name = 'vllm') {
    const { url, bodies } = await serve(sse(stop, done));
    await collect(providerAt(url, name).stream(requestOf(change), none));
    return bodies[0];
  }
  const reasoner: Model = { ...model, accepts: { ...model.accepts, temperature: false, reasoning: true } };

  test('is as small as can be', async () => {
    expect(await bodyOf({})).toEqual({
      model: 'fake-model',
      messages: [{ role: 'user', content: 'Hello' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('has every kind of message', async () => {
    const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' } as const;
    const call = { type: 'toolCall', id: 'call_a', name: 'clock', arguments: { zone: 'UTC' } } as const;
    const broken = { ...call, id: 'call_b', arguments: {}, argumentsText: '{"zone":' };
    const body = await bodyOf({
      messages: [
        { role: 'system', content: 'Be kind.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is ' },
            { type: 'text', text: 'it?' },
          ],
        },
        { role: 'user', content: [{ type: 'text', text: 'This:' }, image] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm' },
            { type: 'text', text: 'Wait' },
          ],
        },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm' }, call, broken] },
        { role: 'toolResult', toolCallId: 'call_a', toolName: 'clock', content: [image], isError: false },
        {
          role: 'toolResult',
          toolCallId: 'call_b',
          toolName: 'clock',
          content: [{ type: 'text', text: 'No' }],
          isError: true,
        },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm' }] },
      ],
    });
    const part = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    expect(body?.messages).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'What is it?' },
      { role: 'user', content: [{ type: 'text', text: 'This:' }, part] },
      { role: 'assistant', content: 'Wait' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'clock', arguments: '{"zone":"UTC"}' } },
          { id: 'call_b', type: 'function', function: { name: 'clock', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_a', content: 'The image follows.' },
      { role: 'tool', tool_call_id: 'call_b', content: 'No' },
      { role: 'user', content: [part] },
      { role: 'assistant', content: '' },
    ]);
  });

  test('offers tools only to models that take them', async () => {
    expect((await bodyOf({ tools: [tool] }))?.tools).toEqual([{ type: 'function', function: tool }]);
    const without = { ...model, accepts: { ...model.accepts, tools: false } };
    expect(await bodyOf({ tools: [tool], model: without })).not.toHaveProperty('tools');
  });

  test('has temperature and limit as the model takes them', async () => {
    const limits = { temperature: 0.7, maxTokens: 50 };
    expect(await bodyOf(limits)).toMatchObject({ temperature: 0.7, max_tokens: 50 });
    const body = await bodyOf({ ...limits, model: reasoner });
    expect(body).toMatchObject({ max_completion_tokens: 50 });
    expect(body).not.toHaveProperty('temperature');
    expect(body).not.toHaveProperty('max_tokens');
    expect(body).not.toHaveProperty('reasoning_effort');
  });

  test.each([
    ['quick', 'low'],
    ['standard', 'medium'],
    ['determined', 'high'],
  ] as const)('asks OpenAI for reasoning: %s is %s', async (effort, expected) => {
    expect(await bodyOf({ effort, model: reasoner }, 'openai')).toMatchObject({ reasoning_effort: expected });
  });

  test('switches reasoning off where tools are taken only without', async () => {
    const picky = { ...reasoner, reasoningWithTools: false };
    const withTools = await bodyOf({ model: picky, tools: [tool] }, 'openai');
    expect(withTools).toMatchObject({ reasoning_effort: 'none' });
    expect(await bodyOf({ model: picky }, 'openai')).toMatchObject({ reasoning_effort: 'medium' });
  });

  test('in JSON mode speaks of JSON', async () => {
    const responseFormat = { type: 'json_object' } as const;
    const body = await bodyOf({
      responseFormat,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    expect(body).toMatchObject({
      response_format: { type: 'json_object' },
      messages: [
        { role: 'system', content: 'Be kind.\n\nAnswer with a JSON object.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    const own = await bodyOf({ responseFormat, messages: [{ role: 'user', content: 'As json' }] });
    expect(own?.messages).toEqual([{ role: 'user', content: 'As json' }]);
  });

  const closed = {
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
    additionalProperties: false,
  };
  test.each([
    ['closed', closed, true],
    ['open', { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }, false],
    ['with an optional property', { ...closed, required: [] }, false],
    ['with rare keywords', { ...closed, properties: { a: { type: 'string', pattern: 'x' } } }, false],
    [
      'with an open part',
      { ...closed, properties: { a: { type: 'array', items: { type: 'object' } } } },
      false,
    ],
    ['no object', { type: 'array', items: { type: 'string' } }, false],
  ])('has a schema that is %s', async (_name, schema, strict) => {
    expect(await bodyOf({ responseFormat: { type: 'json_schema', schema } })).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict } },
    });
  });

  test('falls back to JSON mode for models without schemas', async () => {
    const plain = { ...model, accepts: { ...model.accepts, jsonSchema: false } };
    const body = await bodyOf({ model: plain, responseFormat: { type: 'json_schema', schema: closed } });
    expect(body?.response_format).toEqual({ type: 'json_object' });
  });

  test('carries the key, or no authorization at all', async () => {
    const llm = await fake({ text: 'x' }, { text: 'x' });
    await collect(providerAt(llm.url, 'openai', ' sk-test\n').stream(requestOf(), none));
    await collect(providerAt(`${llm.url}/`).stream(requestOf(), none));
    expect(llm.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer sk-test',
      undefined,
    ]);
  });

  test('leaves the environment of the SDK alone', async () => {
    const llm = await fake({ text: 'x' });
    process.env.OPENAI_ORG_ID = 'org-secret';
    try {
      await collect(providerAt(llm.url).stream(requestOf(), none));
    } finally {
      delete process.env.OPENAI_ORG_ID;
    }
    expect(llm.requests[0]?.headers).not.toHaveProperty('openai-organization');
  });
});

describe('a probe', () => {
  async function probeOf(handler: Handler) {
    const { url } = await serve(handler);
    return providerAt(url, 'openai', 'sk-test').probe(none);
  }

  test('lists models with the windows that the endpoint tells', async () => {
    const data = [
      { id: 'a', max_model_len: 8192 },
      { id: 'b', context_length: 4096 },
      { id: 'c', max_model_len: 'big' },
      { id: '' },
      { name: 'd' },
      null,
    ];
    const models = await probeOf((request, response) => {
      expect(request.url).toBe('/v1/models');
      expect(request.headers.authorization).toBe('Bearer sk-test');
      response.end(JSON.stringify({ data }));
    });
    expect(models).toEqual([{ id: 'a', contextWindow: 8192 }, { id: 'b', contextWindow: 4096 }, { id: 'c' }]);
  });

  test.each([
    ['a missing route', 404, '{"error":"no"}'],
    ['an error', 500, 'oops'],
    ['garbage', 200, '<html>'],
    ['something else', 200, '{"data":{}}'],
    ['nothing', 200, ''],
    ['a list too long to read', 200, `{"data":[{"id":"${'x'.repeat(5 * 1024 * 1024)}"}]}`],
  ])('takes %s for a sign of life', async (_name, status, body) => {
    expect(await probeOf((_request, response) => response.writeHead(status).end(body))).toEqual([]);
  });

  test.each([401, 403])('refuses with %i', async (status) => {
    await expect(probeOf((_request, response) => response.writeHead(status).end())).rejects.toMatchObject({
      type: 'provider_unavailable',
      retryable: false,
      upstreamStatus: status,
    });
  });

  test('fails when nobody is there, and throws the reason of an abort', async () => {
    await expect(providerAt('http://127.0.0.1:9/v1').probe(none)).rejects.toMatchObject({
      type: 'provider_unavailable',
    });
    const { url } = await serve(() => {});
    const reason = new Error('stop');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 30);
    await expect(providerAt(url).probe(controller.signal)).rejects.toBe(reason);
  });
});
