import { type Prompt, quantityAt, quoteAt } from './prompt.js';
import type { Quantity } from './quantity.js';

/** Words, phrases or letters that a sentence names, and what it says about them. */
export type Mention = {
  items: string[];
  isLetter: boolean;
  polarity: 'wanted' | 'unwanted' | 'none';
  count: Quantity | undefined;
};

const nouns = {
  many: 'keywords|key words|words|terms|items|phrases|expressions|wörter[n]?|begriffe[n]?|schlüsselwörter[n]?|palabras(?: clave)?|términos|mots(?:[ -]clés)?|termes',
  one: 'keyword|key word|word|term|name|wort|wortes|begriff|schlüsselwort|palabra(?: clave)?|término|mot(?:[ -]clé)?|terme|nombre|nom',
  phrase: 'phrase|expression|sentence|ausdruck|satz|frase|expresión',
  letter: 'letters?|buchstaben?|letras?|lettres?',
};

const stopWords: Record<string, string> = {
  en: 'in|of|on|at|to|is|are|be|was|should|must|that|which|who|you|your|limit|count|counts|order|choices?|length|for|from|as|with|and|or|the|a|an|it|this|these|following|above|below|used|using|like|such|by|than|not|can|cannot|may|will|has|have|do|does|so|if|when|but|also|please|exactly|document|file|processor|cloud|problem|game|appears?|ends?|starts?|begins?',
  de: 'der|die|das|den|dem|und|oder|mit|aus|in|im|für|von|folgenden?|nicht|ist|sind|auf|zu|so|wie|es|soll|darf|muss|bitte|deiner?|beginnt|endet',
  es: 'de|del|que|en|y|o|la|las|los|el|con|para|siguientes?|no|es|son|se|debe|por|como|su|tu|a|al',
  fr: 'de|des|du|que|en|et|ou|la|le|les|avec|pour|par|suivants?|ne|est|sont|dans|doit|comme|à|au|qui|votre|ta',
};
const conjunction = 'and|or|nor|und|oder|noch|sowie|y|e|o|u|ni|et|ou';
const afterLast = String.raw`(?=\s*$|\s*[.?!,;:)\n]|\s(?:in|throughout|at|anywhere|somewhere|each|within|are|is|should|must|when|im|en|dans|a|al|au|durante|sind|deben?|doivent|not|appears?|to|for|over|somehow|enthalten|verwenden|vor|verwendet|vorkommen|benutzen|erwähnen|\{n)|\s\{n)`;
const quoted = String.raw`\{q\d+\}`;
const separator = String.raw`\s*,?\s*(?:(?:as well as|${conjunction})\s+(?:(?:also\s+)?the\s+(?:key)?words?\s+)?)?`;
const quotedList = `${quoted}(?:${separator}${quoted})*`;
const determiner =
  "(?:the|these|those|following|exact|two|three|die|den|das|dem|diese|folgenden?|las?|los|el|le|les|l['’]|siguientes)";

/** "the following words in your text: …" */
const place = String.raw`(?:\s(?:suivants|siguientes)|\s(?:anywhere )?in (?:your|the|this) \p{L}+)?`;

const mentionPatterns = new Map(Object.keys(stopWords).map((language) => [language, buildPattern(language)]));

