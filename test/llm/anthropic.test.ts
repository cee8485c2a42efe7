import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeAnthropicOptions } from '../../scripts/fake-llm/anthropic.ts';
import type { MessagesRequest } from '../../scripts/fake-llm/anthropic-request.ts';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import type { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import type { AssistantMessage, Message, ToolResultMessage, UserMessage } from '../../src/core/message.ts';
import { createAnthropicProvider } from '../../src/llm/anthropic.ts';
import type { LlmRequest, Model } from '../../src/llm/provider.ts';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { refusedUrl } from '../helpers/fake-llm.ts';

const model: Model = {
  id: 'claude-fake',
  provider: 'anthropic',
  name: 'Fake',
  description: '',
  contextWindow: 200_000,
  maxOutput: 64_000,
  accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
};
const thinker: Model = { ...model, accepts: { ...model.accepts, reasoning: true } };
const budgeted: Model = { ...thinker, thinking: { on: 'budget' } };
const tool = { name: 'clock', description: 'The time', parameters: { type: 'object', properties: {} } };
const none = new AbortController().signal;
const cached = { cache_control: { type: 'ephemeral' } };

function requestOf(change: Partial<LlmRequest> = {}): LlmRequest {
  const messages: Message[] = [{ role: 'user', content: 'Hello' }];
  return { model, messages, tools: [], responseFormat: { type: 'text' }, effort: 'standard', ...change };
}

function providerAt(baseUrl: string, apiKey = 'sk-ant-test') {
  return createAnthropicProvider({ name: 'anthropic', baseUrl, apiKey });
}

type Outcome = { events: LlmEvent[]; error: unknown };

async function outcomeOf(stream: AsyncIterable<LlmEvent>): Promise<Outcome> {
  const events: LlmEvent[] = [];
  try {
    for await (const event of stream) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

async function ask(reply: ScriptedReply, change: Partial<LlmRequest> = {}): Promise<Outcome> {
  const fake = await useFakeAnthropic();
  fake.script(reply);
  return outcomeOf(providerAt(rootOf(fake)).stream(requestOf(change), none));
}

/** What the server gets; it must have found nothing wrong with it. */
async function bodyOf(
  change: Partial<LlmRequest>,
  options: FakeAnthropicOptions = {},
): Promise<MessagesRequest> {
  const fake = await useFakeAnthropic(options);
  fake.script({ text: 'x' });
  const { error } = await outcomeOf(providerAt(rootOf(fake)).stream(requestOf(change), none));
  expect((error as Fault | undefined)?.cause ?? error).toBeUndefined();
  return fake.requests[0]?.body as MessagesRequest;
}

const user = (...texts: string[]): UserMessage => ({
  role: 'user',
  content: texts.map((text) => ({ type: 'text', text })),
});
const said = (text: string): AssistantMessage => ({ role: 'assistant', content: [{ type: 'text', text }] });
const called = (...ids: string[]): AssistantMessage => ({
  role: 'assistant',
  content: ids.map((id) => ({ type: 'toolCall', id, name: 'clock', arguments: { zone: 'UTC' } })),
});
const result = (toolCallId: string, text: string, isError = false): ToolResultMessage => ({
  role: 'toolResult',
  toolCallId,
  toolName: 'clock',
  content: [{ type: 'text', text }],
  isError,
});
const text = (value: string) => ({ type: 'text', text: value });
const use = (id: string) => ({ type: 'tool_use', id, name: 'clock', input: { zone: 'UTC' } });

describe('a request', () => {
  test('is as small as can be', async () => {
    expect(await bodyOf({})).toEqual({
      model: 'claude-fake',
      max_tokens: 64_000,
      messages: [{ role: 'user', content: [text('Hello')] }],
      stream: true,
    });
  });

  test('carries the key in both headers, and the version that takes what is sent', async () => {
    const fake = await useFakeAnthropic({ apiKey: 'sk-ant-test' });
    fake.script({ text: 'x' }, { text: 'x' });
    const provider = providerAt(rootOf(fake), ' sk-ant-test\n');
    for (const change of [{}, { temperature: 0.7 }]) {
      expect((await outcomeOf(provider.stream(requestOf(change), none))).error).toBeUndefined();
    }
    expect(fake.requests.map(({ headers }) => headers['anthropic-version'])).toEqual([
      '2026-10-21',
      '2023-06-01',
    ]);
    expect(fake.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer sk-ant-test',
      'x-api-key': 'sk-ant-test',
    });
  });

  test('marks the stable system text and the last tool for the cache', async () => {
    const body = await bodyOf({
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'system', content: '  ' },
        user('Hi'),
        { role: 'system', content: 'Be short.' },
      ],
      tools: [tool, { ...tool, name: 'calendar', description: ' ' }],
    });
    expect(body.system).toEqual([{ ...text('Be kind.'), ...cached }, text('Be short.')]);
    expect(body.messages).toEqual([{ role: 'user', content: [text('Hi')] }]);
    expect(body.tools).toEqual([
      { name: 'clock', description: 'The time', input_schema: { type: 'object', properties: {} } },
      { name: 'calendar', input_schema: { type: 'object', properties: {} }, ...cached },
    ]);
  });

  test('lets turns alternate, from the user on, without blank text', async () => {
    const body = await bodyOf({
      messages: [said('Welcome'), user('a', ' '), said(' \n'), user('b'), said('c'), said('d'), user('e')],
    });
    expect(body.messages).toEqual([
      { role: 'user', content: [text('(The conversation starts.)')] },
      { role: 'assistant', content: [text('Welcome')] },
      { role: 'user', content: [text('a'), text('b')] },
      { role: 'assistant', content: [text('c'), text('d')] },
      { role: 'user', content: [text('e')] },
    ]);
  });

  test('has calls last in their turn and all results first in the next', async () => {
    const answered: AssistantMessage = {
      role: 'assistant',
      content: [...called('call_a', 'fn.clock:1').content, { type: 'text', text: 'I look.' }],
    };
    const body = await bodyOf({
      tools: [tool],
      messages: [
        user('Time?'),
        answered,
        result('call_a', '12:00'),
        user('Hurry'),
        result('fn.clock:1', ' ', true),
      ],
    });
    expect(body.messages.slice(1)).toEqual([
      { role: 'assistant', content: [text('I look.'), use('call_a'), use('fn_clock_1')] },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'call_a', content: [text('12:00')] },
          { type: 'tool_result', tool_use_id: 'fn_clock_1', is_error: true },
          text('Hurry'),
        ],
      },
    ]);
  });

  test('has images, but not in failed results', async () => {
    const image = { type: 'image', data: 'AAAA', mimeType: 'image/jpg' } as const;
    const wireImage = {
      type: 'image',
      source: { type: 'base64', media_type: 'image/jpeg', data: 'AAAA' },
    };
    const body = await bodyOf({
      tools: [tool],
      messages: [
        { role: 'user', content: [image] },
        called('a', 'b'),
        { ...result('a', ''), content: [{ type: 'text', text: 'See' }, image] },
        { ...result('b', '', true), content: [{ type: 'text', text: 'Oops' }, image] },
      ],
    });
    expect(body.messages[0]).toEqual({ role: 'user', content: [wireImage] });
    expect(body.messages[2]?.content).toEqual([
      { type: 'tool_result', tool_use_id: 'a', content: [text('See'), wireImage] },
      { type: 'tool_result', tool_use_id: 'b', content: [text('Oops')], is_error: true },
    ]);
  });

  test('leaves thinking out, and a message that was nothing else', async () => {
    const thought: AssistantMessage = { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm' }] };
    const body = await bodyOf({ messages: [user('a'), thought, user('b')] });
    expect(body.messages).toEqual([{ role: 'user', content: [text('a'), text('b')] }]);
  });

  test('defines the tools of old calls when none may be called any more', async () => {
    const messages = [user('Time?'), called('a', 'b'), result('a', '1'), result('b', '2')];
    const body = await bodyOf({ messages });
    expect(body.tools).toEqual([{ name: 'clock', input_schema: { type: 'object' } }]);
    expect(body.tool_choice).toEqual({ type: 'none' });
    expect(await bodyOf({})).not.toHaveProperty('tools');
  });

  test('has no alternatives at the top of an input schema', async () => {
    const parameters = { properties: { a: {} }, anyOf: [{ required: ['a'] }] };
    const body = await bodyOf({ tools: [{ ...tool, parameters }] });
    expect(body.tools?.[0]?.input_schema).toEqual({ properties: { a: {} }, type: 'object' });
  });

  test.each([
    [0.7, 0.7],
    [1.6, 1],
    [-1, 0],
    [undefined, undefined],
  ])('clamps the temperature %s to %s', async (temperature, expected) => {
    const body = await bodyOf(temperature === undefined ? {} : { temperature });
    expect(body.temperature).toBe(expected);
  });

  test('has the limit of the caller, and no temperature where it is not taken', async () => {
    const cold = { ...model, accepts: { ...model.accepts, temperature: false } };
    const body = await bodyOf({ model: cold, temperature: 0.5, maxTokens: 50 });
    expect(body.max_tokens).toBe(50);
    expect(body).not.toHaveProperty('temperature');
  });
});

