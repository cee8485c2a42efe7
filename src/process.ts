import type { Logger } from 'pino';
import type { TracingConfig } from './config/tracing-settings.js';
import { ConfigError } from './config.js';
import { Fault } from './core/errors.js';
import { describeError, exitSoon } from './observability/logger.js';
import type { SdkOptions, StartedSdk } from './observability/tracing/start.js';

type Traced = { tracing: TracingConfig | undefined; version: string };

/** OpenTelemetry is loaded only by those who want traces: it takes time and memory. */
export async function startTracing(
  { tracing, version }: Traced,
  name: string,
  warn: SdkOptions['warn'],
): Promise<StartedSdk | undefined> {
  if (!tracing) return undefined;
  const { startSdk } = await import('./observability/tracing/start.js');
  const { kind, protocol, isNamed } = tracing;
  return startSdk({ kind, protocol, serviceName: isNamed ? undefined : name, version, warn });
}

/**
 * Stops once, on SIGTERM or SIGINT, and ends the process with code 0. What nobody caught is logged by its class and where it
 * came from: its text may quote a message. An exception ends the process, as it does without a handler.
 */
export function stopOnSignals(logger: Logger, busy: () => object, stop: () => Promise<void>): void {
  let isStopping = false;
  async function stopOnce(signal: string): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal, ...busy() }, 'stopping');
    try {
      await stop();
    } catch (error) {
      logger.error({ error: describeError(error) }, 'stopping failed');
      exitSoon(1);
      return;
    }
    logger.info('stopped');
    exitSoon(0);
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stopOnce(signal));
  process.on('unhandledRejection', (error) =>
    logger.error({ error: describeError(error) }, 'unhandled rejection'),
  );
  process.on('uncaughtException', (error) => {
    logger.fatal({ error: describeError(error) }, 'uncaught exception');
    exitSoon(1);
  });
}

/** Says why the process did not start, and ends it. `portName` is the setting that a port in use comes from. */
export function failStart(error: unknown, portName: string): never {
  for (const line of startProblems(error, portName)) process.stderr.write(`${line}\n`);
  process.exit(1);
}

function startProblems(error: unknown, portName: string): string[] {
  if (error instanceof ConfigError) return error.problems;
  if (error instanceof Fault) return [error.message];
  if (!(error instanceof Error)) return [`The start failed with a ${typeof error}.`];
  if (error.message.includes('EADDRINUSE')) {
    const { port } = error as { port?: number };
    return [`${[portName, port].join(' ').trim()} is in use; set another one.`];
  }
  const { name, code, stack } = describeError(error);
  return [[name, code].filter((part) => part !== undefined).join(' '), ...stack];
}
