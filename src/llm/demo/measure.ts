import type { Counted, Demands } from './demands.js';

const endOfSentence = /[.!?]["')\]*]*(?=\s|$)/g;
const postscriptMark = /\b(?:p\.\s?){1,3}s\.?/gi;

/** Counts differ between readers ("built-in" is one word or two), so a minimum uses the lowest, a maximum the highest. */
type Size = { fewestWords: number; mostWords: number; fewestSentences: number; mostSentences: number };

export function measure(text: string): Size {
  const plain = text.replace(postscriptMark, 'PS');
  let mostSentences = 0;
  for (const line of plain.split('\n')) mostSentences += sentencesOfLine(line);
  return {
    fewestWords: text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length,
    mostWords: count(text, /[\p{L}\p{N}\p{M}_]+/gu),
    fewestSentences: count(plain, endOfSentence),
    mostSentences,
  };
}

/** Whether a text keeps every upper bound and holds no forbidden word. */
export function keepsLimits(text: string, demands: Demands): boolean {
  const { words, sentences, capitalWords } = demands;
  if (words.maximum < Number.POSITIVE_INFINITY || sentences.maximum < Number.POSITIVE_INFINITY) {
    const size = measure(text);
    if (size.mostWords > words.maximum || size.mostSentences > sentences.maximum) return false;
  }
  if (capitalWords.maximum < count(text, /(?<![\p{L}\p{N}_])\p{Lu}[\p{Lu}\p{N}_]*(?![\p{L}\p{N}_])/gu))
    return false;
  if (text.length > demands.characters.maximum || lineCount(text) > demands.lines.maximum) return false;
  const lower = text.toLowerCase();
  const isWithin = ({ text: part, range }: Counted) => lower.split(part).length - 1 <= range.maximum;
  if (!demands.frequencies.every(isWithin) || !demands.letters.every(isWithin)) return false;
  return !demands.forbidden.some((word) => holdsWord(lower, word));
}

function holdsWord(text: string, word: string): boolean {
  const escaped = word.toLowerCase().replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, 'u').test(text);
}

function sentencesOfLine(line: string): number {
  const ends = count(line, endOfSentence);
  const lastEnd = Math.max(line.lastIndexOf('.'), line.lastIndexOf('!'), line.lastIndexOf('?'));
  const hasRest = /[\p{L}\p{N}]/u.test(line.slice(lastEnd + 1));
  return ends + (hasRest ? 1 : 0);
}

function lineCount(text: string): number {
  return count(text, /^.*\S.*$/gm);
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
