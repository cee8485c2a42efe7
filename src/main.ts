import type { Server } from 'node:http';
import { type Config, ConfigError, loadConfigFromProcess } from './config.js';
import { Fault } from './core/errors.js';
import { createLogger, describeError, exitSoon, switchLevelOnSignal } from './observability/logger.js';
import type { SdkOptions, StartedSdk } from './observability/tracing/start.js';

async function main(): Promise<void> {
  const { config, warnings } = loadConfigFromProcess();
  const sdk = await startTracing(config, (fields, text) => logger.warn(fields, text));
  const logger = createLogger(config.logLevel, undefined, undefined, sdk?.logFields);
  switchLevelOnSignal(logger);
  for (const warning of warnings) logger.warn(warning);
  // tracing patches what these load
  const [{ createApp }, { createServices, createTracingOf }] = await Promise.all([
    import('./app.js'),
    import('./services.js'),
  ]);
  const services = createServices(config, logger, { tracing: await createTracingOf(config) });
  const app = await createApp(services);

  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal, active_runs: services.runs.activeCount }, 'stopping');
    await services.drain();
    await app.close();
    await services.close();
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

  await app.listen({ port: config.port, host: config.host });
  await services.start();
  logger.info(
    { providers: services.providerNames },
    `ready on http://localhost:${listeningPort(app.server.address())}`,
  );
}

/** OpenTelemetry is loaded only by those who want traces: it takes time and memory. */
async function startTracing(
  { tracing, version }: Config,
  warn: SdkOptions['warn'],
): Promise<StartedSdk | undefined> {
  if (!tracing) return undefined;
  const { startSdk } = await import('./observability/tracing/start.js');
  const { kind, protocol, isNamed } = tracing;
  const serviceName = isNamed ? undefined : 'paf-core-agent';
  return startSdk({ kind, protocol, serviceName, version, warn });
}

function listeningPort(address: ReturnType<Server['address']>): number | undefined {
  return typeof address === 'object' ? address?.port : undefined;
}

main().catch((error: unknown) => {
  const lines = error instanceof ConfigError ? error.problems : [startProblem(error)];
  for (const line of lines) process.stderr.write(`${line}\n`);
  process.exit(1);
});

function startProblem(error: unknown): string {
  const { code, port } = error as { code?: string; port?: number };
  if (error instanceof Fault) return error.message;
  if (code === 'EADDRINUSE') return `PORT ${port} is in use; set another one.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