describe('a message of the assistant at the end', () => {
  const messages = [user('Count'), said('One, two, \n')];

  test('is continued, without the white space that would be refused', async () => {
    const body = await bodyOf({ messages });
    expect(body.messages.at(-1)).toEqual({ role: 'assistant', content: [text('One, two,')] });
  });

  test('keeps what cannot go with it away: thinking and a format', async () => {
    const responseFormat = { type: 'json_schema', schema: { type: 'object', properties: {} } } as const;
    const body = await bodyOf({ messages, responseFormat, model: budgeted });
    expect(body).not.toHaveProperty('thinking');
    expect(body).not.toHaveProperty('output_config');
  });

  test('is what newer models refuse', async () => {
    const fake = await useFakeAnthropic({ prefill: false });
    const { error } = await outcomeOf(providerAt(rootOf(fake)).stream(requestOf({ messages }), none));
    expect(error).toMatchObject({ type: 'provider_rejected', retryable: false, upstreamStatus: 400 });
  });
});

describe('thinking', () => {
  const adaptive = { type: 'adaptive', display: 'summarized' };
  const off = (value: 'disabled' | 'between_tools' | 'never'): Model => ({
    ...thinker,
    thinking: { on: 'adaptive', off: value },
  });
  const optional: Model = { ...thinker, thinking: { on: 'adaptive' } };

  test.each([
    ['an optional one', optional, 'quick', undefined, 'low'],
    ['an optional one', optional, 'standard', adaptive, 'medium'],
    ['one that nothing is known of', thinker, 'determined', adaptive, 'high'],
    ['one that thinks unless told', off('disabled'), 'quick', { type: 'disabled' }, 'low'],
    ['one that thinks unless told', off('disabled'), 'standard', adaptive, 'medium'],
    ['one with another word for off', off('between_tools'), 'quick', { type: 'between_tools' }, 'low'],
    ['one that always thinks', off('never'), 'quick', adaptive, 'low'],
    ['one that always thinks', off('never'), 'determined', adaptive, 'high'],
    ['one with a budget', budgeted, 'quick', undefined, undefined],
    ['one with a budget', budgeted, 'standard', { type: 'enabled', budget_tokens: 4096 }, undefined],
    ['one with a budget', budgeted, 'determined', { type: 'enabled', budget_tokens: 16384 }, undefined],
    ['one that cannot', model, 'determined', undefined, undefined],
  ] as const)('of %s (%#) for %s', async (_name, asked, effort, thinking, wireEffort) => {
    const body = await bodyOf({ model: asked, effort });
    expect(body.thinking).toEqual(thinking);
    expect(body.output_config?.effort).toBe(wireEffort);
  });

  test.each([
    [5000, { type: 'enabled', budget_tokens: 2500 }],
    [2048, { type: 'enabled', budget_tokens: 1024 }],
    [2047, undefined],
  ])('leaves half of %i tokens for the answer', async (maxTokens, thinking) => {
    expect((await bodyOf({ model: budgeted, maxTokens })).thinking).toEqual(thinking);
  });

  test('with a budget stays off in a turn that called tools, whose own thinking is not kept', async () => {
    const messages = [user('Time?'), called('a'), result('a', '12:00'), user('Hurry')];
    expect(await bodyOf({ model: budgeted, tools: [tool], messages })).not.toHaveProperty('thinking');
    const over = [...messages, said('Noon.'), user('Thanks')];
    expect(await bodyOf({ model: budgeted, tools: [tool], messages: over })).toHaveProperty('thinking');
  });

  test('takes no temperature beside it', async () => {
    expect(await bodyOf({ model: optional, temperature: 0.5 })).not.toHaveProperty('temperature');
    expect(await bodyOf({ model: optional, temperature: 0.5, effort: 'quick' })).toMatchObject({
      temperature: 0.5,
    });
  });
});

