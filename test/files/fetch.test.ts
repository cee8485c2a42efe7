import type { RequestListener } from 'node:http';
import { constants, createGzip, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { createFileFetcher, type FileLink } from '../../src/files/fetch.ts';
import type { FetchBytes } from '../../src/files/text-file.ts';
import { createOutgoingGuard } from '../../src/outgoing/guard.ts';
import { endless, makeCertificate, startFileServer } from '../helpers/file-server.ts';

const signal = new AbortController().signal;
const guard = createOutgoingGuard({ hosts: [], allowHttp: false, allowPrivate: true });

type Limits = { maxBytes?: number; timeoutMs?: number };

async function open(links: FileLink[], limits: Limits = {}): Promise<FetchBytes[]> {
  const fetcher = createFileFetcher({ guard, maxBytes: 1_000_000, timeoutMs: 20_000, ...limits });
  const opened = await fetcher.open(links, signal);
  if ('problems' in opened) throw new Error(JSON.stringify(opened.problems));
  return [...opened.fetches.values()];
}

const secretQuery = '?X-Amz-Signature=topsecret';

async function fetchFrom(url: string, limits: Limits = {}, size?: number): Promise<Uint8Array> {
  const [fetch] = await open([{ path: 'files[0].signed_url', url: url + secretQuery, size }], limits);
  return (fetch as FetchBytes)(() => {}, signal);
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Fault)) throw new Error(`no fault but ${error}`);
  expect(error.type).toBe('invalid_file');
  const [problem] = error.problems ?? [];
  expect(error.message).toBe(`${problem?.path} ${problem?.message}.`);
  expect(error.message).not.toMatch(/topsecret|127\.0\.0\.1|X-Amz|upstream says/);
  return error;
}

test('a file arrives as it is, whatever its size and with or without a Content-Length', async () => {
  for (const size of [0, 1, 256 * 1024, 256 * 1024 + 1, 999_999, 1_000_000]) {
    const bytes = Buffer.alloc(size, 'abcdefg');
    const server = await startFileServer((request, response) => {
      if (request.url?.startsWith('/sized')) response.setHeader('content-length', size);
      else response.setHeader('transfer-encoding', 'chunked');
      response.end(bytes);
    });
    for (const path of ['/sized', '/chunked']) {
      const fetched = await fetchFrom(server.url + path);
      expect(Buffer.compare(fetched, bytes)).toBe(0);
    }
    await server.whenQuiet();
  }
});

test.each([
  [404, false],
  [403, false],
  [401, false],
  [206, false],
  [204, false],
  [304, false],
  [429, true],
  [500, true],
  [503, true],
])('status %i is named and nothing that comes with it', async (status, retryable) => {
  const server = await startFileServer((_request, response) =>
    response.writeHead(status).end('upstream says: topsecret'),
  );
  const fault = await faultOf(fetchFrom(server.url));
  expect(fault.message).toBe(`files[0].signed_url was answered with status ${status}.`);
  expect(fault.retryable).toBe(retryable);
  await server.whenQuiet();
});

test('one byte too many is too much, by Content-Length before the body and by counting without one', async () => {
  const tooLarge = 'files[0].signed_url has more than 1000000 bytes.';
  const sized = await startFileServer((_request, response) => {
    // the body never comes: the header alone decides
    response.writeHead(200, { 'content-length': 1_000_001 }).flushHeaders();
  });
  expect((await faultOf(fetchFrom(sized.url))).message).toBe(tooLarge);
  const chunked = await startFileServer((_request, response) => {
    response.write(Buffer.alloc(500_000));
    response.end(Buffer.alloc(500_001));
  });
  expect((await faultOf(fetchFrom(chunked.url))).message).toBe(tooLarge);
  const never = await startFileServer(endless);
  expect((await faultOf(fetchFrom(never.url))).message).toBe(tooLarge);
  await Promise.all([sized.whenQuiet(), chunked.whenQuiet(), never.whenQuiet()]);
});

