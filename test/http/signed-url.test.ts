import type { RequestListener } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { problemOf, startChat } from '../helpers/chat.ts';
import { endless, type FileServer, makeCertificate, startFileServer } from '../helpers/file-server.ts';
import { jsonPost, openStream, type SseEvent, startService, type TestService } from '../helpers/service.ts';

const inside = { FILE_URL_ALLOW_PRIVATE: 'true' };
const secret = 'X-Amz-Signature=topsecret';
const answer: ScriptedReply = { text: 'Here it is.' };

const fileAt = (url: string, more: object = {}) => ({ file_name: 'notes.txt', signed_url: url, ...more });

const ask = (...files: object[]) => ({ message: 'What does the file say?', files });

const post = (service: TestService, path: string, body: object, headers = {}) =>
  fetch(`${service.url}${path}`, jsonPost(body, headers));

async function stream(service: TestService, body: object): Promise<SseEvent[]> {
  return (await openStream(`${service.url}/api/chat/stream`, jsonPost(body))).ended;
}

/** Neither the signature, nor the address, nor what the host said is anywhere in the texts. */
function expectSecret(service: TestService, ...texts: unknown[]): void {
  const all = JSON.stringify([service.logs, ...texts]);
  expect(all).not.toMatch(/topsecret|X-Amz|private-path|upstream says/);
}

const promptOf = (request: { body: unknown } | undefined) => JSON.stringify(request?.body);

describe('the file', () => {
  test('is fetched and given to the model, on both routes', async () => {
    const server = await startFileServer((_request, response) =>
      response.end('first\nthe sky is green\nlast'),
    );
    const { fake, service } = await startChat([answer, answer], inside);
    const body = ask(fileAt(`${server.url}/private-path?${secret}`), {
      file_name: 'b.txt',
      content: 'inline',
    });
    const events = await stream(service, body);
    expect(events.map(({ event }) => event)).toEqual(['content', 'content', 'content', 'complete', 'done']);
    const whole = await post(service, '/api/chat', body);
    expect(whole.status).toBe(200);
    expect(await whole.json()).toMatchObject({ content: 'Here it is.' });
    for (const request of fake.requests) {
      expect(promptOf(request)).toContain('the sky is green');
      expect(promptOf(request)).toContain('inline');
    }
    expect(server.requests.map(({ line }) => line)).toEqual(Array(2).fill(`GET /private-path?${secret}`));
    await server.whenQuiet();
    expectSecret(service, events);
  });

  test('has its lines, and follows redirects', async () => {
    const server = await startFileServer((request, response) => {
      if (request.url === '/old') response.writeHead(301, { location: '/new' }).end();
      else response.end('one\ntwo\nthree\nfour');
    });
    const { fake, service } = await startChat([answer], inside);
    await stream(service, ask(fileAt(`${server.url}/old`, { line_start: 2, line_end: 3 })));
    const prompt = promptOf(fake.requests[0]);
    expect(prompt).toContain('two');
    expect(prompt).toContain('three');
    expect(prompt).not.toContain('four');
  });

  test('is fetched once, however often a request with its Idempotency-Key comes', async () => {
    const server = await startFileServer((_request, response) => response.end('once'));
    const { service, fake } = await startChat([answer], inside);
    const body = ask(fileAt(server.url));
    const answers = await Promise.all(
      [1, 2, 3].map(
        async () =>
          (await post(service, '/api/chat', body, { 'idempotency-key': 'k' })).json() as Promise<{
            run_id: string;
          }>,
      ),
    );
    const open = vi.spyOn(service.services.fileFetcher, 'open');
    const again = (await (await post(service, '/api/chat', body, { 'idempotency-key': 'k' })).json()) as {
      run_id: string;
    };
    expect(new Set([...answers, again].map(({ run_id }) => run_id)).size).toBe(1);
    expect(open).not.toHaveBeenCalled();
    expect(server.requests).toHaveLength(1);
    expect(fake.requests).toHaveLength(1);
  });
});

const noAddress = 'names a host that has no public address';
const notPlain = 'must name its host plainly: a.b.c.d, [IPv6] or a name, xn--… when international';
const noSpaces = 'must not hold spaces, control characters or backslashes';
const noCredentials = 'must not hold a user name or a password';
const noUrl = 'must be a whole URL, scheme and host included';
const onlyHttps = 'must start with https://';

