import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FileBody, readBytes, type TextFile } from '../../files/text-file.js';
import { type Tool, textResult } from '../tool.js';
import { findFile } from './find-file.js';
import { lineRange } from './line-range.js';

const usualResults = 20;
const mostResults = 100;
const mostWords = 16;
const longestQuery = 500;
/** Bytes that are looked through at a time. */
const pieceBytes = 64 * 1024;
/** Milliseconds after which others get their turn. */
const longestTurnMs = 5;
/** Characters shown of one line. */
const mostLineChars = 400;
const charsBefore = 80;

const parameters = {
  type: 'object',
  properties: {
    query: {
      type: 'string',
      minLength: 1,
      maxLength: longestQuery,
      pattern: '\\S',
      description: 'words, in any order; what stands in double quotes is found as it is',
    },
    file_name: { type: 'string', description: 'only this file; by default all files' },
    max_results: { type: 'integer', minimum: 1, maximum: mostResults, default: usualResults },
  },
  required: ['query'],
  additionalProperties: false,
};

/** `at` is the byte where the first word begins. */
type Hit = { name: string; file: TextFile; line: number; at: number; wordCount: number };

/** A run of whole lines, or a part of a line that is very long. */
type Piece = { firstLine: number; start: number; end: number };

export function createSearchFilesTool(files: ReadonlyMap<string, TextFile>): Tool {
  return {
    name: 'search_files',
    description:
      "Finds lines in the request's files, also in parts that the context leaves out, and shows each as " +
      '`file:line: text`. Upper and lower case are the same. Lines with all words of the query come first; when there ' +
      'are none, those with most of them. Read around a line with read_file_part.',
    parameters,
    isParallel: true,
    async execute(args, _context, signal) {
      const query = String(args.query);
      const words = wordsOf(query);
      const limit = Number(args.max_results ?? usualResults);
      const searched = args.file_name === undefined ? [...files] : [findFile(files, String(args.file_name))];
      const best = new BestHits(words.length, limit);
      for (const [name, file] of searched) await searchFile(name, file, words, best, signal);
      return textResult(describe(best, words, searched.length));
    },
  };
}

/** Quoted phrases and words in lower case, each once. */
function wordsOf(query: string): string[] {
  const parts = [...query.toLowerCase().matchAll(/"([^"]*[^"\s][^"]*)"|([^\s"]+)/g)];
  const words = [...new Set(parts.map(([, phrase, word]) => phrase ?? word ?? ''))];
  if (words.length === 0) throw new Error('The query has no words.');
  return words.slice(0, mostWords);
}

/** The first lines for each number of words found, and how many there are. */
class BestHits {
  private readonly byCount: Hit[][];
  private readonly totals: number[];

  constructor(
    readonly wordCount: number,
    readonly limit: number,
  ) {
    this.byCount = Array.from({ length: wordCount + 1 }, () => []);
    this.totals = this.byCount.map(() => 0);
  }

  add(hit: Hit): void {
    const hits = this.byCount[hit.wordCount];
    if (!hits) return;
    const last = hits.at(-1);
    // parts of a long line overlap
    if (last && last.file === hit.file && last.line === hit.line && hit.at <= last.at) return;
    this.totals[hit.wordCount] = (this.totals[hit.wordCount] ?? 0) + 1;
    if (hits.length < this.limit) hits.push(hit);
  }

  /** The lines with the most words; undefined when no line has any. */
  best(): { hits: Hit[]; total: number; wordCount: number } | undefined {
    const wordCount = this.totals.findLastIndex((total) => total > 0);
    if (wordCount < 1) return undefined;
    return { hits: this.byCount[wordCount] ?? [], total: this.totals[wordCount] ?? 0, wordCount };
  }
}

