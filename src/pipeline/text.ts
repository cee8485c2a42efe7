import { eld } from 'eld/extrasmall';

/** Longest slice that the language detector is given; more does not change its answer. */
const DETECTION_LENGTH = 2000;

const wordPattern = /[\p{L}\p{N}\p{M}_]+/gu;

/** Runs of letters, digits and underscores, so `don't` counts two, as the benchmark counts. */
export function countWords(text: string): number {
  let count = 0;
  for (const _ of text.matchAll(wordPattern)) count++;
  return count;
}

/** Blocks of text that one or more empty lines separate. */
export function splitParagraphs(text: string): string[] {
  const paragraphs: string[] = [];
  let lines: string[] = [];
  const flush = () => {
    if (lines.length > 0) paragraphs.push(lines.join('\n'));
    lines = [];
  };
  for (const line of text.split('\n')) {
    if (line.trim() === '') flush();
    else lines.push(line.trimEnd());
  }
  flush();
  return paragraphs;
}

const abbreviations: ReadonlySet<string> = new Set(
  [
    'mr mrs ms dr prof sr jr st mt vs etc e.g i.e eg ie cf al approx dept est fig gen gov inc ltd co corp no vol pp',
    'rev sen rep hon capt col lt sgt ave blvd jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k u.n a.m p.m ph.d',
    'z.b d.h u.a bzw ca evtl ggf inkl usw str nr hr fr p.ej ej sra srta ud uds pág núm p.ex ex m mme mlle env',
    'p.s p.p.s',
    'max min',
  ]
    .join(' ')
    .split(' '),
);

const sentenceEnd = /[.?!…]{1,8}["'”’»)\]*_]{0,4}(?=\s|$)|[。！？]+[”’」』)]{0,2}/gu;

/**
 * Sentences of running text. A line break ends no sentence unless the next line starts a paragraph or a list item,
 * and neither does the point of an abbreviation, an initial or a list number.
 */
export function splitSentences(text: string): string[] {
  return splitParagraphs(text).flatMap(splitBlock);
}

function splitBlock(block: string): string[] {
  return block.split(/\n(?=\s{0,8}(?:[-*•+]|\d{1,3}[.)])\s)/u).flatMap(splitLine);
}

function splitLine(text: string): string[] {
  const sentences: string[] = [];
  let start = 0;
  for (const match of text.matchAll(sentenceEnd)) {
    const end = match.index + match[0].length;
    if (match[0].startsWith('.') && !endsSentence(text, start, match.index, end)) continue;
    sentences.push(text.slice(start, end).trim());
    start = end;
  }
  sentences.push(text.slice(start).trim());
  return sentences.filter((sentence) => /[\p{L}\p{N}]/u.test(sentence));
}

function endsSentence(text: string, start: number, dot: number, end: number): boolean {
  const before = text.slice(Math.max(start, dot - 24), dot);
  const word = /[\p{L}\p{N}.]+$/u.exec(before)?.[0] ?? '';
  if (text[dot + 1] === '.') return /^\s+["'“(]?\p{Lu}/u.test(text.slice(end, end + 8));
  if (/^\d{1,3}$/.test(word) && text.slice(start, dot).trim() === word) return false;
  if (/^\p{Lu}$/u.test(word) && word !== 'I') return false;
  return !abbreviations.has(word.toLowerCase());
}

export type DetectedLanguage = { /** ISO 639-1, or `und` */ language: string; confidence: number };

/** Short texts are judged by their small words: letter statistics need some thirty letters. */
const smallWords: Record<string, ReadonlySet<string>> = {
  en: wordSet(
    'the a an is are was what why how who when where of to in on and or not you your please write give make hello hi thanks this that with for from i my me it explain can could do does fix list show tell use no more than at least most words word sentences keep respond reply avoid include mention',
  ),
  de: wordSet(
    'der die das ein eine einen einem einer ist sind war was warum wie wer wann wo von zu und oder nicht du dein bitte schreibe schreib gib mach hallo danke dieser diese dieses mit für aus ich mein mir mich es erkläre kannst im den dem auf über antworte verwende benutze nenne beschreibe vermeide fasse maximal höchstens mindestens weniger genau nur keine ohne alles',
  ),
  es: wordSet(
    'el la los las un una es son fue qué que por cómo quién cuándo dónde de y o no tu favor escribe dame haz hola gracias este esta esto con para desde mi me lo explica puedes en del al sobre sin usa incluye evita responde palabras palabra menos más máximo todo tu respuesta',
  ),
  fr: wordSet(
    'le la les un une est sont était que quoi pourquoi comment qui quand où de et ou ne pas ton vous plaît écris écrivez donne fais bonjour merci ce cette ces avec pour mon moi explique peux en du des au sur sans l d qu c j s',
  ),
  sw: wordSet('na ya wa kwa ni katika kuwa hii yangu ya za la cha kama lakini mtu watu sana wake yake hiyo'),
  id: wordSet(
    'yang dan di untuk dengan tidak adalah ini itu dari pada akan dalam saya kami mereka bisa juga',
  ),
};

function wordSet(words: string): ReadonlySet<string> {
  return new Set(words.split(' '));
}

/** The main language of a text; `und` when there is too little to tell. */
export function detectLanguage(text: string): DetectedLanguage {
  const slice = text.slice(0, DETECTION_LENGTH).toLowerCase();
  const words = slice.match(/\p{L}[\p{L}\p{M}]*/gu) ?? [];
  if (words.length === 0) return { language: 'und', confidence: 0 };
  const small = bySmallWords(words);
  if (small && small.share >= (words.length <= 12 ? 0.4 : 0.5)) return toDetected(small);
  const result = eld.detect(slice);
  const isUnknownToEld = small !== undefined && small.share >= 0.2 && unknownToEld.has(small.language);
  if (small && (isUnknownToEld || (words.length <= 12 && !result.isReliable()))) return toDetected(small);
  if (result.language === '') return { language: 'und', confidence: 0 };
  const score = result.getScores()[result.language] ?? 0;
  const weight = Math.min(1, words.join('').length / 24);
  return { language: result.language, confidence: Math.min(1, score * 1.25 * weight) };
}

const unknownToEld: ReadonlySet<string> = new Set(['sw', 'id']);

type SmallWordMatch = { language: string; share: number };

function toDetected({ language, share }: SmallWordMatch): DetectedLanguage {
  return { language, confidence: Math.min(0.9, 0.35 + share) };
}

/** The language whose small words are most frequent, unless two are equally so. */
function bySmallWords(words: string[]): SmallWordMatch | undefined {
  const ranked = Object.entries(smallWords)
    .map(([language, set]) => ({ language, hits: words.filter((word) => set.has(word)).length }))
    .sort((left, right) => right.hits - left.hits);
  const [first, second] = ranked;
  if (!first || !second || first.hits === 0 || first.hits === second.hits) return undefined;
  return { language: first.language, share: first.hits / words.length };
}
