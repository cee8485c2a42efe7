import { english, type Phrases } from './phrases.js';
import { french, german, italian, spanish } from './translations.js';

const translations = new Map([
  ['de', german],
  ['es', spanish],
  ['fr', french],
  ['it', italian],
]);

/** The phrases for a wanted language, or for the language that a message seems to be in; else English. */
export function choosePhrases(wanted: string, message: string): Phrases {
  if (wanted !== '') return translations.get(wanted.slice(0, 2).toLowerCase()) ?? english;
  const words =
    message
      .slice(0, 2000)
      .toLowerCase()
      .match(/\p{L}+/gu) ?? [];
  let best = english;
  let bestHits = Math.max(1, countHits(english, words));
  for (const phrases of translations.values()) {
    const hits = countHits(phrases, words);
    if (hits > bestHits) [best, bestHits] = [phrases, hits];
  }
  return best;
}

/** False where the demo has no sentences of its own in this language. */
export function speaks(language: string): boolean {
  const code = language.slice(0, 2).toLowerCase();
  return code === '' || code === 'en' || translations.has(code);
}

function countHits(phrases: Phrases, words: string[]): number {
  const known = new Set(phrases.smallWords.split(' '));
  return words.filter((word) => known.has(word)).length;
}
