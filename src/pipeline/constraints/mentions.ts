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
  many: 'keywords|key words|buzzwords|words|terms|items|phrases|expressions|vocabulary|wörter[n]?|worte[n]?|begriffe[n]?|ausdrücke[n]?|schlüsselwörter[n]?|stichworte[n]?|stichwörter[n]?|vokabeln|palabras(?: claves?)?|términos|vocablos|expresiones|mots(?:[ -]clés)?|termes',
  one: 'keyword|key word|word|term|name|wort|wortes|begriff|begriffs|schlüsselwort|stichwort|vokabel|palabra(?: clave)?|término|vocablo|mot(?:[ -]clé)?|terme|nombre|nom',
  phrase: 'phrase|expression|sentence|ausdruck|satz|frase|expresión',
  letter: 'letters?|buchstaben?|letras?|lettres?',
};

const stopWords: Record<string, string> = {
  en: 'in|of|on|at|to|is|are|be|was|should|must|that|which|who|you|your|for|from|as|with|and|or|the|a|an|it|this|these|following|above|below|used|using|like|such|by|than|not|can|cannot|may|will|has|have|do|does|so|if|when|but|also|please|exactly|appears?|ends?|starts?|begins?',
  de: 'der|die|das|den|dem|und|oder|mit|aus|in|im|für|von|folgenden?|nicht|ist|sind|auf|zu|so|wie|es|soll(?:en|te|ten)?|darf|dürfen|muss|müssen|werden|bitte|kommen|deiner?|beginnt|endet',
  es: 'clave|de|del|que|en|y|o|la|las|los|el|con|para|siguientes?|no|es|son|están?|se|deben?|tienen?|pueden?|quedan|por|como|su|tu|a|al',
  fr: 'clés?|de|des|du|que|en|et|ou|la|le|les|avec|pour|par|suivants?|ne|est|sont|dans|doit|doivent|peuvent|seront|comme|à|au|qui|votre|ta',
};
/** "word count", "term limit": the noun is the first half of another one. */
const compounds =
  'limits?|counts?|order|choices?|lengths?|document|file|processor|cloud|problem|game|search|list|frequency|boundar\\p{L}*';
const conjunction = 'and|or|nor|und|oder|noch|sowie|y|e|o|u|ni|et|ou';
const afterLast = String.raw`(?=\s*$|\s*[.?!,;:)\n]|\s(?:dürfen|darf|sollen|sollten|soll|sollte|müssen|muss|pueden?|no|peuvent|peut|can|may|have|need|ought|shall|in|throughout|at|anywhere|somewhere|each|within|are|is|should|must|when|im|en|dans|a|al|au|durante|sind|deben?|doivent|not|appears?|to|for|over|somehow|enthalten|verwenden|vor|verwendet|vorkommen|vor|auf|auftauchen|einbauen|einfließen|nutzen|vermeiden|weglassen|weg|bitte|benutzen|erwähnen|while|but|with|out|please|too|also|as|twice|once|no|ne|aparecer|figurer|ainsi|somehow|together|every|anywhere|\{n)|\s\{n)`;
const quoted = String.raw`\{q\d+\}`;
const separator = String.raw`\s*,?\s*(?:(?:as well as|${conjunction})\s+(?:(?:also\s+)?the\s+(?:key)?words?\s+)?)?`;
const quotedList = `${quoted}(?:${separator}${quoted})*`;
const determiner =
  "(?:the|these|those|following|exact|two|three|die|den|das|dem|diese|folgenden?|las?|los|el|le|les|l['’]|siguientes)";

/** "the following words must not be used: …", "words to avoid: …" */
const link = String.raw`(?:\s(?!(?:and|but|und|aber|y|pero|et|mais)\b)[\p{L}'’-]+,?){0,7}?`;

