import { detectLanguage, splitSentences } from '../text.js';
import { blankMaterial } from './material.js';
import { keepDemands } from './mood.js';
import { type Quantity, takeQuantities } from './quantity.js';
import { takeQuotes } from './quotes.js';

/** A message longer than this is read at its start and its end only. */
const READ_LENGTH = 16_000;
const LONGEST_SENTENCE = 2000;
/** Below this confidence a language is a guess. */
const LEAST_CONFIDENCE = 0.5;

/** A message in the form that the rules read. */
export type Prompt = {
  /** the part of the message that is read, unchanged */
  raw: string;
  /** ISO 639-1 code of the message's own text, or `und` */
  language: string;
  /** the language of the rules: en, de, es or fr */
  rules: string;
  /**
   * What is demanded of the answer, one sentence a line. Quoted parts are `{q0}`, counts are `{n0}`, three asterisks
   * `{three}` and six `{six}`; pasted material, other questions and reports are left out.
   */
  text: string;
  /** every sentence before that selection; each is in the place of its line in `text` */
  sentences: string[];
  quotes: string[];
  quantities: Quantity[];
};

export function readPrompt(message: string): Prompt {
  const raw = boundedPart(message);
  const own = markDividers(blankMaterial(raw).replace(/[{[]/g, '[').replace(/[}\]]/g, ']'));
  const { text, quotes } = takeQuotes(own);
  const language = ownLanguage(text, raw);
  const rules = ruleLanguages.has(language) ? language : 'en';
  const quantities: Quantity[] = [];
  const sentences = splitLines(text)
    .flatMap(splitSentences)
    .map((sentence) => sentence.slice(0, LONGEST_SENTENCE));
  const lines = keepDemands(sentences).map((line) =>
    takeQuantities(line.replace(doubleNegation, 'include'), rules, quantities),
  );
  return { raw, language, rules, text: lines.join('\n'), sentences, quotes, quantities };
}

function boundedPart(message: string): string {
  const text = message.replaceAll('\r\n', '\n');
  if (text.length <= READ_LENGTH) return text;
  return `${text.slice(0, READ_LENGTH / 2)}\n\n${text.slice(-READ_LENGTH / 2)}`;
}

const ruleLanguages: ReadonlySet<string> = new Set(['en', 'de', 'es', 'fr']);

/** The language of what the sender wrote; of what was pasted only when there is nothing else. */
function ownLanguage(text: string, raw: string): string {
  const own = text.replace(/\{\w+\}/g, ' ').slice(0, 600);
  const { language, confidence } = detectLanguage(/\p{L}/u.test(own) ? own : raw);
  return confidence < LEAST_CONFIDENCE ? 'und' : language;
}

/** Asterisks as dividers, however they are named, become `{three}` and `{six}`. */
function markDividers(text: string): string {
  return text
    .replace(/["“'(]?\*{6,7}["”')]?/g, ' {six} ')
    .replace(/["“'(]?(?<!\*)\*{3}(?!\*)["”')]?/g, ' {three} ')
    .replace(
      /\b(?:6|six|seis|sechs)\s+(?:["“']?\*["”']?\s+)?(?:aster?isks?|sternchen|asteriscos|astérisques?)/gi,
      ' {six} ',
    )
    .replace(
      /\b(?:3|three|tres|drei|trois)\s+(?:["“']?\*["”']?\s+symbols?|(?:aster?isks?|sternchen|asteriscos|astérisques?))/gi,
      ' {three} ',
    )
    .replace(/\bmarkdown divider\b(?!:? *\{)/gi, ' {three} ')
    .replace(
      /(?<!not )(?<![\p{L}])(?:(?:just |only )?(?:a|one) single|une seule|una sola|einem einzigen|einen einzigen|einer einzigen) (?=sentence|paragraph|line|word|phrase|mot|frase|oraci|palabra|satz|wort|absatz|zeile)/giu,
      'exactly 1 ',
    )
    .replace(/\b(?:an? )?(?:single|one)[- ]sentence (?=\p{L})/giu, 'in exactly 1 sentence ');
}

/** "Don't forget to use …" asks for it like "please use …". */
const doubleNegation =
  /(?<![\p{L}])(?:(?:please )?(?:(?:do not|don['’]t|never) (?:forget|fail|hesitate|neglect|omit|be afraid)|be sure not to (?:forget|omit)) (?:to|about|the)|vergiss (?:bitte )?nicht,?|vergessen sie nicht,?|no (?:te )?olvide[ns]?(?: de)?|n['’]oublie[sz]?(?: pas)?(?: de| d['’])?)(?![\p{L}])/giu;

/** Lines, with those joined again that were only wrapped. */
function splitLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const last = lines.at(-1);
    const isWrapped =
      last !== undefined && /[\p{Ll},]$/u.test(last) && last.length > 40 && /^\p{Ll}/u.test(line);
    if (isWrapped && last.length < LONGEST_SENTENCE) lines[lines.length - 1] = `${last} ${line}`;
    else lines.push(line.trim());
  }
  return lines.filter((line) => line !== '');
}

/** The quoted text that a marker's number stands for. */
export function quoteAt(prompt: Prompt, index: string | undefined): string {
  return index === undefined ? '' : (prompt.quotes[Number(index)] ?? '');
}

export function quantityAt(prompt: Prompt, index: string | undefined): Quantity | undefined {
  return index === undefined ? undefined : prompt.quantities[Number(index)];
}
