import type { Constraint } from './constraint.js';
import type { Prompt } from './prompt.js';

const codes =
  'af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko la lo lt lv mk ml mn mr ms my ne nl no pa pl ps pt ro ru sk sl so sq sr sv sw ta te th tl tr uk ur uz vi xh yi yo zh zu';

/** Names of languages in the four languages that prompts are read in, with their ISO 639-1 codes. */
const languageCodes: ReadonlyMap<string, string> = buildNames();

function buildNames(): Map<string, string> {
  const names = new Map<string, string>([
    ['farsi', 'fa'],
    ['mandarin', 'zh'],
    ['tagalog', 'tl'],
    ['castellano', 'es'],
  ]);
  for (const locale of ['en', 'de', 'es', 'fr']) {
    const display = new Intl.DisplayNames([locale], { type: 'language', fallback: 'none' });
    for (const code of codes.split(' ')) {
      const name = display.of(code)?.toLowerCase();
      if (name && /^\p{L}+$/u.test(name)) names.set(name, code);
    }
  }
  return names;
}

const names = [...languageCodes.keys()].sort((left, right) => right.length - left.length).join('|');
const named = String.raw`(?<name>${names})(?![\p{L}])`;

const anyName = new RegExp(String.raw`(?<![\p{L}])(?:${names})(?![\p{L}])`, 'iu');

const strong = [
  // only Hindi; entirely in Russian; completely in Kannada
  String.raw`(?:only|entirely|completely|exclusively|solely|fully)\s(?:use\s|using\s|be\s|written\s)?(?:in\s|the\s)*${named}`,
  String.raw`(?:in|use|using|to|with)\s(?:only|entirely|just)\s(?:the\s)?${named}`,
  // Urdu only; Hindi language, no other language
  String.raw`(?:in|use|using)\s(?:the\s)?${named}(?:\slanguage)?(?:\sonly|\sexclusively|[\s,]+(?:and\s)?no other)`,
  // your entire response should be in Tamil; response must be written in Gujarati
  String.raw`(?:response|answer|reply|output|text|poem|story|email|letter|essay|everything|it|language|names?|song|word in your response)\s(?:should|must|has to|needs to|is to|are|is|shall|will)\s(?:all\s|only\s|also\s|entirely\s|be\s|written\s|completely\s|a\s\p{L}+\s|given\s|provided\s|in\sthe\s|\p{L}+ly\s)*(?:in\s)(?:the\s)?${named}`,
  String.raw`(?:respond|answer|reply|response|write back|speak|talk|explain|describe|write)(?:\s(?:to me|me|it|this|that|your answer|your response|please|everything|back|the answer))?\s(?:only\s|entirely\s|please\s)?in\s(?:the\s)?${named}`,
  String.raw`in\s(?:the\s)?${named}\slanguage`,
  // German, Spanish, French
  String.raw`(?:antworte|antworten|schreibe?|erkläre?|formuliere|beantworte|verfasse|antwort)(?:n sie)?(?:\s\p{L}+){0,6}?\s(?:nur\s|bitte\s|ausschließlich\s|komplett\s)*auf\s${named}`,
  String.raw`auf\s${named}(?=\s(?:erklär|antwort|beschreib|schreib|zusammenfass))`,
  String.raw`(?:nur|ausschließlich|komplett|vollständig)\s(?:auf|in)\s${named}`,
  String.raw`(?:responde|responda|contesta|escribe|escriba|explica|respuesta|redacta)(?:\s\p{L}+){0,6}?\sen\s(?:idioma\s)?${named}`,
  String.raw`(?:solo|sólo|únicamente|completamente)\s(?:en\s)${named}`,
  String.raw`(?:réponds?|répondez|écris|écrivez|explique|expliquez|rédige|rédigez|réponse)(?:\s[\p{L}'’]+){0,6}?\sen\s${named}`,
  String.raw`(?:uniquement|seulement|entièrement)\sen\s${named}`,
].map((source) => new RegExp(String.raw`(?<![\p{L}])${source}`, 'iu'));

/** "Write a letter in Hindi": the writing verb opens the sentence and the language stands soon after. */
const weak = new RegExp(
  String.raw`^(?:please\s|can you\s|could you\s|would you\s)*(?:write|compose|tell|give|create|draft|generate|summari[sz]e|explain|describe|list)\s(?:[\p{L}'’{}\d-]+,?\s){0,9}?in\s(?:the\s)?${named}(?!\s(?:style|literature|class|history|culture|restaurant|cuisine|grammar|schools?|football|politics|cinema|companies|society|cities|accent))`,
  'iu',
);
const aboutLanguage =
  /\b(?:translat\w*|übersetz\w*|traduc\w*|tradui\w*|traduis\w*|mean(?:s|ing)?|word for|pronounc\w*|grammar|verbs?|tenses?|words?|phrases?|vocabulary|conjugat\w*|alphabet|say|books?|movies?|language learning|difference between)\b/iu;

export function findLanguage(prompt: Prompt): Constraint[] {
  for (const line of prompt.text.split('\n')) {
    const code = languageIn(line);
    if (code) return [{ id: 'language:response_language', kwargs: { language: code } }];
  }
  return [];
}

function languageIn(line: string): string | undefined {
  if (!anyName.test(line)) return undefined;
  for (const pattern of strong) {
    const match = pattern.exec(line);
    if (match && !isRefused(line, match.index)) return codeOf(match);
  }
  return aboutLanguage.test(line) ? undefined : codeOf(weak.exec(line));
}

function codeOf(match: RegExpExecArray | null): string | undefined {
  return languageCodes.get(match?.groups?.name?.toLowerCase() ?? '');
}

function isRefused(line: string, at: number): boolean {
  return /\b(?:not|don['’]t|never|nicht|translat\w*)\s(?:\p{L}+\s){0,3}$/iu.test(line.slice(0, at));
}
