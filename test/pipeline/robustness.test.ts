import { describe, expect, test } from 'vitest';
import { checkConstraint, constraintIds } from '../../src/pipeline/constraints/check.js';
import { evaluateAnswer } from '../../src/pipeline/evaluate.js';
import { readMessage } from '../../src/pipeline/understand.js';
import { evaluationInput } from '../helpers/evaluation.ts';

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
  form: 'formal',
  num_citations: 3,
  schema: { type: 'object' },
};

function timed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

const evaluate = (answer: string, constraints = readMessage(answer).constraints) =>
  evaluateAnswer(evaluationInput({ answer, constraints, responseFormat: { type: 'json_object' } }));

/** An answer in words to the same text as message, with the same text as file. */
const evaluateAll = (text: string) =>
  evaluateAnswer(
    evaluationInput({
      answer: text,
      message: text,
      systemPrompt: text,
      files: [{ name: 'notes.txt', text: text.slice(0, 256 * 1024), lastLine: 3 }],
      reading: {
        intent: 'question',
        language: 'en',
        questions: [`Why ${text.slice(0, 400)}?`, `How ${text.slice(0, 400)}?`],
      },
    }),
  );

/** Bounds are wide, for slow machines; what they catch is work that grows with the square of the length. */
describe('a megabyte of one thing takes linear time', () => {
  test.each(repeated)('%j', (part) => {
    const text = part.repeat(Math.ceil(megabyte / part.length));
    expect(timed(() => readMessage(text))).toBeLessThan(500);
    const constraints = constraintIds.map((id) => ({ id, kwargs }));
    expect(timed(() => evaluate(text, constraints))).toBeLessThan(3000);
    expect(timed(() => evaluateAll(text))).toBeLessThan(1000);
  });
});

/** Beginnings of what each family of rules looks for, never completed: what a greedy pattern would search on and on. */
const traps = [
  'Answer in 3 words. ',
  'at least one hundred and ',
  'between 1 and ',
  'number of words ',
  'not more than ',
  'limit to ',
  'the first paragraph ',
  'start with ',
  'paragraph 2 ',
  'first word of ',
  'the words a, b, ',
  'words: a, ',
  'the word "a" and ',
  '"a" must ',
  '"a", ',
  'keywords [',
  'banned ',
  'avoid ',
  'do not use the word ',
  'the word ',
  'letter a, ',
  'without ',
  'bullet list with ',
  'list of ',
  '5 bullets ',
  'highlight at least ',
  '*a ',
  '*a* ',
  '3 placeholders with ',
  '[a',
  'Section X ',
  'title <<a ',
  '<<',
  '>>',
  '{six} ',
  'answer in json ',
  'in valid ',
  'json ',
  'the response should be ',
  'a table ',
  'in a ',
  'numbered list of ',
  'code in ',
  'the code must be ',
  'put the code ',
  'use python for ',
  'in all lowercase ',
  'no capital ',
  'all ',
  'everything ',
  'use only ',
  'words in all caps ',
  'not a letter ',
  'comma ',
  'no commas ',
  'do not a b c d e f g ',
  'answer in ',
  'in German ',
  'write in ',
  'the response in ',
  'reply, ',
  'response ',
  'auf Deutsch ',
  'antworte ',
  'die Antwort ',
  'la respuesta ',
  'la réponse ',
  'en français ',
  'end with "a" ',
  'finish with the phrase ',
  'the last sentence of ',
  'P.S. ',
  'P.P.S ',
  'postscript ',
  'wrap the response ',
  'double quotation marks ',
  'begin and ',
  'repeat ',
  'repeat the request word for word ',
  'copy the ',
  'First, ',
  'one of the following: ',
  'answer "a" or ',
  'choose from ',
  'my answer is yes ',
  'duze ',
  'sprich mich mit ',
  'trátame de ',
  'cite ',
  'include 3 sources ',
  'with sources ',
  'I want ',
  'My teacher said ',
  'so please ',
  'the function that ',
  'who ',
  'about a man who ',
  'who only ',
  'From: a@b\n',
  'Dear a,\n\n',
  'Best\n\n',
  '> a\n',
  'the following text: ',
  'this sentence: ',
  'SELECT a FROM ',
  '-- a\n',
  'hundertfünfund',
  'zweihundert',
  'treinta y ',
  'vingt et ',
  'quatre-vingt-',
  'twenty ',
  'one hundred and ',
  'a, so ',
  'Why, ',
  'in under 100 words ',
  '-',
  '\u0301',
  'a\u0301',
  '\ud83d',
  '\udc00',
  'e\u0301\u0301',
  '\u200f',
  '\ud83d\ude00 ',
  '\t',
  '« ',
  '„',
  '‘',
  '’',
  '”',
  '.',
  '..',
  '. a',
  'A. ',
  'Dr. ',
  '?',
  '! ',
  '1',
  '1 ',
  '1,',
  '1-',
  'http://a/',
  '[1] ',
  '(a, 1999) ',
  'Sources:\n',
  'Sie ',
  'du ',
  'SECTION 1',
  'P.',
  ' "',
];

/** The best of several runs: others on the machine make a run longer, never shorter. */
function leastTime(work: () => void): number {
  return Math.min(timed(work), timed(work), timed(work));
}

/**
 * How much longer twice the text takes: 2 when the work is linear, 4 when it is quadratic. Times of a few milliseconds say
 * nothing of that, and one calm moment in several is enough.
 */
function growth(text: string, least: number, work: (text: string) => void): number {
  const half = text.slice(0, text.length / 2);
  const ratios: number[] = [];
  while (ratios.length < 6 && !ratios.some((ratio) => ratio < 3)) {
    const whole = leastTime(() => work(text));
    ratios.push(whole < least ? 0 : whole / leastTime(() => work(half)));
  }
  return Math.min(...ratios);
}

describe('twice the text takes about twice the time', () => {
  const constraints = ['de', 'es', 'fr'].flatMap((language) =>
    constraintIds.map((id) => ({ id, kwargs: { ...kwargs, language } })),
  );

  test.each([...new Set([...repeated, ...traps])])('%j', (part) => {
    const fill = (length: number) => part.repeat(Math.ceil(length / part.length)).slice(0, length);
    // a longer message is not read in full
    const message = `Use 5 words. ${fill(15_000)}`;
    expect(leastTime(() => readMessage(message))).toBeLessThan(250);
    expect(growth(message, 25, readMessage)).toBeLessThan(3);
    expect(growth(fill(100_000), 60, (text) => evaluate(text, constraints))).toBeLessThan(3);
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
