import { parseAllDocuments } from 'yaml';
import { clip } from './numbers.js';
import { outlineJsonText } from './read-json.js';

/** Parsing takes about a second for each megabyte. */
const maxParsed = 512 * 1024;
const mostKeys = 100;

/** The shape of YAML; of a long one, or one that is not valid, the keys at its first level. */
export function outlineYaml(text: string): string {
  return (text.length <= maxParsed && outlineParsed(text)) || outlineKeys(text);
}

function outlineParsed(text: string): string | undefined {
  try {
    const documents = parseAllDocuments(text, { prettyErrors: false });
    if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0)) return undefined;
    // aliases are not followed more than a few times, so that a short text cannot unfold into a huge one
    const values = documents.map(
      (document) => JSON.stringify(document.toJS({ maxAliasCount: 50 })) ?? 'null',
    );
    return outlineJsonText(values.join('\n')).replace('JSON', 'YAML');
  } catch {
    return undefined;
  }
}

function outlineKeys(text: string): string {
  const keys: string[] = [];
  for (const [line] of text.matchAll(/^[\p{L}_"'][^:#\n]{0,80}:(?=\s|$)/gmu)) {
    keys.push(clip(line.slice(0, -1), 80));
    if (keys.length === mostKeys) break;
  }
  return keys.length === 0 ? '' : `YAML with the keys ${keys.join(', ')}`;
}
