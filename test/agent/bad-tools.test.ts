import { describe, expect, test, vi } from 'vitest';
import { runTools } from '../../src/agent/run-tools.ts';
import { toToolCall } from '../../src/agent/to-tool-call.ts';
import type { AgentEvent } from '../../src/core/events.ts';
import { type ToolCall, type ToolResultMessage, textOf } from '../../src/core/message.ts';
import type { Tool, ToolContext } from '../../src/tools/tool.ts';

const caller = { tenant: 'default', subject: 'anonymous', roles: [] };
const none = new AbortController().signal;
const call = (id: string, name: string, args: Record<string, unknown> = {}): ToolCall => ({
  type: 'toolCall',
  id,
  name,
  arguments: args,
});

function tool(
  execute: (context: ToolContext, signal: AbortSignal) => unknown,
  more: Partial<Tool> = {},
): Tool {
  return {
    name: 'bad',
    description: '',
    parameters: { type: 'object' },
    isParallel: true,
    // what a program in JavaScript may really do
    execute: (_args, context, signal) => execute(context, signal) as ReturnType<Tool['execute']>,
    ...more,
  };
}

async function run(bad: Tool, calls = [call('c1', 'bad')], timeoutMs = 5000, signal = none) {
  const events: AgentEvent[] = [];
  const steps = runTools({ runId: 'run', caller, tools: new Map([['bad', bad]]), timeoutMs }, calls, signal);
  let step = await steps.next();
  while (!step.done) {
    events.push(step.value);
    step = await steps.next();
  }
  return { events, results: step.value };
}

async function resultOf(bad: Tool, ...rest: [ToolCall[]?, number?]): Promise<ToolResultMessage> {
  const { results } = await run(bad, ...rest);
  expect(results).toHaveLength(1);
  return results[0] as ToolResultMessage;
}

const said = ({ content, isError }: ToolResultMessage) => ({ text: textOf(content), isError });
const failed = (text: string) => ({ text, isError: true });
const circular: Record<string, unknown> = { content: [{ type: 'text', text: 'fine' }] };
circular.details = circular;

describe('a tool that throws', () => {
  test.each<[string, unknown, string]>([
    ['an error', new Error('no such city'), 'no such city'],
    ['an error without a message', new RangeError(), 'RangeError'],
    ['a text', 'just text', 'just text'],
    ['a number', 7, '7'],
    ['an object', { code: 'E1' }, '{"code":"E1"}'],
    ['an object with a message', { message: 'told' }, 'told'],
    ['nothing', undefined, 'The tool failed without saying why.'],
    ['what cannot be written down', circular, 'The tool failed without saying why.'],
  ])('%s', async (_name, thrown, text) => {
    const throwing = () => {
      throw thrown;
    };
    expect(said(await resultOf(tool(throwing)))).toEqual(failed(text));
    expect(said(await resultOf(tool(async () => throwing())))).toEqual(failed(text));
  });

  test('a huge message: its head and tail', async () => {
    const error = new Error(`HEAD${'x'.repeat(100_000)}TAIL`);
    const { text } = said(await resultOf(tool(() => Promise.reject(error))));
    expect(text.length).toBeLessThan(66_000);
    expect(text).toMatch(/^HEADx+\n\[… 34472 characters left out …\]\nx+TAIL$/);
  });
});

