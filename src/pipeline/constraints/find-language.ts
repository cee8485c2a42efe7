import type { Constraint } from './constraint.js';
import { isInRelativeClause } from './mood.js';
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
      if (!name || !/^\p{L}+$/u.test(name)) continue;
      for (const form of formsOf(name, locale)) names.set(form, code);
    }
  }
  return names;
}

/** "die türkische Sprache", "la langue portugaise", "la lengua inglesa" */
function formsOf(name: string, locale: string): string[] {
  if (locale === 'de' && name.endsWith('isch'))
    return [name, ...['e', 'en', 'er', 'em'].map((end) => name + end)];
  if (locale === 'de' && name === 'deutsch') return [name, 'deutsche', 'deutschen', 'deutscher'];
  if (locale === 'fr' && /(?:ais|ois|and|ain|ol|ien)$/.test(name))
    return [name, `${name}${name.endsWith('ien') ? 'ne' : 'e'}`];
  if (locale === 'es' && /(?:és|án)$/.test(name))
    return [name, `${name.slice(0, -2)}${name.endsWith('és') ? 'esa' : 'ana'}`];
  if (locale === 'es' && /(?:no|so|go|co)$/.test(name)) return [name, `${name.slice(0, -1)}a`];
  return [name];
}

const names = [...languageCodes.keys()].sort((left, right) => right.length - left.length).join('|');
const named = String.raw`(?<name>${names})(?![\p{L}])`;

const anyName = new RegExp(String.raw`(?<![\p{L}])(?:${names})(?![\p{L}])`, 'iu');

const answerNouns = 'response|answer|reply|output|text|message|email|letter|responses|answers|replies';

