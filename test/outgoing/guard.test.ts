import type { RequestListener } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { createOutgoingGuard, type OutgoingRules } from '../../src/outgoing/guard.ts';
import { Refusal } from '../../src/outgoing/refusal.ts';
import type { Resolve } from '../../src/outgoing/resolve.ts';
import { makeCertificate, startFileServer } from '../helpers/file-server.ts';

const signal = new AbortController().signal;
const strict: OutgoingRules = { hosts: [], allowHttp: false, allowPrivate: false };
const inside: OutgoingRules = { ...strict, allowPrivate: true };

/** A name server that knows these hosts only. */
const knows =
  (hosts: Record<string, string[]>): Resolve =>
  async (host) => {
    const addresses = hosts[host];
    if (!addresses) throw new Error(`ENOTFOUND ${host}`);
    return addresses;
  };

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refusal)) throw new Error(`not refused but ${error}`);
  return error.message;
}

const names: Record<string, string[]> = {
  'files.example.com': ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
  'one-inside.example.com': ['93.184.215.14', '10.0.0.1'],
  'inside.example.com': ['192.168.1.1'],
  'metadata.google.internal': ['169.254.169.254'],
  'empty.example.com': [],
  'odd.example.com': ['not an address'],
  localhost: ['127.0.0.1', '::1'],
  localtest: ['::ffff:10.0.0.1'],
};

const noAddress = 'names a host that has no public address';
const notPlain = 'must name its host plainly: a.b.c.d, [IPv6] or a name, xn--… when international';
const noCredentials = 'must not hold a user name or a password';
const noSpaces = 'must not hold spaces, control characters or backslashes';
const noUrl = 'must be a whole URL, scheme and host included';
const onlyHttps = 'must start with https://';

