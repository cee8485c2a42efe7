import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { type Message, textOf } from '../../src/core/message.ts';
import { createBreakers } from '../../src/llm/breaker.ts';
import { createBudget } from '../../src/llm/budget.ts';
import { continueWith, instructToContinue } from '../../src/llm/continuation.ts';
import type { LlmRequest, Model } from '../../src/llm/provider.ts';
import { countMessagesTokens, countTokens } from '../../src/llm/tokens.ts';
import {
  answering,
  broken,
  end,
  failed,
  modelOf,
  noLimits,
  outcomesOf,
  question,
  refused,
  route,
  type Step,
  scripted,
  text,
  texts,
  thought,
  usage,
} from './route.ts';

const instruction =
  'Continue exactly where you stopped. Do not repeat anything, do not start over, add no introduction.';
const said = (value: string): Message => ({ role: 'assistant', content: [{ type: 'text', text: value }] });
const prefilling = (provider: string, more: Partial<Model> = {}) =>
  modelOf(provider, { prefill: true, ...more });

const story =
  'Once upon a time there was a small king who lived in a large castle by the sea.\n\n' +
  'He had two daughters, a grey cat and no money at all.\n';
const rest = 'One day a ship came into the bay.';

/** What a request says was answered so far. */
function soFar({ messages }: LlmRequest): string | undefined {
  const message = messages.findLast(({ role }) => role === 'assistant');
  return message && textOf(message.content);
}

describe('what is asked', () => {
  test('by an instruction: the text as it was shown, then what to do', () => {
    const { messages } = instructToContinue([question], 'Hello \n');
    expect(messages).toEqual([question, said('Hello \n'), { role: 'user', content: instruction }]);
    expect(continueWith(modelOf('a'), [question], 'Hello \n').messages).toEqual(messages);
  });

  test('by a prefill: the text without the white space at its end', () => {
    const { messages } = continueWith(prefilling('a'), [question], 'Hello,\n\n you \n');
    expect(messages).toEqual([question, said('Hello,\n\n you')]);
  });

  test.each([modelOf('a'), prefilling('a')])(
    'nothing but white space is no answer: the question again',
    (model) => {
      const { messages, seam } = continueWith(model, [question], ' \n');
      expect(messages).toEqual([question]);
      expect([seam.push(' '), seam.push('\n\nHi'), seam.end(), seam.isRestart]).toEqual([
        '',
        '\nHi',
        '',
        false,
      ]);
    },
  );

  test('the rest of a JSON value is asked for as text, with the tokens that are left', async () => {
    const responseFormat = { type: 'json_object' } as const;
    const provider = scripted('a', [text('{"a": [1,'), broken()], [text(' 2]}'), end]);
    const seen = await route([provider], { responseFormat, maxTokens: 50, temperature: 0.3 });
    expect(JSON.parse(seen.text)).toEqual({ a: [1, 2] });
    expect(provider.calls).toMatchObject([
      { responseFormat, maxTokens: 50, temperature: 0.3, messages: [question] },
      {
        responseFormat: { type: 'text' },
        maxTokens: 50 - countTokens('{"a": [1,'),
        temperature: 0.3,
        messages: [question, said('{"a": [1,'), { role: 'user', content: instruction }],
      },
    ]);
  });

  test('no model is asked for more than it can give', async () => {
    const candidates = [modelOf('a', { maxOutput: 900 }), modelOf('b', { maxOutput: 30 })];
    const [first, second] = [scripted('a', [text('Hel'), failed()]), scripted('b', [text('lo'), end])];
    await route([first, second], { candidates, maxTokens: 500 });
    expect([...first.calls, ...second.calls].map(({ maxTokens }) => maxTokens)).toEqual([500, 30]);
  });
});

