import { expect, test } from 'vitest';
import { toAnswerText, toMessagesText } from '../../src/observability/tracing/capture.ts';

const most = 16 * 1024;
const user = (...texts: string[]) => ({
  role: 'user' as const,
  content: texts.map((text) => ({ type: 'text' as const, text })),
});

test.each([
  ['what JSON escapes', '\u0001'],
  ['quotes and lines', '"\n'],
  ['halves of characters', '\ud83d\ude00'],
])('the last message is always kept, at most so much of it: %s', (_name, character) => {
  const text = toMessagesText([user('First.'), user(...Array(8).fill(character.repeat(5_000)), 'Last.')]);
  expect(text.length).toBeLessThanOrEqual(most);
  const messages = JSON.parse(text) as { role: string; parts: { content: string }[] }[];
  expect(messages.at(-1)?.role).toBe('user');
  expect(messages.at(-1)?.parts.length).toBeGreaterThan(2);
  expect(messages.at(-1)?.parts[0]?.content.slice(0, 4)).toBe(character.repeat(4).slice(0, 4));
  expect(text.isWellFormed()).toBe(true);
});

test('an answer is no longer than that, whatever its tools are called', () => {
  const call = {
    id: 'i'.repeat(50_000),
    name: '\u0001'.repeat(50_000),
    argumentsText: '\u0002'.repeat(50_000),
  };
  const text = toAnswerText('\u0003'.repeat(16 * 1024), Array(32).fill(call), 'tool_calls');
  expect(text.length).toBeLessThanOrEqual(most);
  const [answer] = JSON.parse(text);
  expect(answer.finish_reason).toBe('tool_calls');
  expect(answer.parts.map(({ type }: { type: string }) => type).slice(0, 2)).toEqual(['text', 'tool_call']);
});

test('short ones are kept as they are', () => {
  const calls = [{ id: 'call_1', name: 'add', argumentsText: '{"a":1}' }];
  expect(JSON.parse(toAnswerText('It is "so".\n', calls, undefined))).toEqual([
    {
      role: 'assistant',
      parts: [
        { type: 'text', content: 'It is "so".\n' },
        { type: 'tool_call', id: 'call_1', name: 'add', arguments: '{"a":1}' },
      ],
    },
  ]);
});
