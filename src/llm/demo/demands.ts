import type { ResponseFormat } from '../provider.js';

type Kwargs = Record<string, unknown>;
export type FindConstraints = (message: string) => { id: string; kwargs: Kwargs }[];

type Range = { minimum: number; maximum: number };
export type Counted = { text: string; range: Range };

/** Everything that the demo can be asked of the form of its answer; 0 and '' are no demand. */
export type Demands = {
  isConstrained: boolean;
  words: Range;
  sentences: Range;
  characters: Range;
  lines: Range;
  capitalWords: Range;
  keywords: string[];
  forbidden: string[];
  frequencies: Counted[];
  letters: Counted[];
  paragraphs: number;
  paragraphDivider: string;
  openings: { paragraph: number; word: string }[];
  list: { count: number; isNumbered: boolean };
  sections: { heading: string; count: number };
  highlights: number;
  placeholders: number;
  hasTwoResponses: boolean;
  hasTable: boolean;
  hasCode: boolean;
  codeLanguage: string;
  isJson: boolean;
  jsonKeys: string[];
  letterCase: 'lower' | 'upper' | undefined;
  forbiddenCharacters: string[];
  hasTitle: boolean;
  isQuoted: boolean;
  postscript: string;
  beginning: string;
  ending: string;
  repeated: string;
  choice: string;
  language: string;
};

const anyNumber: Range = { minimum: 0, maximum: Number.POSITIVE_INFINITY };
const mostParts = 500;
const mostWords = 100;
const longestWord = 200;
/** more than the model may put out */
const longestText = 20_000;
const stars = '\n\n***\n\n';

const noDemands: Demands = {
  isConstrained: false,
  words: anyNumber,
  sentences: anyNumber,
  characters: anyNumber,
  lines: anyNumber,
  capitalWords: anyNumber,
  keywords: [],
  forbidden: [],
  frequencies: [],
  letters: [],
  paragraphs: 0,
  paragraphDivider: '\n\n',
  openings: [],
  list: { count: 0, isNumbered: false },
  sections: { heading: 'SECTION', count: 0 },
  highlights: 0,
  placeholders: 0,
  hasTwoResponses: false,
  hasTable: false,
  hasCode: false,
  codeLanguage: '',
  isJson: false,
  jsonKeys: [],
  letterCase: undefined,
  forbiddenCharacters: [],
  hasTitle: false,
  isQuoted: false,
  postscript: '',
  beginning: '',
  ending: '',
  repeated: '',
  choice: '',
  language: '',
};

/** The demands of the message, and those of the system prompt of a kind that the message has not. */
export function readDemands(
  message: string,
  requirements: string[],
  responseFormat: ResponseFormat,
  findConstraints: FindConstraints,
): Demands {
  const asked = findConstraints(message);
  const askedIds = new Set(asked.map(({ id }) => id));
  const required = requirements
    .flatMap((line) => findConstraints(line))
    .filter(({ id }) => !askedIds.has(id));
  const constraints = [...asked, ...required];
  let demands = {
    ...noDemands,
    isConstrained: constraints.length > 0,
    isJson: responseFormat.type !== 'text',
  };
  for (const { id, kwargs } of constraints) demands = { ...demands, ...readers.get(id)?.(kwargs, demands) };
  return demands;
}

