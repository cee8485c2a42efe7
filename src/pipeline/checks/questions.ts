import { splitSentences } from '../text.js';
import { type EvaluationInput, excerpt, type Finding, failed, folded, passed } from './finding.js';
import { countNewRuns, stemsOf } from './words.js';

const name = 'questions_answered';

/** Messages whose questions are for the assistant to answer, and not part of a text that is to be written. */
const askingIntents: ReadonlySet<string> = new Set([
  'question',
  'explain',
  'analyze',
  'compute',
  'list',
  'other',
]);

/** Answers longer than this are looked at only for questions that they do not touch with a single word. */
const shortAnswer = 700;
const longAnswer = 300;
const stemsOfBroadQuestion = 4;

/**
 * Whether each of several questions is addressed. An answer need not use the words of a question, so a question counts as
 * left out only when none of them occurs and nothing else in the answer can be meant for it.
 */
export function checkQuestions(input: EvaluationInput): Finding[] {
  const questions = input.reading.questions.filter(isRealQuestion);
  if (questions.length < 2) return [];
  const left = isUnsure(input) ? [] : leftOut(input, questions);
  if (left.length === 0) return [passed(name, `no question of ${questions.length} is left out`)];
  const list = left.map((question) => `"${excerpt(question)}"`).join(', ');
  return [failed(name, `not answered: ${list}`, `Answer every question, also ${list}.`)];
}