const hostile: [url: string, refusal: string][] = [
  // what is not public
  ['https://127.0.0.1/', noAddress],
  ['https://127.255.255.254/', noAddress],
  ['https://10.1.2.3/', noAddress],
  ['https://172.16.0.1/', noAddress],
  ['https://172.31.255.255/', noAddress],
  ['https://192.168.0.1/', noAddress],
  ['https://169.254.169.254/latest/meta-data/', noAddress],
  ['https://100.64.0.1/', noAddress],
  ['https://100.100.100.200/', noAddress],
  ['https://0.0.0.0/', noAddress],
  ['https://0.1.2.3/', noAddress],
  ['https://192.0.0.192/', noAddress],
  ['https://168.63.129.16/machine?comp=goalstate', noAddress],
  ['https://192.31.196.1/', noAddress],
  ['https://192.52.193.1/', noAddress],
  ['https://192.175.48.1/', noAddress],
  ['https://192.0.2.1/', noAddress],
  ['https://198.18.0.1/', noAddress],
  ['https://198.51.100.1/', noAddress],
  ['https://203.0.113.1/', noAddress],
  ['https://192.88.99.1/', noAddress],
  ['https://224.0.0.1/', noAddress],
  ['https://240.0.0.1/', noAddress],
  ['https://255.255.255.255/', noAddress],
  ['https://[::]/', noAddress],
  ['https://[::1]/', noAddress],
  ['https://[fc00::1]/', noAddress],
  ['https://[fd00:ec2::254]/', noAddress],
  ['https://[fe80::1]/', noAddress],
  ['https://[fec0::1]/', noAddress],
  ['https://[ff02::1]/', noAddress],
  ['https://[::ffff:7f00:1]/', noAddress],
  ['https://[::7f00:1]/', noAddress],
  ['https://[64:ff9b::7f00:1]/', noAddress],
  ['https://[64:ff9b:1::1]/', noAddress],
  ['https://[2002:7f00:1::]/', noAddress],
  ['https://[2001:0:7f00:1::1]/', noAddress],
  ['https://[2001::1]/', noAddress],
  ['https://[::ffff:0:7f00:1]/', noAddress],
  ['https://[2001:20::1]/', noAddress],
  ['https://[2001:4:112::1]/', noAddress],
  ['https://[2620:4f:8000::1]/', noAddress],
  ['https://[5f00::1]/', noAddress],
  ['https://[2001:db8::1]/', noAddress],
  ['https://[3fff::1]/', noAddress],
  ['https://[100::1]/', noAddress],
  ['https://[4000::1]/', noAddress],
  ['https://localhost/', noAddress],
  ['https://localhost./', notPlain],
  ['https://0/', notPlain],
  ['https://files%2eexample.com/', notPlain],
  ['https://[fe80::1%25eth0]/', 'is not a valid URL'],
  ['https://[::ffff:93.184.215.14]/', notPlain],
  ['https://localtest/', noAddress],
  ['https://inside.example.com/', noAddress],
  ['https://one-inside.example.com/', noAddress],
  ['https://metadata.google.internal/computeMetadata/v1/', noAddress],
  ['https://empty.example.com/', noAddress],
  ['https://odd.example.com/', noAddress],
  ['https://nobody.example.com/', noAddress],
  // other ways to write a host
  ['https://2130706433/', notPlain],
  ['https://0x7f000001/', notPlain],
  ['https://0x7f.0.0.1/', notPlain],
  ['https://017700000001/', notPlain],
  ['https://0177.0.0.1/', notPlain],
  ['https://127.1/', notPlain],
  ['https://127.0.0.1./', notPlain],
  ['https://files.example.com./', notPlain],
  ['https://[::ffff:127.0.0.1]/', notPlain],
  ['https://[0:0:0:0:0:0:0:1]/', notPlain],
  ['https://１２７.0.0.1/', notPlain],
  ['https://①②⑦.0.0.1/', notPlain],
  ['https://127。0。0。1/', notPlain],
  ['https://%31%32%37.0.0.1/', notPlain],
  ['https://ⓛocalhost/', notPlain],
  ['https://files.exämple.com/', notPlain],
  // what readers disagree about
  ['https://user:secret@files.example.com/', noCredentials],
  ['https://user@files.example.com/', noCredentials],
  ['https://@files.example.com/', noCredentials],
  ['https://files.example.com@127.0.0.1/', noCredentials],
  ['https://files.example.com%40127.0.0.1/', 'is not a valid URL'],
  ['https://files.example.com\\@127.0.0.1/', noSpaces],
  ['https:\\\\127.0.0.1\\', noSpaces],
  ['https://files.example.com/\r\nHost: 127.0.0.1', noSpaces],
  [' https://files.example.com/', noSpaces],
  ['https://files.example.com/\t', noSpaces],
  ['https://files\u200b.example.com/', noSpaces],
  ['https://files.example.com/\0', noSpaces],
  ['https:files.example.com', noUrl],
  ['https:/files.example.com', noUrl],
  ['//files.example.com/', noUrl],
  ['files.example.com/a', noUrl],
  ['/etc/passwd', noUrl],
  ['', noUrl],
  ['data:text/plain,hello', noUrl],
  ['https://', 'is not a valid URL'],
  ['https:///path', notPlain],
  ['https://[::1', 'is not a valid URL'],
  ['https://files.example.com:99999/', 'is not a valid URL'],
  ['https://files.example.com:0/', 'must not name port 0'],
  ['https://files.example.com:443x/', 'is not a valid URL'],
  // other schemes
  ['http://files.example.com/', onlyHttps],
  ['HTTP://files.example.com/', onlyHttps],
  ['file:///etc/passwd', onlyHttps],
  ['ftp://files.example.com/', onlyHttps],
  ['gopher://127.0.0.1:6379/_FLUSHALL', onlyHttps],
  ['blob:https://files.example.com/a', noUrl],
  ['wss://files.example.com/', onlyHttps],
];

test.each(hostile)('refuses %s', async (url, refusal) => {
  expect(await refusalOf(createOutgoingGuard(strict, knows(names)).check(url, signal))).toBe(refusal);
});

test('refuses an address of more than 8192 characters', async () => {
  const guard = createOutgoingGuard(strict, knows(names));
  const url = 'https://files.example.com/'.padEnd(8192, 'a');
  expect((await guard.check(url, signal)).url.href).toBe(url);
  expect(await refusalOf(guard.check(`${url}a`, signal))).toBe('must have at most 8192 characters');
});

