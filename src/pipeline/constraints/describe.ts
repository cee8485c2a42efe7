import { type Constraint, readCount, readObject, readRelation, readText, readTexts } from './constraint.js';

type Describe = (constraint: Constraint) => string | undefined;

/** "Use fewer than 31 words." and its kin: `verb`, then the bound, then the unit. */
function bounded(verb: string, relationName: string, countName: string, unit: string): Describe {
  return (constraint) => {
    const relation = readRelation(constraint, relationName);
    const count = readCount(constraint, countName);
    if (!relation || count === undefined) return undefined;
    const bound = relation === 'at least' ? `at least ${count}` : `fewer than ${count}`;
    return `${verb} ${bound} ${plural(unit, count)}.`;
  };
}

function plural(unit: string, count: number): string {
  return count === 1 ? unit : unit.replace(/^\S+/, (word) => `${word}s`);
}

function counted(countName: string, write: (count: number) => string): Describe {
  return (constraint) => {
    const count = readCount(constraint, countName);
    return count === undefined ? undefined : write(count);
  };
}

function fixed(sentence: string): Describe {
  return () => sentence;
}

function quoteList(words: string[]): string {
  return words.map((word) => `"${word}"`).join(', ');
}

function withWords(name: string, write: (list: string, words: string[]) => string): Describe {
  return (constraint) => {
    const words = readTexts(constraint, name);
    return words && write(quoteList(words), words);
  };
}

function withText(name: string, write: (text: string) => string): Describe {
  return (constraint) => {
    const text = readText(constraint, name);
    return text && write(text);
  };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

const describeFrequency: Describe = (constraint) => {
  const keyword = readText(constraint, 'keyword');
  const relation = readRelation(constraint, 'relation');
  const count = readCount(constraint, 'frequency');
  if (!keyword || !relation || count === undefined) return undefined;
  if (relation === 'at least') return `Use the word "${keyword}" at least ${times(count)}.`;
  return count <= 1
    ? `Do not use the word "${keyword}".`
    : `Use the word "${keyword}" fewer than ${count} times.`;
};

const describeLetter: Describe = (constraint) => {
  const letter = readText(constraint, 'letter');
  const relation = readRelation(constraint, 'let_relation');
  const count = readCount(constraint, 'let_frequency');
  if (!letter || !relation || count === undefined) return undefined;
  if (relation === 'at least') return `Use the letter "${letter}" at least ${times(count)}.`;
  return count <= 1
    ? `Do not use the letter "${letter}".`
    : `Use the letter "${letter}" fewer than ${count} times.`;
};

const describeParagraphs: Describe = (constraint) => {
  const count = readCount(constraint, 'num_paragraphs');
  if (count === undefined) return undefined;
  const relation = readRelation(constraint, 'relation');
  const bound = relation === undefined ? 'exactly' : relation === 'at least' ? 'at least' : 'fewer than';
  const separator = readText(constraint, 'separator') ? 'an empty line' : 'a line of three asterisks (***)';
  return `Write ${bound} ${count} ${plural('paragraph', count)}, with ${separator} between them.`;
};

const describeNthParagraph: Describe = (constraint) => {
  const nth = readCount(constraint, 'nth_paragraph');
  const word = readText(constraint, 'first_word');
  if (nth === undefined || !word) return undefined;
  const count = readCount(constraint, 'num_paragraphs');
  const total =
    count === undefined
      ? ''
      : `Write exactly ${count} ${plural('paragraph', count)} with an empty line between them, and `;
  return `${total}${total ? 'start' : 'Start'} paragraph ${nth} with the word "${word}".`;
};

const describeBullets: Describe = (constraint) => {
  const count = readCount(constraint, 'num_bullets');
  if (count === undefined) return undefined;
  const relation = readRelation(constraint, 'relation');
  const bound = relation === undefined ? 'exactly' : relation === 'at least' ? 'at least' : 'fewer than';
  return `Use ${bound} ${count} markdown ${plural('bullet', count)} that start with "* ".`;
};

const describeSections: Describe = (constraint) => {
  const count = readCount(constraint, 'num_sections');
  const splitter = readText(constraint, 'section_spliter');
  if (count === undefined || !splitter) return undefined;
  return `Write ${count} ${plural('section', count)}, each starting with "${splitter}" and its number.`;
};

const describeChoice: Describe = (constraint) => {
  const options = readTexts(constraint, 'options') ?? [
    'My answer is yes.',
    'My answer is no.',
    'My answer is maybe.',
  ];
  return `Answer with exactly one of these: ${quoteList(options)}.`;
};

const addressWords: Record<string, Record<string, string>> = {
  de: { informal: 'du', formal: 'Sie' },
  es: { informal: 'tú', formal: 'usted' },
  fr: { informal: 'tu', formal: 'vous' },
};

const describeAddress: Describe = (constraint) => {
  const form = readText(constraint, 'form');
  if (form !== 'informal' && form !== 'formal') return undefined;
  const word = addressWords[readText(constraint, 'language') ?? '']?.[form];
  return `Address the reader in the ${form} way${word ? `, with "${word}"` : ''}.`;
};

const languageNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });

