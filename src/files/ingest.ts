import { setImmediate as nextTurn } from 'node:timers/promises';
import { Fault } from '../core/errors.js';
import type { ImageContent } from '../core/message.js';
import { countTokens } from '../llm/tokens.js';
import { countLinesUpTo, toUtf8 } from './body.js';
import { detectFormat, type Format } from './detect.js';
import { FileProblem } from './problem.js';
import { detectHead, type FileContent, type FileJob, LineProblem, readPlainText } from './read-file.js';
import { createFileRoom } from './room.js';
import type { FileBody } from './text-file.js';
import { type FileSource, maxWholeText, readBytes, readLines, type TextFile } from './text-file.js';
import { createWorkerPool, type WorkerPool } from './worker-pool.js';

export type IngestRequest = {
  sources: FileSource[];
  /** what the passages are ranked against */
  question: string;
  /** whether a model is there that sees */
  acceptsImages: boolean;
};

export type IngestedFiles = {
  files: TextFile[];
  images: ImageContent[];
  /** Says that they are no longer used: their memory counts as free from then on. */
  release(): void;
};

export type FileReaderOptions = {
  /** bytes of one file, and of all files of a request together */
  maxFileBytes: number;
  /** bytes of the files of all requests that are under way */
  maxHeldBytes?: number;
  /** milliseconds that reading one file may take */
  timeLimitMs?: number;
};

/** Reads files in threads of its own, which start with the first file that needs one. */
export interface FileReader {
  /**
   * Refuses what can be refused without reading: bytes of no known type, images that nobody sees, and lines that an
   * inline text does not have. Throws `invalid_file`.
   */
  check(request: IngestRequest): void;
  /**
   * Reads all files, once there is memory for them. Throws `invalid_file`, naming the file, `overloaded` when they turn
   * out larger than there is memory for, or the abort reason.
   */
  ingest(request: IngestRequest, signal: AbortSignal): Promise<IngestedFiles>;
  /** Stops the threads; what they are reading fails. */
  close(): Promise<void>;
}

/** A longer text, or one that needs a parser, is read in another thread. */
const maxReadHere = 64 * 1024;
/** What all requests hold together, as a multiple of what one may. */
const heldFactor = 4;
const maxImageBytes = 10 * 1024 * 1024;
const pool = { size: 2, heapMegabytes: 384, bufferBytes: 512 * 1024 * 1024, idleMs: 30_000 };

export function createFileReader(options: FileReaderOptions): FileReader {
  const { maxFileBytes, maxHeldBytes = heldFactor * maxFileBytes, timeLimitMs = 20_000 } = options;
  const workers = createWorkerPool({ ...pool, timeLimitMs });
  const room = createFileRoom(maxHeldBytes);

  async function readAll(request: IngestRequest, onBytes: (bytes: number) => void, signal: AbortSignal) {
    const files: TextFile[] = [];
    const images: ImageContent[] = [];
    let left = maxFileBytes;
    for (const source of request.sources) {
      const bytes = await bytesOf(source, onBytes, signal);
      left -= bytes.length;
      if (left < 0) throw invalid(source.path, `makes the files larger than ${maxFileBytes} bytes together`);
      const format = formatOf(source, bytes);
      if (format.type === 'image') {
        refuseImage(source, request.acceptsImages);
        images.push(toImage(source, bytes, format.mimeType));
      } else files.push(await readOne(workers, source, bytes, format, request.question, signal));
      // several files must not hold up the others' streams
      await nextTurn(undefined, { signal });
    }
    return { files, images };
  }

  return {
    check({ sources, acceptsImages }) {
      for (const source of sources) checkSource(source, acceptsImages);
    },
    async ingest(request, signal) {
      if (request.sources.length === 0) return { files: [], images: [], release: () => {} };
      const { sources } = request;
      const share = await room.take(Math.min(sumOf(sources, expectedBytes), maxFileBytes), signal);
      let left = sumOf(sources, ({ content, size = 0 }) => (typeof content === 'function' ? size : 0));
      const onBytes = (bytes: number) => {
        left -= bytes;
        if (left < 0) share.grow(-left);
        left = Math.max(0, left);
      };
      try {
        const { files, images } = await readAll(request, onBytes, signal);
        share.settle(heldBytes(files, images));
        return { files, images, release: share.release };
      } catch (error) {
        share.release();
        throw error;
      }
    },
    close: () => workers.close(),
  };
}

function checkSource(source: FileSource, acceptsImages: boolean): void {
  const { content, lineStart = 1 } = source;
  if (typeof content === 'function') return;
  if (typeof content !== 'string') {
    const format = detectFormat(content);
    if (format.type === 'unreadable') throw invalid(source.path, format.problem);
    if (format.type === 'image') refuseImage(source, acceptsImages);
    if (format.type !== 'text' || format.encoding !== 'utf-8') return;
  }
  if (lineStart === 1) return;
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (detectHead(bytes, source.name).kind === 'html') return;
  const lines = countLinesUpTo(bytes, lineStart);
  if (lineStart > lines) throw toFault(new LineProblem(lineStart, lines), source);
}

