/**
 * What a message quotes or pastes (code, logs, block quotes, "the following text: …") states no demand on the
 * answer. These functions blank it out, line by line, before any rule reads the message.
 */

const codeLine = new RegExp(
  [
    String.raw`^\s*(?:import\s+[\w{*"']|from\s+\S+\s+import|export\s+(?:default|const|class|function)|#include|using\s+\w+;)`,
    String.raw`^\s*(?:async\s+)?(?:def|function\*?|func|fn)\s+\w*\s*\(`,
    String.raw`^\s*(?:const|let|var|public|private|static)\s+\w+.*[=({;]`,
    String.raw`^\s*(?:class|interface|struct|enum)\s+\w+.*[:{]\s*$`,
    String.raw`^\s*(?:if|for|while|switch|elif|else|try|except|catch)\b.*[:{]\s*$`,
    String.raw`^\s*(?://|/\*|\*/|<!--|#!/)`,
    String.raw`^\s*(?:CREATE|ALTER|DROP)\s+(?:TABLE|VIEW|INDEX|DATABASE)\b|^\s*(?:SELECT|INSERT INTO|DELETE FROM)\s.*(?:FROM|VALUES|WHERE)\b|^\s*--\s`,
    String.raw`[;{}]\s*$`,
    String.raw`^\s*</?\w+[^<>]*>`,
  ].join('|'),
);

const logLine = new RegExp(
  [
    String.raw`^\s*\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d`,
    String.raw`^\s*\[?\d\d:\d\d:\d\d`,
    String.raw`^\s*\[?(?:ERROR|WARN(?:ING)?|INFO|DEBUG|TRACE|FATAL)\]?[\s:]`,
    String.raw`^\s*at \S+ ?\(|^\s*File "|^Traceback|^Caused by:|^\s*\w+(?:Error|Exception):|^npm ERR!|^\$ |^>>> `,
  ].join('|'),
);

/** For each language: words that point, and what they may point at. */
const pointed: readonly { pointers: string; nouns: string }[] = [
  {
    pointers: 'following|below|above|this|these|here',
    nouns:
      'text|passages?|paragraphs?|article|e-?mails?|message|letter|document|logs?|code|snippet|story|review|post|essay|abstract|transcript|note|content|error|output|excerpt|conversation|sentences?|instructions?|prompt|blog|speech|report|page',
  },
  {
    pointers: 'folgende[nrsm]?|diese[nrsm]?',
    nouns: 'text|satz|sätze|absatz|artikel|nachricht|brief|dokument|e-?mail|code',
  },
  {
    pointers: 'siguientes?|est[ea]',
    nouns: 'texto|frase|párrafo|artículo|mensaje|carta|correo|código|oración',
  },
  {
    pointers: 'suivante?s?|ce|cet|cette',
    nouns: 'texte|phrase|paragraphe|article|message|courriel|lettre|code',
  },
];

/** "Summarize the following text" and the like, whatever the order of the two words. */
const introduction = new RegExp(
  pointed
    .flatMap(({ pointers, nouns }) => [
      String.raw`(?<![\p{L}])(?:${pointers})\s(?:[\p{L}-]+\s){0,2}(?:${nouns})(?![\p{L}])`,
      String.raw`(?<![\p{L}])(?:${nouns})\s(?:[\p{L}-]+\s){0,2}(?:${pointers})(?![\p{L}])`,
    ])
    .join('|'),
  'iu',
);

const label = new RegExp(
  String.raw`^\s*(?:the\s|der\s|el\s|le\s)?(?:${pointed.map(({ nouns }) => nouns).join('|')})(?:\s(?:is|begins|starts|ist|es|est))?\s*:`,
  'iu',
);

/** "Translate to German: …" needs no word that points. */
const task =
  /^\s*(?:please\s|bitte\s|por favor,?\s)?(?:translate|summari[sz]e|proofread|correct|rewrite|paraphrase|rephrase|improve|edit|classify|übersetze|korrigiere|verbessere|traduce|resume|corrige|traduis|traduisez|corrigez|résume)\b[^:.!?\n]{0,80}:/i;

