import { type FoundFunction, findFunctions } from './find-functions.js';
import { findLanguage, guessLanguage, type Language, languageOfFile } from './languages.js';
import { maskCode } from './mask-code.js';
import { progress, type TaskWork } from './task.js';
import type { MetricsPayload } from './task-types.js';

type Source = { name: string; content: string; language: Language };
type Counts = { lines: number; code_lines: number; comment_lines: number; blank_lines: number };

const mostShownFunctions = 200;

/** Lines, functions and nesting of source code, for each file and in total. */
export async function* measureCode(payload: MetricsPayload): TaskWork {
  const sources = toSources(payload);
  const files = [];
  let longest: (FoundFunction & { file: string }) | undefined;
  const total = {
    files: sources.length,
    lines: 0,
    code_lines: 0,
    comment_lines: 0,
    blank_lines: 0,
    functions: 0,
  };
  let deepest = 0;
  yield progress(0, `Measuring ${sources.length === 1 ? 'the code' : `${sources.length} files`}`);
  for (const source of sources) {
    const { counts, functions, deepestNesting } = measure(source);
    for (const name of ['lines', 'code_lines', 'comment_lines', 'blank_lines'] as const)
      total[name] += counts[name];
    total.functions += functions.length;
    deepest = Math.max(deepest, deepestNesting);
    const longestHere = longestOf(functions);
    if (longestHere && longestHere.lines > (longest?.lines ?? 0))
      longest = { ...longestHere, file: source.name };
    files.push({
      name: source.name,
      language: source.language.name,
      ...counts,
      function_count: functions.length,
      max_nesting: deepestNesting,
      longest_function: longestHere ?? null,
      functions: functions.slice(0, mostShownFunctions),
    });
    yield progress(files.length / sources.length, `Measured ${source.name}`);
  }
  return { total: { ...total, max_nesting: deepest, longest_function: longest ?? null }, files };
}

function toSources({ files, code = '', language }: MetricsPayload): Source[] {
  if (files) return files.map((file) => ({ ...file, language: languageOfFile(file.name) }));
  return [
    {
      name: 'code',
      content: code,
      language: language === undefined ? guessLanguage(code) : findLanguage(language),
    },
  ];
}

function measure({ content, language }: Source) {
  const code = content.replace(/\r\n?/g, '\n');
  const masked = maskCode(code, language);
  const { functions, deepestNesting } = findFunctions(masked.text, language);
  return { counts: countLines(code, masked.text, masked.hasComment), functions, deepestNesting };
}

/** A line with code and a comment counts as code; a blank line inside a comment as comment. */
function countLines(code: string, masked: string, hasComment: boolean[]): Counts {
  const counts = { lines: 0, code_lines: 0, comment_lines: 0, blank_lines: 0 };
  if (code === '') return counts;
  const lines = masked.split('\n');
  // the break at the end of the last line begins no other line
  if (lines.at(-1) === '' && code.endsWith('\n')) lines.pop();
  for (const [index, line] of lines.entries()) {
    counts.lines += 1;
    if (line.trim() !== '') counts.code_lines += 1;
    else if (hasComment[index]) counts.comment_lines += 1;
    else counts.blank_lines += 1;
  }
  return counts;
}

function longestOf(functions: FoundFunction[]): FoundFunction | undefined {
  return functions.reduce<FoundFunction | undefined>(
    (longest, each) => (longest === undefined || each.lines > longest.lines ? each : longest),
    undefined,
  );
}
