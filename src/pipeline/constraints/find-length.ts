import type { Constraint } from './constraint.js';
import { type Prompt, quantityAt, quoteAt } from './prompt.js';
import type { Quantity } from './quantity.js';

type Unit = { id: string; countName: string; nouns: string; adjectives: string; acceptsPlain: boolean };

const anyAdjectives = String.raw`(?:(?!(?:of|and|or|in|with|for|to|that|de|y|o|et|ou|und|oder)\b)[\p{L}']{1,30}[ -]){0,3}?`;
const fewAdjectives = '(?:(?:total|english|simple|short|plain|whole|full|palabras|wörter)[\\s-])?';

const units: Unit[] = [
  {
    id: 'length_constraints:number_words',
    countName: 'num_words',
    nouns: 'words?|wörter[n]?|worte[n]?|palabras?|mots?',
    adjectives: fewAdjectives,
    acceptsPlain: false,
  },
  {
    id: 'length_constraints:number_sentences',
    countName: 'num_sentences',
    nouns: 'sentences?|sätze[n]?|satz|oraciones|oración|frases?',
    adjectives: anyAdjectives,
    acceptsPlain: true,
  },
  {
    id: 'length_constraints:number_characters',
    countName: 'num_characters',
    nouns: 'characters?|chars?|zeichen|caracteres|caractères',
    adjectives: '',
    acceptsPlain: false,
  },
  {
    id: 'length_constraints:number_lines',
    countName: 'num_lines',
    nouns: 'lines?|zeilen?|líneas?|lignes?',
    adjectives: '',
    acceptsPlain: false,
  },
];

/** In French "phrases" are sentences, in English they are not. */
function nounsFor(unit: Unit, language: string): string {
  const isFrenchSentence = unit.countName === 'num_sentences' && language === 'fr';
  return isFrenchSentence ? 'phrases?' : unit.nouns;
}

/** What may stand after the noun and makes the count one of parts of the answer, not of the whole. */
const partOf =
  /^\s*(?:(?:or|and)\s(?:phrases?|more)\s*)?(?:long\s)?(?:each(?! separated)|per\b|apiece|pro\b|je\b|cada|chacun|par\b|that\b|which\b|who\b|from\b|starting|beginning|ending|begin|(?:(?:must|should|shall|has to|have to|needs? to) (?:be|appear) |are |is )?(?:(?:written|set|put|typed|printed|given|shown|all|fully|entirely)\s){0,2}(?:italic|bold|capital|upper|highlight|in (?:all |bold|ital|cap|upper|full|block))|start\b|end\b|rhym|with (?:all )?(?:capital|upper)|in (?:all )?(?:caps|capital|upper|bold|italic)|(?:or phrases )?in all cap|above|below|apart|ahead|later|mit dem|que\b|qui\b|die\b|of (?:code|context)|should (?:be|start)|highlighted)/iu;
const partBefore =
  /\b(?:each|every|per|any|first|last|following|these|those|next|previous|both|jede[rsmn]?|cada|chaque|ersten?|letzten?|primer[ao]?s?|últim[ao]s?|premi[eè]re?s?|derni[eè]re?s?)\s(?:[\p{L}-]+\s){0,5}$/iu;

/** "The number of words should be less than 100", "word count: at least 300". */
const countFirst: Record<string, string> = {
  num_words:
    '(?:number of words|word count|wörterzahl|wortanzahl|anzahl der wörter|número de palabras|nombre de mots)',
  num_sentences:
    '(?:number of sentences|sentence count|anzahl der sätze|número de (?:frases|oraciones)|nombre de phrases)',
  num_characters:
    '(?:number of characters|character count|zeichenzahl|número de caracteres|nombre de caractères)',
  num_lines: '(?:number of lines|line count)',
};

export function findLength(prompt: Prompt): Constraint[] {
  return units.flatMap((unit) =>
    dedupe(measures(prompt, unit)).flatMap((found) => toConstraints(unit, found)),
  );
}