/** Pieces that tell no two places of a text alike, with what tends to break: white space, long characters. */
const pieces = fc
  .array(
    fc.tuple(
      fc.constantFrom('', ' ', '  ', '\n', '\n\n', '\n    ', '\t'),
      fc.constantFrom('word', 'é', '😀', '👩‍👩‍👧', '漢字', '{"a":', '```', '…'),
      fc.constantFrom('', '', ' ', '\n'),
    ),
    { minLength: 2, maxLength: 8 },
  )
  .map((parts) => parts.map(([before, word, after], index) => `${before}${index}${word}${after}`));

describe('a text that is cut at any token is whole again', () => {
  const ways: [string, Partial<Model>, back: (text: string) => number][] = [
    ['prefilled', { prefill: true }, () => 0],
    ['by instruction', {}, () => 0],
    ['by instruction, repeating its last words', {}, (before) => Math.min(before.length, 12)],
    ['by instruction, told from its start', {}, (before) => before.length],
  ];

  test.each(ways)('%s', async (_way, more, back) => {
    /** The model knows its text, and goes on with it from where the request ends, or some characters earlier. */
    const cutAt = async (parts: string[], count: number) => {
      const whole = parts.join('');
      const provider = answering('a', (request) => {
        const before = soFar(request);
        if (before === undefined && request.messages.length === 1) {
          const shown = parts.slice(0, count);
          // asked again because only white space came: the whole text
          return provider.calls.length === 0 ? [...texts(...shown), broken()] : [text(whole), end];
        }
        const length = before?.length ?? 0;
        const next = whole.slice(length - back(before ?? ''));
        return [...texts(...(next.match(/[\s\S]{1,5}/gu) ?? [])), end];
      });
      const { text: joined, error } = await route([provider], { candidates: [modelOf('a', more)] });
      expect({ joined, error, count }).toEqual({ joined: whole, error: undefined, count });
    };
    const property = fc.asyncProperty(pieces, async (parts) => {
      // repeats that are too short to tell are left to chance
      const counts = parts
        .map((_, index) => index)
        .filter((count) => {
          const before = parts.slice(0, count).join('');
          return back(before) === 0 || back(before) >= 10;
        });
      await Promise.all(counts.map((count) => cutAt(parts, count)));
    });
    await fc.assert(property, { numRuns: 12 });
  });
});