function languageName(code: string): string {
  try {
    return languageNames.of(code) ?? code;
  } catch {
    return code;
  }
}

const descriptions: ReadonlyMap<string, Describe> = new Map([
  ['length_constraints:number_words', bounded('Use', 'relation', 'num_words', 'word')],
  ['length_constraints:number_sentences', bounded('Write', 'relation', 'num_sentences', 'sentence')],
  ['length_constraints:number_characters', bounded('Use', 'relation', 'num_characters', 'character')],
  ['length_constraints:number_lines', bounded('Write', 'relation', 'num_lines', 'line')],
  ['length_constraints:number_paragraphs', describeParagraphs],
  ['length_constraints:nth_paragraph_first_word', describeNthParagraph],
  ['keywords:existence', withWords('keywords', (list) => `Use each of these words: ${list}.`)],
  [
    'keywords:forbidden_words',
    withWords('forbidden_words', (list) => `Do not use any of these words: ${list}.`),
  ],
  ['keywords:frequency', describeFrequency],
  ['keywords:letter_frequency', describeLetter],
  ['detectable_format:json_format', fixed('Answer with one valid JSON value and nothing else.')],
  [
    'detectable_format:json_keys',
    withWords('keys', (list) => `Answer with a JSON object that has the keys ${list}.`),
  ],
  [
    'detectable_format:json_schema',
    (constraint) => {
      const schema = readObject(constraint, 'schema');
      return schema && `Answer with JSON that meets this schema: ${JSON.stringify(schema)}.`;
    },
  ],
  [
    'detectable_format:number_highlighted_sections',
    counted(
      'num_highlights',
      (n) => `Highlight at least ${n} ${plural('part', n)} with markdown, like *this*.`,
    ),
  ],
  ['detectable_format:number_bullet_lists', describeBullets],
  [
    'detectable_format:numbered_list',
    (constraint) => {
      const count = readCount(constraint, 'num_items');
      return count === undefined
        ? 'Use a numbered list.'
        : `Use a numbered list of exactly ${count} ${plural('item', count)}.`;
    },
  ],
  ['detectable_format:multiple_sections', describeSections],
  ['detectable_format:title', fixed('Include a title in double angular brackets, like <<title>>.')],
  ['detectable_format:constrained_response', describeChoice],
  ['detectable_format:table', fixed('Include a markdown table.')],
  [
    'detectable_format:code_block',
    (constraint) =>
      `Put the code into a fenced ${readText(constraint, 'language') ?? ''} code block.`.replace('  ', ' '),
  ],
  ['detectable_format:plain_text', fixed('Use plain text without any markdown.')],
  [
    'detectable_content:number_placeholders',
    counted(
      'num_placeholders',
      (n) => `Include at least ${n} ${plural('placeholder', n)} in square brackets, like [name].`,
    ),
  ],
  [
    'detectable_content:postscript',
    withText('postscript_marker', (text) => `End with a postscript that starts with ${text}`),
  ],
  ['detectable_content:form_of_address', describeAddress],
  [
    'detectable_content:citations',
    counted(
      'num_citations',
      (n) => `Cite at least ${n} ${plural('source', n)}, like [1] with a list of sources.`,
    ),
  ],
  ['detectable_content:no_emoji', fixed('Do not use emoji.')],
  [
    'combination:two_responses',
    fixed('Give exactly two different responses, separated by a line of six asterisks: ******.'),
  ],
  [
    'combination:repeat_prompt',
    withText(
      'prompt_to_repeat',
      (text) => `Start by repeating this word for word, with nothing before it, then answer: "${text}"`,
    ),
  ],
  ['change_case:english_lowercase', fixed('Use only lowercase letters; no capital letters anywhere.')],
  ['change_case:english_capital', fixed('Use only capital letters; no lowercase letters anywhere.')],
  [
    'change_case:capital_word_frequency',
    bounded('Write', 'capital_relation', 'capital_frequency', 'word in all capital letters'),
  ],
  [
    'language:response_language',
    withText('language', (code) => `Write the whole answer in ${languageName(code)}.`),
  ],
  ['punctuation:no_comma', fixed('Do not use any commas.')],
  [
    'punctuation:forbidden_characters',
    withWords('characters', (list) => `Do not use any of these characters: ${list}.`),
  ],
  [
    'startend:end_checker',
    withText('end_phrase', (text) => `End the answer with exactly "${text}" and write nothing after it.`),
  ],
  ['startend:start_checker', withText('start_phrase', (text) => `Start the answer with exactly "${text}".`)],
  ['startend:quotation', fixed('Wrap the whole answer in double quotation marks.')],
]);

/** One imperative English sentence that states the constraint to a model. */
export function describeConstraint(constraint: Constraint): string {
  return descriptions.get(constraint.id)?.(constraint) ?? `Meet the constraint ${constraint.id}.`;
}
