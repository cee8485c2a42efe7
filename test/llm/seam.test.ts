import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSeam, overlapLength } from '../../src/llm/seam.ts';

function join(before: string, pieces: string[]) {
  const seam = createSeam(before);
  const text = pieces.map((piece) => seam.push(piece)).join('') + seam.end();
  return { text, isRestart: seam.isRestart };
}

const cut = (text: string) => text.match(/[\s\S]{1,7}/g) ?? [];

test('a repeat at the seam is left out, however the text is cut', () => {
  const before = 'The quick brown fox jumps';
  const next = 'brown fox jumps over the lazy dog.';
  const expected = { text: ' over the lazy dog.', isRestart: false };
  expect(join(before, cut(next))).toEqual(expected);
  expect(join(before, [next])).toEqual(expected);
});

test('an answer that is told again from its start goes on where it was cut', () => {
  const before = 'Once upon a time there was a small king who lived in a large castle by the sea';
  expect(join(before, cut(`${before}, alone.`))).toEqual({ text: ', alone.', isRestart: false });
});

test('an answer that starts over in other words is found out', () => {
  const before = 'Once upon a time there was a small king who lived in a large castle by the sea';
  const other = 'Once upon a time there was a small king who ruled a forest.';
  expect(join(before, cut(other))).toEqual({ text: other, isRestart: true });
  expect(join(before, [other])).toEqual({ text: other, isRestart: true });
});

test('a short text that is told again from its start goes on where it was cut', () => {
  expect(join('Yes', cut('Yes, it is.'))).toEqual({ text: ', it is.', isRestart: false });
  expect(join('No', ['No more.']).text).toBe('No more.');
});

test('where the answer goes on by itself, only a text from its very start is no part of it', () => {
  const before = 'Once upon a time there was a small king who lived in a large castle by the sea';
  const exact = (...pieces: string[]) => {
    const seam = createSeam(before, true);
    return { text: pieces.map(seam.push).join('') + seam.end(), isRestart: seam.isRestart };
  };
  for (const next of ['castle by the sea again', 'Once upon a day', 'alone.']) {
    expect(exact(...cut(next))).toEqual({ text: next, isRestart: false });
  }
  expect(exact(...cut(`${before}, alone.`))).toEqual({ text: ', alone.', isRestart: false });
  expect(exact('Once upon a time there was a small king in a forest.').isRestart).toBe(true);
});

test('short coincidences and words used before are kept', () => {
  expect(join('bana', ['na split']).text).toBe('na split');
  expect(overlapLength('ends with a', 'a new start')).toBe(0);
  expect(join('We saw the red house and the', cut(' red house again.')).text).toBe(' red house again.');
});

test('nothing is shown while it may still be a repeat, everything at the end', () => {
  const seam = createSeam('one two three four');
  expect([seam.push('two'), seam.push(' three'), seam.push(' five'), seam.end()]).toEqual([
    '',
    '',
    'two three five',
    '',
  ]);
  const short = createSeam('one two three four');
  expect([short.push('two'), short.end()]).toEqual(['', 'two']);
});

test('a long text told again in small pieces is joined in linear time', () => {
  for (const before of ['a long story, '.repeat(40_000), 'ab'.repeat(200_000)]) {
    const started = performance.now();
    const { text } = join(before, `${before}#`.match(/[\s\S]{1,4}/g) ?? []);
    expect(text).toBe('#');
    expect(performance.now() - started).toBeLessThan(5000);
  }
});

test('any repeated tail of 10 characters or more is removed exactly, and nothing else', () => {
  const word = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'abcdefghij klmno') });
  const property = fc.property(
    fc.array(word, { minLength: 40, maxLength: 90 }),
    fc.integer({ min: 10, max: 400 }),
    fc.string({ maxLength: 600 }),
    (words, repeat, rest) => {
      const before = words.map((text, index) => `${index}${text}`).join(' ');
      const tail = before.slice(-repeat);
      expect(join(before, cut(`${tail}#${rest}`)).text).toBe(`#${rest}`);
    },
  );
  fc.assert(property, { numRuns: 200 });
});
