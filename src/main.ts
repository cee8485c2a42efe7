import type { Server } from 'node:http';
import { loadConfigFromProcess } from './config.js';
import { createLogger, surviveLevelSignal, switchLevelOnSignal } from './observability/logger.js';
import { failStart, startTracing, stopOnSignals } from './process.js';

async function main(): Promise<void> {
  surviveLevelSignal();
  const { config, warnings } = loadConfigFromProcess();
  const sdk = await startTracing(config, 'paf-core-agent', (fields, text) => logger.warn(fields, text));
  const logger = createLogger(config.logLevel, { moreFields: sdk?.logFields });
  switchLevelOnSignal(logger);
  for (const warning of warnings) logger.warn(warning);
  // tracing patches what these load
  const [{ createApp }, { createServices, createTracingOf }] = await Promise.all([
    import('./app.js'),
    import('./services.js'),
  ]);
  const services = createServices(config, logger, { tracing: await createTracingOf(config) });
  const app = await createApp(services);

  stopOnSignals(
    logger,
    () => ({ active_runs: services.runs.activeCount }),
    async () => {
      await services.drain();
      await app.close();
      await services.close();
      await sdk?.shutdown();
    },
  );

  await app.listen({ port: config.port, host: config.host });
  await services.start();
  logger.info(
    { providers: services.providerNames },
    `ready on http://localhost:${listeningPort(app.server.address())}`,
  );
}

function listeningPort(address: ReturnType<Server['address']>): number | undefined {
  return typeof address === 'object' ? address?.port : undefined;
}

main().catch((error: unknown) => failStart(error, 'PORT'));
