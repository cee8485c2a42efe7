import { countLines, readBytes, type TextFile } from '../../files/text-file.js';
import { type Tool, textResult } from '../tool.js';
import { findFile } from './find-file.js';
import { lineRange } from './line-range.js';

const usualLines = 200;
const mostLines = 2000;
/** Below what the loop keeps of a result, so that nothing is cut out of its middle. */
const mostChars = 48 * 1024;
const mostLineChars = 8 * 1024;
const mostBytesOfChar = 3;

const parameters = {
  type: 'object',
  properties: {
    file_name: { type: 'string', description: 'the name of the file as it was given' },
    line_start: { type: 'integer', minimum: 1, description: 'first line, counted from 1' },
    line_end: {
      type: 'integer',
      minimum: 1,
      description: `last line; by default ${usualLines} lines are shown`,
    },
  },
  required: ['file_name', 'line_start'],
  additionalProperties: false,
};

export function createReadFilePartTool(files: ReadonlyMap<string, TextFile>): Tool {
  return {
    name: 'read_file_part',
    description:
      "Shows lines of one of the request's files, each with its number, also those that the context leaves out. " +
      `At most ${mostLines} lines and ${mostChars / 1024} KiB at once; the end says where to go on.`,
    parameters,
    isParallel: true,
    async execute(args) {
      const [name, file] = findFile(files, String(args.file_name));
      const lineStart = Number(args.line_start);
      const lineEnd = args.line_end === undefined ? lineStart + usualLines - 1 : Number(args.line_end);
      return textResult(readPart(name, file, lineStart, lineEnd));
    },
  };
}

function readPart(name: string, file: TextFile, lineStart: number, lineEnd: number): string {
  if (lineEnd < lineStart) throw new Error(`line_end ${lineEnd} is before line_start ${lineStart}.`);
  if (lineStart < file.lineStart || lineStart > file.lineEnd) {
    throw new Error(`"${name}" has lines ${file.lineStart} to ${file.lineEnd}, not line ${lineStart}.`);
  }
  const wanted = Math.min(lineEnd, file.lineEnd);
  const shown: string[] = [];
  let chars = 0;
  let line = lineStart;
  for (; line <= wanted && shown.length < mostLines; line += 1) {
    const text = `${line}: ${readLine(file, line)}`;
    if (chars + text.length > mostChars && shown.length > 0) break;
    shown.push(text);
    chars += text.length + 1;
  }
  const head = `${name}, lines ${lineStart} to ${line - 1} of ${countLines(file.body)}`;
  const goesOn = wanted < file.lineEnd ? `\n[the file goes on to line ${file.lineEnd}]` : '';
  const rest = line <= wanted ? `\n[there is more: go on with line_start ${line}]` : goesOn;
  return `${head}\n${shown.join('\n')}${rest}`;
}

/** One line without its end; of a very long one the beginning only. */
function readLine({ body }: TextFile, line: number): string {
  const { start, end } = lineRange(body, line);
  const text = readBytes(body, start, Math.min(end, start + mostLineChars * mostBytesOfChar)).replace(
    /\r$/,
    '',
  );
  if (text.length <= mostLineChars) return text;
  return `${text.slice(0, mostLineChars)} [… the line has ${end - start} bytes; search_files shows parts of it]`;
}
