/** A count as a message states it; `max` is inclusive. `only` is "just 10" and the like. */
export type Quantity = {
  min?: number;
  max?: number;
  kind: 'plain' | 'exact' | 'only' | 'bound' | 'about';
  /** stated as "once" or "twice" */
  isAdverb?: boolean;
};

type Bound = 'atLeast' | 'moreThan' | 'lessThan' | 'atMost' | 'exact' | 'only' | 'about';
type NumberLexicon = {
  numbers: Record<string, number>;
  /** words that mean "n times" on their own */
  times: Record<string, number>;
  before: Record<Bound, string>;
  after: { atLeast: string; atMost: string };
  between: string;
  and: string;
  to: string;
  negation: string;
};

const english: NumberLexicon = {
  numbers: numberWords(
    'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty',
    'thirty forty fifty sixty seventy eighty ninety',
    { hundred: 100, thousand: 1000, dozen: 12 },
  ),
  times: { once: 1, twice: 2, thrice: 3 },
  before: {
    atLeast: String.raw`at (?:the )?(?:very )?least|(?:no|not) (?:fewer|less) than|(?:a )?minimum(?: of)?|min\.?|>=|≥`,
    moreThan: 'more than|over|above|greater than|longer than|exceed(?:ing|s)?|upwards of|>',
    lessThan: 'less than|fewer than|under|below|shorter than|smaller than|<',
    atMost: String.raw`at (?:the )?(?:very )?most|(?:no|not) (?:more|longer|greater) than|not exceed|up to|(?:a )?max(?:imum)?\.?(?: of)?|within|<=|≤|limited to|limit of`,
    exact: 'exactly|precisely|a total of',
    only: 'just|only',
    about: 'about|around|approximately|roughly|nearly|almost|circa|approx\\.?|~',
  },
  after: {
    atLeast: String.raw`\+|or more|or greater|or above|or longer|at least|at minimum|minimum|min\b`,
    atMost: 'or less|or fewer|or under|or shorter|at most|maximum|max\\b|tops',
  },
  between: 'between|from',
  and: 'and',
  to: 'to|or|through',
  negation: 'not|cannot|never|nothing|avoid|without',
};

const german: NumberLexicon = {
  numbers: numberWords(
    'null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig',
    'dreißig vierzig fünfzig sechzig siebzig achtzig neunzig',
    {
      ein: 1,
      eine: 1,
      einen: 1,
      einem: 1,
      einer: 1,
      hundert: 100,
      einhundert: 100,
      zweihundert: 200,
      dreihundert: 300,
      fünfhundert: 500,
      tausend: 1000,
    },
  ),
  times: {
    einmal: 1,
    zweimal: 2,
    dreimal: 3,
    viermal: 4,
    fünfmal: 5,
    sechsmal: 6,
    siebenmal: 7,
    achtmal: 8,
    zehnmal: 10,
  },
  before: {
    atLeast: 'mindestens|wenigstens|zumindest|nicht weniger als|ein minimum von|minimal',
    moreThan: 'mehr als|über',
    lessThan: 'weniger als|unter|kürzer als',
    atMost: 'höchstens|maximal|nicht mehr als|nicht länger als|nicht über|bis zu|max\\.?|ein maximum von',
    exact: 'genau|exakt|insgesamt',
    only: 'nur',
    about: 'etwa|ungefähr|circa|ca\\.|rund|fast',
  },
  after: { atLeast: 'oder mehr|mindestens', atMost: 'oder weniger|höchstens|maximal' },
  between: 'zwischen|von',
  and: 'und',
  to: 'bis|oder',
  negation: 'nicht|kein\\p{L}*|nie|niemals',
};

