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
  /** further ways to join two number words, beside a space or a hyphen */
  joints: string;
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
  joints: String.raw`|(?<=hundred|thousand)\s+and\s+(?!\p{L}+\s+(?:hundred|thousand))`,
  before: {
    atLeast: String.raw`at (?:the )?(?:very |bare )?(?:least|minimum)|(?:no|not|never|nothing) (?:be )?(?:fewer|less|shorter|lower|smaller) than|(?:an? |the )?(?:absolute |bare )?minimum(?: of| is)?|min\.?|>=|≥`,
    moreThan:
      'more than|over|above|beyond|past|greater than|longer than|higher than|exceed(?:ing|s)?|upwards of|in excess of|>',
    lessThan: 'less than|lesser than|fewer than|under|below|beneath|shorter than|smaller than|lower than|<',
    atMost: String.raw`at (?:the )?(?:very |absolute )?(?:most|maximum)|(?:no|not|never|nothing) (?:be )?(?:more|longer|greater|higher) than|not (?:to )?exceed(?:ing)?|up to|as many as|(?:an? |the )?(?:absolute )?max(?:imum)?\.?(?: of| is)?|within|<=|≤|limited to|limit of|capped at|cap of`,
    exact: 'exactly|precisely|a total of|no more and no less than',
    only: 'just|only',
    about: 'about|around|approximately|roughly|nearly|almost|circa|approx\\.?|~',
  },
  after: {
    atLeast: String.raw`\+|or more|and more|or greater|or above|and above|and up\b|or longer|at (?:the )?(?:very )?least|at (?:a |the )?minimum|minimum|min\b|plus\b`,
    atMost: String.raw`or less|or fewer|or under|or below|and under|or shorter|at (?:the )?(?:very )?most|at (?:a |the )?maximum|maximum|max\b|tops`,
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
    { ein: 1, eine: 1, einen: 1, einem: 1, einer: 1, hundert: 100, tausend: 1000, dutzend: 12 },
  ),
  joints: String.raw`|(?<=(?:hundert|tausend|ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun)(?:und)?)|(?<=ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun|hundert|tausend)und(?=\p{L})`,
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
    atLeast:
      '(?:aller)?mindestens|wenigstens|zumindest|nicht (?:weniger|kürzer) als|nicht unter|(?:ein |das )?minimum(?: von)?|minimal|min\\.?',
    moreThan: 'mehr als|über|länger als|überschreite\\p{L}*(?: bitte)?(?: nicht)?|übersteig\\p{L}*',
    lessThan: 'weniger als|unter|kürzer als|unterhalb von|unterschreite\\p{L}*',
    atMost:
      '(?:aller)?höchstens|maximal|nicht (?:mehr|länger) als|keine \\p{L}+ mehr als|nicht über|bis zu|max\\.?|(?:ein |das )?maximum(?: von)?|begrenzt auf',
    exact: 'genau|exakt|präzise|insgesamt|exactly',
    only: 'nur',
    about: 'etwa|ungefähr|circa|ca\\.|rund|fast',
  },
  after: {
    atLeast: 'oder mehr|und mehr|mindestens|minimum',
    atMost: 'oder weniger|höchstens|maximal|maximum',
  },
  between: 'zwischen|von|aus',
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
      ...spanishCompounds(),
      cien: 100,
      ciento: 100,
      quinientas: 500,
      quinientos: 500,
      mil: 1000,
      docena: 12,
    },
  ),
  times: {},
  joints: String.raw`|(?<=nta)\s+y\s+(?=(?:un[oa]?|dos|tres|cuatro|cinco|seis|siete|ocho|nueve)(?!\p{L}))`,
  before: {
    atLeast:
      'al menos|por lo menos|cuando menos|(?:como|de) mínimo|un mínimo de|mínimo(?: de)?|mín\\.?|no menos de|no (?:\\p{L}+ ){0,2}menos de',
    moreThan:
      'más de|super(?:ar?|e[ns]?|ior(?:es)? a)|exced(?:er|a[ns]?|e[ns]?)(?: de)?|(?:sobre)?pas(?:ar?|e[ns]?) de|sobrepas(?:ar?|e[ns]?)',
    lessThan: 'menos de|por debajo de|inferior(?:es)? a',
    atMost:
      '(?:como|de) (?:mucho|máximo)|a lo sumo|no más de|un máximo de|máximo(?: de)?|máx\\.?|hasta|limitad[oa]s? a|límite de',
    exact: 'exactamente|precisamente|justo|justamente|un total de|exactly',
    only: 'solo|sólo|solamente|únicamente',
    about: 'unas|unos|aproximadamente|alrededor de|cerca de|casi',
  },
  after: {
    atLeast: 'o más|(?:como|de) mínimo|mínimo|por lo menos|al menos',
    atMost: 'o menos|(?:como|de) máximo|máximo|como mucho|a lo sumo',
  },
  between: 'entre|de',
  and: 'y',
  to: 'a|o',
  negation: 'no|nunca|sin',
};

