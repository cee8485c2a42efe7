import type { Constraint } from './constraint.js';
import { findLanguage } from './find-language.js';
import { type Prompt, quantityAt } from './prompt.js';

export function findStyle(prompt: Prompt): Constraint[] {
  const letterCase = findCase(prompt);
  const language = findLanguage(prompt);
  const isEnglishCase = letterCase.some((constraint) => constraint.id.startsWith('change_case:english'));
  const kept = isEnglishCase
    ? language.filter((constraint) => constraint.kwargs.language !== 'en')
    : language;
  return [
    ...findPunctuation(prompt),
    ...letterCase,
    ...findCapitalWords(prompt),
    ...kept,
    ...findNoEmoji(prompt),
  ];
}

const negation =
  "(?:do not|don['’]t|does not|doesn['’]t|do NOT|not|never|cannot|can['’]t|mustn['’]t|shouldn['’]t|avoid(?:s|ing)?|refrain(?:ing)? from|without|no|zero|free of|omit(?:ting)?|exclud(?:e|ing)|keine?[nsrm]?|ohne|nicht|vermeide[nt]?|verzichte[nt]? auf|sin|evita[r]?|evite|no|sans|évite[rz]?|pas de|ne|aucune?|n['’]utilise[rz]?|n['’]emploie)";

type Mark = { names: string; characters: string[] };

const marks: Mark[] = [
  {
    names: "exclamation (?:marks?|points?)|ausrufezeichen|signos? de exclamación|points? d[’']exclamation",
    characters: ['!'],
  },
  {
    names: "question marks?|fragezeichen|signos? de interrogación|points? d[’']interrogation",
    characters: ['?'],
  },
  { names: 'semi-?colons?|semikolons?|strichpunkte?|punto y coma|points?-virgules?', characters: [';'] },
  { names: 'em[ -]?dash(?:es)?|gedankenstriche?', characters: ['—'] },
];
const commaNames = 'commas?|kommas?|kommata|beistriche?|comas?|virgules?';

/** Marks in certain places ("a comma after", "trailing commas") are not the marks at all. */
const notTheMark = String.raw`(?![\p{L}-]|\s(?:to|as|after|before|between|for|splices?|separated|separators?|in (?:the |a )?(?:csv|numbers?|lists?|files?|fields?|column|als|um|para|pour)))`;
const notPlaced = String.raw`(?<!(?:trailing|oxford|serial|leading|inverted|extra|missing|unnecessary)\s)`;

function forbids(text: string, names: string): boolean {
  if (!new RegExp(names, 'iu').test(text)) return false;
  const before = new RegExp(
    String.raw`(?<![\p{L}])${negation}(?:\s[\p{L}'’"{}\d-]+,?){0,8}?\s${notPlaced}(?:${names})${notTheMark}`,
    'iu',
  );
  const after = new RegExp(
    String.raw`(?<![\p{L}])(?:${names})\s(?:[\p{L}]+\s){0,4}?(?:not allowed|forbidden|prohibited|banned|not be used|not (?:appear|permitted)|verboten|nicht erlaubt|prohibid[ao]s?|interdites?)`,
    'iu',
  );
  return text.split('\n').some((line) => (before.test(line) && !isDouble(line, names)) || after.test(line));
}

/** "Don't forget to use commas" asks for them. */
function isDouble(line: string, names: string): boolean {
  return new RegExp(
    String.raw`\b(?:forget|hesitate|afraid|vergiss|olvides|oublie)\b[^\n]{0,40}(?:${names})`,
    'iu',
  ).test(line);
}

function findPunctuation(prompt: Prompt): Constraint[] {
  const found: Constraint[] = forbids(prompt.text, commaNames)
    ? [{ id: 'punctuation:no_comma', kwargs: {} }]
    : [];
  const characters = marks
    .filter((mark) => forbids(prompt.text, mark.names))
    .flatMap((mark) => mark.characters);
  if (characters.length > 0) found.push({ id: 'punctuation:forbidden_characters', kwargs: { characters } });
  return [...found, ...marks.flatMap((mark) => countedMark(prompt, mark))];
}

