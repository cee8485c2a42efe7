import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { WorkerSecurity } from '../../src/workers/worker.ts';
import { temporaryDirectory } from '../helpers/mcp.ts';
import { patient, startOddWorker, type TestWorkers, useWorkers } from '../helpers/workers.ts';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/dev-certs.sh', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'certs-'));

/** Two authorities with their certificates, and some certificates that are of no use. */
const folders = { own: join(scratch, 'own'), other: join(scratch, 'other') };

beforeAll(async () => {
  await run('bash', [script, folders.own]);
  await run('bash', [script, folders.other]);
  await sign(folders.own, 'expired', 'IP:127.0.0.1', 0);
  await sign(folders.own, 'named', 'DNS:worker.internal', 1);
});

afterAll(() => rmSync(scratch, { recursive: true }));

/** A certificate of the folder's authority; one for 0 days has expired when it is made. */
async function sign(folder: string, name: string, altName: string, days: number): Promise<void> {
  const commands = [
    `openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`,
    `openssl x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days ${days} -out ${name}.crt -extfile ext`,
  ];
  const text = ['set -e', `echo subjectAltName=${altName} > ext`, ...commands].join('\n');
  await run('bash', ['-c', text], { cwd: folder });
}

type Client = { ca?: string; certificate?: string | undefined; serverName?: string };

function securityOf({ ca = folders.own, certificate = 'client', serverName }: Client): WorkerSecurity {
  const isNone = certificate === 'none';
  const client = { certFile: join(ca, `${certificate}.crt`), keyFile: join(ca, `${certificate}.key`) };
  return {
    kind: 'tls',
    caFile: join(ca, 'ca.crt'),
    client: isNone ? undefined : client,
    serverName,
  };
}

const serverOf = (folder: string, name = 'server') => ({
  TLS_CERT: join(folder, `${name}.crt`),
  TLS_KEY: join(folder, `${name}.key`),
});
const mutual = (folder: string) => ({ ...serverOf(folder), TLS_CA: join(folder, 'ca.crt') });

async function reasonOf(env: Record<string, string>, security: WorkerSecurity) {
  const worker = await startOddWorker(env);
  const workers = useWorkers([worker.endpoint], { security });
  await vi.waitFor(() => expect(workers.statusOf(worker.endpoint).error).toBeDefined(), patient);
  // after some more tries
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const { status, error } = workers.statusOf(worker.endpoint);
  const lines = workers.logs.filter(({ message }) => message === 'worker unavailable');
  return { status, error, lines: lines.map(({ reason }) => reason) };
}

