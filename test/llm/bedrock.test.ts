import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { BedrockRuntimeClient, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  encodeFrame,
  errorFrame,
  eventFrame,
  exceptionFrame,
} from '../../scripts/fake-llm/bedrock-frames.ts';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import type { Message } from '../../src/core/message.ts';
import { createBedrockProvider } from '../../src/llm/bedrock.ts';
import type { LlmProvider, LlmRequest, Model } from '../../src/llm/provider.ts';
import { bedrockAt, useFakeBedrock } from '../helpers/fake-bedrock.ts';

const model: Model = {
  id: 'us.anthropic.claude-sonnet-4-6',
  provider: 'bedrock',
  name: 'Claude',
  description: '',
  contextWindow: 200_000,
  maxOutput: 64_000,
  accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: true },
};
const tool = {
  name: 'clock',
  description: 'The time',
  parameters: { type: 'object', properties: { zone: { type: 'string' } } },
};
const none = new AbortController().signal;
const versions = [1, 2] as const;

function requestOf(change: Partial<LlmRequest> = {}): LlmRequest {
  const messages: Message[] = [{ role: 'user', content: 'Hello' }];
  return { model, messages, tools: [], responseFormat: { type: 'text' }, effort: 'standard', ...change };
}

async function collect(events: AsyncIterable<LlmEvent>): Promise<LlmEvent[]> {
  const seen: LlmEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
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

async function answerTo(reply: ScriptedReply, change: Partial<LlmRequest> = {}): Promise<LlmEvent[]> {
  const fake = await useFakeBedrock();
  fake.script(reply);
  return collect(bedrockAt(fake.url).stream(requestOf(change), none));
}

async function failureOf(reply: ScriptedReply, httpVersion: 1 | 2 = 1): Promise<Outcome> {
  const fake = await useFakeBedrock({ httpVersion });
  fake.script(reply);
  return outcomeOf(bedrockAt(fake.url, { httpVersion }).stream(requestOf(), none));
}

async function faultOf(provider: LlmProvider): Promise<Fault> {
  const { error } = await outcomeOf(provider.stream(requestOf(), none));
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
}

function textOf(events: LlmEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

/** A server that does just what a test says; its URL. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function readRaw(...frames: Uint8Array[]): Promise<Outcome> {
  const url = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    response.end(Buffer.concat(frames));
  });
  return outcomeOf(bedrockAt(url).stream(requestOf(), none));
}

function textFrame(text: string): Buffer {
  return eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } });
}

const stopFrame = eventFrame('messageStop', { stopReason: 'end_turn' });
const stopped: LlmEvent = { type: 'end', finishReason: 'stop' };

describe.each(versions)('over HTTP/%i', (httpVersion) => {
  async function setUp(...replies: ScriptedReply[]) {
    const fake = await useFakeBedrock({ httpVersion, requireScript: true });
    fake.script(...replies);
    return { fake, provider: bedrockAt(fake.url, { httpVersion }) };
  }

  test('an answer is its text deltas, then the end with usage', async () => {
    const usage = {
      inputTokens: 12,
      outputTokens: 7,
      totalTokens: 69,
      cacheReadInputTokens: 30,
      cacheWriteInputTokens: 20,
    };
    const { fake, provider } = await setUp({ chunks: ['Hel', 'lo ', 'there'], usage });
    expect(await collect(provider.stream(requestOf(), none))).toEqual([
      { type: 'text-delta', text: 'Hel' },
      { type: 'text-delta', text: 'lo ' },
      { type: 'text-delta', text: 'there' },
      {
        type: 'end',
        finishReason: 'stop',
        usage: {
          inputTokens: 62,
          outputTokens: 7,
          cachedTokens: 30,
          reasoningTokens: 0,
          estimated: false,
        },
      },
    ]);
    expect(fake.requests).toHaveLength(1);
    expect(fake.requests[0]?.body.model).toBe('us.anthropic.claude-sonnet-4-6');
    expect(fake.requests[0]?.headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIAFAKE\//);
  });

  test.each(['one-byte', 'split-utf8', 'empty-deltas', 'empty-choices', 'content-type'])(
    'arrives whole in spite of %s',
    async (fault) => {
      const text = 'Grüße, 世界 👩‍🚀 and a tab\tand "quotes"';
      const { provider } = await setUp({ text, fault });
      expect(textOf(await collect(provider.stream(requestOf(), none)))).toBe(text);
    },
  );

  test('20,000 deltas are complete', async () => {
    const chunks = Array.from({ length: 20_000 }, (_, number) => `${number} `);
    const { provider } = await setUp({ chunks });
    expect(textOf(await collect(provider.stream(requestOf(), none)))).toBe(chunks.join(''));
  });

  test.each([
    ['before the headers', { fault: 'hang' }, 0],
    ['before the first token', { fault: 'stall:0' }, 0],
    ['in the middle', { chunks: ['a', 'b', 'c'], fault: 'stall:2' }, 2],
  ])('an abort %s throws the reason and ends the request', async (_name, reply, deltas) => {
    const { fake, provider } = await setUp(reply);
    const reason = new Error('the caller left');
    const controller = new AbortController();
    const outcome = outcomeOf(provider.stream(requestOf(), controller.signal));
    await fake.waitForRequest();
    await sleep(50);
    const abortedAt = performance.now();
    controller.abort(reason);
    const { events, error } = await outcome;
    expect(performance.now() - abortedAt).toBeLessThan(100);
    expect(error).toBe(reason);
    expect(events).toHaveLength(deltas);
    const { at } = await fake.waitForAbort();
    expect(at - abortedAt).toBeLessThan(250);
  });

  test('a consumer that stops early ends the request', async () => {
    const { fake, provider } = await setUp({ chunks: ['a', 'b', 'c', 'd'], hold: hold(3) });
    for await (const event of provider.stream(requestOf(), none)) {
      if (event.type === 'text-delta' && event.text === 'b') break;
    }
    const stoppedAt = performance.now();
    const { at } = await fake.waitForAbort();
    expect(at - stoppedAt).toBeLessThan(250);
  });

  test.each([
    ['garbage', 'malformed:2'],
    ['a cut connection', 'cut:2'],
    ['an end without a stop reason', 'end:2'],
    ['usage without a stop reason', 'end:2:done'],
    ['an exception', 'error:2'],
  ])('%s is a retryable provider_error after the text so far', async (_name, fault) => {
    const { provider } = await setUp({ chunks: ['a', 'b', 'c', 'd'], fault });
    const { events, error } = await outcomeOf(provider.stream(requestOf(), none));
    expect(textOf(events)).toBe('ab');
    expect(error).toMatchObject({ name: 'Fault', type: 'provider_error', retryable: true });
  });

  test('a reset before the headers, and a refused connection, are provider_unavailable', async () => {
    const { fake, provider } = await setUp({ fault: 'reset' });
    const unreachable = {
      type: 'provider_unavailable',
      retryable: true,
      message: 'The model provider bedrock cannot be reached.',
      upstreamStatus: undefined,
    };
    expect(await faultOf(provider)).toMatchObject(unreachable);
    await fake.close();
    expect(await faultOf(provider)).toMatchObject(unreachable);
    await expect(provider.probe(none)).rejects.toMatchObject(unreachable);
  });

  test('throttling tells when to come back', async () => {
    const { provider } = await setUp({ fault: 'status:429:7' });
    expect(await faultOf(provider)).toMatchObject({
      type: 'provider_unavailable',
      retryable: true,
      retryAfterMs: 7000,
      upstreamStatus: 429,
    });
  });

  test('a probe asks for the root, without a signature and without a call', async () => {
    const { fake, provider } = await setUp();
    expect(await provider.probe(none)).toEqual([]);
    fake.probeStatus = 500;
    expect(await provider.probe(none)).toEqual([]);
    fake.probeStatus = 200;
    expect(await provider.probe(none)).toEqual([]);
    for (const status of [401, 403]) {
      fake.probeStatus = status;
      await expect(provider.probe(none)).rejects.toMatchObject({
        type: 'provider_unavailable',
        retryable: false,
        upstreamStatus: status,
      });
    }
    expect([fake.probes, fake.requests.length]).toEqual([5, 0]);
  });
});

describe('an answer', () => {
  test('may be empty, and has no usage when none is reported', async () => {
    expect(await answerTo({ usage: null })).toEqual([stopped]);
    expect(await answerTo({ text: 'x', usage: { inputTokens: 0, outputTokens: 0 } })).toEqual([
      { type: 'text-delta', text: 'x' },
      stopped,
    ]);
  });

  test('has reasoning', async () => {
    expect(await answerTo({ reasoning: ['Let ', 'me'], text: 'Yes', usage: null })).toEqual([
      { type: 'reasoning-delta', text: 'Let ' },
      { type: 'reasoning-delta', text: 'me' },
      { type: 'reasoning-delta', text: '', signature: 'c2lnbmF0dXJl' },
      { type: 'text-delta', text: 'Yes' },
      stopped,
    ]);
  });

  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['tool_use', 'stop'],
    ['something_new', 'stop'],
  ])('stop reason %s is %s', async (finishReason, expected) => {
    expect((await answerTo({ text: 'x', finishReason, usage: null })).at(-1)).toEqual({
      type: 'end',
      finishReason: expected,
    });
  });

  test.each(['malformed_model_output', 'malformed_tool_use'])('stop reason %s is no end', async (reason) => {
    const { events, error } = await failureOf({ text: 'x', finishReason: reason });
    expect(textOf(events)).toBe('x');
    expect(error).toMatchObject({ type: 'provider_error', retryable: true });
  });

  test('is read right wherever the network cuts it', async () => {
    const text = 'é世👩‍🚀';
    const whole = Buffer.concat([textFrame(text), stopFrame]);
    let cut = 1;
    const url = await serve(async (_request, response) => {
      const at = cut;
      response.writeHead(200);
      response.socket?.setNoDelay(true);
      response.write(whole.subarray(0, at));
      await sleep(1);
      response.end(whole.subarray(at));
    });
    const provider = bedrockAt(url);
    for (; cut < whole.length; cut += 1) {
      const events = await collect(provider.stream(requestOf(), none));
      expect(events, `cut at ${cut}`).toEqual([{ type: 'text-delta', text }, stopped]);
    }
  });

  test('never has half a character', async () => {
    const halves = ['a\ud83d', '\ude00b', '\ude00c\ud83d'];
    const { events } = await readRaw(...halves.map(textFrame), stopFrame);
    expect(events).toEqual([
      { type: 'text-delta', text: 'a' },
      { type: 'text-delta', text: '😀b' },
      { type: 'text-delta', text: '\ufffdc' },
      { type: 'text-delta', text: '\ufffd' },
      stopped,
    ]);
  });

  test('does not wait for the end of the body once it has everything', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200);
      response.write(Buffer.concat([textFrame('x'), stopFrame, eventFrame('metadata', { usage: {} })]));
    });
    const startedAt = performance.now();
    expect(await collect(bedrockAt(url).stream(requestOf(), none))).toEqual([
      { type: 'text-delta', text: 'x' },
      stopped,
    ]);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('that has finished survives a broken connection', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200);
      response.write(Buffer.concat([textFrame('x'), stopFrame]), () => {
        setTimeout(() => response.destroy(), 20);
      });
    });
    expect(await collect(bedrockAt(url).stream(requestOf(), none))).toEqual([
      { type: 'text-delta', text: 'x' },
      stopped,
    ]);
  });

  test('over HTTP/1.1 leaves its connection open for the next one', async () => {
    const fake = await useFakeBedrock();
    const provider = bedrockAt(fake.url);
    fake.script({ text: 'one' }, { text: 'two' }, { text: 'three' });
    for (let turn = 0; turn < 3; turn += 1) {
      await collect(provider.stream(requestOf(), none));
      await sleep(20);
    }
    expect(fake.requests.map((request) => request.state)).toEqual(['finished', 'finished', 'finished']);
    expect(fake.connections).toBe(1);
  });

  test('does not wait for others: many run at once', async () => {
    const fake = await useFakeBedrock();
    const provider = bedrockAt(fake.url);
    const gate = hold(1);
    fake.script(...Array.from({ length: 120 }, () => ({ chunks: ['a', 'b'], hold: gate })));
    const answers = Array.from({ length: 120 }, () => collect(provider.stream(requestOf(), none)));
    await fake.waitForRequest(120);
    gate.release();
    for (const events of await Promise.all(answers)) expect(textOf(events)).toBe('ab');
  });

  test('of the fake is what the SDK reads with its own decoder', async () => {
    const fake = await useFakeBedrock();
    fake.script({
      reasoning: ['Hm'],
      chunks: ['Grüße'],
      toolCalls: [{ id: 't', name: 'n', arguments: '{}' }],
    });
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: fake.url,
      credentials: { accessKeyId: 'A', secretAccessKey: 'B' },
      requestHandler: new NodeHttpHandler(),
    });
    const messages = [{ role: 'user' as const, content: [{ text: 'Hi' }] }];
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: 'm', messages }));
    const types: string[] = [];
    for await (const event of stream ?? []) types.push(...Object.keys(event));
    expect(types).toEqual([
      'messageStart',
      'contentBlockDelta',
      'contentBlockDelta',
      'contentBlockStop',
      'contentBlockDelta',
      'contentBlockStop',
      'contentBlockStart',
      'contentBlockDelta',
      'contentBlockDelta',
      'contentBlockStop',
      'messageStop',
      'metadata',
    ]);
  });
});

describe('tool calls', () => {
  const two = [
    { id: 'tooluse_a', name: 'clock', arguments: '{"zone":"Europe/Paris"}', fragments: 4 },
    { id: 'tooluse_b', name: 'add', arguments: '{"x":1,"y":2}' },
  ];
  const ended = (events: LlmEvent[]) => events.filter((event) => event.type === 'tool-call-end');

  test('come as start, deltas and end, and end the turn', async () => {
    const toolCalls = [{ id: 'tooluse_a', name: 'clock', arguments: '{"zone":1}', fragments: 2 }];
    expect(await answerTo({ chunks: ['Wait'], toolCalls, usage: null }, { tools: [tool] })).toEqual([
      { type: 'text-delta', text: 'Wait' },
      { type: 'tool-call-start', id: 'tooluse_a', name: 'clock' },
      { type: 'tool-call-delta', id: 'tooluse_a', text: '{"zon' },
      { type: 'tool-call-delta', id: 'tooluse_a', text: 'e":1}' },
      { type: 'tool-call-end', id: 'tooluse_a', name: 'clock', argumentsText: '{"zone":1}' },
      { type: 'end', finishReason: 'tool_calls' },
    ]);
  });

  test.each([
    [[]],
    [['tool-index:wrong']],
    [['tool-index:missing']],
    [['tool-index:duplicate']],
    [['one-byte']],
  ])('several, with %j, keep apart', async (fault) => {
    const events = await answerTo({ toolCalls: two, fault, usage: null }, { tools: [tool] });
    expect(ended(events)).toEqual([
      {
        type: 'tool-call-end',
        id: 'tooluse_a',
        name: 'clock',
        argumentsText: '{"zone":"Europe/Paris"}',
      },
      { type: 'tool-call-end', id: 'tooluse_b', name: 'add', argumentsText: '{"x":1,"y":2}' },
    ]);
    expect(events.at(-1)).toEqual({ type: 'end', finishReason: 'tool_calls' });
  });

  test('without arguments have empty ones', async () => {
    const events = await answerTo(
      { toolCalls: [{ id: 'a', name: 'now', arguments: '' }] },
      { tools: [tool] },
    );
    expect(ended(events)).toEqual([{ type: 'tool-call-end', id: 'a', name: 'now', argumentsText: '{}' }]);
  });

  test('decide over the stop reason, but for a length', async () => {
    const reply = { toolCalls: two, usage: null };
    const reasonOf = async (finishReason: string) =>
      (await answerTo({ ...reply, finishReason }, { tools: [tool] })).at(-1);
    expect(await reasonOf('end_turn')).toEqual({ type: 'end', finishReason: 'tool_calls' });
    expect(await reasonOf('max_tokens')).toEqual({ type: 'end', finishReason: 'length' });
  });
});

describe('what goes wrong before the stream', () => {
  const who = 'The model provider bedrock';
  const failed = ['provider_error', true, `${who} failed.`] as const;
  const refused = [
    'provider_unavailable',
    false,
    `${who} does not accept the credentials of this service.`,
  ] as const;
  const busy = ['provider_unavailable', true, `${who} takes no more requests at the moment.`] as const;
  const down = ['provider_unavailable', true, `${who} is overloaded or down.`] as const;
  const tooLate = ['provider_timeout', true, `${who} did not answer in time.`] as const;
  const unknown = [
    'provider_rejected',
    false,
    `${who} does not know the model or the address it was asked at.`,
  ] as const;

  test.each([
    [400, 'ValidationException', 'provider_rejected', false, `${who} refused the request.`],
    [400, 'ServiceQuotaExceededException', ...busy],
    [401, 'UnauthorizedException', ...refused],
    [403, 'AccessDeniedException', ...refused],
    [403, 'UnrecognizedClientException', ...refused],
    [403, 'ExpiredTokenException', ...refused],
    [403, 'InvalidSignatureException', ...refused],
    [404, 'ResourceNotFoundException', ...unknown],
    [408, 'ModelTimeoutException', ...tooLate],
    [424, 'ModelErrorException', ...failed],
    [429, 'ThrottlingException', ...busy],
    [429, 'ModelNotReadyException', ...down],
    [500, 'InternalServerException', ...failed],
    [503, 'ServiceUnavailableException', ...down],
    [502, undefined, ...failed],
    [529, undefined, ...down],
    [418, 'SomethingNewException', 'provider_rejected', false, `${who} refused the request.`],
  ])('%i %s', async (status, name, type, retryable, message) => {
    const body = { __type: name, message: 'secret arn:aws:iam::123456789012:role/x' };
    const fake = await useFakeBedrock();
    fake.script({ fault: { type: 'status', status, body } });
    const fault = await faultOf(bedrockAt(fake.url));
    expect(fault).toMatchObject({ type, retryable, message, upstreamStatus: status });
    expect(fake.requests).toHaveLength(1);
  });

  test.each([
    ['Input is too long for requested model.', `${who} refused the request: it is too long for the model.`],
    [
      'prompt is too long: 207014 tokens > 200000 maximum',
      `${who} refused the request: it is too long for the model.`,
    ],
    [
      'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000',
      `${who} refused the request: it is too long for the model.`,
    ],
    [
      'Too many input tokens. Max input tokens: 8192, request input token count: 9000',
      `${who} refused the request: it is too long for the model.`,
    ],
    ['The provided model identifier is invalid.', unknown[2]],
    ['Invocation of model ID x with on-demand throughput isn’t supported.', unknown[2]],
  ])('400 with «%s»', async (text, message) => {
    const body = { message: text };
    const { error } = await failureOf({ fault: { type: 'status', status: 400, body } });
    expect(error).toMatchObject({ type: 'provider_rejected', retryable: false, message });
  });

  test.each(['html', 'garbage', 'empty'])('500 with a body of %s', async (body) => {
    const { error } = await failureOf({ fault: `status:500:${body}` });
    expect(error).toMatchObject({ type: 'provider_error', retryable: true, upstreamStatus: 500 });
  });

  test('Retry-After may be a date', async () => {
    const retryAfter = new Date(Date.now() + 20_000).toUTCString();
    const { error } = await failureOf({ fault: { type: 'status', status: 429, retryAfter } });
    expect((error as Fault).retryAfterMs).toBeGreaterThan(17_000);
    expect((error as Fault).retryAfterMs).toBeLessThanOrEqual(20_000);
  });

  test('an error body without end does not keep us', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' });
      const more = () => {
        while (response.write('x'.repeat(65536)));
        response.once('drain', more);
      };
      more();
    });
    expect(await faultOf(bedrockAt(url))).toMatchObject({ type: 'provider_error', upstreamStatus: 500 });
  });

  test('a prompt that is too long, and a wrong key, are told by the endpoint', async () => {
    const fake = await useFakeBedrock({ contextWindow: 10, accessKeyId: 'AKIAFAKE' });
    const stranger = bedrockAt(fake.url, { credentials: { accessKeyId: 'B', secretAccessKey: 'b' } });
    expect((await faultOf(bedrockAt(fake.url))).message).toContain('too long');
    expect(await faultOf(stranger)).toMatchObject({ upstreamStatus: 403, retryable: false });
  });
});

describe('what goes wrong in the stream', () => {
  test.each([
    ['modelStreamErrorException', 'provider_error', true],
    ['internalServerException', 'provider_error', true],
    ['serviceUnavailableException', 'provider_unavailable', true],
    ['throttlingException', 'provider_unavailable', true],
    ['validationException', 'provider_rejected', false],
    ['modelTimeoutException', 'provider_timeout', true],
    ['somethingNewException', 'provider_error', true],
  ])('%s is %s', async (exception, type, retryable) => {
    const body = { exception, message: 'secret' };
    const { events, error } = await failureOf({
      chunks: ['a', 'b'],
      fault: { type: 'error', after: 1, body },
    });
    expect(textOf(events)).toBe('a');
    expect(error).toMatchObject({ type, retryable, upstreamStatus: undefined });
    expect((error as Fault).message).not.toContain('secret');
  });

  test('an error that the service does not know is one too', async () => {
    const unknown = await readRaw(textFrame('a'), errorFrame('InternalFailure', 'secret'));
    expect(unknown).toMatchObject({ events: [{ text: 'a' }], error: { type: 'provider_error' } });
    const busy = await readRaw(errorFrame('ThrottlingException', 'secret'));
    expect(busy).toMatchObject({ error: { type: 'provider_unavailable', retryable: true } });
  });

  test('what comes after an exception does not count', async () => {
    const { events, error } = await readRaw(
      exceptionFrame('throttlingException', ''),
      textFrame('a'),
      stopFrame,
    );
    expect(events).toEqual([]);
    expect(error).toMatchObject({ type: 'provider_unavailable' });
  });

  const header = { ':message-type': 'event', ':event-type': 'contentBlockDelta' };
  test.each([
    ['a page', Buffer.from('<html>Sign in</html>')],
    ['JSON', Buffer.from('{"output":{"message":{}}}')],
    ['a frame of 4 GB', Buffer.from('ffffffff00000010000000000000000000', 'hex')],
    ['a frame shorter than any', Buffer.from('00000004000000000000000000000000', 'hex')],
    ['a frame without JSON', encodeFrame(header, Buffer.from('{"delta":'))],
    ['a frame with a number', encodeFrame(header, Buffer.from('7'))],
    ['a frame of another kind', encodeFrame({ ':message-type': 'riddle' }, Buffer.from('{}'))],
  ])('%s with status 200 is garbage', async (_name, bytes) => {
    const { error } = await readRaw(bytes);
    expect(error).toMatchObject({
      type: 'provider_error',
      retryable: true,
      message: 'The model provider bedrock sent something that is not an answer.',
    });
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['half a frame', textFrame('hello').subarray(0, 30)],
    ['three bytes', textFrame('hello').subarray(0, 3)],
  ])('%s is an answer that broke off', async (_name, bytes) => {
    const { error } = await readRaw(bytes);
    expect(error).toMatchObject({
      type: 'provider_error',
      message: 'The answer of the model provider bedrock broke off.',
    });
  });

  test('a length that its checksum does not confirm is not waited for', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200);
      response.write(Buffer.from('00100000000000100000000000000000', 'hex'));
    });
    expect(await faultOf(bedrockAt(url))).toMatchObject({ type: 'provider_error', retryable: true });
  });

  test('headers of every type are passed over', async () => {
    const frame = textFrame('x');
    const typed = Buffer.from(
      '0161000162010163020101640300010165040000000101660500000000000000010167060001ff',
      'hex',
    );
    const more = Buffer.concat([typed, Buffer.from(`0168080000000000000001016909${'00'.repeat(16)}`, 'hex')]);
    const { events } = await readRaw(withHeaders(frame, more), stopFrame);
    expect(events).toEqual([{ type: 'text-delta', text: 'x' }, stopped]);
  });
});

/** the frame with more headers before its own */
function withHeaders(frame: Buffer, headers: Buffer): Buffer {
  const end = 12 + frame.readUInt32BE(4);
  const rebuilt = encodeFrame({}, Buffer.concat([headers, frame.subarray(12, end), frame.subarray(end, -4)]));
  rebuilt.writeUInt32BE(headers.length + end - 12, 4);
  return resigned(rebuilt);
}

function resigned(frame: Buffer): Buffer {
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}

describe('abort', () => {
  const reason = new Error('the caller left');

  test('before the call asks nobody', async () => {
    const fake = await useFakeBedrock();
    const provider = bedrockAt(fake.url);
    const { error } = await outcomeOf(provider.stream(requestOf(), AbortSignal.abort(reason)));
    expect(error).toBe(reason);
    await expect(provider.probe(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect([fake.requests.length, fake.probes]).toEqual([0, 0]);
  });

  test('between two events of one packet yields no more', async () => {
    const fake = await useFakeBedrock();
    fake.script({ chunks: ['a', 'b', 'c'] });
    const controller = new AbortController();
    const seen: LlmEvent[] = [];
    const read = async () => {
      for await (const event of bedrockAt(fake.url).stream(requestOf(), controller.signal)) {
        seen.push(event);
        controller.abort(reason);
      }
    };
    await expect(read()).rejects.toBe(reason);
    expect(seen).toEqual([{ type: 'text-delta', text: 'a' }]);
  });

  test.each([
    ['an error body', 500],
    ['a probe', 404],
  ])('while %s stalls', async (name, status) => {
    const url = await serve((_request, response) => {
      response.writeHead(status).write('{');
    });
    const provider = bedrockAt(url);
    const controller = new AbortController();
    const { signal } = controller;
    const failed =
      name === 'a probe'
        ? provider.probe(signal).catch((error: unknown) => error)
        : errorOf(provider, signal);
    setTimeout(() => controller.abort(reason), 50);
    expect(await failed).toBe(reason);
  });

  test('while credentials are looked for', async () => {
    const provider = createBedrockProvider({ name: 'bedrock', region: 'us-east-1' });
    const asked = Promise.withResolvers<void>();
    stubCredentials({ AWS_CONTAINER_CREDENTIALS_FULL_URI: await serve(() => asked.resolve()) });
    const controller = new AbortController();
    const failed = errorOf(provider, controller.signal);
    await asked.promise;
    const abortedAt = performance.now();
    controller.abort(reason);
    expect(await failed).toBe(reason);
    expect(performance.now() - abortedAt).toBeLessThan(100);
  });

  test('leaves no listener on the signal behind', async () => {
    const fake = await useFakeBedrock();
    fake.script({ text: 'x' }, { fault: 'status:500' });
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const provider = bedrockAt(fake.url);
    await outcomeOf(provider.stream(requestOf(), signal));
    await outcomeOf(provider.stream(requestOf(), signal));
    expect(added).toHaveBeenCalledTimes(2);
    expect(removed).toHaveBeenCalledTimes(2);
  });

  async function errorOf(provider: LlmProvider, signal: AbortSignal): Promise<unknown> {
    return (await outcomeOf(provider.stream(requestOf(), signal))).error;
  }
});

/** An environment in which the AWS SDK finds nothing but what is given. */
function stubCredentials(given: Record<string, string>): void {
  const names = Object.keys(process.env).filter((name) => name.startsWith('AWS_'));
  for (const name of names) vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', '/nonexistent');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const [name, value] of Object.entries(given)) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

describe('credentials', () => {
  const anonymous = {
    type: 'provider_unavailable',
    retryable: false,
    upstreamStatus: 401,
    message: 'This service has no valid credentials for the model provider bedrock.',
  };

  test('that are missing are said to be, by a call and by a probe', async () => {
    const fake = await useFakeBedrock();
    stubCredentials({});
    const provider = bedrockAt(fake.url, { credentials: undefined });
    expect(await faultOf(provider)).toMatchObject(anonymous);
    await expect(provider.probe(none)).rejects.toMatchObject(anonymous);
    expect([fake.requests.length, fake.probes]).toEqual([0, 0]);
  });

  test('come from the environment, and are looked for again after they were missing', async () => {
    const fake = await useFakeBedrock();
    fake.script({ text: 'x' });
    stubCredentials({});
    const provider = bedrockAt(fake.url, { credentials: undefined });
    expect(await faultOf(provider)).toMatchObject(anonymous);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    expect(textOf(await collect(provider.stream(requestOf(), none)))).toBe('x');
    expect(fake.requests[0]?.headers.authorization).toContain('Credential=AKIAENV/');
  });

  test('that were given win over a token in the environment', async () => {
    const fake = await useFakeBedrock();
    fake.script({ text: 'x' });
    stubCredentials({ AWS_BEARER_TOKEN_BEDROCK: 'token' });
    await collect(bedrockAt(fake.url).stream(requestOf(), none));
    expect(fake.requests[0]?.headers.authorization).toContain('Credential=AKIAFAKE/');
  });

  test('may be a token', async () => {
    stubCredentials({ AWS_BEARER_TOKEN_BEDROCK: 'token' });
    let authorization: string | undefined;
    const url = await serve((request, response) => {
      authorization = request.headers.authorization;
      response.end(stopFrame);
    });
    expect(await collect(bedrockAt(url, { credentials: undefined }).stream(requestOf(), none))).toEqual([
      stopped,
    ]);
    expect(authorization).toBe('Bearer token');
  });

  test.each([
    ['a key with a line break', { credentials: { accessKeyId: 'AK\nIA', secretAccessKey: 'x' } }],
    ['an endpoint that is none', { endpoint: 'nowhere' }],
  ])('%s cannot be used', async (_name, options) => {
    const fake = await useFakeBedrock();
    expect(await faultOf(bedrockAt(fake.url, options))).toMatchObject({
      type: 'provider_unavailable',
      retryable: false,
      message: 'The model provider bedrock cannot be asked: its key or its address is not valid.',
    });
  });

  test.each(['/', '/prefix/'])('an endpoint may end in %s', async (path) => {
    let asked: string | undefined;
    const url = await serve((request, response) => {
      asked = request.url;
      response.end(stopFrame);
    });
    await collect(bedrockAt(`${url}${path}`).stream(requestOf({ model: { ...model, id: 'a:0/b' } }), none));
    expect(asked).toBe(`${path}model/a%3A0%2Fb/converse-stream`);
  });
});

describe('a request', () => {
  async function bodyOf(change: Partial<LlmRequest>) {
    const fake = await useFakeBedrock({ requireScript: true });
    fake.script({});
    await collect(bedrockAt(fake.url).stream(requestOf(change), none));
    const { model: asked, ...body } = (await fake.waitForRequest()).body;
    expect(asked).toBe((change.model ?? model).id);
    return body;
  }
  const llama = { ...model, id: 'us.meta.llama4-maverick-17b-instruct-v1:0' };
  const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' } as const;
  const call = { type: 'toolCall', id: 'call_a', name: 'clock', arguments: { zone: 'UTC' } } as const;
  const result = {
    role: 'toolResult',
    toolCallId: 'call_a',
    toolName: 'clock',
    content: [{ type: 'text', text: 'noon' }],
    isError: false,
  } as const satisfies Message;

  test('is as small as can be', async () => {
    expect(await bodyOf({})).toEqual({ messages: [{ role: 'user', content: [{ text: 'Hello' }] }] });
  });

  test('has every kind of message, in turns', async () => {
    const messages: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: [{ type: 'text', text: 'What is ' }, image, { type: 'text', text: ' ' }] },
      { role: 'user', content: 'this?' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm' },
          { type: 'text', text: 'Wait' },
          { type: 'text', text: '' },
          call,
          { ...call, id: 'functions.add:1', name: 'add', arguments: {}, argumentsText: '{"x":' },
        ],
      },
      { ...result, content: [...result.content, { ...image, mimeType: 'image/jpg' }] },
      { ...result, toolCallId: 'functions.add:1', toolName: 'add', content: [], isError: true },
      { role: 'user', content: 'And?' },
      { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm' }] },
      { role: 'user', content: '' },
    ];
    const id = 'call_8717042037afd6987004cc98';
    expect(await bodyOf({ messages, tools: [tool] })).toEqual({
      system: [{ text: 'Be kind.' }, { cachePoint: { type: 'default' } }],
      messages: [
        {
          role: 'user',
          content: [
            { text: 'What is ' },
            { image: { format: 'png', source: { bytes: 'AAAA' } } },
            { text: 'this?' },
          ],
        },
        {
          role: 'assistant',
          content: [
            { text: 'Wait' },
            { toolUse: { toolUseId: 'call_a', name: 'clock', input: { zone: 'UTC' } } },
            { toolUse: { toolUseId: id, name: 'add', input: {} } },
          ],
        },
        {
          role: 'user',
          content: [
            {
              toolResult: {
                toolUseId: 'call_a',
                content: [{ text: 'noon' }, { image: { format: 'jpeg', source: { bytes: 'AAAA' } } }],
              },
            },
            { toolResult: { toolUseId: id, content: [{ text: '(empty)' }], status: 'error' } },
            { text: 'And?' },
            { text: '(empty)' },
          ],
        },
      ],
      toolConfig: {
        tools: [
          { toolSpec: { name: 'clock', description: 'The time', inputSchema: { json: tool.parameters } } },
        ],
      },
    });
  });

  test('begins with the user whatever the history says', async () => {
    const messages: Message[] = [{ role: 'assistant', content: [{ type: 'text', text: 'Hi' }] }];
    expect((await bodyOf({ messages })).messages).toEqual([
      { role: 'user', content: [{ text: '(empty)' }] },
      { role: 'assistant', content: [{ text: 'Hi' }] },
    ]);
  });

  test('offers the tools of its history when there are no others', async () => {
    const messages: Message[] = [
      { role: 'user', content: 'Time?' },
      { role: 'assistant', content: [call] },
      result,
    ];
    expect((await bodyOf({ messages })).toolConfig).toEqual({
      tools: [
        {
          toolSpec: {
            name: 'clock',
            description: 'Not available any more.',
            inputSchema: { json: { type: 'object' } },
          },
        },
      ],
    });
    const unskilled = { ...llama, accepts: { ...model.accepts, tools: false } };
    expect(await bodyOf({ messages, model: unskilled, tools: [tool] })).toEqual({
      messages: [
        { role: 'user', content: [{ text: 'Time?' }] },
        { role: 'assistant', content: [{ text: 'Called clock: {"zone":"UTC"}' }] },
        { role: 'user', content: [{ text: 'clock answered: noon' }] },
      ],
    });
  });

  test('describes a tool without a description by its name', async () => {
    const { toolConfig } = await bodyOf({ tools: [{ ...tool, description: ' ' }] });
    expect(toolConfig?.tools[0]?.toolSpec.description).toBe('clock');
  });

  test.each([
    ['us.anthropic.claude-sonnet-4-6', true],
    ['anthropic.claude-3-7-sonnet-20250219-v1:0', true],
    ['anthropic.claude-3-haiku-20240307-v1:0', false],
    ['anthropic.claude-v2:1', false],
    ['global.amazon.nova-2-lite-v1:0', true],
    ['arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1', true],
    ['us.meta.llama4-maverick-17b-instruct-v1:0', false],
    ['openai.gpt-oss-120b-1:0', false],
  ])('marks the cache for %s: %s', async (id, isMarked) => {
    const messages: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
    ];
    const { system } = await bodyOf({ messages, model: { ...model, id } });
    expect(system).toEqual([
      { text: 'Be kind.' },
      ...(isMarked ? [{ cachePoint: { type: 'default' } }] : []),
    ]);
  });

  test('marks the cache as the catalogue says', async () => {
    const messages: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
    ];
    const withCache = { ...llama, promptCache: true };
    expect((await bodyOf({ messages, model: withCache })).system).toHaveLength(2);
    const without = { ...model, promptCache: false };
    expect((await bodyOf({ messages, model: without })).system).toHaveLength(1);
  });

  test('has limits as the model takes them', async () => {
    expect((await bodyOf({ temperature: 1.7, maxTokens: 50 })).inferenceConfig).toEqual({
      temperature: 1,
      maxTokens: 50,
    });
    expect((await bodyOf({ temperature: 0 })).inferenceConfig).toEqual({ temperature: 0 });
    const fixed = { ...model, accepts: { ...model.accepts, temperature: false } };
    expect(await bodyOf({ temperature: 0.5, model: fixed })).not.toHaveProperty('inferenceConfig');
  });

  const adaptive = { type: 'adaptive', display: 'summarized' };
  test('gives its own sealed thinking of the turn under way back, and no other', async () => {
    const sealedBy = `${model.provider}/${model.id}`;
    const thought = { type: 'thinking', thinking: 'Hm', signature: 'c2lnbmF0dXJl' } as const;
    const messages: Message[] = [
      { role: 'user', content: 'One' },
      {
        role: 'assistant',
        content: [
          { ...thought, sealedBy },
          { type: 'text', text: 'Yes' },
        ],
      },
      { role: 'user', content: 'Two' },
      {
        role: 'assistant',
        content: [
          { ...thought, sealedBy },
          { type: 'thinking', thinking: '', redacted: 'AAEC', sealedBy },
          { ...thought, sealedBy: 'anthropic/other' },
          { type: 'thinking', thinking: 'unsealed' },
          call,
        ],
      },
      result,
    ];
    const body = await bodyOf({ messages, tools: [tool] });
    expect(body.messages[1]?.content).toEqual([{ text: 'Yes' }]);
    expect(body.messages[3]?.content).toEqual([
      { reasoningContent: { reasoningText: { text: 'Hm', signature: 'c2lnbmF0dXJl' } } },
      { reasoningContent: { redactedContent: 'AAEC' } },
      { toolUse: { toolUseId: 'call_a', name: 'clock', input: { zone: 'UTC' } } },
    ]);
  });

  test.each([
    ['standard', { on: 'adaptive' }, adaptive, 'medium'],
    ['determined', { on: 'adaptive', off: 'disabled' }, adaptive, 'high'],
    ['quick', { on: 'adaptive', off: 'disabled' }, { type: 'disabled' }, 'low'],
    ['quick', { on: 'adaptive', off: 'between_tools' }, { type: 'between_tools' }, 'low'],
    ['quick', { on: 'adaptive', off: 'never' }, adaptive, 'low'],
    ['quick', { on: 'adaptive' }, undefined, 'low'],
    ['determined', { on: 'budget' }, undefined, undefined],
    ['determined', undefined, undefined, undefined],
  ] as const)('makes it think: %s with %j', async (effort, thinking, asked, askedEffort) => {
    const body = await bodyOf({ effort, model: { ...model, thinking } as Model, temperature: 0.5 });
    expect(body.additionalModelRequestFields).toEqual(asked && { thinking: asked });
    expect(body.outputConfig).toEqual(askedEffort && { effort: askedEffort });
    const hasTemperature = asked?.type !== 'adaptive';
    expect(body.inferenceConfig).toEqual(hasTemperature ? { temperature: 0.5 } : undefined);
  });

  const closed = {
    type: 'object',
    properties: { a: { type: 'array', items: { type: 'string' } } },
    additionalProperties: false,
  };

  test('enforces a schema where that can be done', async () => {
    const body = await bodyOf({ responseFormat: { type: 'json_schema', schema: closed } });
    const jsonSchema = { name: 'answer', schema: JSON.stringify(closed) };
    expect(body.outputConfig).toEqual({ textFormat: { type: 'json_schema', structure: { jsonSchema } } });
    expect(body).not.toHaveProperty('system');
  });

  test.each([
    ['open', { type: 'object', properties: {} }, model],
    ['with rare keywords', { ...closed, properties: { a: { type: 'string', pattern: 'x' } } }, model],
    ['no object', { type: 'array', items: { type: 'string' } }, model],
    ['closed', closed, { ...model, accepts: { ...model.accepts, jsonSchema: false } }],
  ])('asks for a schema that is %s in words where it cannot', async (_name, schema, asked) => {
    const body = await bodyOf({ responseFormat: { type: 'json_schema', schema }, model: asked });
    expect(body).not.toHaveProperty('outputConfig');
    expect(body.system).toEqual([
      {
        text: `Answer with JSON that matches this JSON Schema, and nothing else:\n${JSON.stringify(schema)}`,
      },
    ]);
  });

  test('asks for JSON behind the mark of the cache', async () => {
    const messages: Message[] = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
    ];
    expect((await bodyOf({ messages, responseFormat: { type: 'json_object' } })).system).toEqual([
      { text: 'Be kind.' },
      { cachePoint: { type: 'default' } },
      { text: 'Answer with one JSON object and nothing else.' },
    ]);
  });
});

