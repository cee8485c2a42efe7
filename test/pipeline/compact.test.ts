import { describe, expect, test } from 'vitest';
import { type Message, textOf } from '../../src/core/message.ts';
import { countMessagesTokens, countTokens } from '../../src/llm/tokens.ts';
import { findCompactionNeed } from '../../src/pipeline/compact.ts';
import { isSummary, summarizedIn, toSummary } from '../../src/pipeline/compaction.ts';
import { extractSummary } from '../../src/pipeline/extract-summary.ts';
import { rankByRelevance } from '../../src/pipeline/relevance.ts';
import { shorten } from '../../src/pipeline/shorten.ts';

const says = (text: string): Message => ({ role: 'assistant', content: [{ type: 'text', text }] });
const asks = (content: string): Message => ({ role: 'user', content });
const talk = (turns: number): Message[] =>
  Array.from({ length: turns }, (_, index) => [
    asks(`Question ${index}: ${'what about it '.repeat(20)}`),
    says(`Answer ${index}: ${'this is how '.repeat(20)}`),
  ]).flat();

describe('what is summarised', () => {
  const history = talk(20);
  const tokens = countMessagesTokens(history, []);

  test('nothing of a history that fits', () => {
    expect(findCompactionNeed(history, tokens)).toBeUndefined();
    expect(findCompactionNeed(history, tokens - 1)).toBeDefined();
  });

  test('all but the newest turns that fit half of the room beside the summary', () => {
    const need = findCompactionNeed(history, 2000);
    expect(need).toMatchObject({ room: 2000, summaryTokens: 500 });
    const covered = need?.covered ?? 0;
    const verbatim = countMessagesTokens(history.slice(covered), []);
    const oneMore = countMessagesTokens(history.slice(covered - 2), []);
    expect(covered % 2).toBe(0);
    expect(verbatim).toBeLessThanOrEqual(750);
    expect(oneMore).toBeGreaterThan(750);
  });

  test('the two newest turns stay when they fit, the newest in any case', () => {
    const wide = [...talk(4), asks('long '.repeat(600)), says('yes'), asks('short'), says('no')];
    expect(findCompactionNeed(wide, 1000)).toMatchObject({ covered: 8 });
    expect(findCompactionNeed([...talk(4), asks('word '.repeat(9000))], 1000)).toMatchObject({ covered: 8 });
  });

  test('nothing when there is no room for a summary, or too little to summarise', () => {
    expect(findCompactionNeed(history, 255)).toBeUndefined();
    expect(findCompactionNeed(history, -5)).toBeUndefined();
    expect(findCompactionNeed([asks('word '.repeat(9000))], 1000)).toBeUndefined();
    const summary = asks(toSummary('They talked.'));
    expect(findCompactionNeed([summary, asks('word '.repeat(9000))], 1000)).toBeUndefined();
  });
});

describe('a summary of key sentences', () => {
  const history: Message[] = [
    asks('We build a harbour model in scale 1:87. My name is Ada.'),
    says('Nice. Let us go on then. That is good to hear.'),
    asks('Hm, well. It depends, of course, on one thing and another thing.'),
    says('We decided to use `balsa.dxf` for the hull, because plywood is too heavy.'),
    {
      role: 'toolResult',
      toolCallId: 'c',
      toolName: 't',
      content: [{ type: 'text', text: 'ok' }],
      isError: false,
    },
    asks('How deep must the dock be?'),
  ];

  test('keeps decisions, numbers, names and open questions, in their order', () => {
    expect(extractSummary(history, 70).split('\n')).toEqual([
      '- User: We build a harbour model in scale 1:87.',
      '- User: My name is Ada.',
      '- Assistant: We decided to use `balsa.dxf` for the hull, because plywood is too heavy.',
      '- User: How deep must the dock be?',
    ]);
  });

  test('is the same each time and never longer than allowed', () => {
    for (const most of [20, 64, 150, 1024]) {
      const summary = extractSummary(talk(30), most);
      expect(summary).toBe(extractSummary(talk(30), most));
      expect(countTokens(summary)).toBeLessThanOrEqual(most);
    }
  });

  test('builds on an earlier one', () => {
    const before = asks(toSummary('- User: My name is Ada.\n- User: The dock is 12 m deep.'));
    const summary = extractSummary([before, ...talk(10)], 120);
    expect(summary).toContain('- User: My name is Ada.\n- User: The dock is 12 m deep.');
  });

  test('a long text takes time in proportion', () => {
    const started = performance.now();
    extractSummary(
      Array.from({ length: 400 }, () => asks('a1 '.repeat(5000))),
      1000,
    );
    extractSummary([asks('x'.repeat(1_000_000)), says('? '.repeat(500_000))], 1000);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

test('a summary is known by its heading', () => {
  const message = asks(toSummary('They talked.'));
  expect(isSummary(message)).toBe(true);
  expect(summarizedIn(message)).toBe('They talked.');
  expect(isSummary(asks('They talked.'))).toBe(false);
  expect(isSummary(says(textOf(message.content)))).toBe(false);
});

test('shortened texts keep both ends, whole characters and their limit', () => {
  expect(shorten('short', 10)).toBe('short');
  const text = shorten(`start ${'😀'.repeat(3000)} end`, 100);
  expect(text).toMatch(/^start (😀)+\n\[… \d+ characters left out …\]\n(😀)+ end$/u);
  expect(countTokens(text)).toBeLessThanOrEqual(100);
  expect(shorten('word '.repeat(100), 3)).toBe('');
});

test('relevance ranks texts by the rarer words they share, in any script', () => {
  const texts = ['the port is open', 'the zeppelin flies', 'the fish', '港の深さは十二'];
  const best = (query: string) => {
    const scores = rankByRelevance(query, texts);
    return scores.indexOf(Math.max(...scores));
  };
  expect(best('the Zeppelin?')).toBe(1);
  expect(best('is the port the best')).toBe(0);
  expect(best('港の深さ')).toBe(3);
  expect(rankByRelevance('nothing alike', texts)).toEqual([0, 0, 0, 0]);
});
