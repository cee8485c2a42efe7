import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { predict } from './predict.ts';
import { type Row, RowError, readRows } from './rows.ts';
import { createScorer } from './score.ts';
import { toTable } from './table.ts';

const usage = `Measures how well demands are found in prompts and judged on answers.

Usage: npm run -s ifeval -- predict FILE.jsonl
       npm run -s ifeval -- score FILE.jsonl

  predict   write one JSON line a row: {id, constraints, verdicts, passed}
              constraints   found in the prompt alone
              verdicts      whether the response meets each given constraint
              passed        whether the response meets every constraint found
            Without a response, verdicts is empty and passed is null.
  score     print a table: how many of the given constraints are found, by id and with
            their kwargs, and how many verdicts agree with the given ones
  --help

FILE.jsonl holds one JSON object a line: {id, key, prompt, constraints, response, verdicts, unsure}.
Only the prompt must be there; "-" reads the standard input. Rows with the same key share a prompt,
which counts once. Verdicts whose index is in unsure do not count.

Exit code: 0, 1 for a file or line that cannot be read, 2 for a wrong command line.
`;

type Streams = { stdin: Readable; stdout: Writable; stderr: Writable };
type Command = (rows: AsyncIterable<Row>, stdout: Writable, name: string) => Promise<void>;

const commands = new Map<string, Command>([
  ['predict', writePredictions],
  ['score', writeScores],
]);

class UsageError extends Error {}

/** Returns the exit code. */
export async function runCommand(args: string[], { stdin, stdout, stderr }: Streams): Promise<number> {
  // The failed write itself ends the work; without a listener the event would end the process first.
  stdout.on('error', () => {});
  try {
    const call = readArguments(args);
    if (call === undefined) await write(stdout, usage);
    else await call.command(readRows(open(call.file, stdin), call.name), stdout, call.name);
    return 0;
  } catch (error) {
    if (hasCode(error, 'EPIPE')) return 0;
    const message = error instanceof Error ? error.message : String(error);
    stderr.write(`ifeval: ${message}\n${error instanceof UsageError ? 'Try --help.\n' : ''}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Undefined when help was asked for. */
function readArguments(args: string[]): { command: Command; file: string; name: string } | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [verb, file, ...others] = positionals;
  if (verb === undefined) throw new UsageError('say predict or score');
  const command = commands.get(verb);
  if (!command) throw new UsageError(`"${verb}" is neither predict nor score`);
  if (file === undefined || file === '') throw new UsageError(`${verb} needs a file`);
  if (others.length > 0) throw new UsageError(`${verb} takes one file, not ${others.length + 1}`);
  return { command, file, name: file === '-' ? 'standard input' : file };
}

function parse(args: string[]) {
  try {
    const options = { help: { type: 'boolean', short: 'h', default: false } } as const;
    return parseArgs({ args, options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function* open(file: string, stdin: Readable): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? stdin : createReadStream(file);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new RowError(`there is no file ${file}`);
    if (hasCode(error, 'EISDIR')) throw new RowError(`${file} is a folder`);
    throw error;
  }
}

async function writePredictions(rows: AsyncIterable<Row>, stdout: Writable): Promise<void> {
  for await (const row of rows) await write(stdout, `${JSON.stringify(predict(row))}\n`);
}

async function writeScores(rows: AsyncIterable<Row>, stdout: Writable, name: string): Promise<void> {
  const scorer = createScorer();
  for await (const row of rows) scorer.add(row);
  const scores = scorer.result();
  if (scores.rows === 0) throw new RowError(`${name} has no rows`);
  await write(stdout, toTable(scores));
}

async function write(stdout: Writable, text: string): Promise<void> {
  if (stdout.errored) throw stdout.errored;
  if (!stdout.write(text)) await once(stdout, 'drain');
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