async function bytesOf(
  { content }: FileSource,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (typeof content === 'string') return Buffer.from(content);
  return typeof content === 'function' ? content(onBytes, signal) : content;
}

/** Bytes of a file as far as they are known before it is there. */
function expectedBytes({ content, size = 0 }: FileSource): number {
  return typeof content === 'function' ? size : Buffer.byteLength(content);
}

function heldBytes(files: TextFile[], images: ImageContent[]): number {
  const texts = sumOf(files, ({ body }) => body.bytes.byteLength + body.lineOffsets.byteLength);
  return texts + sumOf(images, ({ data }) => data.length);
}

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0);
}

/**
 * What came as a string is text, whatever it begins with. Of a large file only the beginning is looked at, which tells an
 * image; the rest is for the thread that reads it.
 */
function formatOf(source: FileSource, bytes: Uint8Array): Format {
  if (typeof source.content === 'string') return { type: 'text', encoding: 'utf-8' };
  return detectFormat(bytes.length > maxReadHere ? bytes.subarray(0, 1024) : bytes);
}

function refuseImage(source: FileSource, acceptsImages: boolean): void {
  if (!acceptsImages) throw invalid(source.path, 'is an image, which no available model takes');
}

function toImage({ path }: FileSource, bytes: Uint8Array, mimeType: string): ImageContent {
  if (bytes.length > maxImageBytes) throw invalid(path, `is an image of more than ${maxImageBytes} bytes`);
  return { type: 'image', data: Buffer.from(bytes).toString('base64'), mimeType };
}

async function readOne(
  workers: WorkerPool,
  source: FileSource,
  bytes: Uint8Array,
  format: Format,
  question: string,
  signal: AbortSignal,
): Promise<TextFile> {
  const { name, lineStart, lineEnd } = source;
  const job: FileJob = {
    name,
    bytes,
    question,
    lineStart,
    lineEnd,
    isText: typeof source.content === 'string',
  };
  try {
    return toTextFile(name, readHere(job, format) ?? (await readElsewhere(workers, job, signal)));
  } catch (error) {
    throw error instanceof FileProblem ? toFault(error, source) : error;
  }
}

function readHere(job: FileJob, format: Format): FileContent | undefined {
  if (job.bytes.length > maxReadHere || format.type !== 'text') return undefined;
  const bytes = toUtf8(job.bytes, format.encoding);
  const { kind } = detectHead(bytes, job.name);
  const isPlain = kind === 'text' || kind === 'code' || kind === 'markdown';
  return isPlain ? readPlainText({ ...job, bytes }, kind) : undefined;
}

async function readElsewhere(workers: WorkerPool, job: FileJob, signal: AbortSignal): Promise<FileContent> {
  const bytes = isMovable(job.bytes) ? job.bytes : new Uint8Array(job.bytes);
  const file = { ...job, bytes };
  const answer = await workers.run(file, [bytes.buffer as ArrayBuffer], signal);
  if ('content' in answer) return answer.content;
  const { problem, lines } = answer;
  throw lines === undefined ? new FileProblem(problem) : new LineProblem(job.lineStart ?? 1, lines);
}

/** A small buffer may be part of one that Node shares between many, which cannot be moved. */
function isMovable({ buffer, byteLength }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer && (buffer.byteLength === byteLength || byteLength > maxReadHere);
}

function toTextFile(name: string, content: FileContent): TextFile {
  const { body, lineStart, lineEnd } = content;
  const start = body.lineOffsets[lineStart - 1] ?? 0;
  const end = body.lineOffsets[lineEnd] ?? 0;
  // a character has one to four bytes as UTF-8, and at most three of them for one of UTF-16's units
  const text = end - start <= 3 * maxWholeText ? readLines(body, lineStart, lineEnd) : undefined;
  const whole = text !== undefined && text.length <= maxWholeText ? text : undefined;
  const tokens = whole === undefined ? estimateTokens(body, start, end) : countTokens(whole);
  return { name, ...content, text: whole, tokens };
}

const samples = 24;
const sampleBytes = 512;

function estimateTokens(body: FileBody, start: number, end: number): number {
  const stride = (end - start - sampleBytes) / (samples - 1);
  let total = 0;
  for (let index = 0; index < samples; index += 1) {
    const from = start + Math.floor(index * stride);
    total += countTokens(readBytes(body, from, from + sampleBytes));
  }
  return Math.round((total * (end - start)) / (samples * sampleBytes));
}

function toFault(problem: FileProblem, source: FileSource): Fault {
  const path =
    problem instanceof LineProblem ? `${source.path.replace(/\.\w+$/, '')}.line_start` : source.path;
  return invalid(path, problem.message, problem.cause);
}

function invalid(path: string, message: string, cause?: unknown): Fault {
  return new Fault('invalid_file', `${path} ${message}.`, { problems: [{ path, message }], cause });
}
