import { detectLanguage } from '../text.js';
import { readCount, readText } from './constraint.js';
import { type Check, compare, fail, pass, unsure } from './verdict.js';

type Pronouns = { informal: RegExp; formal: RegExp };

/** A capital "Sie" or "Ihr" counts only inside a sentence, where it cannot be "they" or "her". */
const pronouns: Record<string, Pronouns> = {
  de: {
    informal: /(?<![\p{L}])(?:du|dich|dir|dein(?:e[mnrs]?)?|euch|euer|eure[mnrs]?)(?![\p{L}])/giu,
    formal: /(?<=[\p{L}\p{N},]["”)]?\s)(?:Sie|Ihnen|Ihr(?:e[mnrs]?)?)(?![\p{L}])/gu,
  },
  es: {
    informal: /(?<![\p{L}])(?:tú|ti|contigo|tus?|te)(?![\p{L}])/giu,
    formal: /(?<![\p{L}])(?:ustedes|usted)(?![\p{L}])/giu,
  },
  fr: {
    informal: /(?<![\p{L}])(?:(?:tu|te|toi|ton|ta|tes)(?![\p{L}])|t['’](?=\p{L}))/giu,
    formal: /(?<![\p{L}])(?:vous|votre|vos)(?![\p{L}])/giu,
  },
};

/** Fails only when the other form is the one that is used; an answer that addresses nobody is not sure. */
export const checkAddress: Check = (constraint, answer) => {
  const form = readText(constraint, 'form');
  if (form !== 'informal' && form !== 'formal') return undefined;
  const language = readText(constraint, 'language') ?? detectLanguage(answer).language;
  const known = Object.hasOwn(pronouns, language) ? pronouns[language] : undefined;
  if (!known) return unsure(`no forms of address known for "${language}"`);
  const wanted = answer.match(known[form])?.length ?? 0;
  const other = answer.match(known[form === 'formal' ? 'informal' : 'formal'])?.length ?? 0;
  const detail = `${wanted} times ${form}, ${other} times not`;
  if (other > wanted) return fail(detail);
  return wanted > 0 && other === 0 ? pass(detail) : unsure(detail);
};

/** Addresses, numbered marks like [1], author and year in parentheses, or the entries of a list of sources. */
export const checkCitations: Check = (constraint, answer) => {
  const wanted = readCount(constraint, 'num_citations');
  if (wanted === undefined) return undefined;
  const marks = new Set([
    ...(answer.match(/https?:\/\/[^\s)\]>"]{4,300}/g) ?? []),
    ...(answer.match(/\[\^?\d{1,3}\]/g) ?? []),
    ...(answer.match(/\((?:[^()\n]{1,80},? )?(?:1[5-9]|20)\d\d[a-z]?(?:,[^()\n]{1,30})?\)/g) ?? []),
  ]);
  return compare(Math.max(marks.size, listedSources(answer)), 'at least', wanted, 'citations');
};

const sourceHeading =
  /^[\s#*_]{0,12}(?:sources?|references|bibliography|quellen(?:angaben)?|literatur|fuentes|referencias|bibliografía|références|bibliographie)[\s*_]{0,6}:?[\s*_]{0,6}(.*)$/iu;

function listedSources(answer: string): number {
  const lines = answer.split('\n');
  const heading = lines.findLastIndex((line) => sourceHeading.test(line));
  if (heading < 0) return 0;
  const inline = sourceHeading.exec(lines[heading] ?? '')?.[1]?.trim() ? 1 : 0;
  return inline + lines.slice(heading + 1).filter((line) => line.trim() !== '').length;
}
