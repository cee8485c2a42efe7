import { settingMeantBy } from './near-misses.js';

export type StrayLines = { problems: string[]; warnings: string[] };

/** One assignment as the runtime reads it; a value in quotes may have several lines. */
const assignment =
  /[^\S\n]*(?:export[^\S\n]+)?[\w.-]+[^\S\n]*=[^\S\n]*(?:"[^"]*"|'[^']*'|`[^`]*`)?[^\n]*(?:\n|$)/y;
const blankOrComment = /[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y;
const anyLine = /[^\S\n]*(?:export[^\S\n]+)?([\w.-]*)[^\n]*(?:\n|$)/y;

/**
 * The lines of a `.env` file that set nothing, which the runtime passes over in silence. One that begins with the name of a
 * setting is a problem: a limit or a mode would be off that somebody thinks is on. What is on a line may be a secret.
 */
export function strayLines(text: string, path: string): StrayLines {
  const found: StrayLines = { problems: [], warnings: [] };
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const fine = matchAt(blankOrComment, text, at) ?? matchAt(assignment, text, at);
    const [lines = '', word = ''] = fine ?? matchAt(anyLine, text, at) ?? [text.slice(at)];
    if (!fine) {
      const meant = settingMeantBy(word);
      const place = `${path}, line ${line}`;
      if (meant === undefined) found.warnings.push(`${place} is not NAME=value and is not used`);
      else found.problems.push(`${place} must be ${meant}=value, or a comment that begins with #`);
    }
    line += lines.split('\n').length - 1;
    at += lines.length;
  }
  return found;
}

function matchAt(form: RegExp, text: string, at: number): RegExpExecArray | undefined {
  form.lastIndex = at;
  return form.exec(text) ?? undefined;
}