type Reader = (kwargs: Kwargs, demands: Demands) => Partial<Demands>;

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['length_constraints:number_words', (k, d) => ({ words: narrow(d.words, k.relation, k.num_words) })],
  [
    'length_constraints:number_sentences',
    (k, d) => ({ sentences: narrow(d.sentences, k.relation, k.num_sentences) }),
  ],
  [
    'length_constraints:number_characters',
    (k, d) => ({ characters: narrow(d.characters, k.relation, k.num_characters) }),
  ],
  ['length_constraints:number_lines', (k, d) => ({ lines: narrow(d.lines, k.relation, k.num_lines) })],
  ['length_constraints:number_paragraphs', readParagraphs],
  ['length_constraints:nth_paragraph_first_word', readOpening],
  ['change_case:english_lowercase', () => ({ letterCase: 'lower' })],
  ['change_case:english_capital', () => ({ letterCase: 'upper' })],
  [
    'change_case:capital_word_frequency',
    (k, d) => ({ capitalWords: narrow(d.capitalWords, k.capital_relation, k.capital_frequency) }),
  ],
  ['keywords:existence', (k, d) => ({ keywords: [...d.keywords, ...strings(k.keywords)] })],
  ['keywords:forbidden_words', (k, d) => ({ forbidden: [...d.forbidden, ...strings(k.forbidden_words)] })],
  [
    'keywords:frequency',
    (k, d) => ({ frequencies: counted(d.frequencies, k.keyword, k.relation, k.frequency) }),
  ],
  [
    'keywords:letter_frequency',
    (k, d) => ({ letters: counted(d.letters, k.letter, k.let_relation, k.let_frequency) }),
  ],
  [
    'detectable_format:number_bullet_lists',
    (k) => ({ list: { count: exactly(k.relation, k.num_bullets), isNumbered: false } }),
  ],
  [
    'detectable_format:numbered_list',
    (k) => ({ list: { count: k.num_items === undefined ? 2 : parts(k.num_items), isNumbered: true } }),
  ],
  [
    'detectable_format:multiple_sections',
    (k) => ({ sections: { heading: word(k.section_spliter) || 'SECTION', count: parts(k.num_sections) } }),
  ],
  ['detectable_format:number_highlighted_sections', (k) => ({ highlights: parts(k.num_highlights) })],
  ['detectable_format:json_format', () => ({ isJson: true })],
  ['detectable_format:json_keys', (k) => ({ isJson: true, jsonKeys: strings(k.keys) })],
  ['detectable_format:title', () => ({ hasTitle: true })],
  ['detectable_format:table', () => ({ hasTable: true })],
  ['detectable_format:code_block', (k) => ({ hasCode: true, codeLanguage: string(k.language) })],
  ['detectable_format:constrained_response', (k) => ({ choice: choose(strings(k.options)) })],
  ['detectable_content:number_placeholders', (k) => ({ placeholders: parts(k.num_placeholders) })],
  ['detectable_content:postscript', (k) => ({ postscript: word(k.postscript_marker) || 'P.S.' })],
  ['combination:two_responses', () => ({ hasTwoResponses: true })],
  ['combination:repeat_prompt', (k) => ({ repeated: string(k.prompt_to_repeat) })],
  ['punctuation:no_comma', (_, d) => ({ forbiddenCharacters: [...d.forbiddenCharacters, ','] })],
  [
    'punctuation:forbidden_characters',
    (k, d) => ({ forbiddenCharacters: [...d.forbiddenCharacters, ...strings(k.characters)] }),
  ],
  ['startend:quotation', () => ({ isQuoted: true })],
  ['startend:start_checker', (k) => ({ beginning: string(k.start_phrase) })],
  ['startend:end_checker', (k) => ({ ending: string(k.end_phrase) })],
  ['language:response_language', (k) => ({ language: string(k.language) })],
]);

function readParagraphs(kwargs: Kwargs): Partial<Demands> {
  const paragraphs = exactly(kwargs.relation, kwargs.num_paragraphs);
  return string(kwargs.separator) === '' ? { paragraphs, paragraphDivider: stars } : { paragraphs };
}

function readOpening(kwargs: Kwargs, demands: Demands): Partial<Demands> {
  const opening = { paragraph: parts(kwargs.nth_paragraph), word: word(kwargs.first_word) };
  return {
    paragraphs: Math.max(demands.paragraphs, parts(kwargs.num_paragraphs), opening.paragraph),
    openings: [...demands.openings, opening],
  };
}

/** The demo has no opinion: it takes the undecided choice where there is one. */
function choose(options: string[]): string {
  const undecided = options.find((option) => /maybe|unsure|unknown|neutral|neither/i.test(option));
  return undecided ?? options[0] ?? 'My answer is maybe.';
}

function narrow(range: Range, relation: unknown, limit: unknown): Range {
  const number = numeric(limit);
  if (!Number.isFinite(number)) return range;
  if (relation === 'less than') return { ...range, maximum: Math.min(range.maximum, number - 1) };
  return { ...range, minimum: Math.max(range.minimum, number) };
}

function counted(list: Counted[], text: unknown, relation: unknown, limit: unknown): Counted[] {
  const wanted = word(text).toLowerCase();
  return wanted === '' ? list : [...list, { text: wanted, range: narrow(anyNumber, relation, limit) }];
}

/** A number of parts that meets "exactly n", "at least n" and "fewer than n" alike. */
function exactly(relation: unknown, value: unknown): number {
  return relation === 'less than' ? Math.max(parts(value) - 1, 0) : parts(value);
}

function parts(value: unknown): number {
  const number = Math.trunc(numeric(value));
  return Number.isFinite(number) ? Math.min(Math.max(number, 0), mostParts) : 0;
}

/** Not every value can be made a number: one whose `toString` is no function throws. */
function numeric(value: unknown): number {
  return typeof value === 'object' ? Number.NaN : Number(value);
}

function string(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, longestText) : '';
}

function word(value: unknown): string {
  return string(value).slice(0, longestWord);
}

function strings(value: unknown): string[] {
  return Array.isArray(value)
    ? value
        .slice(0, mostWords)
        .map(word)
        .filter((item) => item !== '')
    : [];
}