function buildPattern(language: string): RegExp {
  const bare = String.raw`(?!(?:${stopWords[language]})(?![\p{L}'’-]))[\p{L}\p{N}][\p{L}\p{N}\p{M}'’-]{0,40}`;
  const bareList = String.raw`${bare}(?:\s*,\s*${bare}(?=\s*,|\s+(?:${conjunction})\s))*(?:\s*,?\s*(?:${conjunction})\s+${bare}${afterLast})?`;
  const bareOne = String.raw`(?:${bare}|(?:the|a|and|of|in|is|to|it)(?=\s\{n))(?:\s+(?:${conjunction})\s+${bare}${afterLast})?`;
  return new RegExp(
    [
      String.raw`(?<![\p{L}])(?:${nouns.many})\s?(?:with\s)?(?::|(?:like|such as|wie|como|comme)\b)?\s?(?<quotedMany>${quotedList})`,
      String.raw`(?<![\p{L}])(?:${nouns.one}|${nouns.phrase})\s?(?:of\s)?:?\s?(?<quotedOne>${quotedList})`,
      String.raw`(?<![\p{L}])(?:${nouns.letter})\s(?:(?<letterQuote>\{q\d+\})|(?<letter>\p{L}(?![\p{L}'’])(?:(?:,\s|\s(?:${conjunction})\s)\p{L}(?![\p{L}'’]))*))`,
      String.raw`(?<![\p{L}])(?:${nouns.many})${place}\s?:\s?(?<colonList>[^\n]{1,400})`,
      String.raw`(?<![\p{L}])(?:${nouns.many})${place}\s?:\s*$`,
      String.raw`(?<![\p{L}])(?:${determiner}\s(?:${nouns.many})|keywords)\s(?<bareMany>${bareList})`,
      String.raw`(?<![\p{L}])(?:${determiner}\s)(?:exact\s)?(?:${nouns.one})\s(?<bareOne>${bareOne})`,
      String.raw`(?<![\p{L}])(?<verb>mention(?:ing)?|includ(?:e|es|ing)|us(?:e|es|ing)|say(?:ing)?|contain(?:s|ing)?|writ(?:e|ing)|nenne|erwähne|verwende|menciona[r]?|usar?|uses|incluy[ea]s?|mentionne[rz]?|utilise[rz]?)\s(?:either\s)?(?<verbList>${quotedList})(?!\s(?:as|to|for|in place|at the (?:beginning|start|end)|als|como|comme)\b)`,
    ].join('|'),
    'giu',
  );
}

/** A cheap look before the long pattern. */
const worthReading =
  /\{q|words?\b|terms?\b|letters?\b|items\b|names?\b|wort|wört|begriff|buchstabe|palabra|letra|término|mots?\b|lettre|termes?\b|nombre|nom\b/iu;

export function findMentions(prompt: Prompt): Mention[] {
  return prompt.text
    .split('\n')
    .flatMap((line, index) => mentionsInLine(prompt, line, prompt.sentences.slice(index + 1, index + 30)));
}

function mentionsInLine(prompt: Prompt, line: string, rest: string[]): Mention[] {
  const pattern = mentionPatterns.get(prompt.rules) ?? mentionPatterns.get('en');
  const matches = pattern && worthReading.test(line) ? [...line.matchAll(pattern)] : [];
  return matches.flatMap((match, index) => {
    const before = line.slice(index === 0 ? 0 : endOf(matches[index - 1]), match.index);
    const end = endOf(match);
    const after = line.slice(end, matches[index + 1]?.index ?? line.length);
    const items = readItems(prompt, match.groups ?? {}, rest);
    if (items.length === 0) return [];
    const isLetter = match.groups?.letter !== undefined || match.groups?.letterQuote !== undefined;
    const verb = match.groups?.verb ?? '';
    const inherited =
      index > 0 &&
      /^[\s,]*(?:for\s)?(?:\{n\d+\}\s?(?:times?|mal|veces|fois)?)?[\s,]*(?:and|or|nor|und|oder|y|o|ni|et|ou)?\s*(?:the|das|la|el|le|die)?\s*$/iu.test(
        before,
      );
    const clause = inherited ? line.slice(0, match.index) : before;
    const polarity = polarityOf(`${clause}${verb ? `${verb} ` : ''}`, after);
    return [
      {
        items,
        isLetter,
        polarity: isAnyOf(match[0]) && polarity === 'wanted' ? 'none' : polarity,
        count: countOf(prompt, before, after),
      },
    ];
  });
}

/** "the word A or B": one of them is enough, which no id can say. */
function isAnyOf(list: string): boolean {
  return /[\s}](?:or|oder|o|u|ou)\s/i.test(list);
}

