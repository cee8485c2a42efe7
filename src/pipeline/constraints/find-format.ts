import type { Constraint } from './constraint.js';
import { type Prompt, quantityAt } from './prompt.js';
import type { Quantity } from './quantity.js';

const few = String.raw`(?:(?!(?:of|and|or|in|with|for|to|that|de|y|o|et|ou|und|oder)\b)[\p{L}']{1,30}[ -]){0,4}?`;

export function findFormat(prompt: Prompt): Constraint[] {
  return [
    ...findBullets(prompt),
    ...findHighlights(prompt),
    ...findPlaceholders(prompt),
    ...findSections(prompt),
    ...findTitle(prompt),
    ...findTwoResponses(prompt),
    ...findJson(prompt),
    ...findTable(prompt),
    ...findPlainText(prompt),
  ];
}

const bulletNouns =
  'bullet(?:ed)?[\\s-]?(?:points?|lists?|items?)|bullets?|stichpunkte?[n]?|aufzählungspunkte?[n]?|viñetas?|puntos|points|puces?';

/** An exact number of bullets unless a bound is stated. */
function findBullets(prompt: Prompt): Constraint[] {
  const counted = new RegExp(String.raw`\{n(\d+)\}[ -]${few}(?:${bulletNouns})(?![\p{L}])`, 'iu');
  const apart = /\{n(\d+)\}[^\n{]{0,60}\b(?:using|as|in|with)\s(?:\p{L}+\s){0,2}bullet[\s-]?points?/iu;
  const listed =
    /bullet(?:ed|ed-point)? list\s(?:with|of|containing|that has)\s\{n(\d+)\}\s(?:items?|points?|entries)/iu;
  const match = counted.exec(prompt.text) ?? apart.exec(prompt.text) ?? listed.exec(prompt.text);
  const quantity = quantityAt(prompt, match?.[1]);
  if (!match || !quantity || quantity.kind === 'about' || !isBullet(prompt, match[0])) return [];
  if (
    /^\s(?:each|per|under|for each)\b/i.test(
      prompt.text.slice(match.index + match[0].length, match.index + match[0].length + 10),
    )
  )
    return [];
  return bulletConstraints(quantity);
}

/** "points" and "puntos" mean bullets only where the words around say so. */
function isBullet(prompt: Prompt, phrase: string): boolean {
  if (/bullet|stichpunkt|aufzählung|viñeta|puce/iu.test(phrase)) return true;
  return prompt.rules === 'es' || prompt.rules === 'fr'
    ? /viñeta|lista|puces?|liste/iu.test(prompt.text)
    : false;
}

function bulletConstraints({ min, max, kind }: Quantity): Constraint[] {
  const id = 'detectable_format:number_bullet_lists';
  if (kind !== 'bound') return min === undefined ? [] : [{ id, kwargs: { num_bullets: min } }];
  const found: Constraint[] = [];
  if (min !== undefined) found.push({ id, kwargs: { relation: 'at least', num_bullets: min } });
  if (max !== undefined) found.push({ id, kwargs: { relation: 'less than', num_bullets: max + 1 } });
  return found;
}

const highlightVerb =
  /\b(?:highlight\w*|italic\w*|emphasi[sz]e\w*|bold(?:ed|face)?|hervorheb\p{L}*|resalta\p{L}*|surligne\p{L}*|cursiva|kursiv\p{L}*|italique)\b/iu;
const markdownSign = /\bmarkdown|aster?isk|\*[^*\n]{1,40}\*|["'“]\*["'”]/iu;

/** Highlighted parts, where asterisks or markdown are named; without a number it is at least one. */
function findHighlights(prompt: Prompt): Constraint[] {
  if (!markdownSign.test(prompt.raw)) return [];
  for (const line of prompt.text.split('\n')) {
    const verb = highlightVerb.exec(line);
    if (!verb || !isHighlightDemand(line, prompt)) continue;
    const count = highlightCount(prompt, line, verb.index);
    return [{ id: 'detectable_format:number_highlighted_sections', kwargs: { num_highlights: count } }];
  }
  return [];
}

function isHighlightDemand(line: string, prompt: Prompt): boolean {
  if (/\b(?:not|don't|no|avoid|without)\s(?:\w+\s){0,3}(?:highlight|italic|bold)/i.test(line)) return false;
  const hasSign = markdownSign.test(line) || /\{n\d+\}|\*/.test(line);
  const isExample = /^\s*(?:\*|\d+\.|for example|example)/i.test(line);
  return hasSign ? !isExample : /\*[^*\n]{1,40}\*/.test(prompt.raw) && !isExample;
}

const highlightedUnit =
  '(?:sections?|parts?|phrases?|words?|keywords?|titles?|texts?|italic|highlights?|sentences?|names?|of your|times|places|items|lines|bold|abschnitte?n?|teile?n?|partes|secciones|parties|sections|palabras|mots|wörter)';

function highlightCount(prompt: Prompt, line: string, at: number): number {
  const pattern = new RegExp(String.raw`\{n(\d+)\}[ -]${few}${highlightedUnit}(?![\p{L}])`, 'giu');
  const matches = [...line.matchAll(pattern)];
  const nearest = matches.find((match) => match.index > at) ?? matches.at(-1);
  const quantity = quantityAt(prompt, nearest?.[1]);
  return Math.max(1, quantity?.min ?? 1);
}

function findPlaceholders(prompt: Prompt): Constraint[] {
  const counted = new RegExp(
    String.raw`\{n(\d+)\}\s${few}(?:placeholders?|platzhaltern?|marcadores|espacios reservados)(?![\p{L}])`,
    'iu',
  );
  const quantity = quantityAt(prompt, counted.exec(prompt.text)?.[1]);
  const isNamed =
    /\bplaceholders?\b[^\n]{0,60}\b(?:square )?brackets?\b|\bbrackets?\b[^\n]{0,40}\bplaceholders?\b/i.test(
      prompt.text,
    );
  const count = quantity?.min ?? (isNamed ? 1 : undefined);
  return count === undefined
    ? []
    : [{ id: 'detectable_content:number_placeholders', kwargs: { num_placeholders: count } }];
}

const sectionNouns =
  'sections?|parts?|chapters?|paragraphs?|days?|scenes?|rounds?|abschnitte[n]?|teile[n]?|secciones|partes|parties';

/** Sections marked "SECTION 1", "Section X" and so on; the marker keeps its case. */
function findSections(prompt: Prompt): Constraint[] {
  if (
    !/\bsections?\b|\bparts?\b|\bchapters?\b|\bparagraphs?\b|\bdays?\b|\babschnitt|\bsecci|\bscenes?\b|\brounds?\b/iu.test(
      prompt.text,
    )
  )
    return [];
  const splitter = sectionMarker(prompt);
  const counted = new RegExp(String.raw`\{n(\d+)\}\s${few}(?:${sectionNouns})(?![\p{L}])`, 'iu').exec(
    prompt.text,
  );
  const quantity = quantityAt(prompt, counted?.[1]);
  const count = quantity?.min ?? quantity?.max;
  if (!splitter || count === undefined) return [];
  return [
    { id: 'detectable_format:multiple_sections', kwargs: { section_spliter: splitter, num_sections: count } },
  ];
}

function sectionMarker(prompt: Prompt): string | undefined {
  const bare =
    /\b(?:with|as|by|like|mit|con|avec|mark\w*|start\w*|begin\w*|label\w*)\b[^\n]{0,40}?\s(\p{Lu}\p{L}{2,20})\s(?:X|N|#|Y)(?![\p{L}\p{N}])/u.exec(
      prompt.text,
    );
  if (bare?.[1]) return bare[1];
  for (const quote of prompt.quotes) {
    const marker = /^(\p{Lu}\p{L}{2,20})\s(?:X|N|#|\[?\d{1,2}\]?)[.:]?$/u.exec(quote)?.[1];
    if (marker) return marker;
  }
  return undefined;
}

const titleSign = /<<[^<>\n]{1,80}>>/;
const titleWords =
  /double angular brackets?|double angle(?:d)? brackets?|doppelten? (?:spitzen?|winkel)\s?klammern|(?:dobles|doble) (?:corchetes|paréntesis) angulares|doubles chevrons/iu;

function findTitle(prompt: Prompt): Constraint[] {
  const isNamed =
    titleWords.test(prompt.text) ||
    (titleSign.test(prompt.text) &&
      /\b(?:title|wrap\w*|brackets?|called|tite?l|überschrift|título|titre|name)\b/iu.test(prompt.text));
  return isNamed ? [{ id: 'detectable_format:title', kwargs: {} }] : [];
}

function findTwoResponses(prompt: Prompt): Constraint[] {
  if (!prompt.text.includes('{six}')) return [];
  const counted =
    /\{n(\d+)\}\s(?:\p{L}+\s){0,2}(?:responses?|answers?|versions?|poems?|jokes?|antworten|respuestas|réponses)(?![\p{L}])/iu.exec(
      prompt.text,
    );
  const count = quantityAt(prompt, counted?.[1]);
  const isTwo = count?.min === undefined || count.min === 2 || count.max === 2;
  return isTwo ? [{ id: 'combination:two_responses', kwargs: {} }] : [];
}

const jsonDemand = new RegExp(
  [
    String.raw`\b(?:wrap\w*|format\w*|respond|answer|reply|return|output|give|provide|write|generate|produce|present|create|list|structure|put|response|result|contains?|use|verpack\w*|antworte|gib|formatiere|ausgabe|antwort|responde|devuelve|escribe|formato|respuesta|réponds|répondez|renvoie|écris|réponse|fournis)\b[^\n]{0,100}?\b(?:in|as|using|with|mit|avec|con|contain(?:s|ing)?|only|valid|als|im|en|au format|comme|como|into|be)\s(?:an?\s|the\s|only\s|just\s|pure\s|valid\s|raw\s|nur\s|ein\s|einem?\s|gültiges\s|un\s|objeto\s|objet\s|válido\s|formato\s|format\s|proper\s|one\s|single\s)*JSON(?!\s?(?:schema|parser|file|web|api|path|lines|libr))`,
    String.raw`\b(?:return|respond|reply|answer|output|give me|provide|devuelve|renvoie|liefere)\s(?:only\s|with\s|me\s|valid\s|just\s|a\s|un\s|solo\s|nur\s)*JSON(?!\s?(?:schema|parser|file|web|api|path|libr))`,
    String.raw`^JSON (?:only|output)\b`,
  ].join('|'),
  'imu',
);

function findJson(prompt: Prompt): Constraint[] {
  const match = jsonDemand.exec(prompt.text);
  if (
    !match ||
    /\b(?:not|don['’]t|no|nicht|kein|without|this|these|my|given|from|parse|read)\s(?:\p{L}+\s){0,4}JSON$/iu.test(
      match[0],
    )
  )
    return [];
  const keys = jsonKeys(prompt, prompt.text.slice(match.index + match[0].length));
  const format: Constraint = { id: 'detectable_format:json_format', kwargs: {} };
  return keys.length > 0 ? [format, { id: 'detectable_format:json_keys', kwargs: { keys } }] : [format];
}

function jsonKeys(prompt: Prompt, after: string): string[] {
  const list =
    /^[^\n]{0,60}?\b(?:keys?|fields?|properties|schlüsseln?|claves|clés|campos|champs)\b:?\s((?:\{q\d+\}(?:\s?,\s?|\s?,?\s(?:and|und|y|et)\s)?)+|[\w]+(?:,\s[\w]+)*,?\s(?:and|und|y|et)\s[\w]+)/iu.exec(
      after,
    )?.[1];
  if (!list) return [];
  return list
    .split(/\s?,\s?(?:(?:and|und|y|et)\s)?|\s(?:and|und|y|et)\s/)
    .map((part) => {
      const quote = /\{q(\d+)\}/.exec(part)?.[1];
      return (quote === undefined ? part : (prompt.quotes[Number(quote)] ?? '')).trim();
    })
    .filter((key) => key !== '');
}

const tableDemand =
  /\b(?:as|in|using|into|with|create|make|give me|draw|include|provide|present|format)\b[^\n]{0,60}?\b(?:a|an|the form of a)\s(?:\w+\s){0,2}(?:markdown |comparison )table\b|\b(?:in|as) (?:a )?(?:markdown )?table(?: format| form)?\b|\b(?:als|in einer) (?:markdown-)?tabelle\b|\b(?:en|como) (?:una )?tabla\b|\b(?:sous forme de|dans un|en) tableau\b/iu;

function findTable(prompt: Prompt): Constraint[] {
  const match = tableDemand.exec(prompt.text);
  if (!match || /\b(?:sql|database|query|column|row|postgres|mysql|html|css)\b/i.test(prompt.text)) return [];
  return [{ id: 'detectable_format:table', kwargs: {} }];
}

const plainText =
  /\b(?:no|without(?: any| using)?|(?:do not|don['’]t|avoid|never) (?:use |using |any )*)\s?markdown\b|\b(?:in|as|use|only) plain text\b|\bplain text only\b|\b(?:ohne|kein) markdown\b|\bsin markdown\b|\bsans markdown\b/iu;

function findPlainText(prompt: Prompt): Constraint[] {
  return plainText.test(prompt.text) ? [{ id: 'detectable_format:plain_text', kwargs: {} }] : [];
}