function measures(prompt: Prompt, unit: Unit): Quantity[] {
  const nouns = nounsFor(unit, prompt.rules);
  const direct = new RegExp(String.raw`\{n(\d+)\}[ -]${unit.adjectives}(?:${nouns})(?![\p{L}])`, 'giu');
  const counted = new RegExp(String.raw`${countFirst[unit.countName] ?? nouns}[^{\n]{0,40}\{n(\d+)\}`, 'giu');
  const found: Quantity[] = [];
  for (const match of prompt.text.matchAll(direct)) {
    const quantity = readMeasure(prompt, unit, match);
    if (quantity) found.push(quantity, ...otherBound(prompt, match), ...earlierBound(prompt, match));
  }
  for (const match of prompt.text.matchAll(counted)) {
    const quantity = quantityAt(prompt, match[1]);
    if (quantity && (quantity.kind === 'bound' || quantity.kind === 'exact')) found.push(quantity);
  }
  return found;
}

/** "at least 12 sentences but fewer than 20" */
function otherBound(prompt: Prompt, match: RegExpExecArray): Quantity[] {
  const after = prompt.text.slice(match.index + match[0].length, match.index + match[0].length + 40);
  const index = /^,?\s(?:but|and|aber|und|pero|y|mais|et)\s(?:also\s)?\{n(\d+)\}(?=\s*(?:[.,;!?)]|$))/iu.exec(
    after,
  )?.[1];
  const quantity = quantityAt(prompt, index);
  return quantity?.kind === 'bound' ? [quantity] : [];
}

/** "at least 80, but at most 120 words" */
function earlierBound(prompt: Prompt, match: RegExpExecArray): Quantity[] {
  const before = prompt.text.slice(Math.max(0, match.index - 24), match.index);
  const index = /\{n(\d+)\},?\s(?:(?:but|and|aber|und|pero|y|mais|et)\s)(?:also\s|auch\s)?$/iu.exec(
    before,
  )?.[1];
  const quantity = quantityAt(prompt, index);
  return quantity?.kind === 'bound' ? [quantity] : [];
}

