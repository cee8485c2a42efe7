import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { delay } from '../core/abort.js';
import type { WorkerSecurity } from './worker.js';

export type Log = Record<'info' | 'warn', (fields: Record<string, unknown>, message: string) => void>;

/** What connections to workers are made with. The files are looked at again and again: they change when they expire. */
export interface WorkerCredentials {
  /** Undefined while there are none that could be used. */
  current(): ChannelCredentials | undefined;
  /** what is wrong with the files, in plain words */
  problem(): string | undefined;
  readonly hasClientCertificate: boolean;
  readonly isTls: boolean;
  /** Calls back whenever there are new ones; returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Resolves when the files were read once, whatever came of it. */
  start(): Promise<void>;
  close(): void;
}

const rereadMs = 5_000;

export function createCredentials(security: WorkerSecurity, log: Log): WorkerCredentials {
  return security.kind === 'tls' ? fromFiles(security, log) : plaintext();
}

function plaintext(): WorkerCredentials {
  const credentials = ChannelCredentials.createInsecure();
  return {
    current: () => credentials,
    problem: () => undefined,
    hasClientCertificate: false,
    isTls: false,
    onChange: () => () => {},
    start: async () => {},
    close() {},
  };
}

type Tls = Extract<WorkerSecurity, { kind: 'tls' }>;
type Texts = { ca: Buffer; cert?: Buffer; key?: Buffer };

function fromFiles({ caFile, client }: Tls, log: Log): WorkerCredentials {
  const closing = new AbortController();
  const listeners = new Set<() => void>();
  let used: { credentials: ChannelCredentials; texts: Texts } | undefined;
  let problem: string | undefined;

  async function read(): Promise<void> {
    const isFirst = used === undefined;
    let found: string | undefined;
    try {
      const texts: Texts = {
        ca: await readPem(caFile, 'WORKER_TLS_CA_FILE'),
        ...(client && {
          cert: await readPem(client.certFile, 'WORKER_TLS_CERT_FILE'),
          key: await readPem(client.keyFile, 'WORKER_TLS_KEY_FILE'),
        }),
      };
      if (!used || !isSame(used.texts, texts)) {
        used = { credentials: toCredentials(texts), texts };
        if (!isFirst) log.info({}, 'worker certificates were read anew');
        for (const listener of listeners) listener();
      }
      found = expiryOf(texts);
    } catch (error) {
      found = error instanceof FileProblem ? error.message : 'its certificate files cannot be used';
    }
    // while files are being replaced one by one they may not fit: what was there before goes on
    if (found !== undefined && found !== problem)
      log.warn({ reason: found }, 'worker certificates cannot be used');
    problem = found;
  }

  async function readAgain(): Promise<void> {
    while (!closing.signal.aborted) {
      await delay(rereadMs, closing.signal);
      await read();
    }
  }

  return {
    current: () => used?.credentials,
    problem: () => problem,
    hasClientCertificate: client !== undefined,
    isTls: true,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start() {
      await read();
      readAgain().catch(() => {});
    },
    close: () => closing.abort(),
  };
}

/** The message is for everybody: it names settings and no content. */
class FileProblem extends Error {}

async function readPem(path: string, setting: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new FileProblem(`${setting} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function toCredentials({ ca, cert, key }: Texts): ChannelCredentials {
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw new FileProblem('WORKER_TLS_CA_FILE holds no certificate');
  }
  try {
    const context = createSecureContext({ ca, ...(cert && key && { cert, key }), minVersion: 'TLSv1.2' });
    return ChannelCredentials.createFromSecureContext(context);
  } catch (error) {
    const isMismatch = (error as NodeJS.ErrnoException).code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH';
    throw new FileProblem(
      isMismatch
        ? 'WORKER_TLS_KEY_FILE does not belong to WORKER_TLS_CERT_FILE'
        : 'the files of WORKER_TLS_CA_FILE, WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE are not what they should be',
    );
  }
}

/** An expired certificate of ours is refused by workers without a word. */
function expiryOf({ cert }: Texts): string | undefined {
  if (!cert) return undefined;
  const { validToDate } = new X509Certificate(cert);
  if (validToDate.getTime() > Date.now()) return undefined;
  return `the certificate of WORKER_TLS_CERT_FILE expired at ${validToDate.toISOString()}`;
}

function isSame(left: Texts, right: Texts): boolean {
  const equal = (one: Buffer | undefined, other: Buffer | undefined) =>
    one === other || (one !== undefined && other !== undefined && one.equals(other));
  return equal(left.ca, right.ca) && equal(left.cert, right.cert) && equal(left.key, right.key);
}
