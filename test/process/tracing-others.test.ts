import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { bearer, createKey } from '../helpers/credentials.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { makeCertificate, startFileServer } from '../helpers/file-server.ts';
import { useOtlpReceiver } from '../helpers/otlp-receiver.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { startProcess } from './service-process.ts';
import { ask, given, named, startTraced, tracedEnv } from './traced-service.ts';

const traceHeaders = ['traceparent', 'tracestate', 'x-amzn-trace-id', 'baggage'];
const toldIn = (headers: Record<string, unknown>) => traceHeaders.filter((name) => name in headers);

test.each(['otlp', 'xray'])('hosts of files and of keys are told of no trace: %s', async (kind) => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm();
  const key = createKey('ES256');
  const others = await startFileServer(
    ({ url }, response) =>
      void response.end(url === '/keys' ? JSON.stringify({ keys: [key.jwk] }) : 'A file.'),
    { scheme: 'http' },
  );
  const service = await startTraced(receiver, fake.url, {
    TRACING: kind,
    AUTH_MODE: 'jwt',
    JWT_JWKS_URL: `${others.url}/keys`,
    JWT_AUDIENCE: 'paf',
    FILE_URL_ALLOW_HTTP: 'true',
    FILE_URL_ALLOW_PRIVATE: 'true',
  });
  const files = [{ file_name: 'a.txt', signed_url: `${others.url}/file?signature=hush` }];
  const headers = { ...given.headers, ...bearer(key.mint({ aud: 'paf' })) };
  await (await ask(service, { message: 'What does it say?', files }, headers)).ended;
  expect(others.requests.map(({ line }) => line)).toEqual(['GET /keys', 'GET /file?signature=hush']);
  expect(others.requests.flatMap((request) => toldIn(request.headers))).toEqual([]);
  // one that the operator named may make spans of its own
  expect(fake.requests.at(-1)?.headers.traceparent).toContain(given.traceId);
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  expect(spans.filter(({ name, kind }) => name === 'GET' && kind === 'client')).toHaveLength(2);
  expect(receiver.bytes().includes('hush')).toBe(false);
});

/** A proxy through which whoever is asked for is the server at this port. */
async function startProxyTo(port: number): Promise<string> {
  const proxy = createServer().on('connect', (_request, socket) => {
    const inner = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      inner.pipe(socket).pipe(inner);
    });
    socket.on('error', () => inner.destroy());
    inner.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

test.each([
  ['api.openai.com', { OPENAI_API_KEY: 'sk-test', LLM_MODEL: 'gpt-5-mini' }],
  ['api.anthropic.com', { ANTHROPIC_API_KEY: 'sk-test' }],
])('a vendor of models is told of no trace: %s', async (host, env) => {
  const receiver = await useOtlpReceiver();
  const certificate = makeCertificate(host);
  const folder = mkdtempSync(join(tmpdir(), 'vendor-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'vendor.pem'), certificate.cert);
  const vendor = await startFileServer(
    ({ method }, response) => void response.writeHead(method === 'POST' ? 401 : 200).end('{"data":[]}'),
    { certificate },
  );
  const service = await startProcess({
    ...tracedEnv(receiver.url),
    ...env,
    HTTPS_PROXY: await startProxyTo(vendor.port),
    NODE_EXTRA_CA_CERTS: join(folder, 'vendor.pem'),
  });
  await (await ask(service, { message: 'Hello.' }, given.headers)).ended;
  const asked = vendor.requests.filter(({ line }) => line.startsWith('POST '));
  expect(asked.map(({ headers }) => headers.host)).toEqual([host]);
  expect(vendor.requests.flatMap(({ headers }) => toldIn(headers))).toEqual([]);
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  expect(named(spans, 'POST').attributes).toMatchObject({ 'server.address': host });
});

test.runIf(hasRedis)('what is booked while a run ends is not taken for stopped with it', async () => {
  const receiver = await useOtlpReceiver();
  const redis = await useRedis();
  const fake = await useFakeLlm();
  const before = hold(1);
  fake.script({ text: 'One two three.', hold: before });
  const service = await startTraced(receiver, fake.url, {
    REDIS_URL: redis.url,
    TENANT_DAILY_TOKENS: '100000',
  });
  const stream = await ask(service, { message: 'Count.' });
  await stream.waitFor(({ event }) => event === 'content');
  await receiver.until(({ name }) => name === 'EVAL');
  receiver.clear();
  redis.pause();
  before.release();
  await stream.ended;
  await receiver.until(({ name }) => name === 'invoke_agent paf-core-agent');
  redis.resume();
  const booked = await receiver.until(({ name }) => name.startsWith('EVAL'));
  const errors = booked
    .filter(({ name }) => name.startsWith('EVAL'))
    .map((span) => span.attributes['error.type']);
  expect(errors).not.toContain('cancelled');
});
