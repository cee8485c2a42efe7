import { describe, expect, test } from 'vitest';
import { checkConstraint, constraintIds } from '../../src/pipeline/constraints/check.js';
import { evaluateAnswer } from '../../src/pipeline/evaluate.js';
import { readMessage } from '../../src/pipeline/understand.js';

const megabyte = 1_000_000;
const repeated = [
  'a',
  'A',
  '"',
  "'",
  '`',
  '(',
  '[',
  '<<',
  '*',
  '** ',
  '******',
  '\n',
  '- ',
  '1. ',
  '. ',
  '{',
  '\0',
  'א',
  '😀',
  'é',
  '“',
  '«',
  'twenty-',
  'one hundred ',
  'at least 3 ',
  'do not ',
  'the word "a" ',
  'repeat the request ',
  'end with ',
  'json keys ',
  'in capital letters ',
  'title <<',
  'highlight *',
  'following text: ',
  '```\n',
  '~~~\n',
  '> ',
  'why a? ',
  '\u202e',
  ' ',
  '\r\n',
];
const kwargs = {
  relation: 'at least',
  num_words: 5,
  num_sentences: 3,
  num_paragraphs: 3,
  num_characters: 5,
  num_lines: 4,
  nth_paragraph: 2,
  first_word: 'a',
  keywords: ['a', 'b'],
  forbidden_words: ['a', 'b '],
  keyword: 'a',
  frequency: 3,
  letter: 'a',
  let_relation: 'at least',
  let_frequency: 3,
  num_highlights: 2,
  num_bullets: 2,
  num_placeholders: 2,
  section_spliter: 'SECTION',
  num_sections: 2,
  postscript_marker: 'P.P.S',
  end_phrase: 'bye',
  start_phrase: 'x',
  prompt_to_repeat: 'a',
  capital_relation: 'at least',
  capital_frequency: 3,
  language: 'fr',
  options: ['a', 'b'],
  keys: ['a'],
  characters: ['!'],
  num_items: 3,
};

function timed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

const evaluate = (answer: string, constraints = readMessage(answer).constraints) =>
  evaluateAnswer({
    answer,
    finishReason: 'stop',
    constraints,
    responseFormat: { type: 'json_object' },
  });

/** Bounds are wide, for slow machines; what they catch is work that grows with the square of the length. */
describe('a megabyte of one thing takes linear time', () => {
  test.each(repeated)('%j', (part) => {
    const text = part.repeat(Math.ceil(megabyte / part.length));
    expect(timed(() => readMessage(text))).toBeLessThan(500);
    const constraints = constraintIds.map((id) => ({ id, kwargs }));
    expect(timed(() => evaluate(text, constraints))).toBeLessThan(3000);
  });
});

test('an ordinary message and its answer take a few milliseconds', () => {
  const message = `${'Please write about whales and dolphins. '.repeat(45)}Use at most 300 words. Do not use commas.`;
  const answer = 'Whales are large. They sing songs in the sea and live long lives. '.repeat(30);
  const work = () => evaluate(answer, readMessage(message).constraints);
  for (let run = 0; run < 50; run++) work();
  const times = Array.from({ length: 21 }, () => timed(work)).sort((left, right) => left - right);
  expect(times[10]).toBeLessThan(10);
});

test('a long prompt is read at its start and its end', () => {
  const message = `Use at most 30 words.\n\n${'Lorem ipsum dolor. '.repeat(6000)}\n\nDo not use any commas.`;
  expect(readMessage(message).constraints.map(({ id }) => id)).toEqual([
    'length_constraints:number_words',
    'punctuation:no_comma',
  ]);
});

test('odd characters break nothing', () => {
  for (const text of ['\0', '\ud800', '{q0} {n0}', '\u202eabc', '`'.repeat(7), '"', '"""', '{', '[]']) {
    expect(() => readMessage(text)).not.toThrow();
    expect(() => checkConstraint({ id: 'startend:quotation', kwargs: {} }, text)).not.toThrow();
  }
});
