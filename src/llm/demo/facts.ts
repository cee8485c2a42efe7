import { choosePhrases, speaks } from './choose-phrases.js';
import { type AttachedFile, closestLines } from './files.js';
import type { Phrases } from './phrases.js';
import type { ToolOutcome, Turn } from './read-turn.js';
import { missingTools } from './tool-calls.js';

/** What there is to say in this turn, before it is given a form. */
export type Facts = {
  /** said first, each a paragraph */
  lead: string[];
  /** ways to say what is answering, from the fullest to the shortest */
  intros: string[][];
  /** in paragraphs */
  items: string[][];
  phrases: Phrases;
};

const longestQuote = 300;
const longestResult = 4000;
const mostQuestions = 3;
const mostLines = 3;

export function gatherFacts(turn: Turn): Facts {
  const { message, demands } = turn;
  const phrases = choosePhrases(demands.language, message);
  if (demands.choice !== '') return { lead: [demands.choice], intros: [], items: [], phrases };
  const lead = [...toolFacts(turn, phrases), ...nameFacts(turn, phrases)];
  if (turn.outcomes.length > 0) return { lead, intros: phrases.intros.slice(1), items: [], phrases };
  const items = [messageFacts(turn, phrases), fileFacts(turn.files, message, phrases)];
  if (!speaks(demands.language)) lead.push(`The demo cannot write in ${languageName(demands.language)}.`);
  return { lead, intros: phrases.intros, items, phrases };
}

function toolFacts(turn: Turn, phrases: Phrases): string[] {
  const missing = missingTools(turn).map((name) => phrases.toolMissing(name, turn.toolNames));
  return [...turn.outcomes.map((outcome) => outcomeFact(outcome, phrases)), ...missing];
}

function outcomeFact({ name, text, isError }: ToolOutcome, phrases: Phrases): string {
  const shown = shorten(text.trim(), longestResult) || '""';
  const start = isError ? phrases.toolError(name) : phrases.toolAnswer(name);
  return shown.includes('\n') ? `${start}\n${shown}` : `${start} ${withPoint(shown)}`;
}

function withPoint(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

const toldName =
  /\b(?:my name is|i am called|i'm called|call me|mein name ist|ich heiße)\s+(\p{L}[\p{L}'’-]{0,40})/giu;
const nameQuestion =
  /\b(?:what(?:'s|’s| is| was) my name|(?:know|remember|recall) my name|who am i|wie heiße ich|wie ist mein name)(?!\p{L})/iu;

function nameFacts({ message, earlier }: Turn, phrases: Phrases): string[] {
  if (!nameQuestion.test(message.slice(0, 2000))) return [];
  const told = [...earlier, message].flatMap((text) => [...text.matchAll(toldName)]).at(-1)?.[1];
  return [told === undefined ? phrases.nameUnknown : phrases.nameKnown(told)];
}

function messageFacts({ message, earlier, imageCount }: Turn, phrases: Phrases): string[] {
  const facts: string[] = [];
  const questions = questionsIn(message);
  for (const question of questions) facts.push(phrases.asked(question));
  const count = message.match(/\S+/g)?.length ?? 0;
  const start = excerpt(message, 12);
  if (questions.length === 0 && start !== '') {
    facts.push(excerpt(message, count) === start ? phrases.wrote(start) : phrases.begins(start));
  }
  facts.push(phrases.wordCount(count));
  const previous = earlier.at(-1);
  if (previous !== undefined) facts.push(phrases.conversation(earlier.length + 1, excerpt(previous, 8)));
  if (imageCount > 0) facts.push(phrases.images);
  return facts;
}

function fileFacts(files: AttachedFile[], message: string, phrases: Phrases): string[] {
  // of a file with parts left out the first one stands for all
  const named = new Map(files.toReversed().map((file) => [file.name, file]));
  const sizes = [...named.values()].reverse().map(({ name, lines, firstLine }) => {
    return phrases.file(name, lines.length, firstLine);
  });
  const lines = closestLines(files, message, mostLines).map(({ file, number, text }) =>
    phrases.closestLine(file.name, number, quote(text)),
  );
  return [...sizes, ...lines];
}

function questionsIn(message: string): string[] {
  const sentences = message.slice(0, 10_000).split(/(?<=[.!?])\s+|\n+/);
  const questions = sentences.filter(
    (sentence) => /\?["'”’)*]{0,3}$/.test(sentence.trim()) && /\p{L}/u.test(sentence),
  );
  return questions.slice(0, mostQuestions).map((question) => excerpt(question, 40));
}

/** The start of a text as it can stand inside a sentence: one line, no markup, no end of a sentence. */
function excerpt(text: string, mostWords: number): string {
  const words = text
    .slice(0, 5000)
    .replace(/["“”„*<>`]+/g, '')
    .trim()
    .split(/\s+/, mostWords);
  const end = words.findIndex((word) => /[.!?]$/.test(word));
  const kept = (end === -1 ? words : words.slice(0, end + 1)).join(' ');
  return shorten(kept, longestQuote).replace(/[\s.,;:!?]+$/, '');
}

function quote(line: string): string {
  return shorten(line.slice(0, 5000).trim().replaceAll(/\s+/g, ' ').replaceAll('"', "'"), longestQuote);
}

function shorten(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest).toWellFormed().trimEnd()} …`;
}

function languageName(code: string): string {
  try {
    return new Intl.DisplayNames(['en'], { type: 'language' }).of(code) ?? code;
  } catch {
    return code;
  }
}
