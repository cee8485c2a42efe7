import type { Constraint } from './constraint.js';
import { type Prompt, quantityAt } from './prompt.js';

const languageNames =
  'python|javascript|typescript|java|c\\+\\+|c#|golang|go|rust|ruby|php|kotlin|swift|bash|shell|sql|html|css|perl|scala|haskell|lua|dart|elixir|clojure|julia|matlab|yaml|toml|xml';
const named = `(?<name>${languageNames})(?![\\p{L}+#])`;
const one = String.raw`(?:(?:an?|one|the|single|fenced|markdown|einen?|einem|un|una|\{n\d+\})\s)*`;

/** Where the answer's code must stand, or what it must be written in; a mere "Python function" demands neither. */
const patterns = [
  String.raw`(?:in|into|inside|within|as|using|with|als|en|dans|como)\s${one}(?:${named}\s)?(?:code[\s-](?:block|fence)s?|codeblock|codeblöcken?)(?:\s(?:in|auf|en|de)\s(?<later>${languageNames})(?![\p{L}+#]))?`,
  String.raw`(?:en|dans)\s${one}(?:bloque|bloc)s?\sde\s(?:código|code)(?:\s(?:en|de)\s${named})?`,
  String.raw`(?:code|código)\s(?:\p{L}+\s){0,3}?(?:must|should|has to|needs to|is to|shall|soll|muss|debe|tiene que|doit)\s(?:\p{L}+\s){0,4}?(?:in|en)\s${named}`,
  String.raw`(?:write|give|show|provide|put|schreibe?|gib|zeige?|escribe|muestra|écris|donne|montre)\s(?:me\s|mir\s)?(?:(?:all|the|your|any|den|allen|el|todo|le|tout)\s)*(?:code|código|code examples|examples|beispiele|ejemplos|exemples)(?:\s\p{L}+){0,2}?\s(?:in|en)\s${named}`,
  String.raw`(?:use|verwende|benutze|usa|utilise)\s(?:only\s|nur\s|solo\s)?${named}\s(?:for|für|para|pour)\s(?:all\s|the\s|your\s|any\s|den\s|allen\s|el\s|todo\s|le\s|tout\s)*(?:code|código|examples|beispiele)`,
  String.raw`(?:code|examples)\s(?:only\s)?in\s${named}(?:,?\splease|\sonly)`,
].map((source) => new RegExp(String.raw`(?<![\p{L}])(?:${source})`, 'iu'));

export function findCode(prompt: Prompt): Constraint[] {
  return [...findCodeBlock(prompt), ...findNumberedList(prompt)];
}

function findCodeBlock(prompt: Prompt): Constraint[] {
  if (!/code|código|examples|beispiele|ejemplos|exemples/i.test(prompt.text)) return [];
  const match = patterns.map((pattern) => pattern.exec(prompt.text)).find((found) => found !== null);
  if (!match || isRefused(prompt.text, match.index)) return [];
  const language = (match.groups?.name ?? match.groups?.later)?.toLowerCase();
  return [{ id: 'detectable_format:code_block', kwargs: language ? { language } : {} }];
}

function isRefused(text: string, at: number): boolean {
  return /(?<![\p{L}])(?:not|n['’]t|no|without|never|nicht|kein\p{L}*|ohne|sin|pas|sans)\s(?:\p{L}+\s){0,5}$/iu.test(
    text.slice(Math.max(0, at - 80), at),
  );
}

const listName =
  '(?:numbered|ordered) lists?|nummerierte[nr]? (?:liste|aufzählung)|listas? (?:numerada|ordenada)s?|listes? numérotées?';
const numberedList = new RegExp(
  String.raw`(?<![\p{L}])(?:as|in|with|using|use|write|make|give|create|provide|format|include|als|in|mit|verwende|erstelle|schreibe?|como|en|con|usa|haz|sous forme d['’]une|dans|avec|fais|utilise)\s(?:(?:me|it|the|form|of|an?|eine[rn]?|una?|une|forma|de|\{n\d+\})\s){0,5}(?:${listName})(?:,?\s(?:\p{L}+\s){0,2}?(?:of|with|mit|aus|von|de|con|avec)\s\{n(?<count>\d+)\}|\s\{n(?<direct>\d+)\})?`,
  'iu',
);
const numberedItems =
  /(?<![\p{L}])\{n(?<count>\d+)\}\s(?:\p{L}+\s)?(?:numbered|nummerierte[n]?|numerad[ao]s|numérotée?s)\s(?:items?|points?|steps?|punkte[n]?|schritte[n]?|puntos|pasos|points|étapes)(?<direct>)/iu;

function findNumberedList(prompt: Prompt): Constraint[] {
  if (!/number|order|nummer|numer|orden|numéro/i.test(prompt.text)) return [];
  const match =
    numberedItems.exec(prompt.text) ??
    /\{n(?<count>\d+)\}\s(?:\p{L}+\s){0,3}?(?:als nummerierte liste|(?:as|in) an? (?:numbered|ordered) list|in (?:einer|\{n\d+\}) nummerierten liste|en una lista numerada|dans une liste numérotée)(?<direct>)/iu.exec(
      prompt.text,
    ) ??
    numberedList.exec(prompt.text);
  if (!match || isRefused(prompt.text, match.index)) return [];
  const quantity = quantityAt(prompt, match.groups?.count ?? match.groups?.direct);
  const count = quantity?.kind === 'about' ? undefined : quantity?.min;
  return [{ id: 'detectable_format:numbered_list', kwargs: count === undefined ? {} : { num_items: count } }];
}