describe('a response format', () => {
  async function formatOf(schema: Record<string, unknown>, asked = model) {
    const body = await bodyOf({ model: asked, responseFormat: { type: 'json_schema', schema } });
    return body.output_config?.format;
  }
  const a = { type: 'string', description: 'A' };

  test('closes the objects of a schema', async () => {
    const list = { type: 'array', items: { type: 'object', properties: { a } } };
    const either = { anyOf: [{ const: 1 }, { enum: ['x', null] }, { type: ['number', 'null'] }] };
    const schema = { type: 'object', properties: { a, list, either }, required: ['a'] };
    expect(await formatOf(schema)).toEqual({
      type: 'json_schema',
      schema: {
        type: 'object',
        properties: {
          a,
          list: {
            type: 'array',
            items: { type: 'object', properties: { a }, additionalProperties: false },
          },
          either,
        },
        required: ['a'],
        additionalProperties: false,
      },
    });
  });

  const many = Object.fromEntries(Array.from({ length: 25 }, (_, number) => [`p${number}`, a]));
  test.each([
    ['an open map', { type: 'object', additionalProperties: { type: 'number' } }],
    ['rare keywords', { type: 'object', properties: { a: { type: 'string', minLength: 3 } } }],
    ['rare keywords in a list', { type: 'object', properties: { a: { type: 'array', items: { not: a } } } }],
    ['rare keywords in a choice', { type: 'object', properties: { a: { anyOf: [a, { $ref: '#' }] } } }],
    ['no object', { type: 'array', items: a }],
    ['a part without type', { type: 'object', properties: { a: {} } }],
    ['objects for values', { type: 'object', properties: { a: { enum: [{ b: 1 }] } } }],
    ['too many optional properties', { type: 'object', properties: many }],
  ])('leaves a schema with %s to the prompt', async (_name, schema) => {
    expect(await formatOf(schema)).toBeUndefined();
  });

  test('leaves everything to the prompt that has no schema or no model for it', async () => {
    const plain = { ...model, accepts: { ...model.accepts, jsonSchema: false } };
    expect(await formatOf({ type: 'object', properties: { a } }, plain)).toBeUndefined();
    expect(await bodyOf({ responseFormat: { type: 'json_object' } })).not.toHaveProperty('output_config');
  });
});