/** How a paragraph starts that speaks to the assistant again after a pasted text. */
const directive =
  /^\s*(?:\d+[.)]\s|[-*•]\s)?(?:please|your?\b|use\b|do not|don't|avoid|include|make|write|respond|answer|reply|add|finish|end\b|start\b|begin\b|limit|keep|highlight|italicize|wrap|separate|first|before|give|provide|only\b|in your|at the end|also|finally|there (?:should|must)|ensure|it (?:should|must)|mention|refrain|without|put\b|the (?:response|answer|reply|output|summary|translation|bullet)|let's|bitte|schreib|verwende|benutze|vermeide|antworte|nutze|deine?\b|die antwort|por favor|usa\b|escribe|evita|no uses|incluye|responde|la respuesta|tu respuesta|veuillez|utilise|écri[st]|évite|n'utilise|inclu[st]|réponds|la réponse|ta réponse|votre réponse)/i;

const mentionsAnswer =
  /\b(?:your|the|this) (?:entire |whole |final )?(?:response|answer|reply|output)\b|\b(?:deine|ihre|die) (?:gesamte |ganze )?antwort\b|\b(?:tu|su|la) respuesta\b|\b(?:ta|votre|la) réponse\b/i;

const mailHeader =
  /^(?:from|to|cc|subject|date|sent|von|an|betreff|gesendet|de|para|asunto|fecha|objet|à)\s?: \S/i;
const greeting =
  /^(?:dear|hi|hello|hey|sehr geehrte|liebe|hallo|estimad|querid|hola|bonjour|ch(?:er|ère)s?|madame|monsieur)\S*(?:\s[^!?\n]{1,60})?,\s*$/i;
const signOff =
  /^(?:(?:best|kind|warm)(?: regards| wishes)?|regards|sincerely|yours|cheers|thanks|thank you|(?:mit )?(?:freundliche|viele|beste|liebe)\S* grüße\S*|gruß|vg|lg|mfg|saludos|atentamente|un saludo|cordialement|bien à vous|salutations)\b[^.!?\n]{0,40},?\s*$/i;

/** Empties an e-mail that stands before the sender's own last paragraph: headers or greeting, text, name. */
function blankMail(lines: string[]): string[] {
  const headers = lines.filter((line, index) => index < 8 && mailHeader.test(line)).length;
  const start =
    headers >= 2
      ? lines.findIndex((line) => mailHeader.test(line))
      : lines.findIndex((line) => greeting.test(line));
  if (start < 0) return lines;
  const last = lines.findLastIndex((line) => line.trim() !== '');
  const ownStart = lines.findLastIndex((line, index) => index < last && line.trim() === '') + 1;
  const signed = lines.findIndex((line, index) => index > start && signOff.test(line));
  const isBefore = ownStart > start + 1 && (headers >= 2 || (signed > start && signed < ownStart));
  if (!isBefore) return lines;
  const end = signed > start && signed < ownStart ? paragraphEnd(lines, signed) : ownStart;
  return lines.map((line, index) => (index >= start && index < end ? '' : line));
}

function paragraphEnd(lines: string[], from: number): number {
  const end = lines.findIndex((line, index) => index > from && line.trim() === '');
  return end < 0 ? lines.length : end;
}

/** The message with everything pasted or quoted as a block replaced by empty lines. */
export function blankMaterial(message: string): string {
  const lines = blankMail(blankDelimited(message.split('\n')));
  return blankPasted(lines)
    .map((line) => (/^\s{0,3}>/.test(line) || logLine.test(line) || codeLine.test(line) ? '' : line))
    .join('\n');
}

/** Empties what stands between fences, `"""` lines or a `<tag>` line and its `</tag>`. */
function blankDelimited(lines: string[]): string[] {
  let closer: ((line: string) => boolean) | undefined;
  return lines.map((line) => {
    if (closer) {
      if (closer(line)) closer = undefined;
      return '';
    }
    closer = closerFor(line);
    return closer ? '' : line;
  });
}

function closerFor(line: string): ((line: string) => boolean) | undefined {
  const fence = /^\s{0,12}(`{3,}|~{3,})[^`]*$/.exec(line)?.[1];
  if (fence) return (next) => next.trimStart().startsWith(fence) && next.replace(/[`~\s]/g, '') === '';
  if (/^\s*(?:"""|''')\s*$/.test(line)) return (next) => /^\s*(?:"""|''')\s*$/.test(next);
  const tag = /^\s*<([A-Za-z][\w-]{0,30})>\s*$/.exec(line)?.[1];
  return tag ? (next) => next.includes(`</${tag}>`) : undefined;
}

/** Empties the text that an introduction announces: the rest of its line, or the paragraphs after it. */
function blankPasted(lines: string[]): string[] {
  const ownEnd = startOfOwnEnd(lines);
  let isInside = false;
  let hasText = false;
  return lines.map((line, index) => {
    if (isInside && hasText && index >= ownEnd) isInside = false;
    if (isInside) hasText ||= line.trim() !== '';
    if (isInside || line.trim() === '') return '';
    const colon = introductionEnd(line);
    if (colon < 0) return line;
    isInside = line.slice(colon + 1).trim() === '';
    hasText = false;
    return isInside ? line : blankAfter(line, colon);
  });
}

/** Where the last paragraphs begin that all speak to the assistant; a pasted text ends there at the latest. */
function startOfOwnEnd(lines: string[]): number {
  let start = lines.length;
  for (let index = lines.length - 1; index > 0; index--) {
    const line = lines[index] ?? '';
    if (line.trim() === '' || (lines[index - 1] ?? '').trim() !== '') continue;
    if (!directive.test(line) && !mentionsAnswer.test(line)) break;
    start = index;
  }
  return start;
}

/** Cuts what follows the colon of an introduction, up to a sentence that speaks to the assistant. */
function blankAfter(line: string, colon: number): string {
  const rest = line.slice(colon + 1);
  if (/^\s*["'“«„‘`]/.test(rest)) return line;
  const next = rest.search(/[.!?…]["'”]?\s+(?=\p{Lu})/u);
  const after = next < 0 || directive.test(rest) ? '' : rest.slice(next + 1);
  return `${line.slice(0, colon + 1)} ${directive.test(after) ? after : ''}`;
}

function introductionEnd(line: string): number {
  if (!line.includes(':')) return -1;
  const opened = label.exec(line) ?? task.exec(line);
  if (opened) return opened[0].length - 1;
  const introduced = introduction.exec(line);
  if (!introduced) return -1;
  const from = introduced.index + introduced[0].length;
  const colon = line.indexOf(':', from);
  if (colon < 0 || colon - from > 120) return -1;
  return /[.!?]\s/.test(line.slice(from, colon)) ? -1 : colon;
}