/** What is said of a quoted word that no noun introduces: "'gold' must not appear". */
const modal =
  '(?:should|must|has to|have to|needs? to|may|can|cannot|shall|is|are|darf|dürfen|muss|müssen|soll|sollen|sollte|sollten|debe|deben|tienen? que|no|doit|doivent|ne)';
const presence =
  '(?:appear|occur|used?(?![\\p{L}])|mention|includ|show up|feature|present|allowed|forbidden|banned|come up|vorkommen|auftauchen|erscheinen|enthalten|verwendet|verwenden|genannt|benutzt|erlaubt|verboten|aparecer|figurar|usar|usad|utiliza|prohibid|permitid|apparaître|figurer|utilis|employ|interdit)';
/** What may stand right before a quoted word that is wanted or not. */
const quotingVerbs = String.raw`mention(?:ing)?|includ(?:e|es|ing)|incorporat(?:e|ing)|us(?:e|es|ing)|say(?:ing)?|contain(?:s|ing)?|writ(?:e|ing)|avoid(?:ing)?|(?<=^|,\s|\band\s|\.\s)(?:no|minus|kein|sans|sin)|without|ohne|nenne|erwähne|verwende|benutze|nutze|vermeide|menciona[r]?|usar?|uses|utiliza|evita|incluy[ea]s?|mentionne[rz]?|utilise[rz]?|emploie|évite[rz]?|inclu[st]`;
const infinitive = '(?:verwenden|benutzen|erwähnen|einbauen|nutzen|nennen|vermeiden|weglassen)';

const mentionPatterns = new Map(Object.keys(stopWords).map((language) => [language, buildPattern(language)]));

function buildPattern(language: string): RegExp {
  const bare = String.raw`(?!(?:${stopWords[language]})(?![\p{L}'’-]))[\p{L}\p{N}][\p{L}\p{N}\p{M}'’-]{0,40}`;
  const firstBare = String.raw`(?!(?:${compounds})(?![\p{L}]))${bare}`;
  const bareList = String.raw`${firstBare}(?:\s*,\s*${bare}(?=\s*,|\s+(?:${conjunction})\s))*(?:\s*,?\s*(?:${conjunction})\s+${bare}${afterLast})?`;
  const bareOne = String.raw`(?:${firstBare}|(?:the|a|and|of|in|is|to|it)(?=\s\{n))(?:\s+(?:${conjunction})\s+${bare}${afterLast})?`;
  return new RegExp(
    [
      String.raw`(?<![\p{L}])(?:${nouns.many})\s?(?:with\s)?(?::|(?:like|such as|wie|como|comme)\b)?\s?(?<quotedMany>${quotedList})`,
      String.raw`(?<![\p{L}])(?:${nouns.one}|${nouns.phrase})\s?(?:of\s)?:?\s?(?<quotedOne>${quotedList})`,
      String.raw`(?<![\p{L}])(?:${nouns.letter})\s(?:(?<letterQuote>\{q\d+\})|(?<letter>\p{L}(?![\p{L}'’])(?:(?:,\s|\s(?:${conjunction})\s)\p{L}(?![\p{L}'’]))*))`,
      String.raw`(?<![\p{L}])(?:${nouns.many}|${nouns.one})(?<link>${link})\s?:\s?(?<colonList>[^\n]{1,400})`,
      String.raw`(?<![\p{L}])(?:${nouns.many})(?<linkBelow>${link})\s?:\s*$`,
      String.raw`(?<![\p{L}])(?:${nouns.many})\s?[[(](?<bracketList>[^\])\n]{1,200})[\])]`,
      String.raw`(?<![\p{L}])(?:${determiner}\s(?:${nouns.many})|keywords)\s(?<bareMany>${bareList})`,
      String.raw`(?<![\p{L}])(?:${determiner}\s)(?:exact\s)?(?:${nouns.one})\s(?<bareOne>${bareOne})`,
      String.raw`(?<subject>${quotedList})(?=\s${modal}(?![\p{L}])[^\n.;{]{0,40}?${presence}|\s${modal}(?![\p{L}])[^\n.;{]{0,30}?\{n\d+\}\s(?:times|mal|veces|fois)|\s(?:\p{L}+\s){0,2}?${infinitive}(?![\p{L}]))`,
      String.raw`(?<![\p{L}])(?<verb>${quotingVerbs})\s(?:either\s)?(?<verbList>${quotedList})(?!\s(?:as|to|for|in place|at the (?:beginning|start|end)|als|como|comme)\b)`,
    ].join('|'),
    'giu',
  );
}

