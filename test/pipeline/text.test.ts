import { describe, expect, test } from 'vitest';
import { countWords, detectLanguage, splitParagraphs, splitSentences } from '../../src/pipeline/text.js';

test('words are runs of letters and digits', () => {
  expect(countWords("Don't stop, 3 naïve हिन्दी!")).toBe(6);
  expect(countWords(' \0\n')).toBe(0);
});

test('paragraphs stand between empty lines', () => {
  expect(splitParagraphs('a\nb\n \n\nc')).toEqual(['a\nb', 'c']);
});

describe('sentences', () => {
  test.each([
    ['One. Two! Three?', ['One.', 'Two!', 'Three?']],
    [
      'Mr. Smith paid 3.50 to J. Doe, e.g. in cash. Fine.',
      ['Mr. Smith paid 3.50 to J. Doe, e.g. in cash.', 'Fine.'],
    ],
    ['She said "Stop!" and left.', ['She said "Stop!"', 'and left.']],
    ['Wait... what?', ['Wait... what?']],
    ['1. First thing.\n2. Second thing.', ['1. First thing.', '2. Second thing.']],
    ['这是一句话。这是第二句！', ['这是一句话。', '这是第二句！']],
    ['A line\nthat goes on.', ['A line\nthat goes on.']],
  ])('%j', (text, sentences) => {
    expect(splitSentences(text)).toEqual(sentences);
  });
});

describe('the language of', () => {
  test.each([
    ['en', 'What is the capital of France?'],
    ['de', 'Schreibe ein Gedicht'],
    ['es', '¿Cuál es la capital de Francia?'],
    ['fr', 'Résume le texte en trois phrases'],
    ['ru', 'Какая погода сегодня в Москве, и что надеть?'],
    ['ja', '海についての詩を書いてください'],
    ['ar', 'اكتب قصيدة عن البحر'],
    ['sw', 'Mwanaume anaweza kuwa na kazi ya kuandika kwa sababu ya mtoto wake katika nyumba hii'],
    ['und', '12 + 3'],
  ])('%s', (language, text) => {
    expect(detectLanguage(text).language).toBe(language);
  });
});
