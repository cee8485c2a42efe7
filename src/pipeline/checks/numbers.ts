import { splitSentences } from '../text.js';
import { type EvaluationInput, type Finding, failed, folded, passed, proseOf } from './finding.js';

const name = 'numbers_in_file';

/** Characters of given files up to which their numbers are read. */
const mostText = 256 * 1024;
const mostNumbers = 20_000;
const mostFigures = 20;
/** Digits that a figure must have: small ones are mostly counts. */
const leastDigits = 3;

/** A figure as people write it, with a point or a comma for thousands or decimals. */
const figure =
  /(?<![\p{L}\p{N}_.,:/#-])\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d{1,6})?(?![\p{N}])|(?<![\p{L}\p{N}_.,:/#-])\d+(?:[.,]\d{1,6})?(?![\p{N}])/gu;

/** What stands after a figure that is scaled, converted, counted or a date. */
const notVerbatim =
  /^\s?(?:%|percent|prozent|por ?ciento|pour ?cent|k\b|m\b|bn\b|thousand|million|billion|trillion|tausend|mio|mrd|milli\w*|mil\b|mille|lines?|rows?|entries|records|columns?|words|characters|pages?|zeilen?|spalten?|einträge|wörter|zeichen|seiten?|líneas?|filas?|columnas?|palabras|páginas?|lignes?|colonnes?|mots|[-–/:.]\d|(?:st|nd|rd|th)\b)/iu;
/** What stands before a figure that counts lines, or is about right. */
const notQuoted =
  /(?:lines?|zeilen?|l[ií]neas?|lignes?|ll?\.|page|seite|página|pp?\.|#|~|≈|[-–+*/×÷=^]|row|fila|chapter|section|version|v)\s?$/iu;

/** Words of a sentence that works something out, compares, or denies. */
const worksOut =
  /(?<![\p{L}])(?:total\w*|sum\w*|add\w*|average\w*|mean|median|differ\w*|increas\w*|decreas\w*|grow\w*|grew|growth|ros[et]|fell|drop\w*|more|less|fewer|than|almost|nearly|about|around|roughly|approx\w*|estimat\w*|calculat\w*|comput\w*|count\w*|convert\w*|equal\w*|combined|together|overall|altogether|ratio|times|rate|share|multipl\w*|divid\w*|minus|plus|not?|never|isn['’]t|without|instead|correct\w*|would|should|if|gesamt\w*|insgesamt|summe\w*|durchschnitt\w*|mittel\w*|differenz\w*|unterschied\w*|mehr|weniger|fast|etwa|rund|ungefähr|circa|ca|berechn\w*|zusammen|anstieg\w*|zunahme|gestiegen|gesunken|mal|nicht|kein\w*|statt|suma\w*|promedio\w*|medi[oa]\w*|diferencia\w*|aument\w*|diminu\w*|más|menos|casi|unos|aproximad\w*|cerca|calcul\w*|junt[oa]s|veces|somme\w*|moyenne\w*|différence\w*|augment\w*|plus|moins|environ|presque|près|ensemble|fois|pas)(?![\p{L}])/iu;

const attribution =
  /(?<![\p{L}])(?:according to|states?|stated|says|said|shows?|shown|lists?|listed|gives?|given|reports?|reported|records?|recorded|contains?|mentions?|specif\w*|as in|in the file|the file|laut|gemäß|steht|nennt|zeigt|enthält|angegeben|aufgeführt|según|indica|muestra|dice|figura|aparece|contiene|selon|indique|montre|mentionne|contient|précise|d['’]après)(?![\p{L}])|[([][^)\]\n]{0,80}\ue000|(?<![\p{L}])(?:in|from|see|aus|siehe|en|de|ver|dans|voir)\s["'“„«*_]{0,3}\S{1,120}\ue000/iu;

/** A file that is spoken of without its name. */
const unnamedFile =
  /(?<![\p{L}])(?:(?:the|your|this|attached|given|provided|uploaded) (?:file|document|csv|spreadsheet|log|pdf)|(?:der|die|dieser?|laut) (?:datei|dokument)|(?:el|este) (?:archivo|fichero|documento)|(?:le|ce) (?:fichier|document))(?![\p{L}])/iu;

/** Whether figures that the answer says it has from a given file are there. Worked out figures are not looked at. */
export function checkNumbers(input: EvaluationInput): Finding[] {
  if (input.files.length === 0) return [];
  const missing = missingFigures(input);
  if (missing.length === 0) return [passed(name, 'no figure is cited that a file does not have')];
  const list = missing.slice(0, 5).join(', ');
  const verb = missing.length === 1 ? 'is' : 'are';
  return [
    failed(
      name,
      `${list} ${verb} in no given file`,
      `Take figures from the files exactly; ${list} ${verb} in none of them.`,
    ),
  ];
}

function missingFigures({ answer, files, message, history, turns, reading }: EvaluationInput): string[] {
  const texts = files.flatMap(({ text }) => text ?? []);
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  if (texts.length < files.length || length > mostText || reading.intent === 'compute') return [];
  const cited = citedFigures(
    answer,
    files.map((file) => file.name),
  );
  if (cited.length === 0) return [];
  const said = [
    message,
    ...[...history, ...turns.filter((turn) => turn.role === 'toolResult')].map((entry) =>
      JSON.stringify(entry.content),
    ),
  ];
  const known = readNumbers([...texts, ...said, ...files.map((file) => file.name)]);
  return known === undefined
    ? []
    : [...new Set(cited.slice(0, mostFigures).filter((text) => !isKnown(text, known)))];
}

/** Figures of sentences that name a file as their source and do nothing but tell what it says. */
function citedFigures(answer: string, names: string[]): string[] {
  const bases = names.map((file) => folded(file.split(/[/\\]/).at(-1) ?? file));
  return splitSentences(withFileDots(proseWithNames(answer), names)).flatMap((sentence) => {
    const plain = folded(sentence).replaceAll(dotInName, '.');
    const isOfFile = bases.some((base) => plain.includes(base)) || unnamedFile.test(sentence);
    if (!isOfFile || !attribution.test(sentence)) return [];
    const body = names.reduce(
      (text, file) => text.replaceAll(file.replaceAll('.', dotInName), ' '),
      sentence,
    );
    return worksOut.test(body) ? [] : figuresOf(body);
  });
}

/** Names of files stand in backticks, which are code otherwise. */
const proseWithNames = (answer: string) =>
  proseOf(answer.replace(/`([\p{L}\p{N}_][\p{L}\p{N}_./-]{0,120}\.\p{L}{1,8})`/gu, '$1'));

/** A name's point does not end a sentence, so it is hidden while sentences are split. */
const dotInName = '\ue000';
function withFileDots(text: string, names: string[]): string {
  return names.reduce((all, file) => all.replaceAll(file, file.replaceAll('.', dotInName)), text);
}

function figuresOf(sentence: string): string[] {
  return [...sentence.matchAll(figure)].flatMap((match) => {
    const before = sentence.slice(Math.max(0, match.index - 12), match.index);
    const after = sentence.slice(match.index + match[0].length, match.index + match[0].length + 16);
    const isTooSmall = match[0].replace(/\D/g, '').replace(/^0+/, '').length < leastDigits;
    return isTooSmall || notQuoted.test(before) || notVerbatim.test(after) ? [] : [match[0]];
  });
}

/** Numbers as they stand in the texts, and the runs of digits that these and dates consist of. */
type Known = { numbers: Set<number>; parts: Set<number> };

/** Every number of the texts, however they are separated; undefined when there are too many to look at. */
function readNumbers(texts: string[]): Known | undefined {
  const known: Known = { numbers: new Set(), parts: new Set() };
  for (const text of texts) {
    for (const [token] of text.matchAll(/\d+(?:[.,'’]\d+)*/g)) {
      for (const value of readings(token)) known.numbers.add(value);
      for (const cell of token.split(','))
        if (cell !== token) for (const value of readings(cell)) known.parts.add(value);
      for (const digits of token.match(/\d+/g) ?? []) known.parts.add(Number(digits));
      if (known.parts.size > mostNumbers) return undefined;
    }
    for (const [token] of text.matchAll(/(?<!\d)\d{1,3}(?:[\u00a0\u202f ]\d{3})+(?:[.,]\d{1,6})?(?!\d)/g))
      for (const value of readings(token)) known.numbers.add(value);
  }
  return known;
}

/** What a written figure may mean: the point and the comma for thousands or for decimals. */
function readings(token: string): number[] {
  const text = token.replace(/[.,'’\s]+$/, '').replace(/['’\s]/g, '');
  const english = Number(text.replaceAll(',', ''));
  const continental = Number(text.replaceAll('.', '').replace(',', '.'));
  return [english, continental].filter(Number.isFinite);
}

/** In the files as it stands, rounded, as a fraction, or as the sum or difference of two numbers there. */
function isKnown(text: string, { numbers, parts }: Known): boolean {
  const decimals = /[.,](\d{1,6})$/.exec(text)?.[1]?.length ?? 0;
  const unitOf = (value: number) => (Number.isInteger(value) ? 1 : 10 ** -decimals);
  const both = [...numbers, ...parts];
  return readings(text).some(
    (value) =>
      both.some(
        (number) => isRounded(number, value, unitOf(value)) || isRounded(number * 100, value, unitOf(value)),
      ) ||
      both.some((number) => isShortened(number, value)) ||
      [...numbers].some((number) => numbers.has(round(value - number)) || numbers.has(round(value + number))),
  );
}

/** A figure that was cut or rounded to its first two or three digits. */
const isShortened = (number: number, value: number) =>
  Number(number.toPrecision(3)) === value || Number(number.toPrecision(2)) === value;
const isRounded = (number: number, value: number, unit: number) => Math.abs(number - value) < unit - 1e-9;
const round = (value: number) => Math.round(value * 1e6) / 1e6;