/** A cheap look before the long pattern: a noun, or a quoted word with something said right before or after it. */
const worthReading =
  /words?\b|terms?\b|letters?\b|items\b|names?\b|phrases?\b|expressions?\b|vocabulary|sentence|wort|wört|begriff|ausdr|vokabel|satz|buchstabe|palabra|letra|término|vocablo|frase|expresi|mots?\b|lettre|termes?\b|nombre|nom\b/iu;
const worthReadingQuotes = new RegExp(
  String.raw`(?<![\p{L}])(?:${quotingVerbs})\s(?:either\s)?\{q|\}\s(?:\p{L}+\s){0,2}?(?:${modal}|${infinitive})(?![\p{L}])`,
  'iu',
);

function isWorthReading(line: string): boolean {
  return worthReading.test(line) || (line.includes('{q') && worthReadingQuotes.test(line));
}

export function findMentions(prompt: Prompt): Mention[] {
  return prompt.text
    .split('\n')
    .flatMap((line, index) => mentionsInLine(prompt, line, prompt.sentences.slice(index + 1, index + 30)));
}

function mentionsInLine(prompt: Prompt, line: string, rest: string[]): Mention[] {
  const pattern = mentionPatterns.get(prompt.rules) ?? mentionPatterns.get('en');
  const matches = pattern && isWorthReading(line) ? [...line.matchAll(pattern)] : [];
  return matches.flatMap((match, index) => {
    const before = line.slice(index === 0 ? 0 : endOf(matches[index - 1]), match.index);
    const end = endOf(match);
    const after = line.slice(end, matches[index + 1]?.index ?? line.length);
    const items = readItems(prompt, match.groups ?? {}, rest);
    if (items.length === 0) return [];
    const isLetter = match.groups?.letter !== undefined || match.groups?.letterQuote !== undefined;
    const { verb = '', link = match.groups?.linkBelow ?? '' } = match.groups ?? {};
    const inherited =
      index > 0 &&
      /^[\s,]*(?:for\s)?(?:\{n\d+\}\s?(?:times?|mal|veces|fois)?)?[\s,]*(?:and|or|nor|und|oder|y|o|ni|et|ou)?\s*(?:the|das|la|el|le|die)?\s*$/iu.test(
        before,
      );
    const clause = inherited ? line.slice(0, match.index) : before;
    const count = countOf(prompt, before, after);
    const polarity = polarityWithLink(`${clause}${verb ? `${verb} ` : ''}`, link, after, count);
    return [
      { items, isLetter, polarity: isAnyOf(match[0]) && polarity === 'wanted' ? 'none' : polarity, count },
    ];
  });
}

/** "the word A or B": one of them is enough, which no id can say. */
function isAnyOf(list: string): boolean {
  return /[\s}](?:or|oder|o|u|ou)\s/i.test(list);
}

/** What stands between the noun and its colon says as much as what stands before; a bound on a count says enough. */
function polarityWithLink(
  clause: string,
  link: string,
  after: string,
  count: Quantity | undefined,
): Mention['polarity'] {
  const readings =
    link === '' ? [] : [polarityOf(`${clause}words${link} `, ''), polarityOf(clause, `${link} `)];
  const stated = [...readings, polarityOf(clause, after)];
  if (stated.includes('unwanted')) return 'unwanted';
  if (stated.includes('wanted')) return 'wanted';
  return count?.kind === 'bound' && !elsewhere.test(lastClause(clause)) ? 'wanted' : 'none';
}

