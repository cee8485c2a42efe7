import { splitSentences } from '../text.js';
import type { Constraint } from './constraint.js';
import { isQuestion } from './mood.js';
import type { Prompt } from './prompt.js';

/** "JSON schema", "a JSON parser" and the like are other things than the answer's form. */
const json = String.raw`JSON(?![\p{L}\d]|[\s-]?(?:schema|parser|file|web|api|path|lines|libr|pointer|patch|viewer|editor|column|datei|parser|archivo|fichier)|\.\p{L})`;

const answerNoun =
  'response|answer|reply|output|result|everything|(?:the )?(?:whole|entire) (?:thing|text)|antwort|ausgabe|ergebnis|alles|respuesta|salida|resultado|todo|contestación|réponse|sortie|résultat|tout';
const answerVerb = String.raw`wrap\w*|format\w*|respond|answer|reply|return|output|give|provide|write|generate|produce|present|create|list|structure|put|deliver|send|render|encode|express|use|emit|describe|summari[sz]e|explain|show|compare|export|verpack\p{L}*|antworte\p{L}*|gib|geben|formatier\p{L}*|liefer\p{L}*|schreib\p{L}*|erstell\p{L}*|stell\p{L}*|respond\p{L}*|contest\p{L}*|devuelv\p{L}*|devolv\p{L}*|da|dame|dé|entreg\p{L}*|formate\p{L}*|gener\p{L}*|escrib\p{L}*|present\p{L}*|usa|utiliza|répond\p{L}*|renvo\p{L}*|retourn\p{L}*|donn\p{L}*|fourni\p{L}*|format\p{L}*|écri\p{L}*|utilis\p{L}*|rend\p{L}*|présent\p{L}*`;
const wish = `(?:want|need|expect|would like|['’]d like|prefer|möchte|brauche|hätte|will|quiero|quisiera|necesito|veux|voudrais|souhaite|besoin)`;
/** Words that lead to JSON as the form of something: "in", "as valid", "ausschließlich als", "sous forme d'objet". */
const leading = `(?:(?:solo|nur|uniquement|únicamente|seulement)|in|as|using|with|into|only|just|valid|nothing but|contain(?:s|ing)?|be|is|muss|soll|sollte|darf|mit|als|im|nur|gültige[sn]?|valides|sein|ist|con|en|como|solo|sólo|únicamente|válido|ser|es|avec|au|comme|uniquement|seulement|du|être|est|sous)`;
const filler = String.raw`(?:\s(?:\{n\d+\}|an?|the|only|just|pure|valid|raw|well[- ]formed|proper|one|single|complete|form of(?: an?)?|form von|format|nothing but|nur|ein(?:em|es)?|einzige[sn]?|gültige[sn]?|valide[sn]?|form eines|un|una|solo|único|objeto|formato|forma de(?: un)?|válido|d['’]un|de|d['’]|objet|seul|unique|format|forme d['’]?(?:un )?))*`;
const demands = [
  String.raw`(?<![\p{L}])(?:${answerNoun}|${answerVerb}|${wish})(?![\p{L}])[^\n]{0,100}?(?<![\p{L}])${leading}${filler}[\s'’-]?\s?(?:objet\s)?${json}`,
  String.raw`(?<![\p{L}])(?:return|respond|reply|answer|output|emit|give me|provide|deliver|devuelve|devuélveme|renvoie|liefere|gib)(?:\s(?:only|with|me|valid|just|a|an|one|single|pure|raw|un|solo|nur|mir|reines|gültiges|objeto|du))*\s${json}`,
  String.raw`(?:gültiges|valides|reines|nur|als)\sJSON(?:[\s-](?:objekt|array|format))?\s(?:zurück|aus|liefer|antwort|bitte)\p{L}*`,
  String.raw`(?<![\p{L}])(?:only|just|nothing but|nur|ausschließlich|solo|sólo|únicamente|uniquement|seulement|que du)\s(?:valid\s|pure\s|du\s|gültiges\s)?JSON(?=\s?(?:[.,!)]|$|please|bitte|por favor))`,
  String.raw`^(?:please,?\s|bitte\s|por favor,?\s|s['’]il te plaît,?\s)?(?:as|in|im|als|en|como|au)\s(?:valid\s|formato?\s|format\s)?JSON`,
  String.raw`(?:can|could|may)\s(?:i|we)\s(?:please\s)?(?:have|get)\s[^\n]{0,60}?(?:as|in)\s(?:valid\s)?JSON`,
  String.raw`(?<![\p{L}])(?:appreciate|${wish}|give me|provide|produce|return|send)\s(?:me\s)?(?:an?\s|the\s|\{n\d+\}\s)?(?:valid\s|pure\s)?JSON(?:[\s-](?:response|answer|reply|output|object|document|válido|valide)(?![\p{L}])|\s?[.!]?$)`,
  String.raw`use\sJSON\s(?:for|as|in)\s(?:the\s|your\s|its\s|an?\s|whole\s|entire\s)*(?:${answerNoun}|format)`,
  String.raw`JSON\s(?:only|uniquement|seulement|únicamente|solamente|exclusively|and nothing else|und sonst nichts|y nada más|et rien d['’]autre)`,
  String.raw`^\(?(?:answer|response|output|format|antwort|ausgabe|respuesta|salida|réponse|sortie)?\s?(?:format)?\s?[:=]?\s?(?:only |valid |nur |solo )?JSON(?:[\s-](?:only|output|format|please|bitte|por favor))?\s?[.!)]*$`,
].map((source) => new RegExp(source, 'iu'));

