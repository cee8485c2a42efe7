import type { FileBody } from '../../files/text-file.js';

const newline = 10;

/** The bytes of a line without its end. */
export function lineRange({ bytes, lineOffsets }: FileBody, line: number): { start: number; end: number } {
  const start = lineOffsets[line - 1] ?? bytes.length;
  const end = lineOffsets[line] ?? bytes.length;
  return { start, end: end > start && bytes[end - 1] === newline ? end - 1 : end };
}