/** Courtesies and requests in the form of a question want no answer of their own. */
function isRealQuestion(question: string): boolean {
  const words = question.match(/[\p{L}\p{N}]+/gu) ?? [];
  return (
    words.length >= 3 &&
    !/^\W*(?:(?:and|so|but|ok|und|y|et)\s)?(?:(?:can|could|would|will|won['’]t) (?:you|u|we)|how are you|did you know|do you (?:know|have|think|mind)|isn['’]t|aren['’]t|don['’]t|right|is that (?:ok|right)|any (?:ideas?|thoughts|suggestions)|what do you think|kannst du|könnt(?:est|en)|würde?st|weißt du|hast du|wie geht|puede[ns]? |podrías|podría|sabes|qué tal|peux-tu|pouvez-vous|pourr|sais-tu|savez-vous|comment ça va|if |wenn |falls |si )/iu.test(
      question,
    )
  );
}

/** One word may answer all questions, a question back none; in another language no word would match. */
function isUnsure({ answer, reading, constraints, responseFormat }: EvaluationInput): boolean {
  if (!askingIntents.has(reading.intent) || responseFormat.type !== 'text') return true;
  if (answer.includes('```') || /[?？]["'”»)*_]{0,3}\s*$/.test(answer)) return true;
  if (
    constraints.some(({ id }) => id === 'language:response_language' || id.includes('constrained_response'))
  )
    return true;
  return /(?<![\p{L}])(?:both|neither|either|all|none|each|same|respectively|likewise|any of|beide[ns]?|weder|alle|keine[rs]?|jeweils|derselbe|dieselbe|ebenso|ebenfalls|ambos|ambas|ningun[oa]|tod[oa]s|mism[oa]s?|tampoco|tous|toutes|aucune?|chacune?|même|les deux|don['’]t know|do not know|cannot|can['’]t|not sure|weiß nicht|no sé|ne sais pas)(?![\p{L}])/iu.test(
    answer,
  );
}

type Question = { text: string; stems: string[]; isTouched: boolean };

function leftOut({ answer, message }: EvaluationInput, texts: string[]): string[] {
  const said = folded(answer);
  const stems = texts.map((text) => [...new Set(stemsOf(text))]);
  const questions: Question[] = texts.map((text, index) => {
    const own = (stems[index] ?? []).filter((stem) =>
      stems.every((list, at) => at === index || !list.includes(stem)),
    );
    return { text, stems: own, isTouched: own.some((stem) => said.includes(stem)) };
  });
  const touched = questions.filter((question) => question.isTouched);
  const candidates = questions.filter(({ stems: own, isTouched }) => !isTouched && own.length > 0);
  if (touched.length === 0 || candidates.length === 0) return [];
  const isMissing = [isMissingNumber, isBroadAndUntouched, isBeyondNumbering, hasNoRoom];
  const context = { answer, said, message, questions, touched };
  return candidates
    .filter((question) => isMissing.some((rule) => rule(question, context)))
    .map((question) => question.text);
}

type Context = { answer: string; said: string; message: string; questions: Question[]; touched: Question[] };

const asksNumber =
  /(?:how (?:many|much|old|far|tall|high)|(?:what|which) year|wie ?viele?|wie (?:hoch|alt|weit|groß)|welchem jahr|cu[aá]nt[oa]s?|qu[eé] año|combien|quel âge|quelle année)(?![\p{L}])/iu;

/** What may stand in the place of a figure. */
const amount =
  /\d|(?<![\p{L}])(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\p{L}{1,5}teen|\p{L}{1,5}ty|hundred|thousand|million|billion|dozen|half|double|twice|once|single|several|few|many|no|none|nothing|free|infinite|unlimited|depends|varies|unknown|null|eins?|eine|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|\p{L}{0,12}(?:hundert|tausend|zig)|kein\p{L}{0,3}|kostenlos|nichts|mehrere|einige|viele|hängt|cero|uno|una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|cien|mil|millones|gratis|nada|varios|muchos|depende|un|une|deux|trois|quatre|cinq|sept|huit|neuf|dix|cent|mille|millions|gratuit|rien|plusieurs|beaucoup|dépend)(?![\p{L}])/iu;

function isMissingNumber({ text }: Question, { answer }: Context): boolean {
  return asksNumber.test(text) && !amount.test(answer);
}

function isBroadAndUntouched({ stems }: Question, { answer }: Context): boolean {
  return stems.length >= stemsOfBroadQuestion && answer.length >= longAnswer;
}

/** The sender numbers the questions, the answer numbers its parts, and has fewer of them. */
function isBeyondNumbering({ text }: Question, { answer, message }: Context): boolean {
  const asked = [...message.matchAll(/^\s{0,8}(\d{1,2})[.)]\s+(.{3,500}?)\s*$/gm)].filter(([, , line]) =>
    line?.endsWith('?'),
  );
  const parts = [...answer.matchAll(/^[\s#*]{0,6}(\d{1,2})[.)]/gm)].map((match) => Number(match[1]));
  if (asked.length < 2 || parts.length === 0 || parts.length >= asked.length) return false;
  if (parts.some((part, index) => part !== index + 1)) return false;
  const bare = folded(text).replace(/^\W*\d{1,2}[.)]\s*/, '');
  return asked.some(([, number, line]) => Number(number) > parts.length && folded(line ?? '') === bare);
}

const asksYesOrNo =
  /^\W*(?:(?:and|or|but|so|also|und|oder|aber|y|o|pero|et|ou|mais)\s+)?(?:is|are|was|were|do|does|did|has|have|had|can|could|should|shall|will|would|may|might|must|ist|sind|war|hat|haben|kann|können|soll|sollte|muss|darf|gibt|wird|es|son|hay|puedo|puede|debo|tiene|est|sont|y a|peut|dois|faut|a-t|est-ce)(?![\p{L}])/iu;

/** Words by which a question leans on the one before it, so that one sentence may answer both. */
const leansOnAnother =
  /(?<![\p{L}])(?:it|its|they|them|their|he|him|his|she|her|that|this|these|those|there|one|er|ihn|ihm|sein\w*|sie|ihr\w*|es|das|dies\w*|dort|su|sus|él|ella|ellos|eso|esto|ese|esta|allí|lo|il|elle|ils|elles|son|sa|ses|leurs?|ce|cela|ça|cette|y|en)(?![\p{L}])/iu;

/** What is answered by a name. */
const asksName =
  /^\W*(?:(?:and|und|y|et)\s+)?(?:who|whose|whom|where|wer|wen|wem|wessen|wo|woher|wohin|qui[eé]n(?:es)?|d[oó]nde|qui|où)(?![\p{L}])/iu;

/** A short answer that has no word to spare for this question: all its parts speak of the others. */
function hasNoRoom({ text }: Question, { answer, message, questions, touched }: Context): boolean {
  if (answer.length > shortAnswer || asksYesOrNo.test(text)) return false;
  if (countNewRuns(answer, new Set(stemsOf(message))) < questions.length) return true;
  if (leansOnAnother.test(text)) return false;
  const spare = clausesOf(answer).filter((clause) => {
    const said = folded(clause);
    return !touched.some(({ stems }) => stems.some((stem) => said.includes(stem)));
  });
  return spare.length === 0 || (asksName.test(text) && !spare.some((clause) => /\p{Lu}/u.test(clause)));
}

function clausesOf(answer: string): string[] {
  return splitSentences(answer)
    .flatMap((sentence) =>
      sentence.split(/[;:,\n()–—]|\s(?:and|or|but|und|oder|aber|y|e|o|pero|et|ou|mais)\s/u),
    )
    .filter((clause) => /[\p{L}\p{N}]/u.test(clause));
}
