import type { Constraint } from './constraint.js';
import { findLanguage } from './find-language.js';
import { isInRelativeClause } from './mood.js';
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
  "(?:do not|don['’]t|does not|doesn['’]t|do NOT|not|never|cannot|can['’]t|mustn['’]t|shouldn['’]t|avoid(?:s|ing)?|refrain(?:ing)? from|abstain(?:ing)? from|do without|abst\\p{L}+(?:-toi|-vous)?(?: de| d['’])?|without|no|zero|free (?:of|from)|omit(?:ting)?|exclud(?:e|ing)|leav(?:e|ing) out|skip|drop|steer clear of|stay away from|ban(?:ned)?|forbidden|prohibited|keine?[nsrm]?|ohne|nicht|nie(?:mals)?|vermeide[nt]?|unterlass\\p{L}*|verzichte[nt]?(?: bitte)? auf|verboten|lass\\p{L}*|sin|evit\\p{L}*|prohibid[ao]s?|prescind\\p{L}*|omit\\p{L}*|nada de|nunca|jamás|ni|sans|évit\\p{L}*|pas de|pas d['’]|jamais|ne|proscri\\p{L}*|bannis\\p{L}*|interdit(?:es?)?(?: d['’])?|aucune?|n['’]\\p{L}+)";

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
const commaNames = 'commas?|kommas?|kommata|beistriche?n?|comas?|virgules?';

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
    String.raw`(?<![\p{L}])(?:${names})[\s-](?:[\p{L}]+\s){0,4}?(?:not (?:allowed|permitted|acceptable|ok|okay|be used|appear|welcome)|forbidden|prohibited|banned|off[- ]limits|verboten|untersagt|nicht (?:erlaubt|gestattet|vorkommen|verwenden|benutzen|enthalten)|weg(?:lassen)?|tabu|prohibid[ao]s?|no (?:están? )?permitid[ao]s?|interdites?|proscrites?|bannies?|free)`,
    'iu',
  );
  return text.split('\n').some((line) => before.test(line) || after.test(line));
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

const small = String.raw`(?:lower[\s-]?cased?|small letters|minuscules?)`;
const big = String.raw`(?:caps|capitals|capital letters|(?:full |block )capitals|upper[\s-]?cased?|block letters|majuscules?)`;
const letters = String.raw`(?:\s(?:english\s)?(?:letters?|characters?|text|only))?`;
const notCode = String.raw`(?!\s(?:for|keys?|names?|variables?|version|first|identifiers?|e\b|strings?|and upper|at the|in the (?:title|heading|first)))`;
const manner = String.raw`(?:all|only|entirely|completely|exclusively|fully|totally|wholly|strictly|in|using|use|just|be|with|and|to)(?:\s(?:in|of|the|use|using|your|only|just|all|written|with|english|and|entirely|completely))*,?`;
const whole = `(?:everything|every (?:single )?(?:letter|word|character)|all (?:of )?(?:the |your )?(?:letters|text|words|characters|it)|(?:your|the) (?:(?:entire|whole|full|complete) )?(?:response|answer|reply|output|text)|no exceptions)`;
const refusal = String.raw`(?:no|zero|without(?:\s\p{L}+){0,2}|(?:not|never|n['’]t) (?:use|contain|include|have|be|write)(?:\s\p{L}+){0,4}|avoid(?:ing)?(?:\s\p{L}+){0,2}|(?:refrain|abstain)(?:ing)? from(?:\s\p{L}+){0,2}|(?:steer|stay) (?:clear of|away from)|free of|skip|never use(?:\s\p{L}+)?)`;
const prohibition = String.raw`\s(?:\p{L}+\s){0,3}?(?:not (?:allowed|permitted|used?|appear)|forbidden|prohibited|banned|off[- ]limits)`;

const lowercase = [
  String.raw`${manner}\s${small}${letters}${notCode}`,
  String.raw`${whole}\s(?:\p{L}+\s){0,5}?${small}${letters}${notCode}`,
  String.raw`${small}\s(?:letters\s)?(?:only|exclusively|throughout|everywhere|please)`,
  String.raw`${refusal}\s(?:capital(?:\s(?:letters?|words))?|capitali[sz]ations?|upper[\s-]?case(?:d)?(?:\s(?:letters?|characters?))?|capitals)(?!\s(?:for|of|city|words? (?:more|less)))`,
  String.raw`(?:capital letters|capitals|upper[\s-]?case(?:\sletters?)?)${prohibition}`,
  String.raw`not (?:even )?(?:a |one |\{n\d+\} )(?:single )?(?:letter\b[^\n]{0,50}\bcapitali[sz]ed|capital|upper[\s-]?case letter)`,
  String.raw`(?:nur|ausschließlich|komplett|vollständig|alles|durchgehend|durchweg|ganz|überall|lediglich|sämtlich\p{L}*)\s(?:\p{L}+\s){0,3}?(?:kleinbuchstaben|kleinen? buchstaben|klein(?:\s?(?:geschrieben|zu schreiben|schreiben))?)(?![\p{L}])`,
  String.raw`(?:antwort|text|ausgabe|alles)\s(?:\p{L}+\s){0,4}?(?:kleinbuchstaben|kleinen? buchstaben|klein\s?(?:geschrieben|schreiben))(?![\p{L}])`,
  String.raw`(?:keine[rn]?|ohne|kein(?:en)? einzige[rn]?|auf|vermeide)\s(?:\p{L}+\s){0,2}?(?:großbuchstaben?|großschreibung)|großbuchstaben\s(?:\p{L}+\s){0,3}?(?:verboten|nicht|vermeiden|tabu)|in kleinbuchstaben|schreibe? (?:bitte )?(?:alles )?klein(?![\p{L}])|(?:verwende|benutze|nutze)\s(?:\p{L}+\s){0,2}?kleinbuchstaben`,
  String.raw`(?:en|solo|sólo|solamente|usa|usando|utiliza|con|todo en|únicamente|exclusivamente)\s(?:puras\s|las\s)?(?:letras\s)?minúsculas?|(?:letras\s)?minúsculas (?:solamente|únicamente|solo)`,
  String.raw`(?:sin|ni|ningun[ao]|nada de|evita[r]?|no\s(?:se\s)?(?:use[ns]?|usar|utilices?|utilice|emplee?s|escribas|pongas|haya|contenga|lleve|permiten?|admiten?|quiero|debe[ns]?))\s(?:\p{L}+\s){0,4}?mayúsculas?|mayúsculas?\s(?:\p{L}+\s){0,3}?(?:prohibidas?|no (?:están?|se))`,
  String.raw`(?:en|uniquement|seulement|que|exclusivement|utilise|avec)\s(?:des?\s|les\s|uniquement\s|seulement\s)*(?:lettres\s)?minuscules?`,
  String.raw`(?:sans|aucune?|pas d['’]?e?|jamais de|évite[rz]?(?: les| toute)?|ni)\s?(?:aucune\s|une seule\s|lettres?\s)?(?:lettres?\s)?majuscules?|majuscules?\s(?:\p{L}+\s){0,3}?(?:interdites?|proscrites?)`,
];

