import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkConstraint, constraintIds } from '../../src/pipeline/constraints/check.js';

type Case = [id: string, kwargs: Record<string, unknown>, good: string, bad: string];

const cases: Case[] = [
  [
    'length_constraints:number_words',
    { relation: 'less than', num_words: 4 },
    'one two three',
    'one two three four',
  ],
  [
    'length_constraints:number_sentences',
    { relation: 'at least', num_sentences: 2 },
    'Dr. No met me. I ran.',
    'Dr. No met me, e.g. here.',
  ],
  ['length_constraints:number_paragraphs', { num_paragraphs: 2 }, 'a\n***\nb', 'a\n\nb'],
  ['length_constraints:number_paragraphs', { num_paragraphs: 2, separator: 'blank_line' }, 'a\n\nb', 'a\nb'],
  [
    'length_constraints:nth_paragraph_first_word',
    { first_word: 'elm', num_paragraphs: 2, nth_paragraph: 2 },
    'a\n\nElm, b',
    'a\n\noak',
  ],
  ['length_constraints:number_characters', { relation: 'less than', num_characters: 3 }, '😀😀', 'abc'],
  ['length_constraints:number_lines', { relation: 'at least', num_lines: 2 }, 'a\nb', 'a'],
  ['keywords:existence', { keywords: ['Sun', 'moon'] }, 'the sun, the moon', 'the sun'],
  ['keywords:forbidden_words', { forbidden_words: ['cat'] }, 'a category', 'a CAT!'],
  ['keywords:frequency', { relation: 'at least', keyword: 'ha', frequency: 2 }, 'Ha ha', 'ha'],
  [
    'keywords:letter_frequency',
    { let_relation: 'less than', letter: 'e', let_frequency: 1 },
    'so many',
    'Even so',
  ],
  ['detectable_format:json_format', {}, '```json\n{"a": 1}\n```', '{"a": 1'],
  ['detectable_format:json_keys', { keys: ['a'] }, '{"a": 1}', '{"b": 1}'],
  ['detectable_format:json_schema', { schema: { required: ['a'] } }, '```json\n{"a": 1}\n```', '{"b": 1}'],
  ['detectable_format:number_highlighted_sections', { num_highlights: 2 }, '*a* and *b*', '*a*'],
  ['detectable_format:number_bullet_lists', { num_bullets: 2 }, '* a\n- b', '* a'],
  ['detectable_format:numbered_list', { num_items: 2 }, '1. a\n2. b', '1. a'],
  [
    'detectable_format:multiple_sections',
    { section_spliter: 'SECTION', num_sections: 2 },
    'SECTION 1 a SECTION 2 b',
    'SECTION 1 a',
  ],
  ['detectable_format:title', {}, '<<A title>>\nText', '<<>>'],
  ['detectable_format:constrained_response', {}, 'My answer is yes.', 'Yes.'],
  ['detectable_format:table', {}, '| a | b |\n|---|---|\n| 1 | 2 |', 'a, b'],
  ['detectable_format:code_block', { language: 'python' }, '```py\nx\n```', '```js\nx\n```'],
  ['detectable_format:plain_text', {}, 'Just text.', '# Heading'],
  ['detectable_content:number_placeholders', { num_placeholders: 2 }, '[a] [b]', '[a'],
  ['detectable_content:postscript', { postscript_marker: 'P.P.S' }, 'Bye.\n\nP.P.S. Hi', 'P.S. Hi'],
  [
    'detectable_content:form_of_address',
    { form: 'informal', language: 'de' },
    'Ich lade dich ein.',
    'Ich lade Sie ein.',
  ],
  [
    'detectable_content:form_of_address',
    { form: 'formal', language: 'de' },
    'Ich lade Sie ein. Ihre Freunde kommen mit.',
    'Ich lade dich ein.',
  ],
  [
    'detectable_content:form_of_address',
    { form: 'formal', language: 'es' },
    'Usted puede venir.',
    'Tú puedes venir.',
  ],
  [
    'detectable_content:form_of_address',
    { form: 'informal', language: 'fr' },
    "Je t'invite chez moi.",
    'Je vous invite chez moi.',
  ],
  [
    'detectable_content:citations',
    { num_citations: 2 },
    'It is so [1]. It is not [2].',
    'It is so [1]. It is so [1].',
  ],
  [
    'detectable_content:citations',
    { num_citations: 2 },
    'So it is.\n\n**Sources:**\n- A book\n- A paper',
    'So it is.',
  ],
  ['detectable_content:no_emoji', {}, 'fine ©', 'fine 😀'],
  ['combination:two_responses', {}, 'a ****** b', 'a ****** a'],
  ['combination:repeat_prompt', { prompt_to_repeat: 'Say hi.' }, 'say hi. Hi!', 'Hi!'],
  ['change_case:english_lowercase', {}, 'all small', 'All small'],
  ['change_case:english_capital', {}, 'ALL BIG', 'ALL BIg'],
  [
    'change_case:capital_word_frequency',
    { capital_relation: 'at least', capital_frequency: 2 },
    'AN EXAMPLE',
    'An EXAMPLE',
  ],
  [
    'language:response_language',
    { language: 'de' },
    'Das ist ein ganz normaler deutscher Satz über das Wetter.',
    'This is a perfectly normal English sentence about the weather.',
  ],
  [
    'language:response_language',
    { language: 'hi' },
    'यह एक साधारण वाक्य है जो हिंदी में लिखा गया है।',
    'This is a perfectly normal English sentence.',
  ],
  ['punctuation:no_comma', {}, 'a and b', 'a, b'],
  ['punctuation:forbidden_characters', { characters: ['!'] }, 'Hi.', 'Hi!'],
  ['startend:end_checker', { end_phrase: 'The end.' }, 'So it was. the end.', 'The end. Bye'],
  ['startend:start_checker', { start_phrase: 'Dear reader' }, '**Dear reader**, hi', 'Hi'],
  ['startend:quotation', {}, ' "quoted" ', 'quoted'],
];

