/** What a message looks for in a text. */
export type Query = {
  terms: Term[];
  /** lines, rows and pages that it names, each from 1 */
  places: { unit: 'line' | 'row' | 'page'; from: number; to: number }[];
};

export type Term = {
  /** lower case */
  text: string;
  weight: number;
  match: 'phrase' | 'number' | 'word' | 'stem' | 'anywhere';
};

const maxQuestion = 20_000;
const maxTerms = 48;

const stopWords = new Set(
  (
    'a about all also an and any are as at be been but by can could did do does for from get give had has have how i if in ' +
    'into is it its just like list me more my no not of on or our out please say says show so some tell than that the their ' +
    'them then there these they this those to us was we were what when where which who why will with would you your file ' +
    'files line lines row rows page pages answer question find ' +
    'aber alle als am an auch auf aus bei das dass dem den der des die du ein eine einem einen einer er es für hat ich ihr ' +
    'im ist mit nach nicht noch oder sie sind und von vor wann war was welche welcher welches wenn wer wie wir wird wo zeile ' +
    'zu zum zur datei seite ' +
    'al como con cual cuál de del el en es esta este la las lo los más no para pero por que qué se sin son su una uno y ' +
    'línea página fila ' +
    'au aux avec ce ces cette dans des du elle est et il ils je le les leur mais ne nous ou où par pas pour quel quelle qui ' +
    'quoi sa ses son sont sur un une vous ligne'
  ).split(' '),
);

const quoted =
  /"([^"\n]{2,200})"|“([^”\n]{2,200})”|„([^“”\n]{2,200})[“”]|«\s?([^»\n]{2,200}?)\s?»|`([^`\n]{2,200})`|(?<![\p{L}\p{N}])'([^'\n]{2,200})'(?![\p{L}\p{N}])/gu;
const identifier = /[\p{L}\p{N}_$]+(?:[._\-/:@#]+[\p{L}\p{N}_$]+)+/gu;
const number = /\d+(?:[.,\u00a0\u202f']\d{3})+(?![\d])|\d+(?:[.,]\d+)*/g;
const place =
  /(?<![\p{L}\p{N}])(lines?|zeilen?|lignes?|líneas?|rows?|records?|entry|reihe|datensatz|filas?|registro|pages?|seiten?|p(?:á|a)ginas?)\s*(?:nr\.?|no\.?|number|nummer|n°|#)?\s*(\d{1,3}(?:[.,' \u202f]\d{3})+|\d+)(?:\s*(?:-|–|to|bis|à|a|through|until)\s*(\d{1,3}(?:[.,' \u202f]\d{3})+|\d+))?/giu;

const words = new Intl.Segmenter(undefined, { granularity: 'word' });
const ideographic =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

/** Reads a message: quoted strings, numbers and identifiers count most, then its words and the parts of camelCase names. */
export function readQuery(message: string): Query {
  const text = message.length <= maxQuestion ? message : sampleOf(message);
  const terms = new Map<string, Term>();
  const add = (term: string, weight: number, match: Term['match']) => {
    const key = term.toLowerCase().normalize('NFC');
    const known = terms.get(key);
    if (!known || known.weight < weight) terms.set(key, { text: key, weight, match });
  };
  for (const match of text.matchAll(quoted)) {
    const phrase =
      match
        .slice(1)
        .find((group) => group !== undefined)
        ?.trim() ?? '';
    if (phrase.length > 1) add(phrase, 4, 'phrase');
  }
  for (const [name] of text.matchAll(identifier)) if (name.length <= 200) add(name, 2.5, 'phrase');
  for (const [digits] of text.matchAll(number)) {
    add(digits, 2, 'number');
    const plain = digits.replace(/[.,\u00a0\u202f'](?=\d{3}(?!\d))/g, '');
    add(plain, 2, 'number');
  }
  for (const { segment, isWordLike } of words.segment(text)) {
    if (!isWordLike || /^[\d.,']+$/.test(segment) || segment.length > 100) continue;
    addWord(segment, add);
  }
  const strongest = [...terms.values()].toSorted((left, right) => right.weight - left.weight);
  return { terms: strongest.slice(0, maxTerms), places: readPlaces(text) };
}

/** The instruction stands at the beginning or the end of a long message. */
function sampleOf(message: string): string {
  return `${message.slice(0, maxQuestion / 2)}\n${message.slice(-maxQuestion / 2)}`;
}

function addWord(word: string, add: (term: string, weight: number, match: Term['match']) => void): void {
  const lower = word.toLowerCase();
  if (ideographic.test(word)) {
    add(word, 1, 'anywhere');
    return;
  }
  if (stopWords.has(lower) || (lower.length < 2 && !/\d/.test(lower))) return;
  const parts = word.split(/(?<=[\p{Ll}\p{N}])(?=\p{Lu})|_|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u);
  if (parts.length > 1) {
    add(word, 2.5, 'word');
    for (const part of parts)
      if (part.length > 2 && !stopWords.has(part.toLowerCase())) add(part, 0.6, 'stem');
    return;
  }
  // a name or an abbreviation says more than other words
  const weight = /^\p{Lu}/u.test(word) || /\d/.test(word) ? 1.4 : 1;
  if (lower.length <= 4 || /\d/.test(lower)) add(lower, weight, 'word');
  else add(stemOf(lower), weight, 'stem');
}

/** Without the endings of plural, case and tense that many languages share; the rest is matched as a beginning. */
function stemOf(word: string): string {
  const stem = word.replace(/(?:ies|ing|ed|es|en|er|e|s|n|y)$/u, '');
  return stem.length >= 4 ? stem : word;
}

function readPlaces(text: string): Query['places'] {
  const places: Query['places'] = [];
  for (const match of text.matchAll(place)) {
    const word = (match[1] ?? '').toLowerCase();
    const from = toNumber(match[2]);
    const to = match[3] === undefined ? from : toNumber(match[3]);
    if (from < 1 || !Number.isSafeInteger(from) || places.length === 20) continue;
    const unit = /^(li|zeil|lí)/.test(word) ? 'line' : /^(p|seit)/.test(word) ? 'page' : 'row';
    places.push({ unit, from, to: Math.max(from, to) });
  }
  return places;
}

const toNumber = (digits = '') => Number(digits.replace(/\D/g, ''));