test('a file that comes byte by byte takes no more room than it has', async () => {
  const size = 300_000;
  const wire = Buffer.from('1\r\nx\r\n'.repeat(size));
  const server = await startFileServer((request) => {
    const { socket } = request;
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    socket.write(wire);
    socket.end('0\r\n\r\n');
  });
  const fetched = await fetchFrom(server.url);
  expect(Buffer.compare(fetched, Buffer.alloc(size, 'x'))).toBe(0);
  expect(fetched.buffer.byteLength).toBe(size);
});

test('a Content-Length that promises more than comes is no file', async () => {
  const server = await startFileServer((_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('only this', () => response.destroy());
  });
  const fault = await faultOf(fetchFrom(server.url));
  expect(fault.message).toBe('files[0].signed_url could not be fetched: the connection failed.');
  expect(fault.retryable).toBe(true);
});

test('a compressed answer counts as what it becomes', async () => {
  const encoded =
    (body: Buffer, encoding = 'gzip'): RequestListener =>
    (_request, response) =>
      response.writeHead(200, { 'content-encoding': encoding, 'content-length': body.length }).end(body);
  const good = await startFileServer(encoded(gzipSync('plain text')));
  expect(Buffer.from(await fetchFrom(good.url)).toString()).toBe('plain text');

  // 200 KB that would become 200 MB, and what never ends: both are cut at the limit
  const bomb = gzipSync(Buffer.alloc(200_000_000), { level: constants.Z_BEST_COMPRESSION });
  expect(bomb.length).toBeLessThan(200_000);
  const server = await startFileServer(encoded(bomb));
  const never = await startFileServer((_request, response) => {
    const zip = createGzip();
    zip.pipe(response.writeHead(200, { 'content-encoding': 'gzip' }));
    const write = () => {
      while (!response.destroyed && zip.write(Buffer.alloc(64 * 1024)));
    };
    zip.on('drain', write);
    write();
  });
  for (const { url } of [server, never]) {
    expect((await faultOf(fetchFrom(url))).message).toBe('files[0].signed_url has more than 1000000 bytes.');
  }

  const broken = await startFileServer(encoded(Buffer.from('this is no gzip')));
  await faultOf(fetchFrom(broken.url));
  for (const { whenQuiet } of [good, server, never, broken]) await whenQuiet();
});

test('the time limit ends a body that trickles and headers that never come', async () => {
  const late = 'files[0].signed_url did not arrive within 0.15 seconds.';
  const silent = await startFileServer(() => {});
  const trickle = await startFileServer((_request, response) => {
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  });
  for (const server of [silent, trickle]) {
    const fault = await faultOf(fetchFrom(server.url, { timeoutMs: 150 }));
    expect(fault.message).toBe(late);
    expect(fault.retryable).toBe(true);
    await server.whenQuiet();
  }
});

test('an abort closes the connection and is passed on as it is', async () => {
  const started = Promise.withResolvers<void>();
  const server = await startFileServer((_request, response) => {
    response.write('first', () => started.resolve());
  });
  const [fetch] = await open([{ path: 'files[0].signed_url', url: server.url }]);
  const controller = new AbortController();
  const fetching = (fetch as FetchBytes)(() => {}, controller.signal);
  await started.promise;
  const reason = new Error('cancelled');
  const startedMs = performance.now();
  controller.abort(reason);
  await expect(fetching).rejects.toBe(reason);
  await server.whenQuiet();
  expect(performance.now() - startedMs).toBeLessThan(250);
});

