import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { ChannelCredentials } from '@grpc/grpc-js';
import { describe, expect, test, vi } from 'vitest';
import { useFolder } from '../helpers/folders.ts';
import { connect, runTask, startWorker, taskOf } from './worker-process.ts';

const script = fileURLToPath(new URL('../../scripts/dev-certs.sh', import.meta.url));
const small = () => taskOf('data_analysis', { data: 'a\n1\n2\n' });

function makeCertificates(name = 'certs', folder = useFolder()): string {
  const target = join(folder, name);
  execFileSync(script, [target]);
  return target;
}

const settings = (folder: string) => ({
  WORKER_TLS_CA_FILE: join(folder, 'ca.crt'),
  WORKER_TLS_CERT_FILE: join(folder, 'server.crt'),
  WORKER_TLS_KEY_FILE: join(folder, 'server.key'),
});

/** What a client shows that has a certificate of `own` and trusts the CA of `folder`. */
const credentialsOf = (folder: string, own = folder) =>
  ChannelCredentials.createSsl(
    readFileSync(join(folder, 'ca.crt')),
    readFileSync(join(own, 'client.key')),
    readFileSync(join(own, 'client.crt')),
  );

/** Which certificate a worker shows, as its fingerprint. */
const shownBy = (port: number, folder: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connectTls({
      port,
      host: 'localhost',
      ca: readFileSync(join(folder, 'ca.crt')),
      cert: readFileSync(join(folder, 'client.crt')),
      key: readFileSync(join(folder, 'client.key')),
      ALPNProtocols: ['h2'],
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
  });

describe('a worker with a CA', () => {
  test('lets in who has a certificate of it, and nobody else', async () => {
    const folder = makeCertificates();
    const other = makeCertificates();
    const worker = await startWorker(settings(folder), credentialsOf(folder));
    await worker.waitForOutput(/worker ready on 127\.0\.0\.1:\d+ \(mTLS\)/);
    expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });

    const none = connect(worker.port, ChannelCredentials.createSsl(readFileSync(join(folder, 'ca.crt'))));
    expect(await runTask(none, small(), 2_000)).toMatchObject({ code: 'UNAVAILABLE', events: [] });
    const wrong = connect(worker.port, credentialsOf(folder, other));
    expect(await runTask(wrong, small(), 2_000)).toMatchObject({ code: 'UNAVAILABLE', events: [] });
    const plain = connect(worker.port);
    expect(await runTask(plain, small(), 2_000)).toMatchObject({ code: 'UNAVAILABLE', events: [] });
    // and a client does not talk to a worker of another CA
    const distrustful = connect(worker.port, credentialsOf(other, folder));
    expect(await runTask(distrustful, small(), 2_000)).toMatchObject({ code: 'UNAVAILABLE', events: [] });
    expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });
  });

  test('takes new certificates while it runs, and none that do not fit together', async () => {
    const folder = makeCertificates();
    const worker = await startWorker(settings(folder), credentialsOf(folder));
    const before = await shownBy(worker.port, folder);
    const parent = useFolder();
    const next = join(parent, 'next');
    mkdirSync(next);
    for (const name of ['ca.crt', 'ca.key']) copyFileSync(join(folder, name), join(next, name));
    makeCertificates('next', parent);

    copyFileSync(join(next, 'server.crt'), join(folder, 'server.crt'));
    await worker.waitForOutput(/certificates cannot be used; the old ones go on/);
    expect(await shownBy(worker.port, folder)).toBe(before);

    copyFileSync(join(next, 'server.key'), join(folder, 'server.key'));
    await worker.waitForOutput(/certificates replaced/);
    expect(await shownBy(worker.port, folder)).not.toBe(before);
    expect(await runTask(connect(worker.port, credentialsOf(folder, next)), small())).toMatchObject({
      code: 'OK',
    });
    // connections that were open stay open
    expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });
  });

  test('drops the old CA when it is replaced', async () => {
    const folder = makeCertificates();
    const next = makeCertificates();
    const worker = await startWorker(settings(folder), credentialsOf(folder));
    for (const name of ['ca.crt', 'server.crt', 'server.key'])
      copyFileSync(join(next, name), join(folder, name));
    await vi.waitFor(
      async () =>
        expect(await runTask(connect(worker.port, credentialsOf(next)), small(), 1_000)).toMatchObject({
          code: 'OK',
        }),
      { timeout: 15_000, interval: 500 },
    );
    const old = connect(
      worker.port,
      ChannelCredentials.createSsl(
        readFileSync(join(next, 'ca.crt')),
        readFileSync(join(folder, 'client.key')),
        readFileSync(join(folder, 'client.crt')),
      ),
    );
    expect(await runTask(old, small(), 2_000)).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

test('a worker without a CA is encrypted for everybody', async () => {
  const folder = makeCertificates();
  const { WORKER_TLS_CA_FILE: _, ...server } = settings(folder);
  const credentials = ChannelCredentials.createSsl(readFileSync(join(folder, 'ca.crt')));
  const worker = await startWorker(server, credentials);
  await worker.waitForOutput(/\(TLS\)/);
  expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });
});

describe('scripts/dev-certs.sh', () => {
  test('keeps its CA, and makes files that only their owner reads', () => {
    const folder = useFolder();
    const target = makeCertificates('certs', folder);
    const ca = readFileSync(join(target, 'ca.crt'), 'utf8');
    const server = readFileSync(join(target, 'server.crt'), 'utf8');
    makeCertificates('certs', folder);
    expect(readFileSync(join(target, 'ca.crt'), 'utf8')).toBe(ca);
    expect(readFileSync(join(target, 'server.crt'), 'utf8')).not.toBe(server);
    const modes = execFileSync('find', [target, '-type', 'f', '-perm', '/077'], { encoding: 'utf8' });
    expect(modes).toBe('');
  });

  test('says so when there is no openssl', () => {
    const bash = execFileSync('sh', ['-c', 'command -v bash'], { encoding: 'utf8' }).trim();
    const { status, stderr } = spawnSync(bash, [script, join(useFolder(), 'certs')], {
      env: { PATH: useFolder() },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'openssl is needed: install it (apt-get install openssl, brew install openssl).\n',
    });
  });
});