function endOf(match: RegExpExecArray | undefined): number {
  return match ? match.index + match[0].length : 0;
}

function readItems(prompt: Prompt, groups: Record<string, string | undefined>, rest: string[]): string[] {
  const { letter, letterQuote, colonList, bracketList, ...lists } = groups;
  if (letter) return splitList(prompt, letter);
  if (letterQuote) return splitList(prompt, letterQuote).filter((item) => Array.from(item).length === 1);
  if (bracketList) return splitList(prompt, bracketList);
  if (colonList) return splitList(prompt, colonList.replace(/[.!?](?:\s[^\n]*)?$/, ''));
  const list =
    lists.quotedMany ?? lists.quotedOne ?? lists.bareMany ?? lists.bareOne ?? lists.subject ?? lists.verbList;
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
    .filter((item) => /[\p{L}\p{N}]/u.test(item) && item.split(' ').length <= (list.includes('{q') ? 12 : 4));
}

function readItem(prompt: Prompt, part: string): string {
  const quote = /\{q(\d+)\}/.exec(part)?.[1];
  const text = quote === undefined ? part : quoteAt(prompt, quote);
  return text
    .trim()
    .replace(/^[[(]|[\])]$/g, '')
    .replace(/[.,;:]+$/, '')
    .toLowerCase();
}

const unwantedBefore =
  /(?:^|[^\p{L}])(?:do not|don['’]t|does not|doesn['’]t|not|never|cannot|can['’]t|won['’]t|mustn['’]t|shouldn['’]t|avoid(?:s|ing)?|without|refrain|exclud(?:e|es|ing)|omit(?:s|ting)?|leave out|leaving out|free (?:of|from)|skip|steer clear of|stay away from|forbidden|banned|prohibited|disallowed|taboo|unwanted|blacklisted|no|nor|nicht|nie|niemals|keine?[snm]?|ohne|vermeide[nt]?|vermeiden|verzichte[nt]?|unterlasse|verbotene?[nrsm]?|verboten|untersagt|tabu|no|sin|evit\p{L}*|omit\p{L}*|prescind\p{L}*|prohibid[ao]s?|prohibo|ni|ne|proscri\p{L}*|bann\p{L}*|interdits?|interdites?|exclu[st]|abstiens|n['’]\p{L}+|sans|évite[rz]?|jamais|nunca)(?:\s[\p{L}\p{N}'’{}-]+,?){0,9}\s?$/iu;
