import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { textOf } from '../../src/core/message.ts';
import type { ToolDefinition } from '../../src/llm/provider.ts';
import { countMessagesTokens } from '../../src/llm/tokens.ts';
import type { ChatRequest } from '../../src/pipeline/chat-request.ts';
import { buildContext, type Context } from '../../src/pipeline/context.ts';

type Reference = { encode(text: string, options: object): number[] };
const reference = createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base') as Reference;
const exactCount = (text: string) => reference.encode(text, { disallowedSpecial: new Set() }).length;

const clock: ToolDefinition = { name: 'clock', description: 'The time', parameters: { type: 'object' } };
const ofFile = (text: string, name = 'a.txt') => ({
  name,
  text,
  lineStart: 1,
  lineEnd: text.split('\n').length,
});
const history = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ role: 'user' as const, content: `message ${index + 1}` }));

function build(input: Partial<ChatRequest>, window = 8192, tools: ToolDefinition[] = []): Context {
  return buildContext({
    request: {
      message: 'Sum it up.',
      files: [],
      images: [],
      history: [],
      memoryLimit: 10,
      model: undefined,
      provider: undefined,
      effort: 'quick',
      temperature: 0.7,
      maxTokens: undefined,
      maxCostUsd: undefined,
      contextWindow: undefined,
      tools: [],
      responseFormat: { type: 'text' },
      mayRevise: false,
      ...input,
    },
    systemPrompt: 'You are careful.',
    tools,
    model: {
      id: 'm',
      provider: 'p',
      name: 'm',
      description: '',
      contextWindow: window,
      maxOutput: 4096,
      accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
    },
    outputReserve: window / 4,
  });
}

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const textsOf = ({ messages }: Context) => messages.map((message) => textOf(message.content));
const exactTokens = (context: Context) =>
  textsOf(context).reduce((total, text) => total + 4 + exactCount(text), 0);

/** Lines of signs that take about a token each. */
function denseLines(characters: number): string {
  let seed = 1;
  let text = '';
  while (text.length < characters) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    text += `${seed.toString(36)}漢${seed % 7 === 0 ? '\n' : ''}`;
  }
  return text;
}

test('a file whose tokens are all at its beginning is cut until it fits', () => {
  const context = build({ files: [ofFile(denseLines(60_000) + ' '.repeat(200_000))] });
  expect(exactTokens(context)).toBeLessThanOrEqual(6144);
  expect(context.inputTokens).toBeLessThanOrEqual(6144);
  expect(exactTokens(context)).toBeGreaterThan(4000);
});

test('input tokens are those of the messages and tools', () => {
  const context = build({ files: [ofFile('one\ntwo'), ofFile('three')], history: history(3) }, 8192, [clock]);
  expect(context.leftOut).toEqual([]);
  expect(Math.abs(context.inputTokens - countMessagesTokens(context.messages, [clock]))).toBeLessThanOrEqual(
    4,
  );
});

test('a cut file says which lines are missing, and ends in a whole line', () => {
  const lines = Array.from({ length: 4000 }, (_, index) => `line ${index + 1}`);
  const context = build({ files: [ofFile(lines.join('\n'))] }, 2048);
  const text = textsOf(context).at(-1) ?? '';
  const last = Number(/lines="1-(\d+)"/.exec(text)?.[1]);
  expect(text).toContain(`\nline ${last}\n[… cut: the file goes on to line 4000 …]\n</file>`);
  expect(context.leftOut).toEqual([`a.txt: lines ${last + 1}-4000`]);
});

test('a file of one long line is cut within it, and not within a character', () => {
  const context = build({ files: [ofFile('😀'.repeat(20_000))] }, 2048);
  expect(context.leftOut).toEqual(['a.txt: lines 1-1']);
  expect(textsOf(context).at(-1)).toMatch(
    /^Sum it up\.\n\n<file name="a.txt" lines="1-1">\n(😀)+\n\[… cut: the file goes on to line 1 …\]\n<\/file>$/u,
  );
});

test('long names of files are counted', () => {
  const files = Array.from({ length: 20 }, (_, index) =>
    ofFile('line of text\n'.repeat(300), `${index}${'漢字x'.repeat(50)}`),
  );
  const context = build({ files });
  expect(exactTokens(context)).toBeLessThanOrEqual(6144);
  expect(context.leftOut).toHaveLength(20);
});

test('files whose names do not fit are refused', () => {
  const files = Array.from({ length: 20 }, () => ofFile('text', '漢字x'.repeat(300)));
  const fault = faultOf(() => build({ files }));
  expect(fault).toMatchObject({
    type: 'invalid_request',
    message: expect.stringMatching(
      /^The message with its files needs about \d+ tokens, but m has room for 6144\.$/,
    ),
  });
  expect(fault.problems).toEqual([{ path: 'files', message: 'do not fit the context window of m' }]);
});

test('a message that does not fit the window that the caller set names both', () => {
  const fault = faultOf(() => build({ message: 'word '.repeat(7000), contextWindow: 4096 }));
  expect(fault.problems).toEqual([
    { path: 'message', message: 'does not fit the context window of m' },
    {
      path: 'context_window_size',
      message: expect.stringMatching(/^leaves room for 2048 tokens, and about 70\d\d are needed$/),
    },
  ]);
});

test('what memory_limit drops was not left out to fit', () => {
  expect(build({ history: history(8), memoryLimit: 3 }).leftOut).toEqual([]);
  const long = Array.from({ length: 8 }, () => ({ role: 'user' as const, content: 'word '.repeat(2500) }));
  expect(build({ history: long, memoryLimit: 3 }).leftOut).toEqual(['1 older message of the history']);
});
