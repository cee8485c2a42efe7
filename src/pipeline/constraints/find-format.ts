import type { Constraint } from './constraint.js';
import { findJson } from './find-json.js';
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
  'bullet(?:ed)?[\\s-]?(?:points?|lists?|items?)|bullets?|bulletpoints?|stichpunkte?[n]?|aufzählungs(?:punkte?[n]?|zeichen)|spiegelstriche?[n]?|viñetas?|puntos|points|puces?|tirets?|guiones';
/** "a bullet list with 4 items": the list stands first, the count after it. */
const listedBullets =
  /(?:bullet(?:ed|[ -]?point(?:ed|s)?)? list|list of bullet(?: ?point)?s|aufzählung|(?:aufzählungs|stichpunkt)liste|liste(?! numérot)|lista(?! numerad)(?: (?:de|con) viñetas)?|liste à puces)(?:,?\s(?!about|of\b|über|sobre|sur|des\b|de (?!\{n))\p{L}+){0,3}?\s(?:with|of|containing|consisting of|that has|having|mit|aus|von|de|con|avec|comportant|:)\s(?:\p{L}+\s){0,2}?\{n(\d+)\}\s(?:\p{L}+\s){0,2}?(?:items?|points?|entries|elements?|bullets?|bullet points?|punkten?|stichpunkten?|aufzählungspunkten?|einträgen?|puntos|elementos|viñetas|points|éléments?|puces)(?![\p{L}])/iu;

/** An exact number of bullets unless a bound is stated. */
function findBullets(prompt: Prompt): Constraint[] {
  const counted = new RegExp(
    String.raw`\{n(\d+)\}[ -](?!\p{L}*\s?à\s|listes? |listas? )${few}(?:${bulletNouns})(?!\p{L}|\s?(?:list|liste)s?\b)`,
    'iu',
  );
  const apart =
    /\{n(\d+)\}[^\n{]{0,60}\b(?:using|as|in|with|als|en)\s(?:\p{L}+\s){0,2}(?:bullet[\s-]?points?|bullets|aufzählungspunkte|stichpunkte|viñetas|puces)/iu;
  const later =
    /\b(?:bullet[\s-]?points?|bullets)\b[^\n{]{0,40}\{n(\d+)\}(?:\s(?:of them|in total|items?)|\s?[.,!?)]|$)/iu;
  const listed = listedBullets.exec(prompt.text);
  const match =
    (listed && isBullet(prompt, listed[0]) ? listed : null) ??
    counted.exec(prompt.text) ??
    apart.exec(prompt.text) ??
    later.exec(prompt.text);
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
  if (/bullet|stichpunkt|spiegelstrich|aufzählung|viñeta|puce/iu.test(phrase)) return true;
  return prompt.rules === 'es' || prompt.rules === 'fr'
    ? /viñeta|lista(?! numerad)|puces?|liste(?! numérot)|\*/iu.test(prompt.text)
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
  /\b(?:highlight\w*|italic\w*|emphasi[sz]e\w*|bold(?:ed|face)?|hervorheb\p{L}*|resalta\p{L}*|destaca\p{L}*|surlign\p{L}*|cursiva|negrita|fett|gras|mark(?:ed)? up|set in|kursiv\p{L}*|italique)\b/iu;
const markdownSign = /\bmarkdown|aster?isk|\*[^*\n]{1,40}\*|["'“]\*["'”]/iu;

/** Highlighted parts, where asterisks or markdown are named; without a number it is at least one. */
function findHighlights(prompt: Prompt): Constraint[] {
  if (!markdownSign.test(prompt.raw)) return [];
  for (const line of prompt.text.split('\n')) {
    const verb = highlightVerb.exec(line);
    if (!verb || !isHighlightDemand(line, prompt)) continue;
    const bare = line.replaceAll('*', '');
    const count = highlightCount(prompt, bare, highlightVerb.exec(bare)?.index ?? 0);
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
  const direct = quantityAt(prompt, /^[^\s]*\s\{n(\d+)\}/.exec(line.slice(at))?.[1]);
  if (direct?.min !== undefined) return Math.max(1, direct.min);
  const pattern = new RegExp(String.raw`\{n(\d+)\}[ -]${few}${highlightedUnit}(?![\p{L}])`, 'giu');
  const matches = [...line.matchAll(pattern)];
  const nearest = matches.find((match) => match.index > at) ?? matches.at(-1);
  const counts = [...line.matchAll(/\{n(\d+)\}(?!\s(?:words?|sentences?|paragraphs?)\b)/g)];
  const quantity = quantityAt(prompt, nearest?.[1] ?? (counts.length === 1 ? counts[0]?.[1] : undefined));
  return Math.max(1, quantity?.min ?? 1);
}

function findPlaceholders(prompt: Prompt): Constraint[] {
  const counted = new RegExp(
    String.raw`\{n(\d+)\}\s${few}(?:placeholders?|platzhaltern?|marcadores|espacios reservados)(?![\p{L}])`,
    'iu',
  );
  const later =
    /\b(?:placeholders?|platzhalter\p{L}*)\b[^\n{]{0,60}\{n(\d+)\}(?!\s(?:words?|sentences?|paragraphs?|times))/iu;
  const around =
    /\{n(\d+)\}\s(?:\p{L}+\s){1,3}(?:with|by|as|using|through)\s(?:\p{L}+\s){0,2}placeholders?\b/iu;
  const quantity = quantityAt(
    prompt,
    (counted.exec(prompt.text) ?? around.exec(prompt.text) ?? later.exec(prompt.text))?.[1],
  );
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
  'sections?|parts?|chapters?|paragraphs?|days?|scenes?|rounds?|steps?|acts?|abschnitte[n]?|teile[n]?|kapiteln?|secciones|partes|capítulos|parties|chapitres|étapes|pasos';

/** Sections marked "SECTION 1", "Section X" and so on; the marker keeps its case. */
function findSections(prompt: Prompt): Constraint[] {
  const splitter = sectionMarker(prompt);
  if (splitter === undefined) return [];
  const own = splitter.toLowerCase();
  const counted = new RegExp(
    String.raw`\{n(\d+)\}\s${few}(?:${sectionNouns}|${own}s?)(?![\p{L}])`,
    'iu',
  ).exec(prompt.text);
  const quantity = quantityAt(prompt, counted?.[1]);
  const count = quantity?.min ?? quantity?.max;
  if (count === undefined) return [];
  return [
    { id: 'detectable_format:multiple_sections', kwargs: { section_spliter: splitter, num_sections: count } },
  ];
}

function sectionMarker(prompt: Prompt): string | undefined {
  const bare =
    /\b(?:with|as|by|like|mit|con|avec|mark\w*|start\w*|begin\w*|label\w*|titled?|called|named|head\w*|introduc\w*)\b[^\n]{0,40}?[\s:](\p{Lu}\p{L}{2,20})\s(?:X|N|#|Y|\{n\d+\}(?:,|\s(?:and|und|y|et)\s))(?![\p{L}\p{N}])/u.exec(
      prompt.text,
    );
  if (bare?.[1]) return bare[1];
  for (const quote of prompt.quotes) {
    const marker = /^(\p{Lu}\p{L}{2,20})\s(?:X|N|#|\[?\d{1,2}\]?)[.:]?$/u.exec(quote)?.[1];
    if (marker) return marker;
  }
  return undefined;
}

const titleSign = /<<[^<>\n]{0,80}>>|<<\s?(?:and|und|y|et)\s?>>/;
const titleWords =
  /double angular brackets?|double[- ]angled? brackets?|double chevrons|doppelten? (?:spitzen?|winkel)\s?klammern|(?:dobles|doble) (?:corchetes|paréntesis|comillas) angulares|(?:corchetes|paréntesis|comillas) angulares dobles|doubles (?:chevrons|crochets angulaires)|(?:chevrons|crochets angulaires) doubles/iu;

function findTitle(prompt: Prompt): Constraint[] {
  const isNamed =
    titleWords.test(prompt.text) ||
    (titleSign.test(
      prompt.text.replace(/\{q\d+\}/g, (mark) => prompt.quotes[Number(mark.slice(2, -1))] ?? ''),
    ) &&
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

const tableDemand =
  /\b(?:as|in|using|into|with|create|make|give me|draw|include|provide|present|format)\b[^\n]{0,60}?\b(?:a|an|the form of a)\s(?:\w+\s){0,2}(?:markdown |comparison )table\b|\b(?:in|as) (?:a )?(?:markdown )?table(?: format| form)?\b|\b(?:give me|create|make|draw|produce|show me|generate|add|include) (?:a|\{n\d+\}) (?:\w+ )?table (?:of|with|that|comparing|listing|showing|for)\b|\b(?:als|in (?:einer|\{n\d+\})|tabellarisch)(?: (?:markdown-)?tabelle)?\b(?<=tabelle|tabellarisch)|\b(?:en|como) (?:una |\{n\d+\} )?tabla\b|\b(?:sous forme de|dans (?:un|\{n\d+\})|en) tableau\b/iu;

function findTable(prompt: Prompt): Constraint[] {
  if (!/tab(?:le|ell|la)/i.test(prompt.text)) return [];
  const match = tableDemand.exec(prompt.text);
  if (!match || /\b(?:sql|database|query|column|row|postgres|mysql|html|css)\b/i.test(prompt.text)) return [];
  return [{ id: 'detectable_format:table', kwargs: {} }];
}

const plainText =
  /\b(?:no|without(?: any| using)?|(?:do not|don['’]t|avoid|never) (?:use |using |any )*)\s?markdown\b|\b(?:in|as|use|only) plain text\b|\bplain text only\b|\b(?:ohne|kein) markdown\b|\bsin markdown\b|\bsans markdown\b/iu;

function findPlainText(prompt: Prompt): Constraint[] {
  return plainText.test(prompt.text) ? [{ id: 'detectable_format:plain_text', kwargs: {} }] : [];
}