describe('the seam', () => {
  /** The joined text when the second call says `next`, in small pieces and in one. */
  async function joined(before: string, next: string, model = modelOf('a')) {
    const results = await Promise.all(
      [next.match(/[\s\S]{1,3}/gu) ?? [], [next]].map((parts) =>
        route([scripted('a', [text(before), broken()], [...texts(...parts), end])], { candidates: [model] }),
      ),
    );
    expect(results.map(outcomesOf)).toEqual([
      ['a error', 'a ok'],
      ['a error', 'a ok'],
    ]);
    expect(results[0]?.text).toBe(results[1]?.text);
    return results[0]?.text;
  }

  test.each([
    ['nothing', rest],
    ['its last words', `cat and no money at all.\n${rest}`],
    ['its last lines', `He had two daughters, a grey cat and no money at all.\n${rest}`],
    ['all of it', `${story}${rest}`],
  ])('repeats %s', async (_what, next) => {
    expect(await joined(story, next)).toBe(story + rest);
  });

  test.each([
    ['Hello', 'Hello there.', 'Hello there.'],
    ['Yes', 'Yes, it is.', 'Yes, it is.'],
    ['# A', '# A title', '# A title'],
    ['1', '1 is less than 2.', '11 is less than 2.'],
    ['bana', 'na split', 'banana split'],
    ['ha ', 'ha ha', 'ha ha'],
    ['Hello there,', ' friend.', 'Hello there, friend.'],
    ['Hello there, ', 'friend.', 'Hello there, friend.'],
    ['One.\n', '\nTwo.', 'One.\n\nTwo.'],
    ['One.\n\n', 'Two.', 'One.\n\nTwo.'],
    ['A 😀', '😀 B', 'A 😀😀 B'],
  ])('by instruction, %j and %j', async (before, next, expected) => {
    expect(await joined(before, next)).toBe(expected);
  });

  test.each([
    ['Hello there, ', ' friend.', 'Hello there, friend.'],
    ['Hello there, ', 'friend.', 'Hello there, friend.'],
    ['Hello there,', ' friend.', 'Hello there, friend.'],
    ['One.\n', '\n\nTwo.', 'One.\n\nTwo.'],
    ['One.\n\n', '\n\nTwo.', 'One.\n\nTwo.'],
    ['One.\n\n', '\n\n\nTwo.', 'One.\n\n\nTwo.'],
    ['One.\n', ' Two.', 'One.\n Two.'],
    ['  if (x)\n    ', '\n    return;', '  if (x)\n    return;'],
    ['Hello', 'Hello again', 'HelloHello again'],
    ['one two three four ', ' three four five', 'one two three four three four five'],
    ['| a | b | c |\n', '\n| a | b | c |\n', '| a | b | c |\n| a | b | c |\n'],
    [story, `\n${story}${rest}`, story + rest],
  ])('prefilled, %j and %j', async (before, next, expected) => {
    expect(await joined(before, next, prefilling('a'))).toBe(expected);
  });

  test('an answer that was complete when it broke off needs nothing more', async () => {
    for (const next of [[end], [text('a grey cat and no money at all.\n'), end]]) {
      const seen = await route([scripted('a', [text(story), broken()], next)]);
      expect(seen.text).toBe(story);
      expect(outcomesOf(seen)).toEqual(['a error', 'a ok']);
      expect(seen.events.filter(({ type }) => type === 'end')).toEqual([end]);
    }
  });

  test('what is held back of a call that breaks too is not lost', async () => {
    const again = story.slice(0, 50);
    const provider = scripted('a', [text(story), broken()], [text(again), broken()], [text(rest), end]);
    const seen = await route([provider]);
    expect(seen.text).toBe(story + rest);
    expect(provider.calls.map(soFar)).toEqual([undefined, story, story]);
    expect(seen.attempts[1]?.usage).toMatchObject({ outputTokens: countTokens(again), estimated: true });
  });
});

describe('a model that starts over in other words', () => {
  const other = `${story.slice(0, 60)} and by the woods.`;

  test.each([
    ['in small pieces', other.match(/[\s\S]{1,3}/gu) ?? []],
    ['in one piece', [other]],
  ])('has failed, and the next attempt is another provider’s, %s', async (_how, parts) => {
    for (const candidates of [
      [modelOf('a'), modelOf('b')],
      [prefilling('a'), prefilling('b')],
    ]) {
      const first = scripted('a', [text(story), broken()], [...texts(...parts), end]);
      const second = scripted('b', [text(rest), end]);
      const seen = await route([first, second], { candidates });
      expect(seen.text).toBe(story + rest);
      expect(outcomesOf(seen)).toEqual(['a error', 'a error', 'b ok']);
      expect(seen.attempts[1]).toMatchObject({ errorType: 'provider_error', usage: { estimated: true } });
      expect(seen.attempts[1]?.usage.outputTokens).toBeGreaterThan(5);
    }
  });

  test('is asked again when there is no other, three times in all', async () => {
    const mended = await route([
      scripted('a', [text(story), broken()], [text(other), end], [text(rest), end]),
    ]);
    expect(mended.text).toBe(story + rest);
    expect(outcomesOf(mended)).toEqual(['a error', 'a error', 'a ok']);
    const lost = await route([
      scripted('a', [text(story), broken()], [text(other), end], [text(other), end]),
    ]);
    expect(lost.text).toBe(story);
    expect(lost.error).toMatchObject({ type: 'provider_error', retryable: true });
    expect(outcomesOf(lost)).toEqual(['a error', 'a error', 'a error']);
  });

  test('is found out at its end too', async () => {
    const seen = await route([
      scripted('a', [text(story), broken()], [text(story.slice(0, 60)), end], [text(rest), end]),
    ]);
    expect(seen.text).toBe(story + rest);
    expect(outcomesOf(seen)).toEqual(['a error', 'a error', 'a ok']);
  });
});