const spanish: NumberLexicon = {
  numbers: numberWords(
    'cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte',
    'treinta cuarenta cincuenta sesenta setenta ochenta noventa',
    {
      un: 1,
      una: 1,
      cien: 100,
      ciento: 100,
      doscientas: 200,
      doscientos: 200,
      trescientas: 300,
      quinientas: 500,
      mil: 1000,
    },
  ),
  times: {},
  before: {
    atLeast: 'al menos|por lo menos|como mínimo|un mínimo de|mínimo(?: de)?|no menos de',
    moreThan: 'más de',
    lessThan: 'menos de|por debajo de',
    atMost: 'como máximo|a lo sumo|no más de|un máximo de|máximo(?: de)?|hasta',
    exact: 'exactamente|precisamente|justo|un total de',
    only: 'solo|sólo|solamente|únicamente',
    about: 'unas|unos|aproximadamente|alrededor de|cerca de|casi',
  },
  after: { atLeast: 'o más|como mínimo|mínimo', atMost: 'o menos|como máximo|máximo' },
  between: 'entre|de',
  and: 'y',
  to: 'a|o',
  negation: 'no|nunca|sin',
};

const french: NumberLexicon = {
  numbers: numberWords(
    'zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt',
    'trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix',
    { une: 1, cent: 100, cents: 100, mille: 1000 },
  ),
  times: {},
  before: {
    atLeast: 'au moins|au minimum|un minimum de|minimum|pas moins de',
    moreThan: 'plus de',
    lessThan: 'moins de',
    atMost: "au plus|au maximum|un maximum de|maximum|pas plus de|jusqu['’]à|ne pas dépasser",
    exact: 'exactement|précisément|un total de',
    only: 'seulement|uniquement',
    about: 'environ|à peu près|autour de|presque|une? vingtaine de',
  },
  after: { atLeast: 'ou plus|au moins|minimum|au minimum', atMost: 'ou moins|au plus|maximum|au maximum' },
  between: 'entre|de',
  and: 'et',
  to: 'à|ou',
  negation: "pas|ne|n'|n’|jamais|sans",
};

const lexicons: Record<string, NumberLexicon> = { en: english, de: german, es: spanish, fr: french };

function numberWords(small: string, tens: string, more: Record<string, number>): Record<string, number> {
  const entries: [string, number][] = [];
  for (const [index, word] of small.split(' ').entries()) entries.push([word, index]);
  for (const [index, word] of tens.split(' ').entries()) entries.push([word, (index + 3) * 10]);
  return Object.fromEntries([...entries, ...Object.entries(more)]);
}

const patterns = new Map(
  Object.entries(lexicons).map(([language, lexicon]) => [language, buildPattern(lexicon)]),
);

/** comparator? (between)? number (range end)? (suffix)? */
function buildPattern(lexicon: NumberLexicon): RegExp {
  const words = [...Object.keys(lexicon.numbers), ...Object.keys(lexicon.times)].sort(
    (a, b) => b.length - a.length,
  );
  const word = `(?:${words.join('|')})`;
  const number = String.raw`(?:\d{1,3}(?:[.,]\d{3})+(?!\d)|\d{1,9}|${word}(?:(?:[\s-]+|(?<=hundred|thousand)\s+and\s+)${word}){0,4})`;
  const bounds = Object.entries(lexicon.before).map(([bound, source]) => `(?<${bound}>${source})`);
  return new RegExp(
    String.raw`(?<![\p{L}\p{N}.:/$€£#{-])(?:(?:${bounds.join('|')})[\s:]{0,3}(?:(?:a|the|of|de|un|total)\s+){0,3})?` +
      String.raw`(?:(?<between>${lexicon.between})\s+)?(?<low>${number})` +
      String.raw`(?:(?:\s*[-–]\s*|\s+(?:${lexicon.to}|${lexicon.and})\s+)(?<high>${number}))?` +
      String.raw`(?:\s?(?<afterAtLeast>${lexicon.after.atLeast})|\s(?<afterAtMost>${lexicon.after.atMost}))?` +
      String.raw`(?![\p{L}\p{N}]|[.,:/]\d|st\b|nd\b|rd\b|th\b|%)`,
    'giu',
  );
}