const uppercase = [
  String.raw`${manner}\s${big}${letters}${notCode}`,
  String.raw`${whole}\s(?:\p{L}+\s){0,5}?(?:${big}|capitali[sz]ed)${letters}${notCode}`,
  String.raw`(?:upper[\s-]?case|caps|capital letters|capitals)\s(?:letters\s)?(?:only|exclusively|throughout|everywhere|please)`,
  String.raw`capitali[sz]e (?:every|all|each)(?:\s(?:of|the|your|single))*\s(?:letters?|words|characters)`,
  String.raw`(?:all|every) (?:the |single )?letters?\b[^\n]{0,50}\bcapitali[sz]ed`,
  String.raw`not a (?:single )?(?:word|letter)\b[^\n]{0,50}\blower[\s-]?case`,
  String.raw`${refusal}\s(?:lower[\s-]?case(?: letters?)?|small letters)`,
  String.raw`lower[\s-]?case(?:\sletters?)?${prohibition}`,
  String.raw`(?:in|nur|alles in|ausschließlich(?: in)?|komplett in|durchgehend(?: in)?|verwende|benutze|nutze)\s(?:\p{L}+\s)?großbuchstaben|(?:keine|ohne) kleinbuchstaben|(?:alles|komplett|ganze antwort)\s(?:\p{L}+\s){0,2}?groß\s?(?:geschrieben|schreiben)`,
  '(?:en|solo|sólo|usa|únicamente|todo en) (?:letras )?mayúsculas|(?:sin|ninguna) (?:letras )?minúsculas?',
  '(?:en|uniquement(?: en| des)?|tout en|seulement(?: en| des)?) (?:lettres )?(?:majuscules|capitales)|(?:sans|pas de|aucune) minuscules?',
];

const lowerPattern = new RegExp(String.raw`(?<![\p{L}])(?:${lowercase.join('|')})(?![\p{L}])`, 'iu');
const upperPattern = new RegExp(String.raw`(?<![\p{L}])(?:${uppercase.join('|')})(?![\p{L}])`, 'iu');
const wordsInCapitals = /\b(?:words?|phrases?|terms?|acronyms?|headings?|titles?)\b[^\n.,;:]{0,20}$/iu;
const negated = /\b(?:not|don['’]t|never|avoid|without|nicht|no|nie|pas|sans|sin)\s(?:[\p{L}]+\s){0,3}$/iu;
/** Code changes the case of strings and names; nobody means the answer. */
const inCode =
  /\b(?:convert|transform|chang|turn|umwandel|konvertier|convi[eé]rt|converti)\p{L}*\s(?!your|the (?:answer|response)|deine|tu|ta)|\b(?:strings?|css|sql|column|variables?|constants?|identifiers?|filenames?|file names?|funktion|función|fonction|cadena|chaîne)\b/iu;

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
    if (inCode.test(line)) return false;
    return !isAboutWords && !negated.test(before) && !isInRelativeClause(before);
  });
}

const capitals = String.raw`(?:(?:in |with |of )?(?:all )?(?:caps|capitals|capital letters|upper[\s-]?case(?: letters?)?)|capitali[sz]ed|all[\s-](?:caps|capital|uppercase))`;
const capitalPatterns = [
  new RegExp(
    String.raw`\{n(\d+)\}\s(?:such\s|or more\s)?(?:\p{L}+\s)?(?:words?|terms?)(?:\s(?:or|and)\s\p{L}+)?\s(?:(?:that|which|are|is|be|should|must|written|fully|all|entirely|completely|appear|set|put|typed|in|with|using|of)\s)*${capitals}`,
    'iu',
  ),
  new RegExp(
    String.raw`\{n(\d+)\}\s(?:such\s)?(?:\p{L}+[\s-]){0,2}?(?:${capitals}|all[\s-]caps?|upper[\s-]?cased?)[\s-](?:words?|terms?)`,
    'iu',
  ),
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