/** A provider whose server sends just these bytes. */
function providerOf(body: string, headers: Record<string, string> = { 'content-type': 'text/event-stream' }) {
  const fetch = async () => new Response(body, { headers });
  return createAnthropicProvider({ name: 'anthropic', apiKey: 'sk-ant-test', fetch });
}

function readRaw(...parts: (string | object)[]): Promise<Outcome> {
  const frames = parts.map((part) => (typeof part === 'string' ? part : `data: ${JSON.stringify(part)}\n\n`));
  return outcomeOf(providerOf(frames.join('')).stream(requestOf(), none));
}

const delta = (index: number, value: object) => ({ type: 'content_block_delta', index, delta: value });
const start = (index: number, block: object) => ({
  type: 'content_block_start',
  index,
  content_block: block,
});
const end = (stop_reason: string | null, usage?: object) => ({
  type: 'message_delta',
  delta: { stop_reason },
  usage,
});
const stop = { type: 'message_stop' };
const stopped: LlmEvent = { type: 'end', finishReason: 'stop' };

describe('an answer', () => {
  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['pause_turn', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['refusal', 'content_filter'],
    ['unheard_of', 'stop'],
  ] as const)('that stopped for %s ends with %s', async (finishReason, expected) => {
    expect((await ask({ text: 'x', finishReason, usage: null })).events.at(-1)).toEqual({
      type: 'end',
      finishReason: expected,
    });
  });

  test('is finished by its stop reason, and needs no message_stop', async () => {
    const { events, error } = await readRaw(delta(0, { type: 'text_delta', text: 'a' }), end('end_turn'));
    expect(error).toBeUndefined();
    expect(events).toEqual([{ type: 'text-delta', text: 'a' }, stopped]);
  });

  test('is over with message_stop, whatever follows', async () => {
    const { events, error } = await readRaw(end('end_turn'), stop, 'data: {garbage\n\n', { type: 'error' });
    expect(error).toBeUndefined();
    expect(events).toEqual([stopped]);
  });

  test('passes over what it does not know', async () => {
    const { events } = await readRaw(
      { type: 'ping' },
      { type: 'message_start' },
      {},
      { type: 'content_block_start', index: 0 },
      start(1, { type: 'server_tool_use', id: 'srv', name: 'web_search', input: {} }),
      delta(1, { type: 'input_json_delta', partial_json: '{"q":1}' }),
      start(2, { type: 'text', text: 'a' }),
      delta(2, { type: 'citations_delta', citation: {} }),
      { type: 'content_block_delta', index: 2 },
      end(null),
      end('end_turn'),
      stop,
    );
    expect(events).toEqual([{ type: 'text-delta', text: 'a' }, stopped]);
  });

  test('has the seals of its thinking', async () => {
    const { events } = await readRaw(
      start(0, { type: 'thinking', thinking: '', signature: '' }),
      delta(0, { type: 'thinking_delta', thinking: 'Hm.' }),
      delta(0, { type: 'signature_delta', signature: 's1' }),
      start(1, { type: 'redacted_thinking', data: 'x' }),
      start(2, { type: 'text', text: 'a' }),
      end('end_turn'),
      stop,
    );
    expect(events).toEqual([
      { type: 'reasoning-delta', text: 'Hm.' },
      { type: 'reasoning-delta', text: '', signature: 's1' },
      { type: 'reasoning-delta', text: '', redacted: 'x' },
      { type: 'text-delta', text: 'a' },
      stopped,
    ]);
  });

  test('keeps the input of tools that the vendor runs out of our calls', async () => {
    const search = { type: 'server_tool_use', id: 'srv', name: 'web_search', input: {} };
    const call = (id: string) => ({ type: 'tool_use', id, name: 'clock', input: {} });
    const input = (partial_json: string) => ({ type: 'input_json_delta', partial_json });
    const { events } = await readRaw(
      start(0, call('a')),
      start(1, search),
      delta(1, input('{"q":1}')),
      start(1, call('b')),
      delta(1, input('{"z":2}')),
      end('tool_use'),
      stop,
    );
    expect(events.slice(-3)).toEqual([
      { type: 'tool-call-end', id: 'a', name: 'clock', argumentsText: '{}' },
      { type: 'tool-call-end', id: 'b', name: 'clock', argumentsText: '{"z":2}' },
      { type: 'end', finishReason: 'tool_calls' },
    ]);
  });

  test('has calls whose input came at once', async () => {
    const input = { zone: 'UTC' };
    const { events } = await readRaw(
      start(0, { type: 'tool_use', id: 'a', name: 'clock', input }),
      end('tool_use'),
      stop,
    );
    expect(events.slice(-2)).toEqual([
      { type: 'tool-call-end', id: 'a', name: 'clock', argumentsText: '{"zone":"UTC"}' },
      { type: 'end', finishReason: 'tool_calls' },
    ]);
  });

  test('counts all input, and takes the last of the cumulative counts', async () => {
    const { events } = await readRaw(
      {
        type: 'message_start',
        message: { usage: { input_tokens: 10, cache_creation_input_tokens: 30, output_tokens: 1 } },
      },
      end(null, { output_tokens: 5 }),
      end('end_turn', {
        input_tokens: 0,
        cache_read_input_tokens: 60,
        cache_creation_input_tokens: null,
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 4 },
      }),
      stop,
    );
    expect(events).toEqual([
      {
        ...stopped,
        usage: {
          inputTokens: 100,
          outputTokens: 9,
          cachedTokens: 60,
          reasoningTokens: 4,
          estimated: false,
        },
      },
    ]);
  });

  test('has no usage when only its beginning was counted', async () => {
    const { events } = await readRaw(
      { type: 'message_start', message: { usage: { input_tokens: 10, output_tokens: 1 } } },
      end('end_turn'),
      stop,
    );
    expect(events).toEqual([stopped]);
  });
});