const wantedBefore =
  /(?:^|[^\p{L}])(?:includ(?:e|es|ing)|us(?:e|es|ing)(?!\sof)|mention(?:s|ing)?|contain(?:s|ing)?|ha(?:s|ve|ving)|with|add(?:s|ing)?|incorporat(?:e|es|ing)|featur(?:e|es|ing)|insert|work(?:s|ing)?|weav(?:e|es|ing)|sprinkl(?:e|ing)|scatter|drop in|drop|fit|mix in|blend in|bring in|introduce|employ(?:s|ing)?|integrat(?:e|es|ing)|embed|plant|hide|slip|sneak|squeeze|throw in|make use of|required|mandatory|obligatory|needed|must-have|needs?|to (?:see|read|find|hear)|say|repeat|put|appear|included|used|obligatorisch\p{L}*|vorkommende[nr]?|verwende[nt]?|benutze[nt]?|nutze[nt]?|gebrauche|erwähne[nt]?|enth(?:ält|alten|alte)|mit|baue|bau|füge|bring\p{L}*|nenne|nennen|vorkommen|auftauchen|usa[rn]?|use[ns]?|utiliza[rn]?|utilice|incluy[ea][ns]?|incluir|menciona[r]?|conten(?:er|ga)|contenga|contiene|con|emplea|aparezcan?|aparecer|aparece|figur\p{L}*|salir|obligatori[ao]s?|introduce|mete|insert[ae]|apparaisse(?:nt)?|apparaître|obligatoires?|requis(?:es)?|glisse|place|utilise[rz]?|utilisant|inclu[ts]?|inclure|incluez|mentionne[rz]?|contenir|contient|contenant|avec|emploie|employez|insère|intègre)(?!\sof\s)(?:\s[\p{L}\p{N}'’{}-]+,?){0,9}\s?$/iu;
const elsewhere =
  /(?:\{n\d+\} of|\b(?:start|begin|end|finish|conclude|open|replac|chang|translat|defin|explain|after|follow(?!ing)|trying to|tried to|tries to|one of|call|count\b|number of times|how often|cit(?:e|es|ing)\b|quote\b|clos(?:e|es|ing)\b|sign off|wrap up|who\b|told\b|search|find|remov|named?|titled?|rhym|synonym|mean|(?<!\bin )which|beginn|beende|ende|empiez|termin|commenc|remplac|what|how many)\p{L}*)(?:\s[\p{L}\p{N}'’-]+){0,8}\s?$/iu;

const unwantedAfter =
  /^\s(?:(?:bitte|in deiner antwort|dabei|auf keinen fall|auch)\s)*(?:nicht|weg|weglassen|vermeiden|raus)(?![\p{L}])|^\s(?:out|away)\b|^(?:\s(?!and\b|but\b|or\b)[\p{L}\p{N}'’{}]+){0,4}?\s(?:(?:should|must|may|can|shall|do|does) ?(?:not|never)|(?:mustn|shouldn|can|don|doesn)['’]t|cannot|(?:must|should|need to|needs to|have to|has to|are to|is to) be (?:strictly )?(?:avoided|left out|omitted|excluded|skipped|absent)|(?:soll(?:en|te|ten)?|darf|dürfen|muss|müssen|kommt|taucht) (?:\p{L}+ ){0,2}?(?:nirgends|nirgendwo|niemals|nie|nicht|vermieden|weggelassen)|(?:deben?|tienen? que) (?:evitarse|omitirse)|quedan? prohibid|no (?:aparezca|figure|salga)|(?:est|sont) (?:bannie?s?|proscrite?s?|exclue?s?|à (?:éviter|bannir|proscrire))|n['’]appara|ne (?:figure|doi|peu)|(?:is|are) (?:an? |strictly |completely |absolutely )?(?:not (?:allowed|permitted|ok|okay|welcome)|forbidden|banned|prohibited|off[- ]limits|taboo|disallowed)|(?:ist|sind) (?:verboten|tabu|untersagt|nicht erlaubt)|(?:darf|dürfen|soll|sollen) nicht|nicht (?:vorkommen|verwenden|benutzen|enthalten)|no (?:debe|puede)|ne (?:doit|doivent|peut) pas|ne pas|est interdit|sont interdits|est[áa]n? prohibid)/iu;
const wantedAfter =
  /^[^\n;.]{0,30}?\b(?:(?:should|must|needs? to|has to|have to|shall|to) (?:\p{L}+ )?(?:appear|be|show|occur|feature|come)|(?:muss|müssen|soll|sollen|sollte)\b|vorkommen|enthalten|verwenden|einbauen|(?:debe|deben|tiene que)\b|aparezca|aparecer|(?:doit|doivent)\b|apparaître|apparaisse)/iu;

function polarityOf(before: string, after: string): Mention['polarity'] {
  const clause = lastClause(before);
  if (elsewhere.test(clause)) return 'none';
  if (unwantedAfter.test(after) || unwantedBefore.test(clause)) return 'unwanted';
  if (
    /\b(?:sure|ensure\w*|so that|such that|where|in which|let|see to it|check)\b/i.test(clause) &&
    /^\s?(?:appears?|shows? up|occurs?|comes? up|is|are|gets?|be)\b/i.test(after)
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
