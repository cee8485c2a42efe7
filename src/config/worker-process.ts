import { readSome, type Source, textOfFile } from './read-settings.js';
import { type TracingConfig, tracingOf, tracingSettingNames } from './tracing-settings.js';

/** The certificate that a worker shows and, with a CA, whom it lets in. */
export type WorkerTls = { certFile: string; keyFile: string; caFile: string | undefined };

/** Everything that can be set about the worker process. */
export type WorkerConfig = {
  version: string;
  host: string;
  port: number;
  logLevel: string;
  drainTimeoutMs: number;
  maxTasks: number;
  /** undefined: not encrypted */
  tls: WorkerTls | undefined;
  /** undefined: no traces are made */
  tracing: TracingConfig | undefined;
};

/** Reads only what the worker uses: whatever else is set is the service's business. */
export function readWorkerConfig(source: Source): Omit<WorkerConfig, 'version'> {
  const values = readSome(source, [
    'host',
    'logLevel',
    'drainTimeoutMs',
    'workerPort',
    'workerMaxTasks',
    'workerCaFile',
    'workerCertFile',
    'workerKeyFile',
    'isWorkerPlaintext',
    ...tracingSettingNames,
  ]);
  const { workerCaFile: caFile, workerCertFile: certFile, workerKeyFile: keyFile } = values;
  const isTls = [caFile, certFile, keyFile].some((file) => file !== undefined);
  if (isTls && (certFile === undefined || keyFile === undefined)) {
    source.problems.push('a worker with TLS needs both WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE');
  }
  if (isTls && values.isWorkerPlaintext) {
    source.problems.push('WORKER_PLAINTEXT is true and WORKER_TLS files are set; keep one of them');
  }
  if (caFile !== undefined) textOfFile(source, 'WORKER_TLS_CA_FILE', caFile);
  if (certFile !== undefined) textOfFile(source, 'WORKER_TLS_CERT_FILE', certFile);
  if (keyFile !== undefined) textOfFile(source, 'WORKER_TLS_KEY_FILE', keyFile);
  return {
    host: values.host,
    port: values.workerPort,
    logLevel: values.logLevel,
    drainTimeoutMs: values.drainTimeoutMs,
    maxTasks: values.workerMaxTasks,
    tls: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile, caFile } : undefined,
    tracing: tracingOf(values, source.warnings),
  };
}
