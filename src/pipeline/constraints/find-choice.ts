import type { Constraint } from './constraint.js';
import type { Prompt } from './prompt.js';

const id = 'detectable_format:constrained_response';
const benchmarkOptions = ['my answer is yes', 'my answer is no', 'my answer is maybe'];

const oneOf =
  /(?:\b(?:choose|pick|select)\s(?:[\p{L}{}\d]+\s){0,5}from\b|\b(?:answer|respond|reply|response|choose|pick|say|antworte|antwort|responde|respuesta|réponds|réponse)\b[^\n]{0,60}(?:\bone of|\{n\d+\} of|eine[rmns]? der|una de|l['’]une? des)\b)[^\n:{]{0,60}:?\s*\(?((?:\{q\d+\}[\s,;/.]*(?:(?:and|or|und|oder|y|o|et|ou)\s)?){2,12})?/iu;
const eitherOr =
  /\b(?:answer|respond|reply|say|antworte|responde|réponds)\b[^\n{]{0,40}((?:\{q\d+\}(?:,?\s?(?:or|oder|o|ou)\s|,\s)){1,8}\{q\d+\})/iu;
const bareYesNo =
  /\b(?:answer|respond|reply|say|antworte|responde|réponds|répondez)\b(?:\s(?:only|just|simply|with|a|the|one|word|nur|mit|einfach|solo|con|únicamente|seulement|par|please|me)){0,5}\s(?:["']?)((?:yes|true|ja|sí|si|oui|wahr|verdadero|vrai)(?:,|\s(?:or|oder|o|ou|\/))\s?(?:\p{L}+(?:,\s|\s(?:or|oder|o|ou)\s))?\p{L}+)/iu;

/** A closed set of answers to choose from. */
export function findChoices(prompt: Prompt): Constraint[] {
  if (namesBenchmarkOptions(prompt)) return [{ id, kwargs: {} }];
  const options = listedOptions(prompt) ?? bareOptions(prompt);
  if (!options || options.length < 2) return [];
  const isBenchmark =
    options.length === 3 && options.every((option) => benchmarkOptions.includes(plain(option)));
  return [{ id, kwargs: isBenchmark ? {} : { options } }];
}

/** All three stock answers together are a choice, however they are introduced. */
function namesBenchmarkOptions({ raw }: Prompt): boolean {
  const text = raw.toLowerCase();
  return benchmarkOptions.every((option) => text.includes(option));
}

function plain(option: string): string {
  return option.toLowerCase().replace(/[.!]$/, '');
}

function listedOptions(prompt: Prompt): string[] | undefined {
  const match = oneOf.exec(prompt.text);
  const either = eitherOr.exec(prompt.text);
  const isRefused = /\b(?:not|n['’]t|never|avoid|without|nicht|no|ne)\s(?:\p{L}+\s){0,2}$/iu.test(
    prompt.text.slice(0, either?.index ?? 0),
  );
  const list = match?.[1] ?? (isRefused ? undefined : either?.[1]);
  if (list) return [...list.matchAll(/\{q(\d+)\}/g)].map((quote) => prompt.quotes[Number(quote[1])] ?? '');
  if (!match || !/:\s*$/.test(match[0])) return undefined;
  const line = prompt.text.slice(0, match.index + match[0].trimEnd().length).split('\n').length;
  return optionLines(prompt.sentences.slice(line));
}

/** The lines after "one of the following phrases:", as long as they look like options. */
function optionLines(sentences: string[]): string[] {
  const lines = sentences.slice(0, 12).map((line) => line.replace(/^\s*(?:[-*•]|\d{1,2}[.)])\s/, '').trim());
  const end = lines.findIndex((line) => line === '' || line.length > 60);
  return lines.slice(0, end < 0 ? lines.length : end);
}

function bareOptions(prompt: Prompt): string[] | undefined {
  const list = bareYesNo.exec(prompt.text)?.[1];
  return list?.split(/,\s|\s(?:or|oder|o|ou)\s/).map((option) => option.trim());
}