function endOf(match: RegExpExecArray | undefined): number {
  return match ? match.index + match[0].length : 0;
}

function readItems(prompt: Prompt, groups: Record<string, string | undefined>, rest: string[]): string[] {
  const { letter, letterQuote, colonList, ...lists } = groups;
  if (letter) return splitList(prompt, letter);
  if (letterQuote) return splitList(prompt, letterQuote).filter((item) => Array.from(item).length === 1);
  if (colonList) return splitList(prompt, colonList.replace(/[.!?](?:\s[^\n]*)?$/, ''));
  const list = lists.quotedMany ?? lists.quotedOne ?? lists.bareMany ?? lists.bareOne ?? lists.verbList;
  return list === undefined ? listBelow(prompt, rest) : splitList(prompt, list);
}

function listBelow(prompt: Prompt, lines: string[]): string[] {
  const end = lines.findIndex((line) => !/^\s*[-*•]\s/.test(line));
  return lines
    .slice(0, end < 0 ? lines.length : end)
    .flatMap((line) => splitList(prompt, line.replace(/^\s*[-*•]\s/, '')));
}

const listBreak = new RegExp(
  String.raw`\s*[,;]\s*(?:(?:${conjunction})\s+)?|\s+(?:${conjunction})\s+(?:(?:also\s+)?the\s+(?:key)?words?\s+)?`,
  'iu',
);

/** Words of a list, in lower case as the benchmark has them; parts of more than four words are no list items. */
function splitList(prompt: Prompt, list: string): string[] {
  return list
    .split(listBreak)
    .map((part) => readItem(prompt, part))
    .filter((item) => item !== '' && item.split(' ').length <= (list.includes('{q') ? 12 : 4));
}

function readItem(prompt: Prompt, part: string): string {
  const quote = /\{q(\d+)\}/.exec(part)?.[1];
  const text = quote === undefined ? part : quoteAt(prompt, quote);
  return text
    .trim()
    .replace(/[.,;:]+$/, '')
    .toLowerCase();
}

const unwantedBefore =
  /(?:^|[^\p{L}])(?:do not|don['’]t|does not|doesn['’]t|not|never|cannot|can['’]t|won['’]t|mustn['’]t|shouldn['’]t|avoid(?:s|ing)?|without|refrain|exclud(?:e|es|ing)|omit(?:s|ting)?|leave out|free of|no|nor|nicht|keine?[snm]?|ohne|vermeide[nt]?|verzichte|no|sin|evita[r]?|evite|omite|ne|n['’]\p{L}+|sans|évite[rz]?|jamais|nunca)(?:\s[\p{L}\p{N}'’{}-]+,?){0,9}\s?$/iu;
