import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { hold, type ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import type { Message } from '../../src/core/message.ts';
import type { LlmProvider, LlmRequest, Model } from '../../src/llm/provider.ts';
import { apiKey, wires } from './wires.ts';

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const otherPng = png.replace('AAAADUlEQVR42mNk', 'AAAADUlEQVR42mNg');
const none = new AbortController().signal;
const reason = new Error('the caller left');
const tool = {
  name: 'clock',
  description: 'The time',
  parameters: { type: 'object', properties: { zone: { type: 'string' } } },
};
const stopped: LlmEvent = { type: 'end', finishReason: 'stop' };

function requestTo(model: Model, change: Partial<LlmRequest> = {}): LlmRequest {
  const messages: Message[] = [{ role: 'user', content: 'Hello' }];
  return { model, messages, tools: [], responseFormat: { type: 'text' }, effort: 'standard', ...change };
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

function textOf(events: LlmEvent[]): string {
  return events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
}

function texts(...parts: string[]): LlmEvent[] {
  return parts.map((text) => ({ type: 'text-delta', text }));
}

describe.each(wires)('$name', (wire) => {
  async function ask(reply: ScriptedReply, change: Partial<LlmRequest> = {}): Promise<Outcome> {
    const { provider, model, fake } = await wire.start();
    fake.script(reply);
    return outcomeOf(provider.stream(requestTo(model, change), none));
  }

  async function answer(reply: ScriptedReply, change: Partial<LlmRequest> = {}): Promise<LlmEvent[]> {
    const { events, error } = await ask(reply, change);
    expect(error).toBeUndefined();
    return events;
  }

  async function failure(provider: LlmProvider, model: Model): Promise<Fault> {
    const { events, error } = await outcomeOf(provider.stream(requestTo(model), none));
    expect(events).toEqual([]);
    expect(error).toBeInstanceOf(Fault);
    return error as Fault;
  }

  describe('an answer', () => {
    test('is its text deltas, then the end', async () => {
      expect(await answer({ chunks: ['Hel', 'lo ', 'there'], usage: null })).toEqual([
        ...texts('Hel', 'lo ', 'there'),
        stopped,
      ]);
    });

    test('may be empty', async () => {
      expect(await answer({ usage: null })).toEqual([stopped]);
    });

    test('of 10,000 deltas is complete', async () => {
      const chunks = Array.from({ length: 10_000 }, (_, number) => `${number} `);
      expect(await answer({ chunks, usage: null })).toEqual([...texts(...chunks), stopped]);
    });

    test.each(['one-byte', 'split-utf8', 'crlf', 'pings', 'empty-deltas', 'empty-choices', 'json'])(
      'has the same text in spite of %s',
      async (fault) => {
        const text = 'Grüße, 世界 👩‍🚀 – "quoted"\n\n\ttabs\u2028and \\ more';
        expect(textOf(await answer({ chunks: [...text], fault }))).toBe(text);
      },
    );

    test('never has half a character, even when the deltas have', async () => {
      const events = await answer({ chunks: ['a\ud83d', '\ude00b', '\ude00c\ud83d'], usage: null });
      expect(events).toEqual([...texts('a', '😀b', '\ufffdc', '\ufffd'), stopped]);
    });

    test('has its reasoning apart from the text', async () => {
      const events = await answer({ reasoning: ['Let ', 'me'], chunks: ['Yes'], usage: null });
      const isSeal = (event: LlmEvent) => event.type === 'reasoning-delta' && event.text === '';
      expect(events.filter((event) => !isSeal(event))).toEqual([
        { type: 'reasoning-delta', text: 'Let ' },
        { type: 'reasoning-delta', text: 'me' },
        ...texts('Yes'),
        stopped,
      ]);
    });

    test('repeats what the model repeats', async () => {
      expect(await answer({ chunks: ['a', 'b', 'c'], fault: 'duplicate:1', usage: null })).toEqual([
        ...texts('a', 'b', 'b', 'c'),
        stopped,
      ]);
    });
  });

  describe('usage', () => {
    const usage = {
      inputTokens: 20,
      outputTokens: 7,
      cachedTokens: 8,
      reasoningTokens: wire.countsReasoning === false ? 0 : 3,
      estimated: false,
    };

    test.each([[[]], [['one-byte']], [['json']]])(
      'has cached and reasoning tokens within, with %j',
      async (fault) => {
        expect((await answer({ text: 'x', usage: wire.usage, fault })).at(-1)).toEqual({ ...stopped, usage });
      },
    );

    test('is absent when none is reported', async () => {
      expect((await answer({ text: 'x', usage: null })).at(-1)).toEqual(stopped);
    });
  });

  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['tool_calls', 'stop'],
    ['something_new', 'stop'],
  ] as const)('the finish reason %s without calls is %s', async (finishReason, expected) => {
    expect(await answer({ chunks: ['x'], finishReason, usage: null })).toEqual([
      ...texts('x'),
      { type: 'end', finishReason: expected },
    ]);
  });

  describe('tool calls', () => {
    const zone = '{"zone":"Europe/Zürich"}';
    const callA = { id: 'call_a', name: 'clock', arguments: zone, fragments: 4 };
    const callB = { id: 'call_b', name: 'clock', arguments: '{"zone":"UTC"}' };
    const endA = { type: 'tool-call-end', id: 'call_a', name: 'clock', argumentsText: zone };
    const endB = { type: 'tool-call-end', id: 'call_b', name: 'clock', argumentsText: '{"zone":"UTC"}' };
    const called = { type: 'end', finishReason: 'tool_calls' };
    const toolEvents = (events: LlmEvent[], type: LlmEvent['type']) =>
      events.filter((event) => event.type === type);

    test('come as start, deltas and end, after the text', async () => {
      const events = await answer(
        { chunks: ['Wait'], toolCalls: [{ ...callB, fragments: 2 }], usage: null },
        { tools: [tool] },
      );
      expect(events).toEqual([
        ...texts('Wait'),
        { type: 'tool-call-start', id: 'call_b', name: 'clock' },
        { type: 'tool-call-delta', id: 'call_b', text: '{"zone"' },
        { type: 'tool-call-delta', id: 'call_b', text: ':"UTC"}' },
        endB,
        called,
      ]);
    });

    test.each([
      [[]],
      [['one-byte']],
      [['tool-index:wrong']],
      [['tool-index:missing']],
      [['tool-index:duplicate']],
      [['empty-deltas', 'pings']],
      [['json']],
    ])('several at once keep apart, with %j', async (fault) => {
      const events = await answer({ toolCalls: [callA, callB], fault, usage: null }, { tools: [tool] });
      expect(toolEvents(events, 'tool-call-start')).toEqual([
        { type: 'tool-call-start', id: 'call_a', name: 'clock' },
        { type: 'tool-call-start', id: 'call_b', name: 'clock' },
      ]);
      expect(toolEvents(events, 'tool-call-end')).toEqual([endA, endB]);
      expect(events.at(-1)).toEqual(called);
      for (const [id, text] of [
        ['call_a', zone],
        ['call_b', callB.arguments],
      ]) {
        const deltas = events.flatMap((event) =>
          event.type === 'tool-call-delta' && event.id === id ? [event.text] : [],
        );
        expect(deltas.join('')).toBe(text);
      }
    });

    test.each(['', '{}'])('without arguments (%j) have an empty object', async (text) => {
      const events = await answer(
        { toolCalls: [{ id: 'call_a', name: 'clock', arguments: text }], usage: null },
        { tools: [tool] },
      );
      expect(toolEvents(events, 'tool-call-end')).toEqual([{ ...endA, argumentsText: '{}' }]);
      expect(events.at(-1)).toEqual(called);
    });

    test('cut off by the length stay cut off', async () => {
      const broken = { ...callA, arguments: '{"zone":"Eur' };
      const events = await answer(
        { toolCalls: [broken], finishReason: 'length', usage: null },
        { tools: [tool] },
      );
      expect(toolEvents(events, 'tool-call-end')).toEqual([{ ...endA, argumentsText: broken.arguments }]);
      expect(events.at(-1)).toEqual({ type: 'end', finishReason: 'length' });
    });
  });

  describe('a request', () => {
    const image = { type: 'image', data: png, mimeType: 'image/png' } as const;
    const call = { type: 'toolCall', name: 'clock', arguments: { zone: 'UTC' } } as const;

    test('carries images of the user and of tools', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ text: 'x' });
      const messages: Message[] = [
        { role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] },
        { role: 'assistant', content: [{ ...call, id: 'call_a' }] },
        {
          role: 'toolResult',
          toolCallId: 'call_a',
          toolName: 'clock',
          content: [{ ...image, data: otherPng }],
          isError: false,
        },
      ];
      const { error } = await outcomeOf(provider.stream(requestTo(model, { messages, tools: [tool] }), none));
      expect(error).toBeUndefined();
      expect(wire.imagesIn(fake.requests[0]?.body)).toEqual([png, otherPng]);
    });

    test('with every kind of message is taken by a strict server', async () => {
      const messages: Message[] = [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'What time is it?' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Two zones.' },
            { type: 'text', text: 'I look.' },
            { ...call, id: 'call_a' },
            { ...call, id: 'call_b', arguments: {}, argumentsText: '{"zone":' },
          ],
        },
        {
          role: 'toolResult',
          toolCallId: 'call_a',
          toolName: 'clock',
          content: [{ type: 'text', text: '12:00' }],
          isError: false,
        },
        { role: 'toolResult', toolCallId: 'call_b', toolName: 'clock', content: [], isError: true },
        { role: 'assistant', content: [{ type: 'text', text: 'Noon.' }] },
        { role: 'user', content: 'Thanks' },
        { role: 'user', content: [{ type: 'text', text: 'And now?' }, image] },
      ];
      expect(textOf(await answer({ text: 'Later.' }, { messages, tools: [tool] }))).toBe('Later.');
    });
  });

  describe('what breaks off', () => {
    test.each([
      ['garbage', 'malformed:2'],
      ['a cut connection', 'cut:2'],
      ['an end without a finish reason', 'end:2'],
      ['an end mark without a finish reason', 'end:2:done'],
      ['an error in the stream', 'error:2'],
    ])('by %s is a retryable provider_error after the text so far', async (_name, fault) => {
      const { events, error } = await ask({ chunks: ['a', 'b', 'c', 'd'], fault });
      expect(events).toEqual(texts('a', 'b'));
      expect(error).toBeInstanceOf(Fault);
      expect(error).toMatchObject({ type: 'provider_error', retryable: true });
    });

    test.each(['malformed:0', 'cut:0', 'end:0', 'error:0'])(
      'before the first token, by %s, is a retryable provider_error',
      async (fault) => {
        const { events, error } = await ask({ chunks: ['a', 'b'], fault });
        expect(events).toEqual([]);
        expect(error).toMatchObject({ name: 'Fault', type: 'provider_error', retryable: true });
      },
    );

    test.each(['cut:1', 'end:1'])('in a tool call, by %s, ends no call', async (fault) => {
      const toolCalls = [{ id: 'call_a', name: 'clock', arguments: '{"zone":"UTC"}' }];
      const { events, error } = await ask({ toolCalls, fault }, { tools: [tool] });
      expect(events).toEqual([{ type: 'tool-call-start', id: 'call_a', name: 'clock' }]);
      expect(error).toMatchObject({ name: 'Fault', type: 'provider_error' });
    });

    test('without any finish reason is a provider_error, though the end mark came', async () => {
      const { events, error } = await ask({ chunks: ['a'], finishReason: null });
      expect(events).toEqual(texts('a'));
      expect(error).toMatchObject({ name: 'Fault', type: 'provider_error', retryable: true });
    });
  });

  describe('a refusal', () => {
    test.each([
      [400, 'provider_rejected', false],
      [401, 'provider_unavailable', false],
      [403, 'provider_unavailable', false],
      [404, 'provider_rejected', false],
      [429, 'provider_unavailable', true],
      [500, 'provider_error', true],
      [503, 'provider_unavailable', true],
      [529, 'provider_unavailable', true],
    ])('with %i is %s, asked once, in our words', async (status, type, retryable) => {
      const { provider, model, fake } = await wire.start();
      fake.script({ fault: `status:${status}` });
      const fault = await failure(provider, model);
      expect(fault).toMatchObject({ type, retryable, upstreamStatus: status });
      expect(fault.retryAfterMs).toBeUndefined();
      expect(fault.message).toMatch(new RegExp(`^The model provider ${wire.name} .*\\.$`));
      expect(fault.message).not.toContain('fake model');
      expect(fault.message).not.toContain(apiKey);
      expect(fake.requests).toHaveLength(1);
    });

    test.each([429, 503])('with %i says when to come back', async (status) => {
      const { provider, model, fake } = await wire.start();
      fake.script({ fault: `status:${status}:7` });
      expect(await failure(provider, model)).toMatchObject({ retryable: true, retryAfterMs: 7000 });
    });

    test.each(['html', 'garbage', 'empty'])('with 500 and a body of %s is a provider_error', async (body) => {
      const { provider, model, fake } = await wire.start();
      fake.script({ fault: `status:500:${body}` });
      expect(await failure(provider, model)).toMatchObject({ type: 'provider_error', upstreamStatus: 500 });
    });

    test('of the connection is provider_unavailable', async () => {
      const provider = await wire.startRefused();
      const { model } = await wire.start();
      expect(await failure(provider, model)).toMatchObject({
        type: 'provider_unavailable',
        retryable: true,
        message: `The model provider ${wire.name} cannot be reached.`,
        upstreamStatus: undefined,
      });
    });

    test('by a reset before any answer is provider_unavailable', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ fault: 'reset' });
      expect(await failure(provider, model)).toMatchObject({ type: 'provider_unavailable', retryable: true });
    });
  });

  describe('abort', () => {
    test('before the call asks nobody', async () => {
      const { provider, model, fake } = await wire.start();
      const { error } = await outcomeOf(provider.stream(requestTo(model), AbortSignal.abort(reason)));
      expect(error).toBe(reason);
      expect(fake.requests).toHaveLength(0);
    });

    test.each([
      ['before the headers', { fault: 'hang' }, []],
      ['before the first token', { chunks: ['a'], fault: 'stall:0' }, []],
      ['in the middle', { chunks: ['a', 'b', 'c'], fault: 'stall:2' }, texts('a', 'b')],
      ['of an endless answer', { fault: 'endless' }, undefined],
    ])('%s throws the reason and reaches the server in time', async (_name, reply, expected) => {
      const { provider, model, fake } = await wire.start();
      fake.script(reply);
      const controller = new AbortController();
      const outcome = outcomeOf(provider.stream(requestTo(model), controller.signal));
      await fake.waitForRequest();
      await sleep(50);
      const abortedAt = performance.now();
      controller.abort(reason);
      const { events, error } = await outcome;
      expect(error).toBe(reason);
      expect(performance.now() - abortedAt).toBeLessThan(250);
      if (expected) expect(events).toEqual(expected);
      const { at } = await fake.waitForAbort();
      expect(at - abortedAt).toBeLessThan(250);
    });

    test('between two events yields no more', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ chunks: ['a', 'b', 'c'] });
      const controller = new AbortController();
      const seen: LlmEvent[] = [];
      const read = async () => {
        for await (const event of provider.stream(requestTo(model), controller.signal)) {
          seen.push(event);
          controller.abort(reason);
        }
      };
      await expect(read()).rejects.toBe(reason);
      expect(seen).toEqual(texts('a'));
    });

    test('a reader that stops early ends the call', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ chunks: ['a', 'b', 'c', 'd'], hold: hold(3) });
      for await (const event of provider.stream(requestTo(model), none)) {
        if (event.type === 'text-delta' && event.text === 'b') break;
      }
      const stoppedAt = performance.now();
      const { at } = await fake.waitForAbort();
      expect(at - stoppedAt).toBeLessThan(250);
    });

    test('leaves no listener behind', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ text: 'x' }, { fault: 'status:500' }, { chunks: ['a'], fault: 'cut:1' });
      const { signal } = new AbortController();
      for (let call = 0; call < 3; call += 1) await outcomeOf(provider.stream(requestTo(model), signal));
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    });

    test('of one call leaves the next one alone', async () => {
      const { provider, model, fake } = await wire.start();
      fake.script({ fault: 'hang' }, { text: 'Here' });
      const controller = new AbortController();
      const outcome = outcomeOf(provider.stream(requestTo(model), controller.signal));
      await fake.waitForRequest();
      controller.abort(reason);
      expect((await outcome).error).toBe(reason);
      const { events } = await outcomeOf(provider.stream(requestTo(model), none));
      expect(textOf(events)).toBe('Here');
    });
  });

  test('a stall is silence, not an end', async () => {
    const { provider, model, fake } = await wire.start();
    fake.script({ chunks: ['a', 'b'], fault: 'stall:1' });
    const controller = new AbortController();
    const stream = provider.stream(requestTo(model), controller.signal)[Symbol.asyncIterator]();
    expect(await stream.next()).toEqual({ done: false, value: { type: 'text-delta', text: 'a' } });
    const next = stream.next();
    expect(await Promise.race([next, sleep(200, 'silence')])).toBe('silence');
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
  });

  test('tokens arrive as they are sent', async () => {
    const { provider, model, fake } = await wire.start();
    const gate = hold(1);
    fake.script({ chunks: ['a', 'b'], hold: gate, usage: null });
    const events: LlmEvent[] = [];
    for await (const event of provider.stream(requestTo(model), none)) {
      if (events.length === 0) gate.release();
      events.push(event);
    }
    expect(events).toEqual([...texts('a', 'b'), stopped]);
  });
});