describe('who goes on', () => {
  test('the same provider when the connection failed, the next one when the provider did', async () => {
    const lost = await route([scripted('a', [text('Hel'), broken()], [text('lo'), end]), scripted('b')]);
    expect(outcomesOf(lost)).toEqual(['a error', 'a ok']);
    expect(lost.model?.provider).toBe('a');
    const own = await route([scripted('a', [text('Hel'), failed()]), scripted('b', [text('lo'), end])]);
    expect(outcomesOf(own)).toEqual(['a error', 'b ok']);
    expect(own.model?.provider).toBe('b');
    expect([lost.text, own.text]).toEqual(['Hello', 'Hello']);
  });

  test('each in its own way', async () => {
    const [first, second] = [scripted('a', [text('Hello '), failed()]), scripted('b', [text(' you'), end])];
    const seen = await route([first, second], { candidates: [modelOf('a'), prefilling('b')] });
    expect(seen.text).toBe('Hello you');
    expect(second.calls[0]?.messages).toEqual([question, said('Hello')]);
  });

  test('a provider that refused before is not asked again', async () => {
    const candidates = [modelOf('a'), modelOf('b'), modelOf('a', { id: 'a-2' }), modelOf('c')];
    const providers = [
      scripted('a', [refused(401)]),
      scripted('b', [text('Hel'), failed()]),
      scripted('c', [text('lo'), end]),
    ];
    const seen = await route(providers, { candidates });
    expect(outcomesOf(seen)).toEqual(['a unavailable', 'b error', 'c ok']);
    expect(seen.text).toBe('Hello');
  });

  test('a provider that is given a rest is passed over', async () => {
    const breakers = createBreakers(['a', 'b']);
    const providers = [scripted('a', [text('Hel'), broken()]), scripted('b', [text('lo'), end])];
    for (let count = 0; count < 4; count += 1) (await breakers.enter('a'))(broken());
    const seen = await route(providers, {}, { breakers });
    expect(outcomesOf(seen)).toEqual(['a error', 'b ok']);
    expect(seen.text).toBe('Hello');
  });

  test('six calls are the most, whoever makes them', async () => {
    const providers = ['a', 'b', 'c'].map((name) =>
      answering(name, (_request, index) => [text(`${name}${index} `), broken()]),
    );
    const seen = await route(providers);
    expect(seen.text).toBe('a0 a1 a2 b0 b1 b2 ');
    expect(seen.attempts).toHaveLength(6);
    expect(seen.error).toMatchObject({ type: 'provider_error', retryable: true });
  });
});