const hostile: [url: string, message: string][] = [
  ['https://127.0.0.1/', noAddress],
  ['https://localhost/', noAddress],
  ['https://LOCALHOST:8443/', noAddress],
  ['https://10.0.0.1/', noAddress],
  ['https://172.20.1.1/', noAddress],
  ['https://192.168.1.1/', noAddress],
  ['https://169.254.169.254/latest/meta-data/iam/', noAddress],
  ['https://100.64.1.1/', noAddress],
  ['https://100.100.100.200/', noAddress],
  ['https://0.0.0.0/', noAddress],
  ['https://192.0.0.1/', noAddress],
  ['https://198.19.0.1/', noAddress],
  ['https://203.0.113.9/', noAddress],
  ['https://239.255.255.250/', noAddress],
  ['https://250.1.1.1/', noAddress],
  ['https://255.255.255.255/', noAddress],
  ['https://[::]/', noAddress],
  ['https://[::1]/', noAddress],
  ['https://[fd12:3456::1]/', noAddress],
  ['https://[fe80::1]/', noAddress],
  ['https://[ff02::1]/', noAddress],
  ['https://[::ffff:a9fe:a9fe]/', noAddress],
  ['https://[64:ff9b::a9fe:a9fe]/', noAddress],
  ['https://[2002:a9fe:a9fe::]/', noAddress],
  ['https://[2001::1]/', noAddress],
  ['https://[2001:db8::1]/', noAddress],
  ['https://2852039166/', notPlain],
  ['https://0xa9fea9fe/', notPlain],
  ['https://0251.0376.0251.0376/', notPlain],
  ['https://127.1/', notPlain],
  ['https://localhost./', notPlain],
  ['https://[::ffff:127.0.0.1]/', notPlain],
  ['https://①⑥⑨.254.169.254/', notPlain],
  ['https://169。254。169。254/', notPlain],
  ['https://%6c%6f%63%61%6c%68%6f%73%74/', notPlain],
  ['https://user:pass@8.8.8.8/', noCredentials],
  ['https://8.8.8.8@127.0.0.1/', noCredentials],
  ['https:\\\\127.0.0.1/', noSpaces],
  ['https://8.8.8.8/\r\nX: y', noSpaces],
  ['https:127.0.0.1', noUrl],
  ['//127.0.0.1/', noUrl],
  ['javascript:alert(1)', noUrl],
  ['data:text/plain;base64,aGk=', noUrl],
  ['http://8.8.8.8/', onlyHttps],
  ['file:///etc/passwd', onlyHttps],
  ['ftp://8.8.8.8/', onlyHttps],
  ['gopher://127.0.0.1:25/', onlyHttps],
  ['https://8.8.8.8:0/', 'must not name port 0'],
  ['https://8.8.8.8:70000/', 'is not a valid URL'],
  ['', 'must not be empty'],
];

describe('an address that is refused', () => {
  test('is a 400 before any header of a stream', async () => {
    const service = await startService();
    for (const [url, message] of hostile) {
      const response = await post(
        service,
        '/api/chat/stream',
        ask({ file_name: 'a', content: 'x' }, fileAt(url)),
      );
      expect(response.status).toBe(400);
      expect(response.headers.get('x-run-id')).toBeNull();
      expect(await problemOf(response)).toMatchObject({
        type: 'urn:paf:error:invalid_request',
        detail: `files[1].signed_url ${message}.`,
        errors: [{ path: 'files[1].signed_url', message }],
      });
    }
  });

  test('is told with the others, on POST /api/chat too', async () => {
    const service = await startService();
    const urls = [`https://10.0.0.1/?${secret}`, `ftp://files.example.com/?${secret}`];
    const problem = await problemOf(await post(service, '/api/chat', ask(...urls.map((url) => fileAt(url)))));
    expect(problem.errors).toEqual([
      { path: 'files[0].signed_url', message: noAddress },
      { path: 'files[1].signed_url', message: onlyHttps },
    ]);
    expectSecret(service, problem);
  });

  test('may be one of any host that FILE_URL_HOSTS does not list', async () => {
    const server = await startFileServer((_request, response) => response.end('listed'));
    const { service } = await startChat([answer], { ...inside, FILE_URL_HOSTS: '*.files.test, 127.0.0.1' });
    expect((await post(service, '/api/chat', ask(fileAt(server.url)))).status).toBe(200);
    const response = await post(service, '/api/chat', ask(fileAt('https://8.8.8.8/')));
    expect((await problemOf(response)).detail).toBe(
      'files[0].signed_url names a host that is not one of the allowed ones.',
    );
  });

  test('is one of http unless FILE_URL_ALLOW_HTTP is set', async () => {
    const server = await startFileServer((_request, response) => response.end('plain'), { scheme: 'http' });
    const { service } = await startChat([answer], { ...inside, FILE_URL_ALLOW_HTTP: 'true' });
    expect((await post(service, '/api/chat', ask(fileAt(server.url)))).status).toBe(200);
    const response = await post(service, '/api/chat', ask(fileAt('ftp://127.0.0.1/')));
    expect((await problemOf(response)).detail).toBe(
      'files[0].signed_url must start with https:// or http://.',
    );
  });
});

