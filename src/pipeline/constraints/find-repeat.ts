import type { Constraint } from './constraint.js';
import type { Prompt } from './prompt.js';
import { blankQuotes } from './quotes.js';

const object =
  'request|prompt|question|sentences?|text|instructions?|line|message|paragraph|query|statement|words|task|anfrage|aufgabe|frage|satz|solicitud|petición|pregunta|mensaje|instrucción|demande|requête|consigne';
const verb = '(?:repeat(?:ing)?|copy|restate|wiederhole[n]?|repite|repetir|répète[rz]?|répétez)';
const manner =
  "word[- ]for[- ]word|word by word|exact(?:ly)?|verbatim|without (?:any )?chang|without alter|first|before|as it is|unchanged|then (?:give|answer|reply)|at the (?:very )?(?:start|beginning)|do not change|wort für wort|wörtlich|zuerst|palabra por palabra|primero|textualmente|mot pour mot|mot à mot|d[’']abord";

const command = new RegExp(
  String.raw`(?:^|[\n.!?:"”])\s{0,8}(?<sentence>[^\n.!?]{0,120}?(?<![\p{L}])${verb}\s(?:[^\n.!?]{0,30}?\s)?(?:${object}|_{3,}|it\b)(?![\p{L}])[^\n]{0,200})`,
  'iu',
);
const quotedCommand = new RegExp(
  String.raw`${verb}\s(?:the\s|this\s|exactly\s|sentence\s|question\s|request\s|phrase\s){0,4}:?\s?(_{3,})`,
  'iu',
);
const mannerPattern = new RegExp(`(?:${manner})`, 'iu');
/** Sentences that only say how to repeat. */
const aboutRepeating = new RegExp(
  String.raw`${verb}|\b(?:do not|don't) (?:change|say|add)|before (?:repeating|answering)|(?:exact|word)`,
  'iu',
);

/** "First repeat the request word for word": the request is what stands before this command, or after it. */
export function findRepeat(prompt: Prompt): Constraint[] {
  const text = blankQuotes(prompt.raw);
  const match = command.exec(text);
  const sentence = match?.groups?.sentence;
  if (!match || !sentence || !mannerPattern.test(text.slice(match.index, match.index + 400))) return [];
  if (
    /\b(?:do not|don't|never) repeat (?:the|my|this|your)\b(?! sentence)/i.test(
      sentence.replace(/\([^)]*\)/g, ''),
    )
  )
    return [];
  const start = match.index + match[0].length - sentence.length;
  const repeated = quotedObject(prompt.raw, sentence, start) ?? besideCommand(prompt.raw, start, sentence);
  return repeated === '' ? [] : [{ id: 'combination:repeat_prompt', kwargs: { prompt_to_repeat: repeated } }];
}

/** 'repeat "…" word for word' names its text itself. */
function quotedObject(raw: string, sentence: string, start: number): string | undefined {
  const match = quotedCommand.exec(sentence);
  if (!match) return undefined;
  const from = start + match.index + match[0].length;
  return raw.slice(from - (match[1]?.length ?? 0) + 1, from - 1).trim();
}

function besideCommand(raw: string, start: number, sentence: string): string {
  const before = raw.slice(0, start).trim();
  const isBelow = /\b(?:below|following|next|folgende\w*|siguiente|suivante?)\b/i.test(sentence);
  if (before !== '' && !isBelow) return before;
  const after = raw.slice(start);
  const paragraph = after.search(/\n[ \t]*\n/);
  if (paragraph >= 0) return after.slice(paragraph).trim();
  const sentences = after.split(/(?<=[.!?:])\s+|\n/);
  const first = sentences.findIndex((part) => !aboutRepeating.test(part));
  return first < 0 ? '' : sentences.slice(first).join(' ').trim();
}
