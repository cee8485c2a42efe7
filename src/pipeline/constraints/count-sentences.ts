import { splitSentences } from '../text.js';

/**
 * How many sentences a text holds, as a range, because readers differ on headings and dividers: `high` counts them.
 */
export function countSentences(text: string): { low: number; high: number } {
  const sentences = splitSentences(text);
  const headings = sentences.filter(isHeading).length;
  const low = Math.max(sentences.length - headings, Math.min(1, sentences.length));
  return { low, high: sentences.length };
}

function isHeading(sentence: string): boolean {
  if (/[.?!…。！？]["'”’»)\]*_」』]{0,4}$/u.test(sentence)) return false;
  return /^(?:#{1,6}\s|<<|\*\*[^*]{1,100}\*\*$)/.test(sentence);
}