describe('an error', () => {
  test.each([
    ['overloaded_error', 'provider_unavailable', true],
    ['rate_limit_error', 'provider_unavailable', true],
    ['api_error', 'provider_error', true],
    ['timeout_error', 'provider_timeout', true],
    ['invalid_request_error', 'provider_rejected', false],
    ['not_found_error', 'provider_rejected', false],
    ['request_too_large', 'provider_rejected', false],
    ['authentication_error', 'provider_unavailable', false],
    ['permission_error', 'provider_unavailable', false],
    ['billing_error', 'provider_unavailable', false],
    ['unheard_of', 'provider_error', true],
  ])('in the stream, %s, is %s', async (type, expected, retryable) => {
    const body = { type: 'error', error: { type, message: 'secret' } };
    const { events, error } = await ask({ chunks: ['a', 'b'], fault: { type: 'error', after: 1, body } });
    expect(events).toEqual([{ type: 'text-delta', text: 'a' }]);
    expect(error).toMatchObject({ type: expected, retryable, upstreamStatus: undefined });
    expect((error as Fault).message).not.toContain('secret');
  });

  test('in the stream may be told by the name of its event alone', async () => {
    const { error } = await readRaw('event: error\ndata: out of memory\n\n');
    expect(error).toMatchObject({ type: 'provider_error', message: 'The model provider anthropic failed.' });
  });

  test('with status 200 and a JSON body is classified', async () => {
    const body = JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message: 'secret' } });
    const provider = providerOf(body, { 'content-type': 'application/json' });
    const { error } = await outcomeOf(provider.stream(requestOf(), none));
    expect(error).toMatchObject({ type: 'provider_unavailable', retryable: true });
  });

  test.each([
    [400, 'prompt is too long: 210000 tokens > 200000 maximum', /too long for the model/],
    [400, 'input length and `max_tokens` exceed context limit: 1 + 2 > 3', /too long for the model/],
    [413, 'Request exceeds the maximum size', /too long for the model/],
    [400, 'Your credit balance is too low to access the Anthropic API.', /no credit left/],
    [402, 'secret', /no credit left/],
    [404, 'model: secret', /does not know the model/],
  ])('%i with "%s" says what is wrong', async (status, message, expected) => {
    const body = { type: 'error', error: { type: 'invalid_request_error', message } };
    const { error } = await ask({ fault: { type: 'status', status, body } });
    expect((error as Fault).message).toMatch(expected);
    expect(error).toMatchObject({ retryable: false, upstreamStatus: status });
  });

  test.each([
    ['a page', 'text/html', '<html>Sign in</html>'],
    ['other JSON', 'application/json', '{"hello":1}'],
    ['nothing', 'text/event-stream', ''],
    ['a number', 'text/event-stream', 'data: 7\n\n'],
  ])('%s with status 200 is a provider_error', async (_name, type, body) => {
    const { error } = await outcomeOf(providerOf(body, { 'content-type': type }).stream(requestOf(), none));
    expect(error).toMatchObject({ type: 'provider_error', retryable: true });
  });

  test.each([
    ['a key that cannot be sent', 'http://127.0.0.1:9', 'sk-se\ncret'],
    ['an address that is none', 'not an address', 'sk-ant-test'],
  ])('%s is told as such, without the key', async (_name, baseUrl, key) => {
    const provider = providerAt(baseUrl, key);
    const { error } = await outcomeOf(provider.stream(requestOf(), none));
    const probed = await provider.probe(none).catch((fault: unknown) => fault);
    for (const fault of [error, probed]) {
      expect(fault).toMatchObject({
        type: 'provider_unavailable',
        retryable: false,
        message: 'The model provider anthropic cannot be asked: its key or its address is not valid.',
      });
    }
  });
});