test.each([
  [
    'https://files.example.com/a.pdf?signature=1',
    ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
  ],
  ['HTTPS://Files.Example.COM/A', ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c']],
  ['https://files.example.com:9000/ä', ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c']],
  ['https://8.8.8.8/', ['8.8.8.8']],
  ['https://[2606:4700:4700::1111]:8443/', ['2606:4700:4700::1111']],
])('lets %s through', async (url, addresses) => {
  const target = await createOutgoingGuard(strict, knows(names)).check(url, signal);
  expect(target.addresses.map(({ address }) => address)).toEqual(addresses);
});

test('private addresses count when they are allowed, but never those of cloud metadata or many hosts', async () => {
  const guard = createOutgoingGuard(inside, knows(names));
  for (const url of ['https://127.0.0.1', 'https://10.0.0.1', 'https://[fd00::1]', 'https://100.64.0.1']) {
    expect((await guard.check(url, signal)).addresses).toHaveLength(1);
  }
  expect((await guard.check('https://localhost/', signal)).addresses).toHaveLength(2);
  const metadata = [
    '[fd00:ec2::254]',
    '[fd00:ec2::23]',
    '[fd20:ce::254]',
    '[fd00:c1::a9fe:a9fe]',
    '[fd00:42::42]',
  ];
  const never = [
    '169.254.169.254',
    ...metadata,
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '[::]',
    '224.0.0.1',
  ];
  for (const host of [...never, '[::ffff:a00:1]', '[64:ff9b::a00:1]', '[2002:a00:1::]', '[fe80::1]']) {
    expect(await refusalOf(guard.check(`https://${host}/`, signal))).toBe(
      'names a host that has no address which may be reached',
    );
  }
});

test('a list of hosts admits these only', async () => {
  const addresses = { 'a.com': ['8.8.8.8'], 'x.b.com': ['8.8.8.8'], 'y.x.b.com': ['8.8.8.8'] };
  const guard = createOutgoingGuard({ ...strict, hosts: ['a.com', '*.b.com', '10.0.0.7'] }, knows(addresses));
  for (const host of ['a.com', 'A.com:8443', 'x.b.com', 'y.x.b.com']) {
    expect((await guard.check(`https://${host}/`, signal)).addresses).toHaveLength(1);
  }
  for (const host of ['x.a.com', 'b.com', 'xb.com', 'a.com.evil.org', 'evil.org', '8.8.8.8']) {
    expect(await refusalOf(guard.check(`https://${host}/`, signal))).toBe(
      'names a host that is not one of the allowed ones',
    );
  }
  // a listed host must be public all the same
  expect(await refusalOf(guard.check('https://10.0.0.7/', signal))).toBe(noAddress);
});

const readText = async (response: { text(): Promise<string> }) => response.text();

test('http is let out where it is allowed, and https never falls back to it', async () => {
  const plain = await startFileServer((_request, response) => response.end('plain'), { scheme: 'http' });
  const safe = await startFileServer((_request, response) =>
    response.writeHead(302, { location: `${plain.url}/x` }).end(),
  );
  const guard = createOutgoingGuard({ ...inside, allowHttp: true });
  expect(await guard.get(await guard.check(plain.url, signal), readText, signal)).toBe('plain');
  const target = await guard.check(safe.url, signal);
  expect(await refusalOf(guard.get(target, readText, signal))).toBe('leads to a redirect from https to http');
  expect(plain.requests).toHaveLength(1);
});

test('connects to the address that was checked, whatever the name means later', async () => {
  const server = await startFileServer((_request, response) => response.end('the checked one'));
  const answers = [['127.0.0.1'], ['10.255.255.1']];
  const resolve: Resolve = async () => answers.shift() ?? [];
  const guard = createOutgoingGuard(inside, resolve);
  const target = await guard.check(`https://a.files.test:${server.port}/x`, signal);
  expect(await guard.get(target, readText, signal)).toBe('the checked one');
  expect(answers).toEqual([['10.255.255.1']]);
  expect(server.requests[0]?.headers.host).toBe(`a.files.test:${server.port}`);
});

test('a name that turns private between two looks is refused at the second', async () => {
  const server = await startFileServer((_request, response) => response.end());
  const answers = [['93.184.215.14'], ['127.0.0.1']];
  const guard = createOutgoingGuard(strict, async () => answers.shift() ?? []);
  const url = `https://a.files.test:${server.port}/`;
  expect((await guard.check(url, signal)).addresses).toEqual([{ address: '93.184.215.14', family: 4 }]);
  expect(await refusalOf(guard.check(url, signal))).toBe(noAddress);
  expect(server.requests).toEqual([]);
});

test('sends nothing but the address: no cookie, no credentials', async () => {
  const server = await startFileServer((request, response) => {
    if (request.url === '/a?k=1') response.writeHead(307, { location: '/b', 'set-cookie': 'a=1' }).end();
    else response.end('ok');
  });
  const guard = createOutgoingGuard(inside);
  expect(await guard.get(await guard.check(`${server.url}/a?k=1`, signal), readText, signal)).toBe('ok');
  expect(server.requests.map(({ line }) => line)).toEqual(['GET /a?k=1', 'GET /b']);
  for (const { headers } of server.requests) {
    expect(Object.keys(headers).toSorted()).toEqual([
      'accept',
      'accept-encoding',
      'accept-language',
      'connection',
      'host',
      'sec-fetch-mode',
      'user-agent',
    ]);
    expect(headers['accept-encoding']).toBe('identity');
  }
});

const redirectTo =
  (location: string): RequestListener =>
  (_request, response) =>
    response.writeHead(302, { location }).end('moved');

test.each([
  ['https://169.254.169.254/latest/', 'leads to a redirect that is not allowed'],
  ['https://inside.example.com/', 'leads to a redirect that is not allowed'],
  ['https://u:p@127.0.0.1/', 'leads to a redirect that is not allowed'],
  ['file:///etc/passwd', 'leads to a redirect that is not allowed'],
  ['http://127.0.0.1/', 'leads to a redirect from https to http'],
  ['https://[', 'was answered with status 302 and no address'],
])('a redirect to %s is not followed', async (location, refusal) => {
  const server = await startFileServer(redirectTo(location));
  const guard = createOutgoingGuard(inside, knows({ 'inside.example.com': ['169.254.169.254'] }));
  const target = await guard.check(server.url, signal);
  expect(await refusalOf(guard.get(target, readText, signal))).toBe(refusal);
  await server.whenQuiet();
});

test('five redirects are followed, a sixth is not', async () => {
  const server = await startFileServer((request, response) => {
    const left = Number(request.url?.slice(1));
    if (left === 0) response.end('arrived');
    else response.writeHead(302, { location: `/${left - 1}` }).end();
  });
  const guard = createOutgoingGuard(inside);
  const get = async (path: string) =>
    guard.get(await guard.check(`${server.url}${path}`, signal), readText, signal);
  expect(await get('/5')).toBe('arrived');
  expect(await refusalOf(get('/6'))).toBe('leads to more than 5 redirects');
  expect(server.requests).toHaveLength(12);
  await server.whenQuiet();
});

test('a certificate that nobody vouches for, or for another name, ends it', async () => {
  const untrusted = 'could not be fetched: there is no trusted TLS connection to its host';
  const stranger = await startFileServer((_request, response) => response.end(), {
    certificate: makeCertificate(),
  });
  const guard = createOutgoingGuard(inside, knows({ 'other.test': ['127.0.0.1'] }));
  expect(await refusalOf(guard.get(await guard.check(stranger.url, signal), readText, signal))).toBe(
    untrusted,
  );
  const server = await startFileServer((_request, response) => response.end());
  const target = await guard.check(`https://other.test:${server.port}/`, signal);
  expect(await refusalOf(guard.get(target, readText, signal))).toBe(untrusted);
  expect([...stranger.requests, ...server.requests]).toEqual([]);
});

test('a port of another protocol is not connected to', async () => {
  const guard = createOutgoingGuard(inside);
  for (const port of [22, 25, 6667]) {
    const target = await guard.check(`https://127.0.0.1:${port}/`, signal);
    expect(await refusalOf(guard.get(target, readText, signal))).toBe(
      'could not be fetched: its port belongs to another protocol',
    );
  }
});

test('an abort ends a lookup that hangs, and a request that hangs', async () => {
  const hanging = createOutgoingGuard(
    strict,
    (_host, aborted) =>
      new Promise((_resolve, reject) => aborted.addEventListener('abort', () => reject(aborted.reason))),
  );
  const controller = new AbortController();
  const lookup = hanging.check('https://slow.example.com/', controller.signal);
  controller.abort(new Error('left'));
  await expect(lookup).rejects.toThrow('left');

  expect(await refusalOf(hanging.check('https://slow.example.com/', signal))).toBe(
    'names a host that could not be looked up in time',
  );

  const arrived = Promise.withResolvers<void>();
  const server = await startFileServer(() => arrived.resolve());
  const guard = createOutgoingGuard(inside);
  const second = new AbortController();
  const request = guard.get(await guard.check(server.url, signal), readText, second.signal);
  await arrived.promise;
  second.abort(new Error('left again'));
  await expect(request).rejects.toThrow('left again');
  await server.whenQuiet();
});

test('proxies of the environment are not asked', async () => {
  const proxy = await startFileServer((_request, response) => response.end('from the proxy'), {
    scheme: 'http',
  });
  process.env.HTTPS_PROXY = proxy.url;
  onTestFinished(() => {
    delete process.env.HTTPS_PROXY;
  });
  const server = await startFileServer((_request, response) => response.end('direct'));
  const guard = createOutgoingGuard(inside);
  expect(await guard.get(await guard.check(server.url, signal), readText, signal)).toBe('direct');
  expect(proxy.requests).toEqual([]);
});

test('the system is asked for names', async () => {
  const server = await startFileServer((_request, response) => response.end('here'), { scheme: 'http' });
  const guard = createOutgoingGuard({ ...inside, allowHttp: true });
  const target = await guard.check(`http://localhost:${server.port}/`, signal);
  expect(await guard.get(target, readText, signal)).toBe('here');
  expect(await refusalOf(createOutgoingGuard(strict).check('https://localhost/', signal))).toBe(noAddress);
});
