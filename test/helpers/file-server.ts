import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { onTestFinished } from 'vitest';

type Certificate = { key: Buffer; cert: Buffer };

/** A certificate for 127.0.0.1 and, unless another one is named, `*.files.test` that signs itself. */
export function makeCertificate(name = '*.files.test'): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'tls-'));
  try {
    const names = `subjectAltName=DNS:files.test,DNS:${name},IP:127.0.0.1`;
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
    const program = 'openssl';
    const args = ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '2', '-subj', '/CN=files.test'];
    execFileSync(program, [...args, '-addext', names], { cwd: directory, stdio: 'pipe' });
    return { key: readFileSync(join(directory, 'key.pem')), cert: readFileSync(join(directory, 'cert.pem')) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

let trusted: Certificate | undefined;

/** A certificate that this process trusts from now on. */
function trustedCertificate(): Certificate {
  if (!trusted) {
    trusted = makeCertificate();
    setDefaultCACertificates([...getCACertificates('default'), trusted.cert.toString()]);
  }
  return trusted;
}

export type FileServer = {
  port: number;
  url: string;
  /** requests so far, as `METHOD path` with its query */
  requests: { line: string; headers: Record<string, unknown> }[];
  /** resolves when no connection is open any more */
  whenQuiet(): Promise<void>;
};

type FileServerOptions = { scheme?: 'https' | 'http'; certificate?: Certificate; host?: string };

/** A server on a port of this machine for one test. */
export async function startFileServer(
  listener: RequestListener,
  { scheme = 'https', certificate, host = '127.0.0.1' }: FileServerOptions = {},
): Promise<FileServer> {
  const requests: FileServer['requests'] = [];
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  const record: RequestListener = (request, response) => {
    requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    response.on('error', () => {});
    listener(request, response);
  };
  const server =
    scheme === 'https' ? createServer(certificate ?? trustedCertificate(), record) : createHttpServer(record);
  server.on('tlsClientError', () => {});
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const resolve of waiting.splice(0)) resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    requests,
    whenQuiet: () =>
      sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
  };
}

/** Writes until the other side hangs up. */
export const endless: RequestListener = (_request, response) => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const write = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', write);
  write();
};