describe('a tool that returns', () => {
  const nothing = failed('The tool returned nothing.');
  const garbage = failed('The tool returned something that is not a result.');
  test.each<[string, unknown, object]>([
    ['nothing', undefined, nothing],
    ['null', null, nothing],
    ['a number', 42, garbage],
    ['an object of its own', { ok: true }, garbage],
    ['content that is no list', { content: { type: 'text', text: 'a' } }, garbage],
    ['a block of no known kind', { content: [{ type: 'video', data: 'a' }] }, garbage],
    ['a block without its text', { content: [{ type: 'text' }] }, garbage],
    ['a hole', { content: [null] }, garbage],
    ['a text', 'plain', { text: 'plain', isError: false }],
    ['content that is a text', { content: 'plain' }, { text: 'plain', isError: false }],
    ['content only', { content: [{ type: 'text', text: 'a' }] }, { text: 'a', isError: false }],
    ['a circle', circular, { text: 'fine', isError: false }],
    ['an odd isError', { content: [], isError: 'yes' }, { text: '', isError: false }],
  ])('%s', async (_name, returned, expected) => {
    expect(said(await resultOf(tool(async () => returned)))).toEqual(expected);
    expect(said(await resultOf(tool(() => returned)))).toEqual(expected);
  });

  test('what throws when it is read', async () => {
    const trap = {
      get content() {
        throw new Error('trap');
      },
    };
    expect(said(await resultOf(tool(async () => trap)))).toEqual(garbage);
  });

  test('details, which go to programs and not into the text', async () => {
    const result = await resultOf(tool(async () => ({ content: [], isError: false, details: { rows: 3 } })));
    expect(result).toMatchObject({ content: [], details: { rows: 3 } });
  });

  test('many blocks of text: bounded together', async () => {
    const content = Array.from({ length: 50 }, (_, index) => ({
      type: 'text',
      text: `${index}`.padEnd(2000, '.'),
    }));
    const result = await resultOf(tool(async () => ({ content })));
    expect(result.content).toHaveLength(1);
    const { text } = said(result);
    expect(text.length).toBeLessThan(66_000);
    expect(text).toMatch(/^0\.+\n1\.+/);
    expect(text).toContain(`\n[… ${50 * 2000 + 49 - 65_536} characters left out …]\n`);
  });

  test('thousands of empty blocks', async () => {
    const content = Array.from({ length: 5000 }, () => ({ type: 'text', text: '' }));
    expect((await resultOf(tool(async () => ({ content })))).content).toHaveLength(1);
  });

  test('too many images, and one that is too large', async () => {
    const image = (data: string) => ({ type: 'image', data, mimeType: 'image/png' });
    const content = [{ type: 'text', text: 'Look.' }, ...Array.from({ length: 12 }, () => image('AAAA'))];
    const many = await resultOf(tool(async () => ({ content })));
    expect(many.content).toHaveLength(9);
    expect(said(many).text).toBe('Look.\n[… 4 of 12 images left out …]');
    const large = await resultOf(tool(async () => ({ content: [image('A'.repeat(17 * 1024 * 1024))] })));
    expect(large.content).toEqual([{ type: 'text', text: '[… 1 of 1 images left out …]' }]);
  });

  test('a cut through a character leaves no half of it', async () => {
    const text = `${'x'.repeat(32 * 1024 - 1)}😀${'y'.repeat(40_000)}`;
    expect(said(await resultOf(tool(async () => text))).text.isWellFormed()).toBe(true);
  });
});