describe('an address', () => {
  test.each(['', '/', '/v1', '/v1/'])('may end in "%s"', async (ending) => {
    const fake = await useFakeAnthropic();
    fake.script({ text: 'x' });
    const { error } = await outcomeOf(providerAt(`${rootOf(fake)}${ending}`).stream(requestOf(), none));
    expect(error).toBeUndefined();
  });

  test('is Anthropic by default, whatever the environment of the SDK says', async () => {
    process.env.ANTHROPIC_BASE_URL = 'http://elsewhere.invalid';
    onTestFinished(() => {
      delete process.env.ANTHROPIC_BASE_URL;
    });
    const urls: string[] = [];
    const fetch: typeof globalThis.fetch = async (url) => {
      urls.push(String(url));
      return new Response('{}', { status: 404 });
    };
    await createAnthropicProvider({ name: 'anthropic', apiKey: 'k', fetch }).probe(none);
    expect(urls).toEqual(['https://api.anthropic.com/v1/models?limit=1000']);
  });
});

describe('a probe', () => {
  test('lists models with the windows that the endpoint tells', async () => {
    const fake = await useFakeAnthropic({ apiKey: 'sk-ant-test' });
    fake.models = [{ id: 'a', max_input_tokens: 200_000 }, { id: 'b', max_input_tokens: null }, { id: '' }];
    expect(await providerAt(rootOf(fake)).probe(none)).toEqual([
      { id: 'a', contextWindow: 200_000 },
      { id: 'b' },
    ]);
    expect(fake.modelRequests).toBe(1);
  });

  test.each(['status:404', 'status:500', 'status:529', 'status:500:html'])(
    'takes %s for a sign of life',
    async (fault) => {
      const fake = await useFakeAnthropic();
      fake.modelsFault = fault;
      expect(await providerAt(rootOf(fake)).probe(none)).toEqual([]);
    },
  );

  test.each([401, 403])('fails with %i', async (status) => {
    const fake = await useFakeAnthropic();
    fake.modelsFault = `status:${status}`;
    await expect(providerAt(rootOf(fake)).probe(none)).rejects.toMatchObject({
      type: 'provider_unavailable',
      retryable: false,
      upstreamStatus: status,
    });
  });

  test('fails when nobody is there, and throws the reason of an abort', async () => {
    await expect(providerAt(await refusedUrl()).probe(none)).rejects.toMatchObject({
      type: 'provider_unavailable',
      retryable: true,
    });
    const fake = await useFakeAnthropic();
    fake.modelsFault = 'hang';
    const controller = new AbortController();
    const reason = new Error('stop');
    setTimeout(() => controller.abort(reason), 30);
    await expect(providerAt(rootOf(fake)).probe(controller.signal)).rejects.toBe(reason);
  });
});