const wantedBefore =
  /(?:^|[^\p{L}])(?:includ(?:e|es|ing)|us(?:e|es|ing)(?!\sof)|mention(?:s|ing)?|contain(?:s|ing)?|ha(?:s|ve|ving)|with|add(?:s|ing)?|incorporat(?:e|es|ing)|featur(?:e|es|ing)|insert|work in|say|repeat|put|verwende[nt]?|benutze[nt]?|nutze[nt]?|gebrauche|erwähne[nt]?|enth(?:ält|alten|alte)|mit|baue|füge|nenne|usa[rn]?|use[ns]?|utiliza[rn]?|utilice|incluy[ea][ns]?|incluir|menciona[r]?|conten(?:er|ga)|contiene|con|emplea|utilise[rz]?|utilisant|inclu[ts]?|inclure|incluez|mentionne[rz]?|contenir|contient|contenant|avec|emploie|employez|insère|intègre)(?!\sof\s)(?:\s[\p{L}\p{N}'’{}-]+,?){0,9}\s?$/iu;
const elsewhere =
  /(?:\{n\d+\} of|\b(?:start|begin|end|finish|conclude|open|replac|chang|translat|defin|explain|after|follow(?!ing)|trying to|tried to|tries to|one of|call|count\b|number of times|how often|cit(?:e|es|ing)\b|quote\b|who\b|told\b|search|find|remov|named?|titled?|rhym|synonym|mean|(?<!\bin )which|beginn|beende|ende|empiez|termin|commenc|remplac|what|how many)\p{L}*)(?:\s[\p{L}\p{N}'’-]+){0,8}\s?$/iu;

const unwantedAfter =
  /^\s(?:(?:bitte|in deiner antwort|dabei)\s)?nicht(?![\p{L}])|^(?:\s(?!and\b|but\b|or\b)[\p{L}\p{N}'’{}]+){0,4}?\s(?:(?:should|must|may|can|shall|do|does) ?(?:not|never)|(?:mustn|shouldn|can|don|doesn)['’]t|cannot|(?:is|are) (?:not allowed|forbidden|banned|prohibited|off limits)|(?:darf|dürfen|soll|sollen) nicht|nicht (?:vorkommen|verwenden|benutzen|enthalten)|no (?:debe|puede)|ne (?:doit|doivent|peut) pas|ne pas|est interdit|sont interdits|est[áa]n? prohibid)/iu;
const wantedAfter =
  /^[^\n;.]{0,30}?\b(?:(?:should|must|needs? to|has to|have to|shall|to) (?:\p{L}+ )?(?:appear|be|show|occur|feature|come)|(?:muss|müssen|soll|sollen|sollte)\b|vorkommen|enthalten|verwenden|einbauen|(?:debe|deben|tiene que)\b|aparezca|aparecer|(?:doit|doivent)\b|apparaître|apparaisse)/iu;

function polarityOf(before: string, after: string): Mention['polarity'] {
  const clause = lastClause(before);
  if (elsewhere.test(clause)) return 'none';
  if (unwantedAfter.test(after) || unwantedBefore.test(clause)) return 'unwanted';
  if (
    /\b(?:sure|ensure\w*|so that|such that|where|in which)\b/i.test(clause) &&
    /^\s?(?:appears?|shows? up|occurs?|is|are)\b/i.test(after)
  )
    return 'wanted';
  return wantedAfter.test(after) || wantedBefore.test(clause) ? 'wanted' : 'none';
}

const clauseBreak =
  /[;:(]\s|(?:,\s|\s)(?:but|aber|sondern|pero|sino|mais)\s|(?:,\s(?:and\s)?|\s(?:and|und|y|et)\s)(?=(?:please |also |make sure |be sure |then )?(?:to )?(?:include|use|using|mention|make|add|contain|ensure|write|be sure|have|avoid|exclude|without|do not|don't|refrain|keep|limit|verwende|benutze|erwähne|vermeide|usa|incluye|menciona|evita|utilise|inclu|mentionne|évite)\b)/iu;

function lastClause(before: string): string {
  const parts = before.slice(-240).split(clauseBreak);
  return parts.at(-1) ?? '';
}

const times = String.raw`\{n(\d+)\}\s?(?:different\s)?(?:times?|x\b|mal\b|veces|vez|fois)`;
const timesAfter = new RegExp(String.raw`^[^\n;.]{0,70}?${times}`, 'iu');
const timesBefore = new RegExp(
  String.raw`(?:${times}[^\n;.]{0,40}|\{n(\d+)\}\s(?:instances?|occurrences?|mentions?|uses)\sof\s[^\n;.]{0,20})$`,
  'iu',
);

function countOf(prompt: Prompt, before: string, after: string): Quantity | undefined {
  const earlier = timesBefore.exec(lastClause(before));
  return quantityAt(prompt, timesAfter.exec(after)?.[1] ?? earlier?.[1] ?? earlier?.[2]);
}
