export type FileKind =
  | 'text'
  | 'code'
  | 'markdown'
  | 'csv'
  | 'json'
  | 'yaml'
  | 'xml'
  | 'html'
  | 'pdf'
  | 'docx'
  | 'xlsx';

export type FetchBytes = (onBytes: (bytes: number) => void, signal: AbortSignal) => Promise<Uint8Array>;

/** A file as the request gives it. Its bytes belong to the reader from then on: they may be moved to another thread. */
export type FileSource = {
  name: string;
  /** where the content stands in the request, such as `files[0].content_base64`: every refusal names it */
  path: string;
  /** the text, the bytes, or what fetches the bytes and tells of each part that came */
  content: string | Uint8Array | FetchBytes;
  /** bytes that are to be fetched, where the request says it */
  size?: number | undefined;
  lineStart?: number | undefined;
  lineEnd?: number | undefined;
};

/** A stretch of a file's text. */
export type Passage = {
  lineStart: number;
  lineEnd: number;
  text: string;
  score: number;
  /** byte at which it begins, which tells apart the parts of one long line */
  start: number;
  /** the line of it that fits the message best */
  focus: number;
};

/** The whole extracted text as UTF-8; threads share the bytes. */
export type FileBody = {
  bytes: Uint8Array;
  /** where each line begins, and last the number of bytes: one entry more than there are lines */
  lineOffsets: Uint32Array;
};

/** A file as text with structure. Lines count from 1 and refer to the whole extracted text. */
export type TextFile = {
  name: string;
  kind: FileKind;
  /** the asked range */
  lineStart: number;
  lineEnd: number;
  /** the asked range, when it is short enough to be kept whole */
  text: string | undefined;
  /** tokens of the asked range, estimated when it is long */
  tokens: number;
  /** what the file holds, in a few lines; '' when its text is short and plain */
  outline: string;
  /** parts of the asked range, those that fit the message best first; [] when the text is short */
  passages: Passage[];
  body: FileBody;
};

/** Characters up to which a file's text is kept whole as a string. */
export const maxWholeText = 256 * 1024;

export function countLines(body: FileBody): number {
  return body.lineOffsets.length - 1;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The lines from `lineStart` to `lineEnd`, both included, without the last line's end. */
export function readLines(body: FileBody, lineStart: number, lineEnd: number): string {
  const start = body.lineOffsets[lineStart - 1];
  const end = body.lineOffsets[Math.min(lineEnd, countLines(body))];
  if (start === undefined || end === undefined) return '';
  const text = readBytes(body, start, end);
  return end < body.bytes.length && text.endsWith('\n') ? text.slice(0, -1) : text;
}

export function readBytes(body: FileBody, start: number, end: number): string {
  // a decoder does not take shared memory, so the bytes are copied
  return decoder.decode(body.bytes.slice(start, end));
}
