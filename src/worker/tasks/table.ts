import { parse } from 'csv-parse';
import { progress, TaskRefusal, type TaskStep } from './task.js';

export type Cell = string | number | boolean | null;

/** Rows of cells, each with as many cells as there are columns. */
export type Table = { format: 'csv' | 'json'; columns: string[]; rows: Cell[][] };

type Reading = AsyncGenerator<TaskStep, Table, void>;

const pieceLength = 256 * 1024;
const mostRecordCharacters = 1024 * 1024;
const mostColumns = 2_000;
/** what a cell without a value is written as */
const gaps = new Set(['', 'na', 'n/a', '#n/a', 'nan', 'null', 'none', 'nil', '-', '–', '—']);

export const isGap = (cell: Cell): boolean =>
  cell === null || (typeof cell === 'string' && gaps.has(cell.trim().toLowerCase()));

/** Reads a table; `endFraction` is how far the whole task is afterwards. */
export async function* readTable(
  data: string,
  format: 'csv' | 'json' | undefined,
  endFraction: number,
): Reading {
  const text = data.replace(/^\uFEFF/, '');
  yield progress(0, 'Reading the table');
  const table =
    (format ?? (/^\s*[[{]/.test(text) ? 'json' : 'csv')) === 'json'
      ? readJson(text)
      : yield* readCsv(text, endFraction);
  if (table.columns.length > mostColumns) {
    throw new TaskRefusal(`The table has ${table.columns.length} columns; ${mostColumns} are the most.`);
  }
  return table;
}

async function* readCsv(text: string, endFraction: number): Reading {
  const named = /^sep=(.)\r?\n/.exec(text);
  const start = named?.[0].length ?? 0;
  const delimiter = named?.[1] ?? findDelimiter(text);
  const records: string[][] = [];
  const parser = parse({
    delimiter,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: mostRecordCharacters,
    on_record: (record: string[]) => {
      records.push(record);
      return null;
    },
  });
  const ended = new Promise<string | undefined>((resolve) => {
    parser.once('error', (error: Error & { code?: string }) =>
      resolve(toProblem(error.code, records.length)),
    );
    parser.once('end', () => resolve(undefined));
  });
  parser.resume();
  for (let at = start; at < text.length && !parser.destroyed; at += pieceLength) {
    await new Promise<void>((resolve) => {
      parser.write(text.slice(at, at + pieceLength), () => resolve());
    });
    yield progress(
      (endFraction * Math.min(at + pieceLength, text.length)) / text.length,
      'Reading the table',
    );
  }
  if (!parser.destroyed) parser.end();
  const problem = await ended;
  if (problem !== undefined) throw new TaskRefusal(problem);
  return toTable('csv', records);
}

function toProblem(code: string | undefined, rows: number): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED')
    return `A quoted field after line ${rows} of the table is never closed.`;
  if (code === 'CSV_MAX_RECORD_SIZE') return `Row ${rows + 1} is longer than 1 Mi characters.`;
  return `The data cannot be read as CSV after row ${rows}.`;
}

/** The delimiter that splits the first lines most evenly; quoted parts do not count. */
function findDelimiter(text: string): string {
  const lines = text
    .slice(0, 65_536)
    .replace(/"(?:[^"]|"")*"/g, '')
    .split(/\r\n|\n|\r/)
    .filter((line) => line !== '')
    .slice(0, 20);
  let best = { delimiter: ',', score: 0 };
  for (const delimiter of [',', ';', '\t', '|']) {
    const counts = lines.map((line) => line.split(delimiter).length - 1);
    const first = counts[0] ?? 0;
    const even = counts.filter((count) => count === first).length / Math.max(counts.length, 1);
    const score = first === 0 ? 0 : even * 1000 + Math.min(first, 100);
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

/** The first row names the columns, unless it holds numbers and gaps only. */
function toTable(format: 'csv' | 'json', records: Cell[][]): Table {
  const [head = [], ...rest] = records;
  if (records.length === 0) throw new TaskRefusal('The data holds no rows.');
  const width = records.reduce((most, record) => Math.max(most, record.length), 0);
  const hasHead = head.some(
    (cell) => typeof cell === 'string' && !isGap(cell) && !/^[-+\d.,\s]+$/.test(cell),
  );
  const rows = (hasHead ? rest : records).map((record) => fill(record, width));
  return { format, columns: toNames(hasHead ? head : [], width), rows };
}

function fill(record: Cell[], width: number): Cell[] {
  while (record.length < width) record.push(null);
  return record;
}

/** Each name once: what is missing or repeated gets a number. */
function toNames(head: Cell[], width: number): string[] {
  const seen = new Set<string>();
  return Array.from({ length: width }, (_, index) => {
    const given = String(head[index] ?? '').trim() || `column_${index + 1}`;
    let name = given;
    for (let number = 2; seen.has(name); number += 1) name = `${given}_${number}`;
    seen.add(name);
    return name;
  });
}

function readJson(text: string): Table {
  const rows = findRows(parseJson(text));
  if (rows.length === 0) throw new TaskRefusal('The data holds no rows.');
  if (rows.every((row) => Array.isArray(row))) {
    return toTable(
      'json',
      rows.map((row) => (row as unknown[]).map(toCell)),
    );
  }
  const places = new Map<string, number>();
  const flat = rows.map((row) => {
    const fields = new Map<string, Cell>();
    flatten(isObject(row) ? row : { value: row }, '', fields);
    for (const name of fields.keys()) if (!places.has(name)) places.set(name, places.size);
    return fields;
  });
  const columns = [...places.keys()];
  return {
    format: 'json',
    columns,
    rows: flat.map((fields) => columns.map((name) => fields.get(name) ?? null)),
  };
}

/** JSON, or one JSON value on each line. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line, index) => {
      try {
        return JSON.parse(line) as unknown;
      } catch {
        throw new TaskRefusal(
          lines.length === 1
            ? 'The data is not valid JSON.'
            : `The data is not valid JSON, and line ${index + 1} is not either.`,
        );
      }
    });
  }
}

/** The rows may be wrapped: `{"rows": […]}`. */
function findRows(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) throw new TaskRefusal('The data is JSON, but no list of rows.');
  const lists = Object.values(value).filter((each) => Array.isArray(each));
  return lists.length === 1 && lists[0] ? lists[0] : [value];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Objects inside become columns with dotted names. */
function flatten(object: Record<string, unknown>, prefix: string, into: Map<string, Cell>): void {
  for (const [name, value] of Object.entries(object)) {
    const isDeep = prefix.split('.').length > 4;
    if (isObject(value) && !isDeep) flatten(value, `${prefix}${name}.`, into);
    else into.set(prefix + name, toCell(value));
  }
}

function toCell(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return JSON.stringify(value);
}
