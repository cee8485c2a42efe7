import { expect, test } from 'vitest';
import { constraintIds } from '../../src/pipeline/constraints/check.js';
import { describeConstraint } from '../../src/pipeline/constraints/describe.js';
import { findConstraints } from '../../src/pipeline/constraints/find.js';

test.each([
  ['Use at most 30 words.', 'Use fewer than 31 words.'],
  ['Write at least one sentence.', 'Write at least 1 sentence.'],
  ['Do not use the word "nice".', 'Do not use any of these words: "nice".'],
  ['Use the word moon at least twice.', 'Use the word "moon" at least 2 times.'],
  ['Write without the letter e.', 'Do not use the letter "e".'],
  ['Answer only in French.', 'Write the whole answer in French.'],
  ['Use exactly 3 bullet points.', 'Use exactly 3 markdown bullets that start with "* ".'],
  ['Use at least 4 words in all caps.', 'Write at least 4 words in all capital letters.'],
  ['No commas, please.', 'Do not use any commas.'],
  ['End your reply with "Bye".', 'End the answer with exactly "Bye" and write nothing after it.'],
])('%s', (message, sentence) => {
  expect(findConstraints(message).map(describeConstraint)).toEqual([sentence]);
});

test('every id has a sentence, whatever its kwargs', () => {
  for (const id of constraintIds) {
    expect(describeConstraint({ id, kwargs: {} })).toMatch(/^[A-Z].*\.$/s);
  }
});
