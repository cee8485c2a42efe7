import type { TextFile } from '../../files/text-file.js';
import type { Tool } from '../tool.js';
import { createReadFilePartTool } from './read-file-part.js';
import { createSearchFilesTool } from './search-files.js';

/** Tools that every caller may name; they are offered with requests that bring files. */
export const fileToolNames = ['read_file_part', 'search_files'] as const;

/** Tools over the files of one request; none when there is no text to read. They show the asked lines only. */
export function createFileTools(files: TextFile[]): Tool[] {
  if (files.length === 0) return [];
  const byName = nameFiles(files);
  return [createReadFilePartTool(byName), createSearchFilesTool(byName)];
}

/** The files by name; further ones of the same name are `name (2)`, `name (3)` … */
function nameFiles(files: TextFile[]): Map<string, TextFile> {
  const byName = new Map<string, TextFile>();
  for (const file of files) {
    let name = file.name;
    for (let number = 2; byName.has(name); number += 1) name = `${file.name} (${number})`;
    byName.set(name, file);
  }
  return byName;
}
