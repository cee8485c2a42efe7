import { detectLanguage } from '../text.js';
import { readCount, readRelation, readText, readTexts } from './constraint.js';
import { type Check, compare, fail, pass, unsure, verdict } from './verdict.js';

export const checkNoComma: Check = (_constraint, answer) => {
  if (answer.includes(',')) return fail('has commas');
  const other = /[،，、]/.exec(answer);
  return other ? unsure(`has "${other[0]}", which the benchmark does not count`) : pass('no commas');
};

export const checkForbiddenCharacters: Check = (constraint, answer) => {
  const characters = readTexts(constraint, 'characters');
  if (!characters) return undefined;
  const used = characters.filter((character) => answer.includes(character));
  return verdict(used.length === 0, used.length === 0 ? 'none used' : `used: ${used.join(' ')}`);
};

export const checkNoEmoji: Check = (_constraint, answer) => {
  const hasEmoji = /\p{Extended_Pictographic}/u.test(answer.replace(/[©®™]/g, ''));
  return verdict(!hasEmoji, hasEmoji ? 'has emoji' : 'no emoji');
};

export const checkLowercase: Check = (_constraint, answer) => {
  const upper = /\p{Lu}/u.exec(answer);
  if (upper) return fail(`has the capital letter "${upper[0]}"`);
  return verdict(/\p{Ll}/u.test(answer), 'no capital letters');
};

export const checkUppercase: Check = (_constraint, answer) => {
  const lower = /\p{Ll}/u.exec(answer);
  if (lower) return fail(`has the small letter "${lower[0]}"`);
  return verdict(/\p{Lu}/u.test(answer), 'no small letters');
};

export const checkCapitalWords: Check = (constraint, answer) => {
  const relation = readRelation(constraint, 'capital_relation');
  const threshold = readCount(constraint, 'capital_frequency');
  if (!relation || threshold === undefined) return undefined;
  let count = 0;
  for (const [word] of answer.matchAll(/[\p{L}\p{N}_][\p{L}\p{N}\p{M}_.&/-]*/gu)) {
    if (word === word.toUpperCase() && word !== word.toLowerCase()) count++;
  }
  return compare(count, relation, threshold, 'words in capitals');
};

export const checkQuotation: Check = (_constraint, answer) => {
  const text = answer.trim();
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"'))
    return pass('wrapped in quotation marks');
  const isTypographic = text.length > 1 && /^[“„«]/.test(text) && /[”“»]$/.test(text);
  return isTypographic
    ? unsure('typographic quotation marks')
    : fail('not wrapped in double quotation marks');
};

export const checkEnd: Check = (constraint, answer) => {
  const phrase = readText(constraint, 'end_phrase');
  if (!phrase) return undefined;
  const text = answer
    .trim()
    .replace(/^"{1,9}|"{1,9}$/g, '')
    .toLowerCase();
  const isEnd = text.endsWith(phrase.trim().toLowerCase());
  return verdict(isEnd, isEnd ? 'ends as asked' : `ends with "${text.slice(-40)}"`);
};

export const checkStart: Check = (constraint, answer) => {
  const phrase = readText(constraint, 'start_phrase');
  if (!phrase) return undefined;
  const text = answer
    .trimStart()
    .replace(/^["“*_#\s]{1,9}/, '')
    .toLowerCase();
  const isStart = text.startsWith(phrase.trim().toLowerCase());
  return verdict(isStart, isStart ? 'starts as asked' : `starts with "${text.slice(0, 40)}"`);
};

export const checkRepeat: Check = (constraint, answer) => {
  const prompt = readText(constraint, 'prompt_to_repeat');
  if (!prompt) return undefined;
  const isRepeated = answer.trim().toLowerCase().startsWith(prompt.trim().toLowerCase());
  return verdict(isRepeated, isRepeated ? 'repeats the request first' : 'does not start with the request');
};

export const checkPostscript: Check = (constraint, answer) => {
  const marker = readText(constraint, 'postscript_marker');
  if (!marker) return undefined;
  const text = answer.toLowerCase();
  const found =
    postscriptPattern(marker.trim().toUpperCase())?.test(text) ?? text.includes(marker.toLowerCase());
  return verdict(found, found ? 'has the postscript' : `no "${marker}"`);
};

function postscriptPattern(marker: string): RegExp | undefined {
  if (marker === 'P.P.S') return /p\.\s?p\.\s?s/;
  if (marker === 'P.S.') return /p\.\s?s\./;
  return undefined;
}

/** Languages that the detector mixes up or does not know are never a sure failure among themselves. */
const kin: readonly ReadonlySet<string>[] = [
  new Set(['no', 'nb', 'nn', 'da', 'sv']),
  new Set(['hr', 'sr', 'bs', 'sl']),
  new Set(['ms', 'id', 'tl']),
  new Set(['hi', 'mr', 'ne']),
  new Set(['cs', 'sk']),
  new Set(['es', 'gl', 'ca', 'pt']),
  new Set(['ru', 'uk', 'be', 'bg', 'mk']),
  new Set(['nl', 'af']),
  new Set(['ur', 'fa', 'ps']),
];

const scripts: Record<string, RegExp> = {
  ar: /\p{Script=Arabic}/gu,
  fa: /\p{Script=Arabic}/gu,
  ur: /\p{Script=Arabic}/gu,
  ru: /\p{Script=Cyrillic}/gu,
  uk: /\p{Script=Cyrillic}/gu,
  bg: /\p{Script=Cyrillic}/gu,
  mk: /\p{Script=Cyrillic}/gu,
  hi: /\p{Script=Devanagari}/gu,
  mr: /\p{Script=Devanagari}/gu,
  ne: /\p{Script=Devanagari}/gu,
  bn: /\p{Script=Bengali}/gu,
  pa: /\p{Script=Gurmukhi}/gu,
  gu: /\p{Script=Gujarati}/gu,
  ta: /\p{Script=Tamil}/gu,
  te: /\p{Script=Telugu}/gu,
  kn: /\p{Script=Kannada}/gu,
  ml: /\p{Script=Malayalam}/gu,
  th: /\p{Script=Thai}/gu,
  el: /\p{Script=Greek}/gu,
  he: /\p{Script=Hebrew}/gu,
  ko: /\p{Script=Hangul}/gu,
  ka: /\p{Script=Georgian}/gu,
  hy: /\p{Script=Armenian}/gu,
  zh: /\p{Script=Han}/gu,
  ja: /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu,
};

export const checkLanguage: Check = (constraint, answer) => {
  const wanted = readText(constraint, 'language')?.toLowerCase().split('-', 1)[0];
  if (!wanted) return undefined;
  const prose = answer.replace(/```[^`]{0,20000}```/g, ' ');
  const share = scriptShare(prose.slice(0, 20_000), wanted);
  if (share !== undefined && share < 0.55)
    return fail(`${Math.round(share * 100)}% in the script of "${wanted}"`);
  const { language, confidence } = detectLanguage(prose);
  const detail = `language "${language}", wanted "${wanted}"`;
  if (language === wanted) return pass(detail);
  const isKin = kin.some((family) => family.has(wanted) && family.has(language));
  return confidence < 0.5 || isKin ? unsure(detail) : fail(detail);
};

function scriptShare(text: string, language: string): number | undefined {
  const pattern = Object.hasOwn(scripts, language) ? scripts[language] : undefined;
  if (!pattern) return undefined;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  if (letters < 10) return undefined;
  return (text.match(/\p{L}/gu) ?? []).filter((letter) => letter.match(pattern)).length / letters;
}