const french: NumberLexicon = {
  numbers: numberWords(
    'zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt',
    'trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix',
    { une: 1, 'quatre-vingt': 80, cent: 100, cents: 100, mille: 1000, douzaine: 12 },
  ),
  times: {},
  joints: String.raw`|(?<=ante|vingt)\s+et\s+(?=une?(?!\p{L})|onze)`,
  before: {
    atLeast: 'au moins|au (?:strict )?minimum|un minimum de|minimum|min\\.?|pas moins de|au bas mot',
    moreThan:
      'plus de|dépass(?:er?|e[sz]|ent)(?: pas)?|excéd(?:er?|e[sz])(?: pas)?|supérieure?s? à|au-delà de',
    lessThan: 'moins de|en dessous de|inférieure?s? à',
    atMost:
      "(?:tout )?au plus|au (?:grand )?maximum|un maximum de|maximum|max\\.?|pas plus de|jusqu['’]à|limitée?s? à|limite de",
    exact: 'exactement|précisément|très exactement|un total de|exactly',
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

/** veintiuno … veintinueve, doscientos … novecientas */
function spanishCompounds(): Record<string, number> {
  const units = 'uno dós trés cuatro cinco séis siete ocho nueve'.split(' ');
  const hundreds: Record<string, number> = { dos: 2, tres: 3, cuatro: 4, seis: 6, sete: 7, ocho: 8, nove: 9 };
  return Object.fromEntries([
    ...units.map((unit, index) => [`veinti${unit}`, 21 + index] as const),
    ...Object.entries(hundreds).flatMap(([stem, count]) =>
      ['os', 'as'].map((end) => [`${stem}cient${end}`, count * 100] as const),
    ),
  ]);
}

const patterns = new Map(
  Object.entries(lexicons).map(([language, lexicon]) => [language, buildPattern(lexicon)]),
);

function alternatives({ numbers, times }: NumberLexicon): string {
  return [...Object.keys(numbers), ...Object.keys(times)].sort((a, b) => b.length - a.length).join('|');
}

/** comparator? (between)? number (range end)? (suffix)? */
function buildPattern(lexicon: NumberLexicon): RegExp {
  const word = `(?:${alternatives(lexicon)})`;
  const number = String.raw`(?:\d{1,3}(?:[.,]\d{3})+(?!\d)|\d{1,9}|${word}(?:(?:[\s-]+${lexicon.joints})${word}){0,4})`;
  const bounds = Object.entries(lexicon.before).map(([bound, source]) => `(?<${bound}>${source})`);
  return new RegExp(
    String.raw`(?<![\p{L}\p{N}.:/$€£#{-])(?:(?:${bounds.join('|')})[\s:]{0,3}(?:(?:a|the|of|de|un|total|las|los|les|die|den|der)\s+){0,3})?` +
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
  if (bound) {
    const isNegative = isNegated(before, lexicon) || /\s(?:nicht|pas)$/i.test(groups[bound] ?? '');
    return withBound(bound, low, isNegative);
  }
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

const wordPatterns = new WeakMap<NumberLexicon, RegExp>();

/** The words of numbers, longest first, so that parts of a compound are found too. */
function wordsOf(lexicon: NumberLexicon): RegExp {
  const known = wordPatterns.get(lexicon);
  if (known) return known;
  const pattern = new RegExp(alternatives(lexicon), 'gu');
  wordPatterns.set(lexicon, pattern);
  return pattern;
}

function parseNumber(text: string, lexicon: NumberLexicon): number | undefined {
  if (/^\d/.test(text)) return Number(text.replace(/[.,]/g, ''));
  let total = 0;
  let current = 0;
  const { numbers, times } = lexicon;
  for (const [word] of text.toLowerCase().matchAll(wordsOf(lexicon))) {
    const value = numbers[word] ?? times[word];
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
