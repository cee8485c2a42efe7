import type { TextFile } from '../../files/text-file.js';

const mostNames = 20;
const longestName = 200;

/** The file that a model means. Throws with the names that there are. */
export function findFile(files: ReadonlyMap<string, TextFile>, name: string): [string, TextFile] {
  const exact = files.get(name);
  if (exact) return [name, exact];
  const similar = [...files].filter(([known]) => baseName(known) === baseName(name));
  const [only] = similar;
  if (only && similar.length === 1) return only;
  const names = [...files.keys()].slice(0, mostNames).map((known) => known.slice(0, longestName));
  throw new Error(`There is no file "${name.slice(0, longestName)}". Files: ${names.join(', ')}.`);
}

/** Models leave out directories and change the case. */
const baseName = (path: string) => path.toLowerCase().split(/[/\\]/).at(-1);