describe('time', () => {
  test('a tool that hangs and ignores its signal', async () => {
    let given: AbortSignal | undefined;
    const hanging = tool((_context, signal) => {
      given = signal;
      return new Promise(() => {});
    });
    expect(said(await resultOf(hanging, undefined, 40))).toEqual(
      failed('The tool did not answer within 0.04 seconds.'),
    );
    expect(given?.aborted).toBe(true);
  });

  test('the limit of a tool counts in place of the common one', async () => {
    const hanging = tool(() => new Promise(() => {}), { timeoutMs: 30 });
    expect(said(await resultOf(hanging, undefined, 60_000))).toEqual(
      failed('The tool did not answer within 0.03 seconds.'),
    );
  });

  test('progress extends the limit, up to a cap', async () => {
    vi.useFakeTimers();
    try {
      const busy = tool(({ onProgress }, signal) => {
        const beat = setInterval(() => onProgress({ message: 'busy' }), 60);
        signal.addEventListener('abort', () => clearInterval(beat));
        return new Promise(() => {});
      });
      const running = run(busy, undefined, 100);
      await vi.advanceTimersByTimeAsync(499);
      await vi.advanceTimersByTimeAsync(2);
      const { events, results } = await running;
      expect(results.map(said)).toEqual([failed('The tool did not finish within 0.5 seconds.')]);
      expect(events.filter(({ type }) => type === 'tool-progress')).toHaveLength(8);
    } finally {
      vi.useRealTimers();
    }
  });

  test('without a limit none is set', async () => {
    const slow = tool(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return 'late';
    });
    expect(said(await resultOf(slow, undefined, Number.POSITIVE_INFINITY)).text).toBe('late');
  });

  test('what comes after the end is not heard', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    let late = () => {};
    const { promise: over, reject } = Promise.withResolvers<never>();
    const leaving = tool(({ onProgress }) => {
      late = () => onProgress({ message: 'still here' });
      return over;
    });
    const { events } = await run(leaving, undefined, 20);
    late();
    reject(new Error('after the end'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(events.map(({ type }) => type)).toEqual(['tool-start', 'tool-end', 'message-end']);
  });

  test('progress faster than it is heard is bounded, and its latest stays', async () => {
    const flooding = tool(async ({ onProgress }) => {
      for (let count = 1; count <= 5000; count += 1) onProgress({ message: `${count}` });
      return 'done';
    });
    const { events } = await run(flooding);
    const told = events.flatMap((event) => (event.type === 'tool-progress' ? event.message : []));
    expect(told).toHaveLength(256);
    expect(told.at(-1)).toBe('5000');
  });
});

describe('arguments', () => {
  const strict = tool(async () => 'ran', {
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  });
  const given = (argumentsText: string) => [toToolCall({ id: 'c1', name: 'bad', argumentsText })];

  test.each([
    ['{"city":7}', 'The arguments do not fit: arguments/city must be string.'],
    ['{}', "The arguments do not fit: arguments must have required property 'city'."],
    ['', "The arguments do not fit: arguments must have required property 'city'."],
    ['{"city":', 'The arguments are not a JSON object.'],
    ['[1]', 'The arguments are not a JSON object.'],
    ['"text"', 'The arguments are not a JSON object.'],
    ['null', 'The arguments are not a JSON object.'],
  ])('%s', async (argumentsText, text) => {
    expect(said(await resultOf(strict, given(argumentsText)))).toEqual(failed(text));
  });

  test('of 10 MB are refused, and not kept', async () => {
    const calls = given(JSON.stringify({ city: 'x'.repeat(10 * 1024 * 1024) }));
    expect(said(await resultOf(strict, calls))).toEqual(
      failed('The arguments are too long: at most 1048576 characters are taken.'),
    );
    expect(calls[0]?.arguments).toEqual({});
    expect(calls[0]?.argumentsText?.length).toBe(1024 * 1024 + 1);
  });

  test('with thousands of mistakes are answered in a few words', async () => {
    const listed = tool(async () => 'ran', {
      parameters: { type: 'object', additionalProperties: { type: 'string' } },
    });
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, index]));
    const { text } = said(await resultOf(listed, [call('c1', 'bad', many)]));
    expect(text.length).toBeLessThan(1000);
  });

  test("are the tool's own copy", async () => {
    const calls = [call('c1', 'bad', { list: [1] })];
    const spoiling: Tool = {
      ...tool(() => ''),
      async execute(args) {
        (args.list as number[]).push(2);
        args.more = true;
        return { content: [], isError: false };
      },
    };
    await run(spoiling, calls);
    expect(calls[0]?.arguments).toEqual({ list: [1] });
  });

  test('for a tool whose parameters are no schema', async () => {
    const broken = tool(async () => 'ran', { parameters: { type: 'nonsense' } });
    expect(said(await resultOf(broken))).toEqual(
      failed('The tool bad cannot be used: its parameters are no JSON Schema.'),
    );
  });
});
