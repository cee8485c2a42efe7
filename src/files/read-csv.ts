import { parse } from 'csv-parse';
import { clip, counted } from './numbers.js';
import { TableSummary } from './table-summary.js';
import { countLines, type FileBody, readLines } from './text-file.js';

const pieceBytes = 256 * 1024;
const maxRecordCharacters = 1024 * 1024;
const shownRowLength = 300;

/** The lines at which asked rows of tables end. */
export type RowLines = Map<number, number[]>;

export type Table = { outline: string; rowLines: RowLines };

/** Reads every row of a table for what its columns hold; `askedRows` are found by their number below the head. */
export async function readCsv(
  body: FileBody,
  delimiter: string,
  askedRows: ReadonlySet<number>,
): Promise<Table> {
  const summary = new TableSummary(delimiter);
  const rowLines: RowLines = new Map();
  const problem = await eachRecord(body, delimiter, (record, lastLine) => {
    summary.add(record);
    if (askedRows.has(summary.rows)) rowLines.set(summary.rows, [lastLine]);
  });
  const { rows, width, hasHead } = summary;
  const outline = [
    `Table: ${counted(rows, 'row')}${hasHead ? ' below a head' : ''}, ${counted(width, 'column')}, separated by ${JSON.stringify(delimiter)}.`,
    ...(problem === undefined ? [] : [`Only the rows up to there could be counted: ${problem}.`]),
    'Columns:',
    summary.describe(),
    ...sampleRows(body),
  ].join('\n');
  return { outline, rowLines };
}

/** Calls back for each record as it is parsed, so that no record is kept. Returns what ended it before the end. */
async function eachRecord(
  body: FileBody,
  delimiter: string,
  onRecord: (record: string[], lastLine: number) => void,
): Promise<string | undefined> {
  const parser = parse({
    delimiter,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: maxRecordCharacters,
    on_record: (record: string[], { lines }) => {
      onRecord(record, lines);
      return null;
    },
  });
  const failed = new Promise<string | undefined>((resolve) => {
    parser.once('error', (error: Error & { code?: string }) => resolve(toProblem(error.code)));
    parser.once('end', () => resolve(undefined));
  });
  parser.resume();
  let isOver = false;
  const ended = failed.finally(() => {
    isOver = true;
  });
  for (let start = 0; start < body.bytes.length && !isOver; start += pieceBytes) {
    // a copy, since streams do not take shared memory
    const piece = Buffer.from(body.bytes.slice(start, start + pieceBytes));
    if (!parser.write(piece))
      await Promise.race([new Promise((resolve) => parser.once('drain', resolve)), ended]);
  }
  if (!isOver) parser.end();
  return ended;
}

function toProblem(code: string | undefined): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'a quoted field is never closed';
  return code === 'CSV_MAX_RECORD_SIZE' ? 'a row is longer than 1 Mi characters' : 'the rest is no table';
}

function sampleRows(body: FileBody): string[] {
  const lines = countLines(body);
  const show = (line: number) =>
    clip(readLines(body, line, line).slice(0, shownRowLength * 2), shownRowLength);
  const first = [1, 2, 3].filter((line) => line <= lines).map(show);
  if (lines < 20) return ['First lines:', ...first];
  const rest = [0.25, 0.5, 0.75].map((part) => Math.floor(lines * part));
  const samples = rest.map((line) => `line ${line}: ${show(line)}`);
  return ['First lines:', ...first, 'Lines from the rest:', ...samples];
}
