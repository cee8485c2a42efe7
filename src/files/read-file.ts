import { toBody, toUtf8 } from './body.js';
import { detectFormat, detectText, type Format, type TextType } from './detect.js';
import { outlineText, outlineXml } from './outline-text.js';
import { FileProblem } from './problem.js';
import { type Query, readQuery } from './query.js';
import { leastForPassages, rankPassages } from './rank-passages.js';
import type { RowLines } from './read-csv.js';
import { countLines, type FileBody, type FileKind, type Passage, readBytes } from './text-file.js';

/** A file to be read, as it goes to another thread. */
export type FileJob = {
  name: string;
  bytes: Uint8Array;
  question: string;
  lineStart: number | undefined;
  lineEnd: number | undefined;
  /** it came as a string, so it is text whatever it begins with */
  isText: boolean;
};

export type FileContent = {
  kind: FileKind;
  body: FileBody;
  lineStart: number;
  lineEnd: number;
  outline: string;
  passages: Passage[];
};

/** Lines that the file does not have. */
export class LineProblem extends FileProblem {
  readonly lines: number;

  constructor(lineStart: number, lines: number) {
    super(`is ${lineStart}, but the file has ${lines} line${lines === 1 ? '' : 's'}`);
    this.name = 'LineProblem';
    this.lines = lines;
  }
}

/** Bytes whose beginning decides what kind of text they are. */
const headBytes = 64 * 1024;
/** A shorter plain text needs no outline. */
const leastForOutline = 2000;
/** bytes of an HTML page, which is parsed as a whole */
const maxHtmlBytes = 32 * 1024 * 1024;
/** What an outline may have, so that it stays one. */
const mostOutline = 16 * 1024;

/** Turns bytes into text with structure. Throws a `FileProblem`. */
export async function readFile(job: FileJob): Promise<FileContent> {
  const query = readQuery(job.question);
  const extracted = await extract(job, query);
  return finish(job, query, extracted);
}

/** As `readFile`, for text that needs no parser. */
export function readPlainText(job: FileJob, kind: FileKind): FileContent {
  const body = toBody(job.bytes);
  return finish(job, readQuery(job.question), { kind, body, outline: outlinePlain(body, kind) });
}

const plainText: Format = { type: 'text', encoding: 'utf-8' };

type Extracted = { kind: FileKind; body: FileBody; outline: string; rowLines?: RowLines };

async function extract(job: FileJob, query: Query): Promise<Extracted> {
  const format = job.isText ? plainText : detectFormat(job.bytes);
  switch (format.type) {
    case 'pdf':
      return extractPdf(job.bytes);
    case 'zip':
      return extractOffice(job.bytes, query);
    case 'text':
      return extractText(toUtf8(job.bytes, format.encoding), job.name, query);
    case 'image':
      throw new FileProblem('is an image');
    case 'unreadable':
      throw new FileProblem(format.problem);
    default:
      return format satisfies never;
  }
}

// each parser is loaded with the first file that needs it

async function extractPdf(bytes: Uint8Array): Promise<Extracted> {
  const { readPdf } = await import('./read-pdf.js');
  const body = toBody(Buffer.from(await readPdf(bytes)));
  return { kind: 'pdf', body, outline: outlineText(body, 'pdf') };
}

async function extractOffice(bytes: Uint8Array, query: Query): Promise<Extracted> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { checkZip } = await import('./check-zip.js');
  const kind = await checkZip(buffer);
  const { readOffice } = await import('./read-office.js');
  const { text, outline, rowLines } = await readOffice(buffer, kind, rowsOf(query));
  const body = toBody(Buffer.from(text));
  return { kind, body, outline: outline || outlinePlain(body, kind), rowLines };
}

async function extractText(bytes: Uint8Array, name: string, query: Query): Promise<Extracted> {
  const type = detectHead(bytes, name);
  const { kind } = type;
  if (kind === 'html') return extractHtml(bytes);
  const body = toBody(bytes);
  switch (kind) {
    case 'csv': {
      const { readCsv } = await import('./read-csv.js');
      return { kind, body, ...(await readCsv(body, type.delimiter ?? ',', rowsOf(query))) };
    }
    case 'json': {
      const { outlineJson } = await import('./read-json.js');
      return { kind, body, outline: outlineJson(body) };
    }
    case 'yaml': {
      const { outlineYaml } = await import('./read-yaml.js');
      return { kind, body, outline: outlineYaml(readBytes(body, 0, maxHtmlBytes)) };
    }
    case 'xml':
      return { kind, body, outline: outlineXml(body) };
    default:
      return { kind, body, outline: outlinePlain(body, kind) };
  }
}

async function extractHtml(bytes: Uint8Array): Promise<Extracted> {
  if (bytes.length > maxHtmlBytes)
    throw new FileProblem(`is an HTML page of more than ${maxHtmlBytes} bytes`);
  const { htmlToLines } = await import('./html-to-lines.js');
  const body = toBody(Buffer.from(htmlToLines(new TextDecoder().decode(bytes))));
  return { kind: 'html', body, outline: outlinePlain(body, 'html') };
}

/** The kind of a text in UTF-8. */
export function detectHead(bytes: Uint8Array, name: string): TextType {
  const head = new TextDecoder().decode(bytes.subarray(0, headBytes), { stream: true });
  return detectText(head, name, bytes.length <= headBytes);
}

function outlinePlain(body: FileBody, kind: FileKind): string {
  return body.bytes.length < leastForOutline ? '' : outlineText(body, kind);
}

function rowsOf({ places }: Query): Set<number> {
  return new Set(places.filter(({ unit }) => unit === 'row').map(({ from }) => from));
}

function finish(job: FileJob, query: Query, { kind, body, outline, rowLines }: Extracted): FileContent {
  const lines = countLines(body);
  const lineStart = job.lineStart ?? 1;
  const lineEnd = Math.min(job.lineEnd ?? lines, lines);
  if (lineStart > lines) throw new LineProblem(lineStart, lines);
  const size = (body.lineOffsets[lineEnd] ?? 0) - (body.lineOffsets[lineStart - 1] ?? 0);
  const passages = size < leastForPassages ? [] : rankPassages(body, { query, lineStart, lineEnd, rowLines });
  // an outline shows what stands anywhere in the file, and only a part was asked for
  const isWhole = lineStart === 1 && lineEnd === lines;
  return { kind, body, lineStart, lineEnd, outline: isWhole ? cutOutline(outline) : '', passages };
}

function cutOutline(outline: string): string {
  return outline.length <= mostOutline
    ? outline
    : `${outline.slice(0, outline.lastIndexOf('\n', mostOutline))}\n…`;
}
