import { countWords } from '../text.js';
import { readCount, readRelation, readText } from './constraint.js';
import { countSentences } from './count-sentences.js';
import { type Check, compare, compareRange, fail, verdict } from './verdict.js';

export const checkWords: Check = (constraint, answer) => {
  const relation = readRelation(constraint, 'relation');
  const threshold = readCount(constraint, 'num_words');
  if (!relation || threshold === undefined) return undefined;
  return compare(countWords(answer), relation, threshold, 'words');
};

export const checkCharacters: Check = (constraint, answer) => {
  const relation = readRelation(constraint, 'relation');
  const threshold = readCount(constraint, 'num_characters');
  if (!relation || threshold === undefined) return undefined;
  return compare(Array.from(answer.trim()).length, relation, threshold, 'characters');
};

export const checkLines: Check = (constraint, answer) => {
  const relation = readRelation(constraint, 'relation');
  const threshold = readCount(constraint, 'num_lines');
  if (!relation || threshold === undefined) return undefined;
  const lines = answer.split('\n').filter((line) => line.trim() !== '').length;
  return compare(lines, relation, threshold, 'lines');
};

export const checkSentences: Check = (constraint, answer) => {
  const relation = readRelation(constraint, 'relation');
  const threshold = readCount(constraint, 'num_sentences');
  if (!relation || threshold === undefined) return undefined;
  const { low, high } = countSentences(answer);
  return compareRange(low, high, relation, threshold, 'sentences');
};

/** Without a `separator` paragraphs stand between `***` dividers, as in the benchmark. */
export const checkParagraphs: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_paragraphs');
  if (wanted === undefined) return undefined;
  const relation = readRelation(constraint, 'relation');
  const parts = readText(constraint, 'separator') ? blankLineParts(answer) : dividerParts(answer);
  if (parts === undefined) return fail('a paragraph between two dividers is empty');
  if (relation) return compare(parts, relation, wanted, 'paragraphs');
  return verdict(parts === wanted, `${parts} paragraphs, wanted ${wanted}`);
};

function dividerParts(answer: string): number | undefined {
  const parts = answer.split('***').map((part) => part.trim());
  if (parts.slice(1, -1).includes('')) return undefined;
  return parts.filter((part) => part !== '').length;
}

function blankLineParts(answer: string): number {
  return answer.split(/\n[^\S\n]*\n/).filter((part) => part.trim() !== '').length;
}

export const checkNthParagraph: Check = (constraint, answer) => {
  const nth = readCount(constraint, 'nth_paragraph');
  const word = readText(constraint, 'first_word');
  if (nth === undefined || nth < 1 || !word) return undefined;
  const parts = answer.split('\n\n');
  const count = parts.filter((part) => part.trim() !== '').length;
  const wanted = readCount(constraint, 'num_paragraphs');
  const found = firstWord(parts[nth - 1] ?? '');
  const detail = `${count} paragraphs, number ${nth} starts with "${found}"`;
  const isCountMet = wanted === undefined || count === wanted;
  return verdict(isCountMet && nth <= count && found === word.toLowerCase(), detail);
};

function firstWord(paragraph: string): string {
  const [word = ''] = paragraph.trim().split(/\s/, 1);
  const bare = word.replace(/^'{0,9}"{0,9}/, '');
  const end = bare.search(/[.,?!'"]/);
  return (end < 0 ? bare : bare.slice(0, end)).toLowerCase();
}
