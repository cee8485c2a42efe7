import { readCount, readRelation, readText, readTexts } from './constraint.js';
import { type Check, compare, verdict } from './verdict.js';

export const checkExistence: Check = (constraint, answer) => {
  const keywords = readTexts(constraint, 'keywords');
  if (!keywords) return undefined;
  const text = fold(answer);
  const missing = keywords.filter((keyword) => !text.includes(fold(keyword)));
  return verdict(missing.length === 0, missing.length === 0 ? 'all used' : `missing: ${missing.join(', ')}`);
};

export const checkForbidden: Check = (constraint, answer) => {
  const words = readTexts(constraint, 'forbidden_words');
  if (!words) return undefined;
  const text = fold(answer);
  const used = words.filter((word) => hasWholeWord(text, fold(word)));
  return verdict(used.length === 0, used.length === 0 ? 'none used' : `used: ${used.join(', ')}`);
};

export const checkFrequency: Check = (constraint, answer) => {
  const keyword = readText(constraint, 'keyword');
  const relation = readRelation(constraint, 'relation');
  const threshold = readCount(constraint, 'frequency');
  if (!keyword || !relation || threshold === undefined) return undefined;
  return compare(countOccurrences(fold(answer), fold(keyword)), relation, threshold, `times "${keyword}"`);
};

export const checkLetter: Check = (constraint, answer) => {
  const letter = readText(constraint, 'letter');
  const relation = readRelation(constraint, 'let_relation');
  const threshold = readCount(constraint, 'let_frequency');
  if (!letter || !relation || threshold === undefined) return undefined;
  return compare(countOccurrences(fold(answer), fold(letter)), relation, threshold, `times "${letter}"`);
};

function fold(text: string): string {
  return text.toLowerCase().replaceAll('’', "'");
}

function countOccurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

function hasWholeWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const before = text.slice(Math.max(0, at - 2), at);
    const after = text.slice(at + word.length, at + word.length + 2);
    if (!/[\p{L}\p{N}_]$/u.test(before) && !/^[\p{L}\p{N}_]/u.test(after)) return true;
  }
  return false;
}