/** "at least six exclamation marks" is a letter frequency in the benchmark's terms. */
function countedMark(prompt: Prompt, { names, characters }: Mark): Constraint[] {
  const pattern = new RegExp(String.raw`\{n(\d+)\}\s(?:${names})(?![\p{L}])`, 'iu');
  const quantity = quantityAt(prompt, pattern.exec(prompt.text)?.[1]);
  const [letter] = characters;
  if (!quantity || !letter || quantity.kind === 'about') return [];
  const found: Constraint[] = [];
  if (quantity.min !== undefined) found.push(letterCount(letter, 'at least', quantity.min));
  if (quantity.max !== undefined && quantity.kind !== 'plain')
    found.push(letterCount(letter, 'less than', quantity.max + 1));
  return found;
}

function letterCount(letter: string, relation: string, count: number): Constraint {
  return {
    id: 'keywords:letter_frequency',
    kwargs: { let_relation: relation, letter, let_frequency: count },
  };
}

const lowercase = [
  String.raw`(?:all|only|entirely|completely|exclusively|in|using|use|just|be|and)(?:\s(?:in|of|the|use|using|your|only|all|written|with|english|and))*,?\s(?:lower[\s-]?cased?)(?:\s(?:english\s)?letters?|\scharacters?|\stext)?(?!\s(?:for|keys?|names?|variables?|version|first|identifiers?|e\b))`,
  String.raw`(?:no|without(?:\s\p{L}+){0,2}|not (?:use|contain|include)(?:\s\p{L}+){0,2}|avoid(?:\s\p{L}+){0,2}|don['’]t use(?:\s\p{L}+)?|do not use(?:\s\p{L}+)?|never use)\s(?:capital(?:\s(?:letters?|words))?|capitali[sz]ations?|upper[\s-]?case(?:\sletters?)?|capitals)(?!\s(?:for|of|city))`,
  String.raw`not a (?:single )?letter\b[^\n]{0,50}\bcapitali[sz]ed`,
  String.raw`(?:nur|ausschließlich|komplett|vollständig|alles|durchgehend|ganz)\s(?:\p{L}+\s){0,2}?(?:kleinbuchstaben|klein(?:\s?geschrieben)?)(?![\p{L}])`,
  String.raw`(?:keine|ohne)\s(?:\p{L}+\s)?großbuchstaben|in kleinbuchstaben|schreibe? (?:alles )?klein(?![\p{L}])`,
  String.raw`(?:en|solo|sólo|usa|usando|con|todo en|únicamente)\s(?:letras\s)?minúsculas|sin (?:usar )?mayúsculas`,
  String.raw`(?:en|uniquement|seulement|que des|utilise)\s(?:lettres\s)?minuscules|sans (?:aucune )?majuscules?`,
];

const uppercase = [
  String.raw`(?:in|all|only|entirely|use|using|with|and)(?:\s(?:in|of|the|use|using|only|all|written|with|english|and))*,?\s(?:caps|capitals|capital letters|upper[\s-]?case(?:d)?(?:\sletters?)?|block letters)(?!\s(?:for|keys?|names?|variables?|at the|in the (?:title|heading)))`,
  String.raw`capitali[sz]e (?:every|all|each)(?:\s(?:of|the|your|single))*\s(?:letters?|words|characters)`,
  String.raw`(?:all|every) (?:the |single )?letters?\b[^\n]{0,50}\bcapitali[sz]ed`,
  'everything (?:should|must|has to) be (?:in )?(?:capitali[sz]ed|upper[ -]?cased?)',
  String.raw`not a (?:single )?(?:word|letter)\b[^\n]{0,50}\blower[\s-]?case`,
  String.raw`(?:no|without(?: any)?|avoid) lower[\s-]?case(?: letters?)?`,
  '(?:in|nur|alles in|ausschließlich(?: in)?) großbuchstaben|(?:keine|ohne) kleinbuchstaben',
  '(?:en|solo|todo en) (?:letras )?mayúsculas|sin minúsculas',
  '(?:en|uniquement en|tout en) (?:lettres )?(?:majuscules|capitales)|sans minuscules',
];