const refused =
  /(?<![\p{L}])(?:not|n['’]t|no|never|nicht|kein|without|ohne|sin|pas|sans|this|these|my|our|given|from|parse|read|load|between|versus|vs|than)\s(?:\p{L}+\s){0,4}JSON$/iu;

export function findJson(prompt: Prompt): Constraint[] {
  for (const line of prompt.text.split('\n')) {
    if (!/json/i.test(line)) continue;
    const match = demands.map((pattern) => pattern.exec(line)).find((found) => found !== null);
    if (!match || refused.test(line.slice(0, line.toUpperCase().indexOf('JSON', match.index) + 4))) continue;
    const keys = jsonKeys(
      prompt,
      prompt.text.slice(prompt.text.indexOf(line) + match.index + match[0].length),
    );
    const format: Constraint = { id: 'detectable_format:json_format', kwargs: {} };
    const schema = findSchema(prompt);
    if (schema) return [format, { id: 'detectable_format:json_schema', kwargs: { schema } }];
    return keys.length > 0 ? [format, { id: 'detectable_format:json_keys', kwargs: { keys } }] : [format];
  }
  const schema = findSchema(prompt);
  return schema
    ? [
        { id: 'detectable_format:json_format', kwargs: {} },
        { id: 'detectable_format:json_schema', kwargs: { schema } },
      ]
    : [];
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

const schemaDemand =
  /(?<![\p{L}])(?:match\w*|conform\w*|follow\w*|valid\w*|according|adher\w*|compl\w*|satisf\w*|fits?|using|use|with|entspr\p{L}*|gemäß|nach|passend|befolg\p{L}*|cumpl\p{L}*|según|siga|sigue|respect\p{L}*|conforme\p{L}*|selon|sui[tv]\p{L}*)(?![\p{L}])[^\n]{0,60}?(?:JSON[\s-])?(?:schema|esquema|schéma)(?![\p{L}])/iu;
const LONGEST_SCHEMA = 8000;

/** The JSON schema that the message holds, where the answer is to follow it. */
function findSchema(prompt: Prompt): Record<string, unknown> | undefined {
  const open = prompt.raw.search(/\{\s*"/);
  const close = prompt.raw.lastIndexOf('}');
  if (open < 0 || close < open || close - open > LONGEST_SCHEMA) return undefined;
  const before =
    splitSentences(prompt.raw.slice(Math.max(0, open - 400), open).replace(/`+\w*\s*$/, '')).at(-1) ?? '';
  const isDemanded = schemaDemand.test(prompt.text) || (schemaDemand.test(before) && !isQuestion(before));
  if (!isDemanded) return undefined;
  return parseSchema(prompt.raw.slice(open, close + 1));
}

function parseSchema(text: string): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isSchema =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    ('type' in value || 'properties' in value);
  return isSchema ? (value as Record<string, unknown>) : undefined;
}