describe('an answer is judged by', () => {
  test.each(cases)('%s %j', (id, kwargs, good, bad) => {
    expect(checkConstraint({ id, kwargs }, good)).toMatchObject({ passed: true, isSure: true });
    expect(checkConstraint({ id, kwargs }, bad)).toMatchObject({ passed: false, isSure: true });
  });

  test('every id that has a check', () => {
    expect(new Set(cases.map(([id]) => id))).toEqual(new Set(constraintIds));
  });
});

describe('a check that is not sure passes', () => {
  test('for an unknown id', () => {
    expect(checkConstraint({ id: 'no:such', kwargs: {} }, 'x')).toMatchObject({
      passed: true,
      isSure: false,
    });
  });

  test('for a language that cannot be told', () => {
    const constraint = { id: 'language:response_language', kwargs: { language: 'de' } };
    expect(checkConstraint(constraint, '42')).toMatchObject({ passed: true, isSure: false });
  });

  test('where a heading decides the number of sentences', () => {
    const constraint = {
      id: 'length_constraints:number_sentences',
      kwargs: { relation: 'less than', num_sentences: 2 },
    };
    expect(checkConstraint(constraint, '# Heading\n\nOne.')).toMatchObject({ passed: true, isSure: false });
  });

  test('for kwargs of any kind, and never throws', () => {
    const kwargs = fc.dictionary(
      fc.constantFrom(
        'relation',
        'num_words',
        'keywords',
        'letter',
        'language',
        'options',
        'characters',
        'end_phrase',
      ),
      fc.anything(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...constraintIds), kwargs, fc.string(), (id, values, answer) => {
        const verdict = checkConstraint({ id, kwargs: values }, answer);
        expect(verdict.isSure || verdict.passed).toBe(true);
      }),
    );
  });
});