/**
 * Replaces every count with its comparator by `{n0}`, `{n1}` …: "at least 300 words" becomes "{n0} words", and
 * "twice" becomes "{n1} times". The counts are appended to `quantities`.
 */
export function takeQuantities(text: string, language: string, quantities: Quantity[]): string {
  const lexicon = lexicons[language] ?? english;
  const pattern = patterns.get(language) ?? patterns.get('en');
  if (!pattern) return text;
  return text.replace(pattern, (...parameters) => {
    const groups = parameters.at(-1) as Record<string, string | undefined>;
    const match = String(parameters[0]);
    const offset = Number(parameters.at(-3));
    const quantity = readQuantity(groups, lexicon, text.slice(Math.max(0, offset - 40), offset));
    if (!quantity) return match;
    const isTimes = Object.hasOwn(lexicon.times, (groups.low ?? '').toLowerCase());
    if (isTimes) quantity.isAdverb = true;
    return `{n${quantities.push(quantity) - 1}}${isTimes ? ' times' : ''}`;
  });
}

function readQuantity(
  groups: Record<string, string | undefined>,
  lexicon: NumberLexicon,
  before: string,
): Quantity | undefined {
  const low = parseNumber(groups.low ?? '', lexicon);
  if (low === undefined) return undefined;
  const high = groups.high === undefined ? undefined : parseNumber(groups.high, lexicon);
  const bound = (Object.keys(lexicon.before) as Bound[]).find((name) => groups[name] !== undefined);
  if (bound === 'about') return { min: low, kind: 'about' };
  if (high !== undefined && high > low) return { min: low, max: high, kind: 'bound' };
  if (bound) return withBound(bound, low, isNegated(before, lexicon));
  if (groups.afterAtLeast) return { min: low, kind: 'bound' };
  if (groups.afterAtMost) return { max: low, kind: 'bound' };
  return { min: low, max: low, kind: 'plain' };
}

/** "don't use more than 30" is "at most 30": a negation turns the comparison round unless a new clause starts. */
function isNegated(before: string, lexicon: NumberLexicon): boolean {
  const clause = before.split(/[,;:(]|\s(?:and|but|und|aber|y|pero|et|mais)\s/u).at(-1) ?? '';
  return new RegExp(String.raw`(?:(?:^|[^\p{L}])(?:${lexicon.negation})|n['’]t)(?![\p{L}])`, 'iu').test(
    clause,
  );
}

function withBound(bound: Bound, count: number, isNegative: boolean): Quantity {
  switch (bound) {
    case 'atLeast':
      return { min: count, kind: 'bound' };
    case 'atMost':
      return { max: count, kind: 'bound' };
    case 'moreThan':
      return isNegative ? { max: count, kind: 'bound' } : { min: count + 1, kind: 'bound' };
    case 'lessThan':
      return isNegative ? { min: count, kind: 'bound' } : { max: count - 1, kind: 'bound' };
    case 'exact':
      return { min: count, max: count, kind: 'exact' };
    case 'only':
      return { min: count, max: count, kind: 'only' };
    case 'about':
      return { min: count, kind: 'about' };
    default:
      return bound satisfies never;
  }
}

function parseNumber(text: string, lexicon: NumberLexicon): number | undefined {
  if (/^\d/.test(text)) return Number(text.replace(/[.,]/g, ''));
  let total = 0;
  let current = 0;
  for (const word of text.toLowerCase().split(/\s+|(?<=ty)-/)) {
    const value = lexicon.numbers[word] ?? lexicon.times[word];
    if (value === undefined) continue;
    if (value === 100 || value === 1000) current = Math.max(1, current) * value;
    else current += value;
    if (value === 1000) {
      total += current;
      current = 0;
    }
  }
  return total + current;
}
