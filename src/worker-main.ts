import { loadWorkerConfigFromProcess } from './config.js';
import {
  createLogger,
  describeError,
  surviveLevelSignal,
  switchLevelOnSignal,
} from './observability/logger.js';
import { failStart, startTracing, stopOnSignals } from './process.js';

async function main(): Promise<void> {
  surviveLevelSignal();
  const { config, warnings } = loadWorkerConfigFromProcess();
  const sdk = await startTracing(config, 'paf-core-agent-worker', (fields, text) =>
    logger.warn(fields, text),
  );
  const logger = createLogger(config.logLevel, { moreFields: sdk?.logFields }).child({
    part: 'worker',
  });
  switchLevelOnSignal(logger);
  for (const warning of warnings) logger.warn(warning);
  // tracing patches what this loads
  const { createWorkerServer } = await import('./worker/server.js');
  const worker = createWorkerServer(config, logger, describeError);

  stopOnSignals(
    logger,
    () => ({ running_tasks: worker.runningCount }),
    async () => {
      await worker.stop();
      await sdk?.shutdown();
    },
  );

  const port = await worker.start();
  const security = config.tls ? (config.tls.caFile ? 'mTLS' : 'TLS') : 'not encrypted';
  logger.info(`worker ready on ${config.host}:${port} (${security})`);
}

main().catch((error: unknown) => failStart(error, 'WORKER_PORT'));
