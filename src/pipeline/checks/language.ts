import { textOf } from '../../core/message.js';
import { detectLanguage } from '../text.js';
import { type EvaluationInput, type Finding, failed, passed, proseOf } from './finding.js';

const name = 'answer_language';

/** Letters below which a text is too short to tell its language for sure. */
const leastLetters = 120;
const leastDistinctWords = 15;
const leastConfidence = 0.6;
/** Languages that are rarely taken for what is none, such as names, codes and sounds. */
const knownWell: ReadonlySet<string> = new Set('en de es fr it pt nl pl ru zh ja ko ar tr'.split(' '));
/** Words of a message that show in which language it is written. */
const leastWords = 4;
const longestRead = 4000;

/** Work on a text may well give it back in its own language. */
const ownLanguageIntents: ReadonlySet<string> = new Set(['translate', 'code', 'other', 'chat']);

/** Languages that a detector takes for each other. */
const lookAlikes = [
  'no nb nn da sv',
  'es pt gl ca',
  'cs sk',
  'id ms',
  'hr sr bs sl',
  'bg mk',
  'ru uk be',
  'hi mr ne',
  'fa ur ar',
  'nl af',
];

/** A language by name, or a wish for somebody else's words. */
const namesLanguage =
  /(?<![\p{L}])(?:english|german|french|spanish|italian|portuguese|dutch|polish|russian|chinese|mandarin|japanese|korean|arabic|turkish|hindi|latin|greek|swedish|danish|norwegian|finnish|czech|languages?|translat\w*|bilingual|quot(?:e|es|ing|ation\w*)|recit\w*|opening lines?|first lines?|verses?|lyrics|anthem\w*|poems?|in the original|zitier\w*|zitat\w*|im original|strophen?|citar?|cita[ds]?|recita\w*|estrofas?|cite[rz]?|récite\w*|englisch\w*|deutsch\w*|französisch\w*|spanisch\w*|italienisch\w*|sprachen?|übersetz\w*|inglés|inglesa|español\w*|alemán|alemana|francés|francesa|italiano|idiomas?|traduc\w*|traduzca|anglais\w*|français\w*|allemand\w*|espagnol\w*|italien\w*|langues?|tradui\w*|traduct\w*)(?![\p{L}])/iu;

/** Whether the answer speaks the asker's language. */
export function checkLanguage(input: EvaluationInput): Finding[] {
  const { language } = input.reading;
  if (language === 'und' || input.responseFormat.type !== 'text' || isOpen(input)) return [];
  const other = surelyOther(input.answer, language);
  if (other === undefined) return [passed(name, `nothing speaks against ${language}`)];
  const wanted = nameOf(language);
  return [
    failed(
      name,
      `the message is in ${wanted}, the answer in ${nameOf(other)}`,
      `Answer in ${wanted}, the language of the message.`,
    ),
  ];
}

/** Whether another language may be wanted, or the message's own is not sure. */
function isOpen({ constraints, reading, message, history }: EvaluationInput): boolean {
  if (ownLanguageIntents.has(reading.intent)) return true;
  if (constraints.some(({ id }) => id === 'language:response_language')) return true;
  const start = message.slice(0, longestRead);
  if ((start.match(/\p{L}+/gu) ?? []).length < leastWords || namesLanguage.test(start)) return true;
  if (detectLanguage(start).language !== reading.language) return true;
  return history.some((entry) => mayAskForAnother(entry.role, textOf(entry.content), reading.language));
}

/** A conversation in another language, or in which one was named, may go on in it. */
function mayAskForAnother(role: string, text: string, language: string): boolean {
  if (role === 'toolResult') return false;
  const start = text.slice(0, longestRead);
  if (role !== 'assistant') return role === 'system' || namesLanguage.test(start);
  return start.length >= leastLetters && detectLanguage(start).language !== language;
}

/** Enough letters, in enough different words where words are told apart by spaces. */
function isRunningText(prose: string): boolean {
  if ((prose.match(/\p{L}/gu) ?? []).length < leastLetters) return false;
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(prose)) return true;
  const words = prose.toLowerCase().match(/(?<![\p{L}\p{N}_])\p{L}{2,}(?![\p{L}\p{N}_])/gu) ?? [];
  return new Set(words).size >= leastDistinctWords;
}

/** The other language that both halves of the answer are in, if that is sure. */
function surelyOther(answer: string, language: string): string | undefined {
  const prose = proseOf(answer.slice(0, 4 * longestRead))
    .replace(/["“„«][^"”“»\n]{0,400}["”“»]/g, ' ')
    .slice(0, longestRead);
  if (!isRunningText(prose)) return undefined;
  const middle = prose.indexOf(' ', prose.length / 2);
  const halves = middle < 0 ? [prose] : [prose.slice(0, middle), prose.slice(middle)];
  const found = halves.map(detectLanguage);
  const other = found[0]?.language;
  if (other === undefined || !knownWell.has(other) || other === language) return undefined;
  if (found.some((half) => half.language !== other || half.confidence < leastConfidence)) return undefined;
  return lookAlikes.some((group) => group.includes(other) && group.includes(language)) ? undefined : other;
}

const names = new Intl.DisplayNames('en', { type: 'language' });
const nameOf = (language: string) => names.of(language) ?? language;