function readMeasure(prompt: Prompt, unit: Unit, match: RegExpExecArray): Quantity | undefined {
  const quantity = quantityAt(prompt, match[1]);
  const line = lineAround(prompt.text, match.index);
  const after = line.text.slice(match.index - line.start + match[0].length);
  const before = line.text.slice(0, match.index - line.start);
  if (!quantity || quantity.kind === 'about' || partOf.test(after) || partBefore.test(before))
    return undefined;
  if (
    unit.countName === 'num_lines' &&
    !/\b(?:in|within|use|using|write|keep|response|answer|poem|than|exactly)\b|\{n/i.test(before + after)
  )
    return undefined;
  if (isAside(before) && measuredBefore(before, unit, prompt.rules)) return undefined;
  return withContext(turnedBy(after, quantity), unit, before, after);
}

/** "More than 100 words is too much" allows a hundred. */
function turnedBy(after: string, quantity: Quantity): Quantity {
  const isRefused =
    /^,?\s(?:\p{L}+\s){0,4}?(?:nicht (?:sein|werden|haben|enthalten)|zu viel|not (?:allowed|acceptable|permitted)|too (?:much|many|long)|no se permiten|sont de trop|est trop|es demasiado)/iu.test(
      after,
    );
  const { min, max, kind } = quantity;
  return isRefused && kind === 'bound' && min !== undefined && max === undefined
    ? { max: min - 1, kind: 'bound' }
    : quantity;
}

function isAside(before: string): boolean {
  return before.lastIndexOf('(') > before.lastIndexOf(')');
}

/** "under 3 sentences (just 1 or 2 sentences)" says one thing twice. */
function measuredBefore(before: string, unit: Unit, language: string): boolean {
  return new RegExp(
    String.raw`\{n\d+\}[\s-]${unit.adjectives}(?:${nounsFor(unit, language)})(?![\p{L}])`,
    'iu',
  ).test(before);
}

const limitBefore =
  /\b(?:limit(?:ed|s)?|restrict(?:ed)?|keep|cap(?:ped)?|confine[ds]?|beschränk\p{L}*|begrenz\p{L}*|halte|límit\p{L}*|limit\p{L}*|restring\p{L}*|restrein\p{L}*|born\p{L}*)(?![\p{L}])[^{]{0,60}(?:to|at|under|auf|a|à|:)\s$/iu;
const suffixMost =
  /^(?:\sor so)?,?\s?(?:\(?(?:or|and) (?:less|fewer|under|no more|not more)|\(?max(?:imum)?\b|at (?:the )?(?:very )?most|(?:as|at) (?:a |the )?(?:absolute )?maximum|tops\b|oder weniger|(?:und )?nicht mehr|(?:aller)?höchstens|maximal|(?:nicht|zu) (?:über(?:schreiten|steigen))|o menos|y no más|(?:como|de) (?:máximo|mucho)|máximo|a lo sumo|ou moins|et pas plus|(?:au )?maximum|(?:tout )?au plus|(?:is|are) (?:the|my|our|your) (?:limit|max(?:imum)?)|(?:sind|ist) (?:das|die) (?:maximum|limit|obergrenze|grenze)|(?:son|es) el (?:máximo|límite)|(?:sont|est) (?:le maximum|la limite)|(?:is|are|will be) enough|(?:will|would|should) (?:do|suffice)|suffices?|reich(?:t|en)|genüg(?:t|en)|basta[n]?|suffi(?:t|sent|ront))/iu;
const suffixLeast =
  /^,?\s?(?:\(?(?:or|and) more|\(?min(?:imum)?\b|at (?:the )?(?:very )?least|(?:as|at) (?:a |the )?minimum|oder mehr|und mehr|mindestens|o más|y más|(?:como|de) mínimo|mínimo|por lo menos|al menos|ou plus|et plus|(?:au )?minimum|au moins|is the minimum)/iu;
const suffixExact =
  /^,?\s?(?:exactly|precisely|no more,? (?:and )?no less|genau|exakt|exactamente|justas?|exactement|pile)(?![\p{L}])/iu;
const production =
  /\b(?:in|into|within|using|write|contain(?:s|ing)?|have|has|having|with|use|of|be|give|provide|make|respond|answer|reply|auf|mit|aus|en|con|avec|schreibe?|escribe|écris|écrivez|em)\s(?:me\s|exactly\s|de\s)?$/iu;

function withContext(quantity: Quantity, unit: Unit, before: string, after: string): Quantity | undefined {
  const count = quantity.min;
  if (quantity.kind === 'plain' && count !== undefined) {
    if (limitBefore.test(before) || suffixMost.test(after)) return { max: count, kind: 'bound' };
    if (suffixLeast.test(after)) return { min: count, kind: 'bound' };
    if (suffixExact.test(after)) return { min: count, max: count, kind: 'exact' };
    return isFewWords(unit, count, before) || (unit.acceptsPlain && production.test(before))
      ? { min: count, max: count, kind: 'exact' }
      : undefined;
  }
  if (quantity.kind === 'only' && count !== undefined && !unit.acceptsPlain)
    return { max: count, kind: 'bound' };
  return quantity;
}

/** "in one word" */
function isFewWords(unit: Unit, count: number, before: string): boolean {
  return (
    unit.countName === 'num_words' && count <= 3 && /\b(?:in|with|using|mit|en|con|avec)\s$/i.test(before)
  );
}

function lineAround(text: string, at: number): { text: string; start: number } {
  const start = text.lastIndexOf('\n', at) + 1;
  const end = text.indexOf('\n', at);
  return { text: text.slice(start, end < 0 ? text.length : end), start };
}

/** The strictest bound of each side. */
function dedupe(found: Quantity[]): Quantity[] {
  const mins = found.flatMap(({ min }) => (min === undefined ? [] : [min]));
  const maxes = found.flatMap(({ max }) => (max === undefined ? [] : [max]));
  const min = mins.length > 0 ? Math.max(...mins) : undefined;
  const max = maxes.length > 0 ? Math.min(...maxes) : undefined;
  if (min === undefined && max === undefined) return [];
  return [{ ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }), kind: 'bound' }];
}

function toConstraints(unit: Unit, { min, max }: Quantity): Constraint[] {
  const constraints: Constraint[] = [];
  if (min !== undefined && min > 0) constraints.push(toConstraint(unit, 'at least', min));
  if (max !== undefined) constraints.push(toConstraint(unit, 'less than', max + 1));
  return constraints;
}

function toConstraint(unit: Unit, relation: string, count: number): Constraint {
  return { id: unit.id, kwargs: { relation, [unit.countName]: count } };
}

const blocks =
  'paragraphs?|sections?|parts?|stanzas?|steps?|verses?|blocks?|chapters?|scenes?|absätze[n]?|absatz|abschnitte[n]?|strophen?|párrafos?|secciones|partes|estrofas?|paragraphes?|parties|strophes?';
const paragraphs =
  'paragraphs?|stanzas?|absätze[n]?|absatz|párrafos?|paragraphes?|strophen?|estrofas?|strophes?';

/** Paragraphs: between `***` as in the benchmark, else between empty lines. */
export function findParagraphs(prompt: Prompt): Constraint[] {
  const nth = findNthParagraph(prompt);
  if (nth.length > 0) return nth;
  const hasDivider = prompt.text.includes('{three}');
  const quantity = countBlocks(prompt, hasDivider ? blocks : paragraphs);
  if (hasDivider) return dividedParagraphs(prompt, quantity);
  const count = quantity?.min ?? quantity?.max;
  if (!quantity || count === undefined) return [];
  const kwargs = { num_paragraphs: count, separator: 'blank_line' };
  if (quantity.kind !== 'bound') return [{ id: 'length_constraints:number_paragraphs', kwargs }];
  return toConstraints({ ...paragraphUnit }, quantity).map(({ id, kwargs: bound }) => ({
    id,
    kwargs: { ...bound, separator: 'blank_line' },
  }));
}

const paragraphUnit: Unit = {
  id: 'length_constraints:number_paragraphs',
  countName: 'num_paragraphs',
  nouns: paragraphs,
  adjectives: anyAdjectives,
  acceptsPlain: true,
};

function countBlocks(prompt: Prompt, nouns: string): Quantity | undefined {
  const pattern = new RegExp(String.raw`\{n(\d+)\}[ -]${anyAdjectives}(?:${nouns})(?![\p{L}])`, 'giu');
  for (const match of prompt.text.matchAll(pattern)) {
    const quantity = readMeasure(prompt, paragraphUnit, match) ?? plainIfDivided(prompt, match[1]);
    if (quantity) return quantity;
  }
  return undefined;
}

function plainIfDivided(prompt: Prompt, index: string | undefined): Quantity | undefined {
  const quantity = quantityAt(prompt, index);
  return prompt.text.includes('{three}') && quantity?.kind !== 'about' ? quantity : undefined;
}

/** With `***` the count is stated, or shown by a template, or follows from "separate A and B". */
function dividedParagraphs(prompt: Prompt, quantity: Quantity | undefined): Constraint[] {
  const template = prompt.raw.match(/^[ \t]*\*{3}[ \t]*$/gm)?.length ?? 0;
  const stated = quantity?.min ?? quantity?.max;
  const isPair = /\b(?:separat\w*|divid\w*|split)\b[^\n]{0,80}\s(?:and|from)\s[^\n]{0,80}\{three\}/i.test(
    prompt.text,
  );
  const count = stated ?? (template > 0 ? template + 1 : isPair ? 2 : undefined);
  if (count === undefined) return [];
  return [{ id: 'length_constraints:number_paragraphs', kwargs: { num_paragraphs: count } }];
}

const ordinals: Record<string, number> = {
  first: 1,
  second: 2,
  third: 3,
  fourth: 4,
  fifth: 5,
  sixth: 6,
  seventh: 7,
  eighth: 8,
  ninth: 9,
  tenth: 10,
  erste: 1,
  ersten: 1,
  erster: 1,
  zweite: 2,
  zweiten: 2,
  dritte: 3,
  dritten: 3,
  vierte: 4,
  vierten: 4,
  primer: 1,
  primero: 1,
  segundo: 2,
  tercer: 3,
  tercero: 3,
  cuarto: 4,
  quinto: 5,
  premier: 1,
  deuxième: 2,
  second_fr: 2,
  troisième: 3,
  quatrième: 4,
  cinquième: 5,
};
const lastWords = /^(?:last|final|letzte[nr]?|último|dernier)$/i;

const ordinalName = String.raw`${Object.keys(ordinals).join('|')}|last|final|letzte[nr]?|último|dernier|\d{1,2}(?:st|nd|rd|th)`;
const nthName = String.raw`(?:\b(?<ordinal>${ordinalName})\s(?:${paragraphs})|\b(?:paragraph|absatz|párrafo|paragraphe)\s(?:number\s|nr\.?\s|no\.?\s|#)?\{n(?<number>\d+)\})`;
const itsWord = String.raw`(?:the\s|dem\s|das\s|la\s|le\s)?(?:exact\s|very\s|single\s)?(?:word|wort|palabra|mot)?\s?(?:\{q(?<quote>\d+)\}|(?<word>[\p{L}\p{N}'-]+))`;

const nthPatterns = [
  // the first word of paragraph 2 must be "x"
  String.raw`\b(?:first|opening|initial|very first|erstes?|primera|premier)\s(?:word|wort|palabra|mot)\s(?:of|in|des|im|de|del|du)\s(?:the\s)?${nthName}[^\n{]{0,30}?(?:\bbe|\bis|sein|ser|être|est|ist|:)\s${itsWord}`,
  // paragraph 2 must start with the word "x"
  String.raw`${nthName}[^\n{]{0,60}?\b(?:with|mit|con|par|avec)\s${itsWord}`,
  // "x" must be the first word of paragraph 2; use "x" as the first word of …
  String.raw`\{q(?<quote>\d+)\}[^\n{]{0,40}?\b(?:first|opening)\sword\s(?:of|in)\s(?:the\s)?${nthName}(?<word>)`,
].map((source) => new RegExp(source, 'iu'));

function findNthParagraph(prompt: Prompt): Constraint[] {
  const match = nthPatterns.map((pattern) => pattern.exec(prompt.text)).find((found) => found !== null);
  if (
    !match?.groups ||
    !/\b(?:start|begin|open|first word|beginn|anfang|empie|comien|inici|commenc|début)|initial word|erstes? wort|primera palabra|premier mot/iu.test(
      match.input.slice(Math.max(0, match.index - 60), match.index + match[0].length),
    )
  )
    return [];
  const { ordinal, number, quote, word } = match.groups;
  const total = countAnyBlocks(prompt);
  const nth = !number ? readOrdinal(ordinal ?? '', total) : quantityAt(prompt, number)?.min;
  const firstWord = (word || quoteAt(prompt, quote)).toLowerCase().replace(/[.,!?]+$/, '');
  if (nth === undefined || firstWord === '') return [];
  const kwargs = {
    first_word: firstWord,
    ...(total === undefined ? {} : { num_paragraphs: total }),
    nth_paragraph: nth,
  };
  return [{ id: 'length_constraints:nth_paragraph_first_word', kwargs }];
}

/** How many paragraphs are named, however it is put: the sentence about one of them shows that all are meant. */
function countAnyBlocks(prompt: Prompt): number | undefined {
  const pattern = new RegExp(String.raw`\{n(\d+)\}[ -]${anyAdjectives}(?:${paragraphs})(?![\p{L}])`, 'giu');
  for (const match of prompt.text.matchAll(pattern)) {
    const quantity = quantityAt(prompt, match[1]);
    if (quantity?.min !== undefined && quantity.kind !== 'about') return quantity.min;
  }
  return undefined;
}

function readOrdinal(word: string, total: number | undefined): number | undefined {
  if (lastWords.test(word)) return total;
  return ordinals[word.toLowerCase()] ?? (Number.parseInt(word, 10) || undefined);
}