describe('the fake', () => {
  const user = { role: 'user', content: [{ text: 'Hi' }] };
  const use = { toolUse: { toolUseId: 'a', name: 'clock', input: {} } };
  const answer = { toolResult: { toolUseId: 'a', content: [{ text: 'noon' }] } };
  const toolConfig = { tools: [{ toolSpec: { name: 'clock', inputSchema: { json: { type: 'object' } } } }] };
  const signed = {
    authorization: 'AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/bedrock/aws4_request, x',
  };

  async function statusOf(body: object, headers: Record<string, string> = signed) {
    const fake = await useFakeBedrock();
    const response = await fetch(`${fake.url}/model/m/converse-stream`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return `${response.status} ${response.headers.get('x-amzn-errortype')?.split(':')[0] ?? ''}`.trim();
  }

  test.each([
    ['a plain request', { messages: [user] }, '200'],
    ['no message', { messages: [] }, '400 ValidationException'],
    ['two of the user', { messages: [user, user] }, '400 ValidationException'],
    ['the assistant first', { messages: [{ ...user, role: 'assistant' }] }, '400 ValidationException'],
    ['blank text', { messages: [{ role: 'user', content: [{ text: ' ' }] }] }, '400 ValidationException'],
    ['no content', { messages: [{ role: 'user', content: [] }] }, '400 ValidationException'],
    [
      'a call and its result',
      {
        messages: [user, { role: 'assistant', content: [use] }, { role: 'user', content: [answer] }],
        toolConfig,
      },
      '200',
    ],
    [
      'no tools for them',
      { messages: [user, { role: 'assistant', content: [use] }, { role: 'user', content: [answer] }] },
      '400 ValidationException',
    ],
    [
      'a call without a result',
      { messages: [user, { role: 'assistant', content: [use] }, user], toolConfig },
      '400 ValidationException',
    ],
    [
      'a call at the end',
      { messages: [user, { role: 'assistant', content: [use] }], toolConfig },
      '400 ValidationException',
    ],
    [
      'a result without a call',
      { messages: [{ role: 'user', content: [answer] }], toolConfig },
      '400 ValidationException',
    ],
    ['too warm', { messages: [user], inferenceConfig: { temperature: 1.1 } }, '400 ValidationException'],
  ])('answers %s', async (_name, body, status) => {
    expect(await statusOf(body)).toBe(status);
  });

  test('wants a signature', async () => {
    expect(await statusOf({ messages: [user] }, {})).toBe('403 MissingAuthenticationTokenException');
  });

  test('follows the commands in a message', async () => {
    const fake = await useFakeBedrock();
    const provider = bedrockAt(fake.url);
    const messages: Message[] = [{ role: 'user', content: '/say Good morning' }];
    expect(textOf(await collect(provider.stream(requestOf({ messages }), none)))).toBe('Good morning');
    const limited = await collect(
      provider.stream(requestOf({ messages: [{ role: 'user', content: '/tokens 9' }], maxTokens: 4 }), none),
    );
    expect(limited.at(-1)).toMatchObject({ finishReason: 'length', usage: { outputTokens: 4 } });
  });
});
