import type { Constraint } from './constraint.js';
import { findMentions, type Mention } from './mentions.js';
import type { Prompt } from './prompt.js';
import type { Quantity } from './quantity.js';

/** Words and letters that are wanted, counted or forbidden. */
export function findKeywords(prompt: Prompt): Constraint[] {
  const mentions = findMentions(prompt).filter((mention) => mention.polarity !== 'none');
  const words = mentions.filter((mention) => !mention.isLetter);
  const wanted = words.filter((mention) => mention.polarity === 'wanted');
  const forbidden = words.filter((mention) => mention.polarity === 'unwanted' && !mention.count);
  return [
    ...mentions.filter((mention) => mention.isLetter).flatMap(letterConstraints),
    ...words.filter((mention) => mention.count).flatMap(frequencyConstraints),
    ...listConstraint('keywords:existence', 'keywords', [
      ...wanted.filter(isPlainlyWanted),
      ...wanted.filter(isOnlyOnce),
    ]),
    ...listConstraint('keywords:forbidden_words', 'forbidden_words', [
      ...forbidden,
      ...looseForbidden(prompt),
    ]),
  ];
}

function isPlainlyWanted({ count }: Mention): boolean {
  return !count || isOnceOrMore(count);
}

function isOnceOrMore({ min, max, isAdverb }: Quantity): boolean {
  return min === 1 && max === undefined && isAdverb === true;
}

/** "Only once" is at most once, and once at all. */
function isOnlyOnce({ count }: Mention): boolean {
  return count !== undefined && count.max === 1 && count.min === 1 && count.kind !== 'plain';
}

function listConstraint(id: string, name: string, mentions: { items: string[] }[]): Constraint[] {
  const items = [...new Set(mentions.flatMap((mention) => mention.items))];
  return items.length === 0 ? [] : [{ id, kwargs: { [name]: items } }];
}

function frequencyConstraints({ items, count }: Mention): Constraint[] {
  return items.flatMap((keyword) =>
    boundsOf(count).map(([relation, frequency]) => ({
      id: 'keywords:frequency',
      kwargs: { relation, keyword, frequency },
    })),
  );
}

function letterConstraints({ items, count, polarity }: Mention): Constraint[] {
  const isForbidden = polarity === 'unwanted' && !count;
  const bounds: [string, number][] = isForbidden ? [['less than', 1]] : letterBounds(count);
  return items.flatMap((letter) =>
    bounds.map(([relation, frequency]) => ({
      id: 'keywords:letter_frequency',
      kwargs: { let_relation: relation, letter, let_frequency: frequency },
    })),
  );
}

function letterBounds(count: Quantity | undefined): [string, number][] {
  if (count?.kind === 'bound' && count.min === 1 && count.max === undefined) return [['at least', 1]];
  return boundsOf(count);
}

/** A plain "3 times" is taken as at least three; "at least once" is plain existence and no count. */
function boundsOf(count: Quantity | undefined): [string, number][] {
  if (!count || count.kind === 'about') return [];
  if (count.kind === 'plain') return count.min === undefined ? [] : [['at least', count.min]];
  const bounds: [string, number][] = [];
  if (count.min !== undefined && !isOnceOrMore(count) && (count.min > 1 || count.max === undefined))
    bounds.push(['at least', count.min]);
  if (count.max !== undefined) bounds.push(['less than', count.max + 1]);
  return bounds;
}

const loosePattern =
  /\b(?:do not|don['’]t|never|avoid|without) (?:mention(?:ing)?|us(?:e|ing)|say(?:ing)?|includ(?:e|ing)) ((?!(?:any|the|a|an|your|more|all|too)\b)[\p{L}-]+(?:(?:,\s|,?\s(?:and|or)\s)(?!(?:any|the|a|an)\b)[\p{L}-]+){0,6}) (?:in|throughout|anywhere in) (?:your|the) (?:entire |whole )?(?:response|answer|reply|output)/giu;

/** Single words without quotation marks count only when the sentence says where they must not stand. */
function looseForbidden(prompt: Prompt): { items: string[] }[] {
  return [...prompt.text.matchAll(loosePattern)].map((match) => ({
    items: (match[1] ?? '')
      .toLowerCase()
      .split(/,\s|,?\s(?:and|or)\s/)
      .filter((word) => !formWords.has(word)),
  }));
}

const formWords: ReadonlySet<string> = new Set(
  'commas comma markdown emoji emojis bullets bullet lists list headings tables table quotes punctuation periods html json code capitals contractions jargon abbreviations numbers digits semicolons exclamation'.split(
    ' ',
  ),
);