test('four files are fetched at once, and the first that fails ends the others', async () => {
  const all = Array.from({ length: 10 }, (_, index) => index);
  let open_ = 0;
  let most = 0;
  const fourth = Promise.withResolvers<void>();
  const server = await startFileServer((request, response) => {
    open_ += 1;
    most = Math.max(most, open_);
    response.on('close', () => {
      open_ -= 1;
    });
    if (open_ === 4) fourth.resolve();
    void fourth.promise.then(() => response.end(request.url));
  });
  const links = all.map((index) => ({ path: `files[${index}].signed_url`, url: `${server.url}/${index}` }));
  const bytes = await Promise.all((await open(links)).map((fetch) => fetch(() => {}, signal)));
  expect(bytes.map((each) => Buffer.from(each).toString())).toEqual(all.map((index) => `/${index}`));
  expect(most).toBe(4);

  const failing = await startFileServer((request, response) => {
    if (request.url === '/2') response.writeHead(404).end();
  });
  const others = all.map((index) => ({ path: `files[${index}].signed_url`, url: `${failing.url}/${index}` }));
  const results = await Promise.allSettled((await open(others)).map((fetch) => fetch(() => {}, signal)));
  const reasons = results.map((result) => (result.status === 'rejected' ? result.reason.message : undefined));
  expect(new Set(reasons)).toEqual(new Set(['files[2].signed_url was answered with status 404.']));
  expect(failing.requests.length).toBeLessThanOrEqual(4);
  await failing.whenQuiet();
});

test('all files together have the limit of one', async () => {
  const server = await startFileServer((_request, response) => response.end(Buffer.alloc(400_000)));
  const links = [0, 1, 2].map((index) => ({ path: `files[${index}].signed_url`, url: server.url }));
  const results = await Promise.allSettled((await open(links)).map((fetch) => fetch(() => {}, signal)));
  const [reason] = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(reason.message).toMatch(
    /^files\[\d\]\.signed_url makes the files have more than 1000000 bytes together\.$/,
  );
});

test('a file_size that is not the size is said', async () => {
  const server = await startFileServer((_request, response) => response.end('twelve bytes'));
  expect((await fetchFrom(server.url, {}, 12)).length).toBe(12);
  expect((await faultOf(fetchFrom(server.url, {}, 11))).message).toBe(
    'files[0].signed_url has 12 bytes, but file_size is 11.',
  );
});

test('what fails on the way is told in our own words', async () => {
  const stranger = await startFileServer(endless, { certificate: makeCertificate() });
  const untrusted = await faultOf(fetchFrom(stranger.url));
  expect(untrusted.message).toBe(
    'files[0].signed_url could not be fetched: there is no trusted TLS connection to its host.',
  );
  expect(untrusted.retryable).toBe(false);
  const plain = await startFileServer(endless, { scheme: 'http' });
  expect((await faultOf(fetchFrom(plain.url.replace('http:', 'https:')))).message).toBe(untrusted.message);
  const moved = await startFileServer((_request, response) =>
    response.writeHead(302, { location: 'https://169.254.169.254/?topsecret' }).end(),
  );
  expect((await faultOf(fetchFrom(moved.url))).message).toBe(
    'files[0].signed_url leads to a redirect that is not allowed.',
  );
  const closed = await startFileServer((request) => request.socket.destroy());
  expect((await faultOf(fetchFrom(closed.url))).message).toBe(
    'files[0].signed_url could not be fetched: the connection failed.',
  );
});

test('a file_size above the limit is refused before anything is fetched', async () => {
  const server = await startFileServer((_request, response) => response.end());
  const fetcher = createFileFetcher({ guard, maxBytes: 1000, timeoutMs: 1000 });
  const link = (size: number) => ({ path: 'files[0].signed_url', url: server.url, size });
  expect(await fetcher.open([link(1001)], signal)).toEqual({
    problems: [{ path: 'files[0].signed_url', message: 'has a file_size of more than 1000 bytes' }],
  });
  expect(await fetcher.open([link(1000)], signal)).toHaveProperty('fetches');
  expect(server.requests).toEqual([]);
});

test('every refused address of a request is told at once', async () => {
  const fetcher = createFileFetcher({ guard, maxBytes: 1000, timeoutMs: 1000 });
  const urls = ['http://files.example.com/', 'https://8.8.8.8/', 'https://169.254.169.254/', 'nothing'];
  const links = urls.map((url, index) => ({ path: `files[${index}].signed_url`, url }));
  expect(await fetcher.open(links, signal)).toEqual({
    problems: [
      { path: 'files[0].signed_url', message: 'must start with https://' },
      { path: 'files[2].signed_url', message: 'names a host that has no address which may be reached' },
      { path: 'files[3].signed_url', message: 'must be a whole URL, scheme and host included' },
    ],
  });
});
