import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { countMessagesTokens, countTokens, warmTokenizer } from '../../src/llm/tokens.ts';

const prose =
  'The quick brown fox jumps over the lazy dog, while 42 engineers (mostly tired) debug TypeScript.\n';

type Reference = { encode(text: string, options: object): number[] };
const reference = createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base') as Reference;
const exactCount = (text: string) => reference.encode(text, { disallowedSpecial: new Set() }).length;

function millisecondsOf(text: string): number {
  const startedAt = performance.now();
  countTokens(text);
  return performance.now() - startedAt;
}

/** Letters without a word that comes twice. */
function noise(length: number): string {
  let seed = 1;
  let text = '';
  while (text.length < length) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    text += seed.toString(36);
  }
  return text.slice(0, length);
}

/** Random words of letters and digits, of which hardly two are the same. */
function base36Words(length: number, seed = 1): string {
  let state = seed;
  let text = '';
  while (text.length < length) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += `${state.toString(36)} `;
  }
  return text.slice(0, length);
}

/** How far the count is from the true one, as a share of it. */
const errorOf = (text: string) => Math.abs(countTokens(text) / exactCount(text) - 1);

beforeAll(warmTokenizer);

describe('tokens of a text', () => {
  test.each([
    ['', 0],
    ['hello world', 2],
    ['Hello, world!', 4],
    ['<|endoftext|> and <|im_start|>', exactCount('<|endoftext|> and <|im_start|>')],
  ])('%j has %i', (text, expected) => {
    expect(countTokens(text)).toBe(expected);
  });

  test.each([
    ['prose', prose.repeat(160)],
    ['code', 'export function f(a: number): string {\n  return a + "\\n";\n}\n\n'.repeat(100)],
    ['Chinese', '今天天气很好，我们去公园散步。你想一起来吗？'.repeat(100)],
    ['Thai', 'ภาษาไทยเป็นภาษาที่สวยงาม และมีเอกลักษณ์ '.repeat(100)],
    ['emoji', '👩‍👩‍👧‍👦 and 😀! '.repeat(100)],
    ['a table', '| a | b |\n|---|---|\n| 1 | 2 |\n'.repeat(100)],
    ['JSON', JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: `item ${id}` })))],
    ['half a character', 'a \ud83d b'],
  ])('%s is counted exactly', (_name, text) => {
    expect(countTokens(text)).toBe(exactCount(text));
  });

  test('up to 16 KiB is exact, and beyond within 2 %', () => {
    const exact = prose.repeat(160).padEnd(16 * 1024, 'end ');
    expect(exact).toHaveLength(16 * 1024);
    expect(countTokens(exact)).toBe(exactCount(exact));
    for (const repeats of [200, 2700, 8000]) expect(errorOf(prose.repeat(repeats))).toBeLessThan(0.02);
  });

  test('that is dense in one half and thin in the other is within 5 %', () => {
    expect(errorOf(base36Words(64 * 1024) + prose.repeat(640))).toBeLessThan(0.05);
    expect(errorOf(prose.repeat(640) + base36Words(64 * 1024))).toBeLessThan(0.05);
  });

  test('is found in time for 20 files of the densest text', () => {
    const texts = Array.from({ length: 20 }, (_, index) => base36Words(256 * 1024, index + 1));
    const milliseconds = () => {
      const startedAt = performance.now();
      for (const text of texts) countTokens(text);
      return performance.now() - startedAt;
    };
    expect(Math.min(milliseconds(), milliseconds())).toBeLessThan(3000);
  });

  test('is found fast in 10 MB', () => {
    const text = prose.repeat(Math.ceil((10 * 1024 * 1024) / prose.length));
    expect(Math.min(millisecondsOf(text), millisecondsOf(text))).toBeLessThan(50);
  });

  test.each([
    ['one letter', 'a'.repeat(20_000)],
    ['1 MB without a space', noise(1024 * 1024)],
    ['spaces', ' '.repeat(256 * 1024)],
    ['line ends and slashes', '/\n'.repeat(128 * 1024)],
    ['marks', '\u0301'.repeat(256 * 1024)],
    ['signs and pictures', '!😀'.repeat(64 * 1024)],
    ['Chinese without end', '漢'.repeat(256 * 1024)],
    ['capitals', 'aB'.repeat(128 * 1024)],
  ])('is found in time however it is made: %s', (_name, text) => {
    expect(millisecondsOf(text)).toBeLessThan(2_000);
  });

  test('of a long stretch without a boundary is nearly exact', () => {
    expect(Math.abs(countTokens('a'.repeat(4000)) / exactCount('a'.repeat(4000)) - 1)).toBeLessThan(0.05);
  });
});

describe('tokens of messages', () => {
  const image = { type: 'image', data: 'A'.repeat(100_000), mimeType: 'image/png' } as const;

  test('are those of their texts and a little more for each', () => {
    const messages: Message[] = [
      { role: 'system', content: 'hello world' },
      { role: 'user', content: [{ type: 'text', text: 'hello world' }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: prose },
          { type: 'text', text: 'hello world' },
        ],
      },
    ];
    expect(countMessagesTokens(messages, [])).toBe(3 * (4 + 2));
  });

  test('count an image as one, whatever its size', () => {
    expect(countMessagesTokens([{ role: 'user', content: [image] }], [])).toBe(1004);
    const result: Message = {
      role: 'toolResult',
      toolCallId: 'a',
      toolName: 'f',
      content: [image],
      isError: false,
    };
    expect(countMessagesTokens([result], [])).toBe(1004);
  });

  test('include tool calls and the tools offered', () => {
    const call = { type: 'toolCall', id: 'a', name: 'clock', arguments: { zone: 'UTC' } } as const;
    expect(countMessagesTokens([{ role: 'assistant', content: [call] }], [])).toBe(
      4 + 8 + countTokens('clock') + countTokens('{"zone":"UTC"}'),
    );
    const tool = { name: 'clock', description: 'The time', parameters: { type: 'object' } };
    expect(countMessagesTokens([], [tool])).toBe(8 + countTokens('clock The time {"type":"object"}'));
  });
});