describe('certificates', () => {
  test('with a certificate of its own, the service is let in', async () => {
    const worker = await startOddWorker(mutual(folders.own));
    const workers = useWorkers([worker.endpoint], { security: securityOf({}) });
    await workers.until(worker.endpoint, 'serving');
    expect((await workers.call('echo', { a: 1 })).details).toEqual({ echo: { a: 1 } });
  });

  test('a CA alone is enough for a worker that asks for no certificate', async () => {
    const worker = await startOddWorker(serverOf(folders.own));
    const workers = useWorkers([worker.endpoint], { security: securityOf({ certificate: 'none' }) });
    await workers.until(worker.endpoint, 'serving');
    expect((await workers.call('echo')).isError).toBe(false);
  });

  test('the name that a certificate is for can be given', async () => {
    const worker = await startOddWorker(serverOf(folders.own, 'named'));
    const security = securityOf({ serverName: 'worker.internal' });
    const workers = useWorkers([worker.endpoint], { security });
    await workers.until(worker.endpoint, 'serving');
    expect((await workers.call('echo')).isError).toBe(false);
  });

  test('behind a name, certificates are for the name and not for the addresses', async () => {
    const worker = await startOddWorker(serverOf(folders.own, 'named'));
    const name = `dns:///worker.internal:${worker.port}`;
    const workers = useWorkers([name], { security: securityOf({}), resolve: async () => ['127.0.0.1'] });
    await vi.waitFor(() => expect(workers.status()[0]?.endpoint).toBe(worker.endpoint), patient);
    await workers.until(worker.endpoint, 'serving');
    expect((await workers.call('echo')).isError).toBe(false);
  });

  const closed = 'closed the connection, probably because';
  test.each([
    [
      'no client certificate',
      () => mutual(folders.own),
      { certificate: 'none' },
      `${closed} it wants a client certificate (WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE)`,
    ],
    [
      'a client certificate of another authority',
      () => ({ ...serverOf(folders.own), TLS_CA: join(folders.other, 'ca.crt') }),
      {},
      `${closed} it does not accept our client certificate (WORKER_TLS_CERT_FILE)`,
    ],
    [
      'a worker of another authority',
      () => mutual(folders.other),
      {},
      'shows a certificate that WORKER_TLS_CA_FILE does not vouch for',
    ],
    [
      'a worker whose certificate has expired',
      () => serverOf(folders.own, 'expired'),
      {},
      'shows a certificate that has expired',
    ],
    [
      'a worker with a certificate for another name',
      () => serverOf(folders.own, 'named'),
      {},
      'shows a certificate for another name (see WORKER_TLS_SERVER_NAME)',
    ],
    ['a worker without TLS', () => ({}), {}, 'does not speak TLS (see WORKER_PLAINTEXT)'],
  ] as [string, () => Record<string, string>, Client, string][])(
    '%s is a plain reason, told once',
    async (_, env, client, reason) => {
      expect(await reasonOf(env(), securityOf(client))).toEqual({
        status: 'unavailable',
        error: reason,
        lines: [reason],
      });
    },
  );

  test('an expired certificate of our own is named', async () => {
    const { error } = await reasonOf(mutual(folders.own), securityOf({ certificate: 'expired' }));
    expect(error).toMatch(
      /^closed the connection, probably because the certificate of WORKER_TLS_CERT_FILE expired at 20\S+Z$/,
    );
  });

  test('a service without TLS learns that a worker wants it', async () => {
    const { error } = await reasonOf(mutual(folders.own), { kind: 'plaintext' });
    expect(error).toBe(`${closed} it wants TLS (WORKER_TLS_CA_FILE)`);
  });
});

const linesOf = ({ logs }: TestWorkers, message: string) => logs.filter((line) => line.message === message);

test('new certificates are used for new calls within 15 s, and calls under way go on', async () => {
  const folder = temporaryDirectory();
  await cp(folders.own, folder, { recursive: true });
  const security = securityOf({ ca: folder });
  const worker = await startOddWorker(mutual(folders.own));
  // longer than it takes until the files are looked at twice
  const workers = useWorkers([worker.endpoint], { security, timeoutMs: 35_000 });
  await workers.until(worker.endpoint, 'serving');
  const call = workers.call('slow', {}, { signal: AbortSignal.timeout(35_000) });
  await worker.until(/^start slow /);

  // a key that does not fit is what is seen in the middle of a replacement: nothing changes
  await cp(join(folders.other, 'client.key'), join(folder, 'new.key'));
  await rename(join(folder, 'new.key'), join(folder, 'client.key'));
  await vi.waitFor(
    () =>
      expect(linesOf(workers, 'worker certificates cannot be used')).toMatchObject([
        { reason: 'WORKER_TLS_KEY_FILE does not belong to WORKER_TLS_CERT_FILE' },
      ]),
    patient,
  );
  expect((await workers.call('echo')).isError).toBe(false);

  const rotatedMs = performance.now();
  await cp(folders.other, folder, { recursive: true });
  await vi.waitFor(
    () => expect(linesOf(workers, 'worker certificates were read anew')).toHaveLength(1),
    patient,
  );
  expect(performance.now() - rotatedMs).toBeLessThan(15_000);
  // the worker still has the old ones
  const { error } = await workers.until(worker.endpoint, 'unavailable');
  expect(error).toBe('shows a certificate that WORKER_TLS_CA_FILE does not vouch for');
  worker.tell('finish');
  expect(await call).toMatchObject({ details: { by: worker.child.pid } });

  await worker.kill();
  await startOddWorker({ ...mutual(folders.other), PORT: String(worker.port) });
  await workers.until(worker.endpoint, 'serving');
  expect((await workers.call('echo')).isError).toBe(false);
}, 40_000);
