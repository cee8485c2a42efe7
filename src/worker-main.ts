import type { WorkerConfig } from './config/worker-process.js';
import { ConfigError, loadWorkerConfigFromProcess } from './config.js';
import { createLogger, describeError, exitSoon, switchLevelOnSignal } from './observability/logger.js';
import type { SdkOptions, StartedSdk } from './observability/tracing/start.js';

async function main(): Promise<void> {
  const { config, warnings } = loadWorkerConfigFromProcess();
  const sdk = await startTracing(config, (fields, text) => logger.warn(fields, text));
  const logger = createLogger(config.logLevel, undefined, undefined, sdk?.logFields).child({
    part: 'worker',
  });
  switchLevelOnSignal(logger);
  for (const warning of warnings) logger.warn(warning);
  // tracing patches what this loads
  const { createWorkerServer } = await import('./worker/server.js');
  const worker = createWorkerServer(config, logger, describeError);

  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal, running_tasks: worker.runningCount }, 'stopping');
    await worker.stop();
    await sdk?.shutdown();
    logger.info('stopped');
    exitSoon(0);
  };
  const stopOrGiveUp = (signal: string) => {
    stop(signal).catch((error: unknown) => {
      logger.error({ error: describeError(error) }, 'stopping failed');
      exitSoon(1);
    });
  };
  process.on('SIGTERM', () => stopOrGiveUp('SIGTERM'));
  process.on('SIGINT', () => stopOrGiveUp('SIGINT'));
  process.on('unhandledRejection', (error) =>
    logger.error({ error: describeError(error) }, 'unhandled rejection'),
  );

  const port = await worker.start();
  const security = config.tls ? (config.tls.caFile ? 'mTLS' : 'TLS') : 'not encrypted';
  logger.info(`worker ready on ${config.host}:${port} (${security})`);
}

/** OpenTelemetry is loaded only by those who want traces. */
async function startTracing(
  { tracing, version }: WorkerConfig,
  warn: SdkOptions['warn'],
): Promise<StartedSdk | undefined> {
  if (!tracing) return undefined;
  const { startSdk } = await import('./observability/tracing/start.js');
  const { kind, protocol, isNamed } = tracing;
  const serviceName = isNamed ? undefined : 'paf-core-agent-worker';
  return startSdk({ kind, protocol, serviceName, version, warn });
}

main().catch((error: unknown) => {
  const lines = error instanceof ConfigError ? error.problems : [startProblem(error)];
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.exit(1);
});

function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message.includes('EADDRINUSE')) return 'WORKER_PORT is in use; set another one.';
  return error.stack ?? error.message;
}
