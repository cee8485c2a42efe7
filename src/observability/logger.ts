import type { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';

/** What is kept in memory of lines that wait for a slow reader; further ones are dropped. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Where log lines go. */
export type LogOutput = Pick<Writable, 'write' | 'writableLength' | 'on' | 'listeners'>;

type LoggerOptions = {
  isTerminal?: boolean;
  output?: LogOutput;
  moreFields?: (() => object) | undefined;
};

/** What became of a logger's lines. */
export type Written = { bytes: number; droppedLines: number };

const writtenBy = new WeakMap<Logger, Written>();

/** What became of the lines of a logger that `createLogger` made; nothing is known of others. */
export function writtenByLogger(logger: Logger): Readonly<Written> {
  return writtenBy.get(logger) ?? { bytes: 0, droppedLines: 0 };
}

/**
 * JSON lines on stdout, or readable lines when stdout is a terminal. Logging never waits: behind a pipe whose reader is
 * slow, lines are kept up to a bound, and what a reader who is gone would have got is lost. `moreFields` is asked for each
 * line.
 */
export function createLogger(
  level: string,
  { isTerminal = process.stdout.isTTY === true, output = process.stdout, moreFields }: LoggerOptions = {},
): Logger {
  if (!output.listeners('error').includes(ignoreError)) output.on('error', ignoreError);
  const toText = isTerminal ? createPrettier() : (line: string) => line;
  const written: Written = { bytes: 0, droppedLines: 0 };
  const destination = {
    write(line: string): void {
      if (output.writableLength > maxWaitingBytes) {
        written.droppedLines += 1;
        return;
      }
      const text = toText(line);
      written.bytes += Buffer.byteLength(text);
      output.write(text);
    },
  };
  const logger = pino(
    {
      level,
      base: { service: 'paf-core-agent' },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
      ...(moreFields && { mixin: moreFields }),
    },
    destination,
  );
  writtenBy.set(logger, written);
  return logger;
}

/** A reader that is gone is no reason to end. */
function ignoreError(): void {}

/** JSON escapes most of what a terminal obeys, but not these. */
const obeyed = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function createPrettier(): (line: string) => string {
  const prettify = prettyFactory({ colorize: true, ignore: 'service' });
  return (line) =>
    prettify(line).replace(
      obeyed,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}

const maxFieldLength = 128;

/** A name that a caller chose, as a field of a log line. */
export function shortened(text: string): string {
  return text.length > maxFieldLength ? `${text.slice(0, maxFieldLength)}…` : text;
}

/** To be called first of all: by default SIGUSR2 ends a process. One that comes before there is a logger does nothing. */
export function surviveLevelSignal(): void {
  process.on('SIGUSR2', () => {});
}

/**
 * SIGUSR2 switches the logger, and those made from it, from its own level to debug, and back; one whose own level is
 * debug or finer goes to info and back.
 */
export function switchLevelOnSignal(logger: Logger): void {
  const own = logger.level;
  const other = logger.isLevelEnabled('debug') ? 'info' : 'debug';
  process.on('SIGUSR2', () => {
    const level = logger.level === own ? other : own;
    // said whatever the levels are
    logger.level = 'debug';
    logger.warn({ log_level: level }, `SIGUSR2: the log level is ${level} now`);
    logger.level = level;
  });
}

/** Milliseconds that the last lines get on their way out. */
const lastLinesMs = 250;

/**
 * Ends the process with this code when nothing holds it any more, or soon. An exit at once would lose lines that still
 * wait for their reader, and waiting for all of them might take for ever.
 */
export function exitSoon(code: number): void {
  process.exitCode = code;
  setTimeout(() => process.exit(code), lastLinesMs).unref();
}

/** An unexpected error for a log line: its class and where it came from, never its text, which may quote a message. */
export function describeError(error: unknown): { name: string; code?: unknown; stack: string[] } {
  if (!(error instanceof Error)) return { name: typeof error, stack: [] };
  const stack = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  const code = 'code' in error ? { code: error.code } : {};
  return { name: error.name, ...code, stack: stack.map((line) => line.trim()).slice(0, 10) };
}