const lowerPattern = new RegExp(String.raw`(?<![\p{L}])(?:${lowercase.join('|')})(?![\p{L}])`, 'iu');
const upperPattern = new RegExp(String.raw`(?<![\p{L}])(?:${uppercase.join('|')})(?![\p{L}])`, 'iu');
const wordsInCapitals = /\b(?:words?|phrases?|terms?|acronyms?|headings?|titles?)\b[^\n.]{0,20}$/iu;
const negated = /\b(?:not|don['’]t|never|avoid|without|nicht|no)\s(?:[\p{L}]+\s){0,3}$/iu;

function findCase(prompt: Prompt): Constraint[] {
  const found: Constraint[] = [];
  if (statesCase(prompt.text, lowerPattern)) found.push({ id: 'change_case:english_lowercase', kwargs: {} });
  else if (statesCase(prompt.text, upperPattern))
    found.push({ id: 'change_case:english_capital', kwargs: {} });
  return found;
}

/** The whole answer, not "some words in capitals" and not "never in capitals". */
function statesCase(text: string, pattern: RegExp): boolean {
  return text.split('\n').some((line) => {
    const match = pattern.exec(line);
    if (!match) return false;
    const before = line.slice(0, match.index);
    const isAboutWords =
      wordsInCapitals.test(before) && !/\b(?:all|every) (?:the |your )?words\b/i.test(before);
    return !isAboutWords && !negated.test(before);
  });
}

const capitals = String.raw`(?:(?:in |with |of )?(?:all )?(?:caps|capitals|capital letters|upper[\s-]?case(?: letters?)?)|capitali[sz]ed|all[\s-](?:caps|capital|uppercase))`;
const capitalPatterns = [
  new RegExp(
    String.raw`\{n(\d+)\}\s(?:such\s|or more\s)?(?:words?|terms?)(?:\s(?:or|and)\s\p{L}+)?\s(?:that are\s|written\s|in\s|with\s|which are\s)*${capitals}`,
    'iu',
  ),
  new RegExp(String.raw`\{n(\d+)\}\s(?:such\s)?(?:\p{L}+\s)?(?:${capitals})\s(?:words?|terms?)`, 'iu'),
  new RegExp(
    String.raw`words?\s(?:\p{L}+\s){0,2}?(?:with |in |of |that are |written in )?(?:all )?${capitals}[^\n]{0,60}?\{n(\d+)\}\s(?:times?|words)`,
    'iu',
  ),
  new RegExp(String.raw`${capitals}\swords?[^\n]{0,60}?\{n(\d+)\}\s(?:times?)`, 'iu'),
  new RegExp(
    String.raw`(?:number of|amount of|frequency of)\s(?:words?)\s(?:\p{L}+\s){0,2}?(?:with |in )?${capitals}[^\n]{0,60}?\{n(\d+)\}`,
    'iu',
  ),
];

function findCapitalWords(prompt: Prompt): Constraint[] {
  const text = prompt.text.replace(/\s?\(such as[^\n)]*\)/g, '');
  const match = capitalPatterns.map((pattern) => pattern.exec(text)).find((found) => found !== null);
  const quantity = quantityAt(prompt, match?.[1]);
  if (!quantity || quantity.kind === 'about') return [];
  const found: Constraint[] = [];
  const { min, max, kind } = quantity;
  if (min !== undefined) found.push(capitalWords('at least', min));
  if (max !== undefined && kind !== 'plain') found.push(capitalWords('less than', max + 1));
  return found;
}

function capitalWords(relation: string, count: number): Constraint {
  return {
    id: 'change_case:capital_word_frequency',
    kwargs: { capital_relation: relation, capital_frequency: count },
  };
}

const noEmoji =
  /\b(?:no|without(?: any| using)?|(?:do not|don['’]t|avoid|never) (?:use |using |any |include )*)\s?emojis?\b|\b(?:ohne|keine) emojis?\b|\bsin emojis?\b|\bsans emojis?\b/iu;

function findNoEmoji(prompt: Prompt): Constraint[] {
  return noEmoji.test(prompt.text) ? [{ id: 'detectable_content:no_emoji', kwargs: {} }] : [];
}