describe('several breaks', () => {
  test('each attempt goes on from all of the text, and each is booked', async () => {
    const first = scripted(
      'a',
      [text('One '), text('two '), broken()],
      [text('three '), broken()],
      [failed()],
    );
    const second = scripted('b', [text('four.'), end]);
    const budget = createBudget({ maxCostUsd: undefined, maxTokens: 100_000 });
    const seen = await route([first, second], { budget });
    expect(seen.text).toBe('One two three four.');
    expect(first.calls.map(soFar)).toEqual([undefined, 'One two ', 'One two three ']);
    expect(second.calls.map(soFar)).toEqual(['One two three ']);
    const estimated = (request: LlmRequest | undefined, output: string) => ({
      inputTokens: countMessagesTokens(request?.messages ?? [], []),
      outputTokens: countTokens(output),
      cachedTokens: 0,
      reasoningTokens: 0,
      estimated: true,
    });
    const none = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, reasoningTokens: 0, estimated: false };
    expect(seen.attempts.map((attempt) => attempt.usage)).toEqual([
      estimated(first.calls[0], 'One two '),
      estimated(first.calls[1], 'three '),
      none,
      usage,
    ]);
    const booked = seen.attempts.reduce(
      (sum, { usage: used }) => sum + used.inputTokens + used.outputTokens,
      0,
    );
    expect(budget.affordableTokens([], () => 0)).toBe(100_000 - booked);
    expect(seen.events.filter(({ type }) => type === 'end')).toEqual([end]);
    expect(seen.events.at(-1)?.type).toBe('attempt-end');
  });

  test('reasoning before and after a break is no part of the text', async () => {
    const provider = scripted('a', [thought('Hm'), text('Hel'), broken()], [thought('So'), text('lo'), end]);
    const seen = await route([provider]);
    expect(seen.text).toBe('Hello');
    expect(provider.calls.map(soFar)).toEqual([undefined, 'Hel']);
  });

  test('a call of a tool may follow the rest', async () => {
    const call: Step[] = [
      { type: 'tool-call-start', id: 'c', name: 't' },
      { type: 'tool-call-end', id: 'c', name: 't', argumentsText: '{}' },
      { type: 'end', finishReason: 'tool_calls', usage },
    ];
    const seen = await route([scripted('a', [text('Let me'), broken()], [text(' see.'), ...call])]);
    expect(seen.text).toBe('Let me see.');
    expect(seen.events.map(({ type }) => type).slice(-4)).toEqual([
      'tool-call-start',
      'tool-call-end',
      'end',
      'attempt-end',
    ]);
  });

  test('one that breaks off within it ends the answer', async () => {
    const start: Step = { type: 'tool-call-start', id: 'c', name: 't' };
    const other = scripted('b');
    const seen = await route([
      scripted('a', [text('Let me'), broken()], [text(' see.'), start, broken()]),
      other,
    ]);
    expect(seen.error).toMatchObject({ type: 'provider_error', retryable: true });
    expect(outcomesOf(seen)).toEqual(['a error', 'a error']);
    expect(other.calls).toEqual([]);
  });
});

describe('no continuation', () => {
  const brokenOff = {
    type: 'provider_error',
    retryable: true,
    message: 'It failed. The answer broke off before it was complete.',
  };

  test('when the deadline leaves no time for it', async () => {
    const seen = await route([scripted('a', [text('Hel'), broken()])], { deadlineAt: Date.now() + 20 });
    expect(seen.error).toMatchObject(brokenOff);
    expect(outcomesOf(seen)).toEqual(['a error']);
  });

  test('when the budget is gone', async () => {
    const budget = createBudget({ ...noLimits, maxTokens: 40 });
    const seen = await route([scripted('a', [text('word '.repeat(30)), broken()]), scripted('b')], {
      budget,
    });
    expect(seen.error).toMatchObject(brokenOff);
    expect(outcomesOf(seen)).toEqual(['a error']);
  });

  test('by a model that the budget does not reach; another one may', async () => {
    const costly = modelOf('b', { price: { input: 1000, output: 1000 } });
    const cheap = modelOf('c', { price: { input: 1, output: 1 } });
    const providers = [
      scripted('a', [text('Hel'), failed()]),
      scripted('b'),
      scripted('c', [text('lo'), end]),
    ];
    const budget = createBudget({ ...noLimits, maxCostUsd: 0.001 });
    const seen = await route(providers, { budget, candidates: [modelOf('a'), costly, cheap] });
    expect(seen.text).toBe('Hello');
    expect(outcomesOf(seen)).toEqual(['a error', 'c ok']);
  });

  test('after an abort, whose reason is thrown; what was shown is booked', async () => {
    const controller = new AbortController();
    const reason = new Fault('cancelled', 'Enough.');
    const provider = scripted('a', [text('Hello there, '), broken()], [text('my good friend.'), 5000]);
    const running = route([provider], {}, {}, controller.signal);
    await expect.poll(() => provider.calls.length, { interval: 5 }).toBe(2);
    setImmediate(() => controller.abort(reason));
    const seen = await running;
    expect(seen.error).toBe(reason);
    expect(seen.text).toBe('Hello there, my good friend.');
    expect(outcomesOf(seen)).toEqual(['a error', 'a cancelled']);
    expect(seen.attempts[1]?.usage).toMatchObject({
      outputTokens: countTokens('my good friend.'),
      estimated: true,
    });
  });
});