const strong = [
  // only Hindi; entirely in Russian; completely in Kannada
  String.raw`(?:only|entirely|completely|exclusively|solely|fully)\s(?:use\s|using\s|be\s|written\s)?(?:in\s|the\s)*${named}`,
  String.raw`(?:in|use|using|to|with)\s(?:only|entirely|just)\s(?:the\s)?${named}`,
  // Urdu only; Hindi language, no other language
  String.raw`(?:in|use|using|^)\s?(?:the\s)?${named}(?:\slanguage)?(?:\sonly|\sexclusively|[\s,]+(?:and\s)?no other)`,
  // Thai for the whole response
  String.raw`(?:use|using)\s(?:the\s)?${named}(?:\slanguage)?\s(?:for|throughout|in|as)\s(?:the\s|your\s|this\s|all\s)*(?:(?:entire|whole|full|complete)\s)?(?:${answerNouns}|language)`,
  // your entire response should be in Tamil; the answer, written in Thai; have everything in Gujarati
  String.raw`(?:${answerNouns}|language|everything|it|names?|song|poem|story|essay),?(?:\s(?!about\b|from\b|of\b|how\b|to (?:a|the|my)\b)[\p{L}'’]+,?){0,6}?\s(?:in|into)\s(?:the\s)?${named}`,
  // answer in German; reply to me, please, in Thai
  String.raw`(?:respond|answer|reply|response|responses|write back|speak|talk|communicate)(?:ing)?(?:\s(?!about\b|how\b)[\p{L}'’]+,?){0,6}?\s(?:in|into)\s(?:the\s)?${named}`,
  String.raw`(?:explain|describe|write)(?:\s(?:to me|me|it|this|that|your answer|your response|please|everything|back|the answer|your reply))?\s(?:only\s|entirely\s|please\s)?in\s(?:the\s)?${named}`,
  String.raw`^(?:please,?\s)?in\s${named}(?:,?\s(?:please|only)\s?[,:.]|\s?:|,\s(?=please|write|explain|describe|tell|give|summari|list|answer))`,
  String.raw`,\s(?:and\s)?(?:all\s)?in\s${named}(?:,?\splease)?\s?[.!]?$`,
  String.raw`in\s${named},?\splease\s?[.!?]?$`,
  String.raw`in\s(?:the\s)?${named}\slanguage`,
  // German, Spanish, French
  String.raw`(?:antworte[nt]?|schreibe?[n]?|erkläre?|formuliere|beantworte[n]?|verfasse[n]?|antwort|antworten|text|ausgabe|alles|brief|geschichte|gedicht|reagiere|sprich|rede),?(?:\s(?!über\b)\p{L}+,?){0,7}?\s(?:auf|in)\s(?:der\s)?${named}(?!\s(?:gelesen|gesagt))`,
  String.raw`auf\s${named}(?=[,.]?\s(?:erklär|antwort|beschreib|schreib|zusammenfass|verfass|geschrieben|formulier|bitte|sein))`,
  String.raw`^(?:bitte\s)?auf\s${named}\s?[,:.]`,
  String.raw`(?:nur|ausschließlich|komplett|vollständig|allein|durchgehend)\s(?:auf|in|die|der|das)\s${named}`,
  String.raw`(?:verwende|benutze|nutze|nimm)\s(?:bitte\s|nur\s|ausschließlich\s|allein\s|die\s|das\s)*${named}(?=\s(?:sprache|als)|\s?[.,!]|$)`,
  String.raw`in\s(?:der\s)?${named}\ssprache`,
  String.raw`(?:resp[oó]nd\p{L}*|cont[eé]st\p{L}*|escr[ií]b\p{L}*|explica|respuesta|redact\p{L}*|salida|texto|todo|habla(?:me)?|carta|cuento|poema),?(?:\s(?!sobre\b)\p{L}+,?){0,7}?\sen\s(?:el\s|la\s)?(?:idioma\s|lengua\s)?${named}`,
  String.raw`(?:solo|sólo|únicamente|completamente|exclusivamente|enteramente)\s(?:en|el)\s(?:idioma\s)?${named}`,
  String.raw`(?:usa|utiliza|use|utilice|emplea)\s(?:solo\s|sólo\s|únicamente\s|exclusivamente\s)?(?:el\s|la\s)?(?:idioma\s|lengua\s)${named}`,
  String.raw`^(?:por favor,?\s)?en\s${named}(?:,?\s(?:por favor|s['’]il (?:te|vous) plaît))?\s?[,:.]`,
  String.raw`en\s${named},?\s(?:por favor|s['’]il (?:te|vous) plaît)`,
  String.raw`(?:répond\p{L}*|écri\p{L}*|expliqu\p{L}*|rédig\p{L}*|réponse|sortie|texte|tout|parle\p{L}*|lettre|histoire|poème),?(?:[\s-](?!sur\b)[\p{L}'’]+,?){0,7}?\sen\s(?:langue\s)?${named}`,
  String.raw`(?:uniquement|seulement|entièrement|exclusivement)\s(?:en\s|l[ae]\s|l['’])(?:langue\s)?${named}`,
  String.raw`(?:utilis\p{L}*|emploi\p{L}*)\s(?:seulement\s|uniquement\s|exclusivement\s)?(?:la\slangue\s|l[ea]\s|l['’])${named}`,
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
    if (match && !isRefused(line, match)) return codeOf(match);
  }
  return aboutLanguage.test(line) ? undefined : codeOf(weak.exec(line));
}

function codeOf(match: RegExpExecArray | null): string | undefined {
  return languageCodes.get(match?.groups?.name?.toLowerCase() ?? '');
}

/** "never in German", "translate … into German", "about a man who only speaks German" */
function isRefused(line: string, match: RegExpExecArray): boolean {
  const before = line.slice(0, match.index);
  return (
    /\b(?:not|don['’]t|never|nicht|translat\w*)\s(?:\p{L}+\s){0,3}$/iu.test(before) ||
    /\b(?:not|nicht|nie|translat\w*|übersetz\w*|traduc\w*|tradui\w*)\s/iu.test(match[0]) ||
    isInRelativeClause(before)
  );
}
