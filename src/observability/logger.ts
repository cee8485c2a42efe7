import { type Logger, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';

/** JSON lines on stdout, or readable lines when stdout is a terminal. */
export function createLogger(level: string, isTerminal = process.stdout.isTTY === true): Logger {
  const options = {
    level,
    base: { service: 'paf-core-agent' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return isTerminal ? pino(options, PinoPretty({ colorize: true, ignore: 'service' })) : pino(options);
}

/** Milliseconds that the last lines get on their way out. */
const lastLinesMs = 250;

/**
 * Ends the process with this code when nothing holds it any more, or soon. An exit at once would wait for ever for a
 * last line whose reader is gone.
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