describe('the fake', () => {
  const client = (fake: { url: string }) =>
    new Anthropic({ baseURL: rootOf(fake), apiKey: 'k', maxRetries: 0 });
  const reply: ScriptedReply = {
    reasoning: 'Let me think',
    text: 'Hello there',
    toolCalls: [
      { id: 'toolu_a', name: 'clock', arguments: '{"zone":"UTC"}' },
      { id: 'toolu_b', name: 'clock', arguments: '' },
    ],
  };
  const asked = {
    model: 'claude-fake',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'Hi' }],
  } as const satisfies Anthropic.MessageCreateParams;
  const content = [
    { type: 'thinking', thinking: 'Let me think' },
    { type: 'text', text: 'Hello there' },
    { type: 'tool_use', id: 'toolu_a', name: 'clock', input: { zone: 'UTC' } },
    { type: 'tool_use', id: 'toolu_b', name: 'clock', input: {} },
  ];

  test.each([[[]], [['empty-deltas', 'pings', 'empty-choices']], [['one-byte', 'crlf']]])(
    'streams what the SDK puts together, with %j',
    async (fault) => {
      const fake = await useFakeAnthropic();
      fake.script({ ...reply, fault });
      const message = await client(fake).messages.stream(asked).finalMessage();
      expect(message).toMatchObject({ role: 'assistant', content, stop_reason: 'tool_use' });
      expect(message.usage).toMatchObject({
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 3 },
      });
    },
  );

  test('answers as a whole', async () => {
    const fake = await useFakeAnthropic();
    fake.script(reply);
    expect(await client(fake).messages.create(asked)).toMatchObject({ content, stop_reason: 'tool_use' });
  });

  test('sends the events of the wire in their order', async () => {
    const fake = await useFakeAnthropic();
    fake.script({ text: 'Hi' });
    const response = await client(fake)
      .messages.create({ ...asked, stream: true })
      .asResponse();
    expect([...(await response.text()).matchAll(/^event: (.+)$/gm)].map((match) => match[1])).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  test('repeats the message when nothing is scripted, and obeys commands in it', async () => {
    const fake = await useFakeAnthropic();
    const say = async (message: string) => {
      const { content } = await client(fake).messages.create({
        ...asked,
        messages: [{ role: 'user', content: message }],
      });
      return content[0];
    };
    expect(await say('Hi')).toMatchObject({ text: 'This is the fake model. You said: Hi' });
    expect(await say('/say Good day')).toMatchObject({ text: 'Good day' });
    expect(await say('/tool clock {"zone":"UTC"}')).toMatchObject({ input: { zone: 'UTC' } });
  });

  const blocks = {
    use: { type: 'tool_use', id: 'a', name: 'clock', input: {} },
    result: { type: 'tool_result', tool_use_id: 'a', content: 'x' },
    text: { type: 'text', text: 'Hi' },
  };
  const tools = [{ name: 'clock', input_schema: { type: 'object' } }];
  const withTools = (...turns: object[][]) => ({
    tools,
    messages: turns.map((turn, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content: turn })),
  });
  const marked = { ...blocks.text, cache_control: { type: 'ephemeral' } };

  test.each<[string, object, RegExp]>([
    ['no limit', { max_tokens: undefined }, /max_tokens/],
    ['no messages', { messages: [] }, /at least one message/],
    ['two users in a row', { messages: [asked.messages[0], asked.messages[0]] }, /must alternate/],
    ['an assistant at the start', { messages: [{ role: 'assistant', content: 'Hi' }] }, /must alternate/],
    ['a system role', { messages: [{ role: 'system', content: 'Hi' }] }, /Unexpected role/],
    ['blank text', { messages: [{ role: 'user', content: ' ' }] }, /non-whitespace/],
    ['blank system text', { system: [{ type: 'text', text: '' }] }, /non-whitespace/],
    [
      'a call without a result',
      withTools([blocks.text], [blocks.use], [blocks.text]),
      /without `tool_result`/,
    ],
    ['a call at the end', withTools([blocks.text], [blocks.use]), /without `tool_result`/],
    ['a result without a call', withTools([blocks.result]), /unexpected `tool_use_id`/],
    [
      'a result after text',
      withTools([blocks.text], [blocks.use], [blocks.text, blocks.result]),
      /must come before/,
    ],
    [
      'a call twice',
      withTools([blocks.text], [blocks.use], [blocks.result], [blocks.use], [blocks.result]),
      /must be unique/,
    ],
    ['a strange id', withTools([blocks.text], [{ ...blocks.use, id: 'a.b' }]), /should match pattern/],
    [
      'calls without tools',
      { ...withTools([blocks.text], [blocks.use], [blocks.result]), tools: [] },
      /must define tools/,
    ],
    ['five cache markers', { system: [marked, marked, marked, marked, marked] }, /maximum of 4/],
    ['a high temperature', { temperature: 1.5 }, /temperature/],
    [
      'a temperature with thinking',
      { temperature: 0.5, thinking: { type: 'adaptive' } },
      /when thinking is enabled/,
    ],
    ['a small budget', { thinking: { type: 'enabled', budget_tokens: 1000 } }, /1024/],
    [
      'a budget above the limit',
      { thinking: { type: 'enabled', budget_tokens: 1024 }, max_tokens: 1024 },
      /greater than/,
    ],
    [
      'calls without their thinking',
      {
        ...withTools([blocks.text], [blocks.use], [blocks.result]),
        thinking: { type: 'enabled', budget_tokens: 1024 },
        max_tokens: 4096,
      },
      /Expected `thinking`/,
    ],
    ['a prefill with a blank end', withTools([blocks.text], [{ ...blocks.text, text: 'a ' }]), /whitespace/],
    [
      'a prefill with thinking',
      { ...withTools([blocks.text], [blocks.text]), thinking: { type: 'adaptive' } },
      /prefill/,
    ],
  ])('refuses %s', async (_name, change, message) => {
    const fake = await useFakeAnthropic();
    const body = { ...asked, ...change } as Anthropic.MessageCreateParamsNonStreaming;
    const headers = { 'anthropic-version': '2023-06-01' };
    const error = await client(fake)
      .messages.create(body, { headers })
      .catch((refusal: unknown) => refusal);
    expect(error).toBeInstanceOf(Anthropic.BadRequestError);
    expect((error as Error).message).toMatch(message);
  });

  test('refuses any temperature in the version that has none', async () => {
    const fake = await useFakeAnthropic();
    const body = { ...asked, temperature: 1 };
    await expect(client(fake).messages.create(body)).rejects.toThrow(/Extra inputs are not permitted/);
  });

  test('refuses long prompts and wrong keys', async () => {
    const fake = await useFakeAnthropic({ contextWindow: 5, apiKey: 'other' });
    await expect(client(fake).messages.create(asked)).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
    const short = await useFakeAnthropic({ contextWindow: 5 });
    await expect(client(short).messages.create(asked)).rejects.toThrow(/prompt is too long/);
  });
});
