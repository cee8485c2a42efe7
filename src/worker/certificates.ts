import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { experimental, type ServerCredentials } from '@grpc/grpc-js';

type CertificateProvider = experimental.CertificateProvider;
type Files = { certFile: string; keyFile: string; caFile: string | undefined };
type Texts = { certificate: Buffer; privateKey: Buffer; caCertificate: Buffer | undefined };

const rereadMs = 5_000;

export type Certificates = { credentials: ServerCredentials; close(): void };

/**
 * Server credentials from files that are read again and again, so that certificates can be replaced while the worker runs. With
 * a CA only clients with a certificate of it get in. Throws when the files cannot be used at first; later ones that cannot
 * are told to `onProblem`, and what was there before goes on. grpc-js's own watcher would refuse all connections then.
 */
export function createCertificates(
  files: Files,
  onChange: () => void,
  onProblem: (error: unknown) => void,
): Certificates {
  let texts = read(files);
  const caListeners = new Set<experimental.CaCertificateUpdateListener>();
  const identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  const caUpdate = () => (texts.caCertificate ? { caCertificate: texts.caCertificate } : null);
  const provider: CertificateProvider = {
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      process.nextTick(() => listener(caUpdate()));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      process.nextTick(() => listener(texts));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };
  let problem = '';
  const timer = setInterval(() => {
    try {
      const found = read(files);
      problem = '';
      if (isSame(found, texts)) return;
      texts = found;
      for (const listener of caListeners) listener(caUpdate());
      for (const listener of identityListeners) listener(texts);
      onChange();
    } catch (error) {
      // files are replaced one after the other: for a moment they may not fit together
      if (String(error) !== problem) onProblem(error);
      problem = String(error);
    }
  }, rereadMs);
  const caProvider = files.caFile === undefined ? null : provider;
  return {
    // the implementation takes the identity first, whatever its declaration calls its parameters
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      caProvider,
      caProvider !== null,
    ),
    close: () => clearInterval(timer),
  };
}

function read({ certFile, keyFile, caFile }: Files): Texts {
  const certificate = readFileSync(certFile);
  const privateKey = readFileSync(keyFile);
  const caCertificate = caFile === undefined ? undefined : readFileSync(caFile);
  // throws when they are no certificates or do not belong together
  createSecureContext({ cert: certificate, key: privateKey, ca: caCertificate });
  return { certificate, privateKey, caCertificate };
}

function isSame(a: Texts, b: Texts): boolean {
  const equals = (one: Buffer | undefined, other: Buffer | undefined) =>
    one === other || (one !== undefined && other !== undefined && one.equals(other));
  return (
    equals(a.certificate, b.certificate) &&
    equals(a.privateKey, b.privateKey) &&
    equals(a.caCertificate, b.caCertificate)
  );
}
