import type { WorkerTarget } from '../workers/worker.js';
import { boolean, InvalidValue, type Kind, line, path, seconds } from './kinds.js';

const mostTargets = 100;

/** Comma-separated `host:port`, or `dns:///name:port` for all addresses behind a name. */
const workerTargets: Kind<WorkerTarget[]> = {
  parse(text) {
    const items = text.split(',').map((item) => item.trim());
    const targets = items.filter((item) => item !== '').map(toTarget);
    const isUnique = new Set(targets.map(({ endpoint }) => endpoint)).size === targets.length;
    if (isUnique && targets.length <= mostTargets) return targets;
    throw new InvalidValue(`be a list of at most ${mostTargets} different workers`);
  },
};

function toTarget(text: string): WorkerTarget {
  const isName = text.startsWith('dns:///');
  const [, address = '', host = '', port = ''] =
    /^((\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?):(\d{1,5}))$/i.exec(text.replace('dns:///', '')) ??
    [];
  if (address !== '' && Number(port) >= 1 && Number(port) <= 65_535) {
    return { endpoint: text, host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), isName };
  }
  throw new InvalidValue('be a comma-separated list of host:port or dns:///name:port');
}

/** Settings of the workers that tasks are delegated to. */
export const workerSettings = {
  workerTargets: {
    env: 'WORKER_AGENT_ENDPOINTS',
    alias: 'WORKER_AGENT_ENDPOINT',
    kind: workerTargets,
    default: '',
    group: 'workers',
    about:
      'Workers over gRPC, comma-separated: host:port, or dns:///name:port for all addresses behind a name; see ' +
      'docs/workers.md. WORKER_AGENT_ENDPOINT works too.',
  },
  workerTimeoutMs: {
    env: 'WORKER_TIMEOUT',
    kind: seconds(0.001),
    default: '300',
    group: 'workers',
    about: 'The longest time that one task may take, in place of TOOL_TIMEOUT.',
  },
  workerCaFile: {
    env: 'WORKER_TLS_CA_FILE',
    kind: path,
    group: 'workers',
    about: 'A PEM file with the certificates that vouch for those of the workers. Read anew when it changes.',
  },
  workerCertFile: {
    env: 'WORKER_TLS_CERT_FILE',
    kind: path,
    group: 'workers',
    about: 'A PEM file with the certificate that is shown to workers (mTLS); unless set, none is shown.',
  },
  workerKeyFile: {
    env: 'WORKER_TLS_KEY_FILE',
    kind: path,
    group: 'workers',
    about: 'A PEM file with the private key of WORKER_TLS_CERT_FILE.',
  },
  workerServerName: {
    env: 'WORKER_TLS_SERVER_NAME',
    kind: line,
    group: 'workers',
    about: "The name that the workers' certificates must be for; unless set, the host that is connected to.",
  },
  isWorkerPlaintext: {
    env: 'WORKER_PLAINTEXT',
    kind: boolean,
    default: 'false',
    group: 'workers',
    about:
      'true: connections to workers are not encrypted. For tests and networks that are safe by themselves.',
  },
} as const;
