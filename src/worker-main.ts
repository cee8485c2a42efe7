import { ConfigError, loadWorkerConfigFromProcess } from './config.js';
import { createLogger, describeError, exitSoon } from './observability/logger.js';
import { createWorkerServer } from './worker/server.js';

async function main(): Promise<void> {
  const { config, warnings } = loadWorkerConfigFromProcess();
  const logger = createLogger(config.logLevel).child({ part: 'worker' });
  for (const warning of warnings) logger.warn(warning);
  const worker = createWorkerServer(config, logger, describeError);

  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal, running_tasks: worker.runningCount }, 'stopping');
    await worker.stop();
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