async function searchFile(
  name: string,
  file: TextFile,
  words: string[],
  best: BestHits,
  signal: AbortSignal,
): Promise<void> {
  let turnStartedMs = performance.now();
  for (const piece of piecesOf(file, longestQuery)) {
    signal.throwIfAborted();
    const text = readBytes(file.body, piece.start, piece.end).toLowerCase();
    const present = words.filter((word) => text.includes(word));
    if (present.length > 0) searchPiece(name, file, piece, text, present, best);
    if (performance.now() - turnStartedMs > longestTurnMs) {
      await nextTurn();
      turnStartedMs = performance.now();
    }
  }
}

function searchPiece(
  name: string,
  file: TextFile,
  piece: Piece,
  text: string,
  words: string[],
  best: BestHits,
): void {
  let lineStart = 0;
  for (let line = piece.firstLine; lineStart <= text.length; line += 1) {
    const newline = text.indexOf('\n', lineStart);
    const lineEnd = newline === -1 ? text.length : newline;
    const lineText = text.slice(lineStart, lineEnd);
    const places = words.map((word) => lineText.indexOf(word)).filter((place) => place !== -1);
    if (places.length > 0) {
      const offset = Buffer.byteLength(lineText.slice(0, Math.min(...places)));
      const start = piece.firstLine === line ? piece.start : lineRange(file.body, line).start;
      best.add({ name, file, line, at: start + offset, wordCount: places.length });
    }
    lineStart = lineEnd + 1;
  }
}

function* piecesOf({ body, lineStart, lineEnd }: TextFile, overlap: number): Generator<Piece> {
  const { lineOffsets } = body;
  let line = lineStart;
  while (line <= lineEnd) {
    const { start, end } = lineRange(body, line);
    const last = lastLineBefore(lineOffsets, line, lineEnd, start + pieceBytes);
    if (last >= line) {
      yield { firstLine: line, start, end: lineRange(body, last).end };
      line = last + 1;
      continue;
    }
    for (let from = start; from < end; from += pieceBytes) {
      yield { firstLine: line, start: from, end: Math.min(from + pieceBytes + overlap * 4, end) };
    }
    line += 1;
  }
}

/** The last line from `first` to `most` that ends at or before `end`; `first - 1` when the first one is longer. */
function lastLineBefore(offsets: Uint32Array, first: number, most: number, end: number): number {
  let low = first - 1;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((offsets[middle] ?? Number.POSITIVE_INFINITY) <= end) low = middle;
    else high = middle - 1;
  }
  return low;
}

function describe(best: BestHits, words: string[], fileCount: number): string {
  const found = best.best();
  const where = fileCount === 1 ? 'the file' : `the ${fileCount} files`;
  if (!found) return `No line of ${where} has ${words.length === 1 ? 'this' : 'any of these words'}.`;
  const { hits, total, wordCount } = found;
  const which =
    wordCount === words.length
      ? words.length === 1
        ? ''
        : ` with all ${words.length} words`
      : ` with ${wordCount} of the ${words.length} words; none has more`;
  const cut = total > hits.length ? `, the first ${hits.length} are shown` : '';
  const head = `${total} ${total === 1 ? 'line' : 'lines'}${which}${cut}:`;
  return [head, ...hits.map((hit) => `${hit.name}:${hit.line}: ${excerptOf(hit)}`)].join('\n');
}

/** A line as it stands; of a long one what is around the first word. */
function excerptOf({ file: { body }, line, at }: Hit): string {
  const { start, end } = lineRange(body, line);
  if (end - start <= mostLineChars) return readBytes(body, start, end).replace(/\r$/, '');
  const from = charStart(body, Math.max(start, Math.min(at, end) - charsBefore));
  const to = charStart(body, Math.min(end, from + mostLineChars));
  return `${from > start ? '… ' : ''}${readBytes(body, from, to).replace(/\r$/, '')}${to < end ? ' …' : ''}`;
}

/** The nearest byte at or before `offset` where a character begins. */
function charStart({ bytes }: FileBody, offset: number): number {
  let at = offset;
  while (at > 0 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}
