import type { WorkerSecurity, WorkerTarget } from '../workers/worker.js';
import { type Source, textOfFile } from './read-settings.js';

type WorkerValues = {
  workerTargets: WorkerTarget[] | undefined;
  workerCaFile: string | undefined;
  workerCertFile: string | undefined;
  workerKeyFile: string | undefined;
  workerServerName: string | undefined;
  isWorkerPlaintext: boolean | undefined;
};

/** How the connections to workers are secured; nothing is decided by silence. */
export function readWorkerSecurity(source: Source, values: WorkerValues): WorkerSecurity {
  const { workerCaFile: caFile, workerCertFile: certFile, workerKeyFile: keyFile } = values;
  if (!values.workerTargets?.length) return { kind: 'plaintext' };
  const isTls = [caFile, certFile, keyFile].some((file) => file !== undefined);
  const complain = (problem: string) => void source.problems.push(problem);
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [given, missing] = certFile === undefined ? ['KEY', 'CERT'] : ['CERT', 'KEY'];
    complain(`WORKER_TLS_${given}_FILE needs WORKER_TLS_${missing}_FILE`);
  }
  if (isTls && values.isWorkerPlaintext) {
    complain('WORKER_PLAINTEXT is true and WORKER_TLS files are set; keep one of them');
  } else if (isTls && caFile === undefined) {
    complain('WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE need WORKER_TLS_CA_FILE');
  } else if (!isTls && !values.isWorkerPlaintext) {
    complain(
      'WORKER_AGENT_ENDPOINTS needs WORKER_TLS_CA_FILE (for mTLS also WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE), or ' +
        'WORKER_PLAINTEXT=true for connections that are not encrypted',
    );
  }
  if (caFile === undefined) return { kind: 'plaintext' };
  textOfFile(source, 'WORKER_TLS_CA_FILE', caFile);
  if (certFile !== undefined) textOfFile(source, 'WORKER_TLS_CERT_FILE', certFile);
  if (keyFile !== undefined) textOfFile(source, 'WORKER_TLS_KEY_FILE', keyFile);
  const client = certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined;
  return { kind: 'tls', caFile, client, serverName: values.workerServerName };
}
