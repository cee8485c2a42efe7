import { Fault } from '../core/errors.js';

export type FileInput = {
  name: string;
  content: string | Uint8Array;
  lineStart?: number | undefined;
  lineEnd?: number | undefined;
};

/** A file as text. Lines count from 1 and refer to the whole file. */
export type TextFile = { name: string; text: string; lineStart: number; lineEnd: number };

/**
 * Reads a file's text and keeps the asked lines.
 * Throws `invalid_file`, naming `files[index]`, for content that is not UTF-8 text or lines that are not there.
 */
export function ingestFile(input: FileInput, index: number): TextFile {
  const text = typeof input.content === 'string' ? input.content : decode(input.content, index);
  const lines = text.split('\n');
  const lineStart = input.lineStart ?? 1;
  const lineEnd = Math.min(input.lineEnd ?? lines.length, lines.length);
  if (lineStart > lines.length) {
    throw invalid(
      `files[${index}].line_start`,
      `is ${lineStart}, but the file has ${lines.length} line${lines.length === 1 ? '' : 's'}`,
    );
  }
  const isWhole = lineStart === 1 && lineEnd === lines.length;
  return {
    name: input.name,
    text: isWhole ? text : lines.slice(lineStart - 1, lineEnd).join('\n'),
    lineStart,
    lineEnd,
  };
}

function decode(bytes: Uint8Array, index: number): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw invalid(`files[${index}].content_base64`, 'is not UTF-8 text; only text files can be read');
}

function invalid(path: string, message: string): Fault {
  return new Fault('invalid_file', `${path} ${message}.`, { problems: [{ path, message }] });
}