describe('a transfer that fails', () => {
  const failures: [name: string, listener: RequestListener, message: string, env?: Record<string, string>][] =
    [
      [
        'is not found',
        (_, response) => response.writeHead(404).end('upstream says no'),
        'was answered with status 404',
      ],
      [
        'is forbidden',
        (_, response) => response.writeHead(403).end('upstream says no'),
        'was answered with status 403',
      ],
      [
        'leads inside',
        (_, response) => response.writeHead(302, { location: 'https://169.254.169.254/private-path' }).end(),
        'leads to a redirect that is not allowed',
      ],
      [
        'goes in circles',
        (_, response) => response.writeHead(302, { location: '/' }).end(),
        'leads to more than 5 redirects',
      ],
      [
        'is too large by one byte',
        (_, response) => response.writeHead(200, { 'content-length': 104_857_601 }).flushHeaders(),
        'has more than 104857600 bytes',
      ],
      ['has no end', endless, 'has more than 5000000 bytes', { MAX_FILE_BYTES: '5000000' }],
      ['says nothing', () => {}, 'did not arrive within 0.2 seconds', { FILE_URL_TIMEOUT: '0.2' }],
      [
        'is cut off',
        (_, response) => {
          response.writeHead(200, { 'content-length': 100 });
          response.write('half', () => response.destroy());
        },
        'could not be fetched: the connection failed',
      ],
    ];

  test.each(failures)(
    'because it %s is invalid_file on both routes',
    async (_name, listener, message, env = {}) => {
      const server: FileServer = await startFileServer(listener);
      const { service, fake } = await startChat([], { ...inside, ...env });
      const body = ask(fileAt(`${server.url}/private-path?${secret}`));
      const events = await stream(service, body);
      expect(events.map(({ event }) => event)).toEqual(['error', 'done']);
      expect(events[0]?.data).toMatchObject({
        error: `files[0].signed_url ${message}.`,
        error_type: 'invalid_file',
      });
      const response = await post(service, '/api/chat', body);
      expect(response.status).toBe(422);
      const problem = await problemOf(response);
      expect(problem).toMatchObject({
        type: 'urn:paf:error:invalid_file',
        detail: `files[0].signed_url ${message}.`,
        errors: [{ path: 'files[0].signed_url', message }],
      });
      await server.whenQuiet();
      expect(fake.requests).toEqual([]);
      expectSecret(service, events, problem);
    },
  );

  test('because nobody vouches for the certificate says so', async () => {
    const server = await startFileServer(endless, { certificate: makeCertificate() });
    const { service } = await startChat([], inside);
    const events = await stream(service, ask(fileAt(server.url)));
    expect(events[0]?.data.error).toBe(
      'files[0].signed_url could not be fetched: there is no trusted TLS connection to its host.',
    );
  });

  test('ends the other transfers of the request', async () => {
    const server = await startFileServer((request, response) => {
      if (request.url === '/2') response.writeHead(410).end();
    });
    const { service } = await startChat([], inside);
    const files = [0, 1, 2, 3, 4].map((index) =>
      fileAt(`${server.url}/${index}`, { file_name: `${index}.txt` }),
    );
    const events = await stream(service, ask(...files));
    expect(events[0]?.data.error).toBe('files[2].signed_url was answered with status 410.');
    await server.whenQuiet();
  });
});

test('a file that cannot be read ends the transfers of the others', async () => {
  const started = Promise.withResolvers<void>();
  const server = await startFileServer((request, response) => {
    if (request.url === '/broken')
      void started.promise.then(() => response.end(Buffer.from([0, 255, 0, 1, 2])));
    else response.write('slow', () => started.resolve());
  });
  const { service } = await startChat([], inside);
  const events = await stream(service, ask(fileAt(`${server.url}/broken`), fileAt(`${server.url}/slow`)));
  expect(events[0]?.data).toMatchObject({ error_type: 'invalid_file' });
  expect(events[0]?.data.error).toMatch(/^files\[0\]\.signed_url /);
  await server.whenQuiet();
});

test('more than 100 MiB that come in pieces are refused', async () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  const server = await startFileServer((_request, response) => {
    let sent = 0;
    const write = () => {
      while (sent < 100) {
        sent += 1;
        if (!response.write(megabyte)) return;
      }
      response.end('x');
    };
    response.on('drain', write);
    write();
  });
  const { service } = await startChat([], inside);
  const events = await stream(service, ask(fileAt(server.url)));
  expect(events[0]?.data.error).toBe('files[0].signed_url has more than 104857600 bytes.');
});

test.each(['cancel', 'leave'] as const)('a slow transfer ends within 250 ms of a %s', async (how) => {
  const started = Promise.withResolvers<void>();
  const server = await startFileServer((_request, response) => {
    response.write('slow', () => started.resolve());
  });
  const { service } = await startChat([], inside);
  const open = await openStream(`${service.url}/api/chat/stream`, jsonPost(ask(fileAt(server.url))));
  await started.promise;
  const startedMs = performance.now();
  if (how === 'leave') open.abort();
  else await fetch(`${service.url}/api/runs/${open.runId}/cancel`, { method: 'POST' });
  await server.whenQuiet();
  expect(performance.now() - startedMs).toBeLessThan(250);
  if (how === 'cancel') {
    const events = await open.ended;
    expect(events[0]?.data).toMatchObject({ error_type: 'cancelled', retryable: false });
  }
});
