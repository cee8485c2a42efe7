import type { Constraint } from '../../src/pipeline/constraints/constraint.js';

/** One row of a file as test/fixtures/ifeval/README.md describes it; only the prompt must be there. */
export type Row = {
  id: string | number | null;
  /** rows with one key share their prompt */
  key: string | number;
  prompt: string;
  constraints?: Constraint[];
  response?: string;
  verdicts?: boolean[];
  /** indexes of verdicts not to rely on */
  unsure: number[];
};

/** A message for the user. */
export class RowError extends Error {}

/** Reads JSON lines one by one; `name` is the file's in messages. Empty lines are skipped. */
export async function* readRows(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Row> {
  let number = 0;
  for await (const line of readLines(chunks)) {
    number++;
    if (line.trim() === '') continue;
    try {
      yield parseRow(line);
    } catch (error) {
      throw error instanceof RowError ? new RowError(`${name} line ${number}: ${error.message}`) : error;
    }
  }
}

/** Splits at line feeds only: readline also splits at U+2028, which JSON strings may hold. */
async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const chunk of chunks) {
    const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
    rest.push(first);
    for (const other of others) {
      yield rest.join('');
      rest = [other];
    }
  }
  yield rest.join('') + decoder.decode();
}

export function parseRow(line: string): Row {
  const fields = parseObject(line);
  const id = read(fields, 'id', isName, 'text or a number');
  const key = read(fields, 'key', isName, 'text or a number');
  const prompt = read(fields, 'prompt', isText, 'text');
  if (prompt === undefined) throw new RowError('prompt is missing');
  const constraints = readConstraints(fields);
  const response = read(fields, 'response', isText, 'text');
  const verdicts = read(fields, 'verdicts', isListOf(isBoolean), 'a list of booleans');
  if (verdicts && verdicts.length !== constraints?.length) {
    throw new RowError(`verdicts has ${verdicts.length} items, constraints has ${constraints?.length ?? 0}`);
  }
  return {
    id: id ?? key ?? null,
    key: key ?? prompt,
    prompt,
    ...(constraints && { constraints }),
    ...(response !== undefined && { response }),
    ...(verdicts && { verdicts }),
    unsure: read(fields, 'unsure', isListOf(isIndex), 'a list of indexes') ?? [],
  };
}

type Fields = Record<string, unknown>;

function parseObject(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RowError('not valid JSON');
  }
  if (!isObject(value)) throw new RowError('not a JSON object');
  return value;
}

function readConstraints(fields: Fields): Constraint[] | undefined {
  const items = read(fields, 'constraints', isListOf(isObject), 'a list of objects');
  return items?.map((item, index) => {
    const path = `constraints[${index}].`;
    const id = read(item, 'id', isText, 'text', path);
    if (id === undefined) throw new RowError(`${path}id is missing`);
    return { id, kwargs: read(item, 'kwargs', isObject, 'an object', path) ?? {} };
  });
}

/** The field's value; undefined where it is missing or null. */
function read<T>(
  fields: Fields,
  name: string,
  is: (value: unknown) => value is T,
  wanted: string,
  path = '',
): T | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (!is(value)) throw new RowError(`${path}${name} must be ${wanted}`);
  return value;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isName(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOf<T>(is: (value: unknown) => value is T): (value: unknown) => value is T[] {
  return (value): value is T[] => Array.isArray(value) && value.every(is);
}
