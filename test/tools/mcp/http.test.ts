import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { McpServerConfig } from '../../../src/tools/mcp/mcp-server.ts';
import type { ToolProgress } from '../../../src/tools/tool.ts';
import {
  freePort,
  patient,
  startEverything,
  type TestMcp,
  temporaryDirectory,
  textsOf,
  useMcp,
} from '../../helpers/mcp.ts';

type UrlConfig = Extract<McpServerConfig, { url: string }>;

const at = (url: string, more: Partial<UrlConfig> = {}): McpServerConfig => ({
  name: 'every',
  transport: 'http',
  url,
  headers: {},
  ...more,
});

const longRunning = 'every__trigger-long-running-operation';
const everyTool = [
  'echo',
  'get-annotated-message',
  'get-env',
  'get-resource-links',
  'get-resource-reference',
  'get-structured-content',
  'get-sum',
  'get-tiny-image',
  'gzip-file-as-resource',
  'simulate-research-query',
  'toggle-simulated-logging',
  'toggle-subscriber-updates',
  'trigger-long-running-operation',
].map((name) => `every__${name}`);

const echo = async (mcp: TestMcp, text: string) => textsOf(await mcp.call('every__echo', { message: text }));

/** Starts the tool that runs for a minute and resolves when it has begun. */
async function startLongCall(mcp: TestMcp) {
  const begun = Promise.withResolvers<void>();
  const result = mcp.call(longRunning, { duration: 60, steps: 300 }, { onProgress: () => begun.resolve() });
  await Promise.race([begun.promise, result]);
  return { result };
}

describe('server-everything over Streamable HTTP', () => {
  test('is listed and called', async () => {
    const server = await startEverything('streamableHttp');
    const mcp = useMcp([at(server.url)]);
    const status = await mcp.until('every', 'connected');
    expect(status.transport).toBe('http');
    expect(status.tools).toEqual(everyTool);
    expect(status.dropped).toEqual([]);
    expect(status.prompts).toEqual(['args-prompt', 'completable-prompt', 'resource-prompt', 'simple-prompt']);
    expect(status.resources).toContain('demo://resource/static/document/architecture.md');
    expect(await echo(mcp, 'hi')).toEqual(['Echo: hi']);
    expect(textsOf(await mcp.call('every__get-tiny-image'))).toContain('image/png');
    expect(await mcp.call('every__get-structured-content', { location: 'New York' })).toMatchObject({
      isError: false,
      details: { conditions: 'Cloudy' },
    });
  });

  test('tells of its progress and can be cancelled', async () => {
    const server = await startEverything('streamableHttp');
    const mcp = useMcp([at(server.url)]);
    await mcp.until('every', 'connected');
    const seen: ToolProgress[] = [];
    const onProgress = (progress: ToolProgress) => seen.push(progress);
    const result = await mcp.call(longRunning, { duration: 0.3, steps: 3 }, { onProgress });
    expect(textsOf(result)).toEqual(['Long running operation completed. Duration: 0.3 seconds, Steps: 3.']);
    expect(seen).toEqual([1, 2, 3].map((progress) => ({ progress, total: 3, message: '' })));
    const run = new AbortController();
    const cancelled = mcp.call(
      longRunning,
      { duration: 60, steps: 300 },
      { signal: run.signal, onProgress: () => run.abort() },
    );
    await expect(cancelled).rejects.toThrow(/aborted/);
    expect(await echo(mcp, 'still here')).toEqual(['Echo: still here']);
  });

  test('that restarted between two calls gets a new session', async () => {
    const server = await startEverything('streamableHttp');
    const mcp = useMcp([at(server.url)]);
    await mcp.until('every', 'connected');
    await server.kill();
    await startEverything('streamableHttp', server.port);
    await vi.waitFor(async () => expect(await echo(mcp, 'again')).toEqual(['Echo: again']), patient);
  });
});

describe.each(['streamableHttp', 'sse'] as const)('when server-everything goes away, %s', (transport) => {
  test('calls fail within 5 s, and its tools are back within 15 s of its return', async () => {
    const server = await startEverything(transport);
    const mcp = useMcp([at(server.url, { transport: transport === 'sse' ? 'sse' : 'http' })]);
    await mcp.until('every', 'connected');
    const { result } = await startLongCall(mcp);
    const killedMs = performance.now();
    await server.kill();
    const failed = await result;
    expect(performance.now() - killedMs).toBeLessThan(5000);
    expect(failed.isError).toBe(true);
    expect(textsOf(failed)).toEqual([
      expect.stringMatching(
        /^The call to the MCP server "every" failed: the server went away during the call: /,
      ),
    ]);
    await mcp.until('every', 'unavailable');
    expect(mcp.statusOf('every').tools).toEqual(everyTool);
    expect(await mcp.call('every__echo', { message: 'x' })).toEqual({
      content: [
        { type: 'text', text: expect.stringMatching(/^The MCP server "every" is not available: .+\.$/) },
      ],
      isError: true,
    });
    await startEverything(transport, server.port);
    const returnedMs = performance.now();
    await mcp.until('every', 'connected');
    expect(performance.now() - returnedMs).toBeLessThan(15_000);
    expect(await echo(mcp, 'back')).toEqual(['Echo: back']);
  });
});

test('a connection that falls silent in a call is given up within 5 s when nobody takes a new one', async () => {
  const server = await startEverything('streamableHttp');
  const proxy = await startProxy(server.port);
  const mcp = useMcp([at(`http://127.0.0.1:${proxy.port}/mcp`)]);
  await mcp.until('every', 'connected');
  const { result } = await startLongCall(mcp);
  const cutMs = performance.now();
  proxy.cut();
  expect(textsOf(await result)).toEqual([
    'The call to the MCP server "every" failed: the server went away during the call: nothing listens at its address.',
  ]);
  expect(performance.now() - cutMs).toBeLessThan(5000);
});

test('a server that is too busy for pings finishes its call', async () => {
  const server = await startPlain(({ method }) => {
    if (method === 'ping') return { delayMs: 60_000 };
    return method === 'tools/call' ? { delayMs: 5000 } : undefined;
  });
  const mcp = useMcp([at(server.url)]);
  await mcp.until('every', 'connected');
  expect(textsOf(await mcp.call('every__echo'))).toEqual(['done']);
  expect(server.seen.filter(({ rpc }) => rpc?.method === 'ping')).toHaveLength(2);
});

test('an older server, that knows SSE only, is found by itself', async () => {
  const server = await startEverything('sse');
  const mcp = useMcp([at(server.url)]);
  expect(await mcp.until('every', 'connected')).toMatchObject({ transport: 'sse', tools: everyTool });
  expect(await echo(mcp, 'old')).toEqual(['Echo: old']);
});

/** Passes bytes on to a port until it is cut: then it takes no new connection and is silent on the open ones. */
async function startProxy(target: number) {
  const pairs: [Socket, Socket][] = [];
  const server = createTcpServer((near) => {
    const far = connectTcp(target, '127.0.0.1');
    pairs.push([near, far]);
    near.on('error', () => {}).pipe(far);
    far.on('error', () => {}).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    server.close();
  };
  onTestFinished(close);
  const cut = () => {
    server.close();
    for (const [near, far] of pairs) {
      near.unpipe(far).resume();
      far.unpipe(near).resume();
    }
  };
  return { port: (server.address() as AddressInfo).port, cut };
}

function selfSigned() {
  const directory = temporaryDirectory();
  const key = join(directory, 'key.pem');
  const cert = join(directory, 'cert.pem');
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', ...made, ...subject], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

type Rpc = { id?: number; method: string; params?: Record<string, unknown> };
type Answer = {
  delayMs?: number;
  status?: number;
  result?: object;
  body?: object;
  session?: string;
  stream?: boolean;
};
type Seen = { method: string; headers: IncomingMessage['headers']; rpc: Rpc | undefined };

/** A server in our hands: `answer` says what it replies to each message; a GET is answered with 405. */
async function startPlain(
  answer: (rpc: Rpc, request: IncomingMessage) => Answer | undefined,
  tls?: { key: Buffer; cert: Buffer },
) {
  const seen: Seen[] = [];
  const listener: RequestListener = async (request, response) => {
    const rpc = request.method === 'POST' ? ((await json(request)) as Rpc) : undefined;
    seen.push({ method: request.method ?? '', headers: request.headers, rpc });
    if (!rpc) return void response.writeHead(405).end();
    if (rpc.id === undefined) return void response.writeHead(202).end();
    const { delayMs, ...given } = answer(rpc, request) ?? {};
    if (delayMs !== undefined) await delay(delayMs, undefined, { ref: false });
    const { status = 200, result, body, session, stream } = { ...usual(rpc), ...given };
    const headers: Record<string, string> = session === undefined ? {} : { 'mcp-session-id': session };
    if (stream) {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
      response.write(': open\n\n');
      return void setTimeout(() => response.end(), 20);
    }
    response.writeHead(status, { ...headers, 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? { jsonrpc: '2.0', id: rpc.id, result: result ?? {} }));
  };
  const onRequest: RequestListener = (request, response) => void listener(request, response);
  const server = tls ? createHttpsServer(tls, onRequest) : createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/mcp?key=1`, seen };
}

function usual({ method, params }: Rpc): Answer | undefined {
  if (method === 'initialize') {
    const serverInfo = { name: 'plain', version: '1' };
    return {
      result: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo },
      session: 'first',
    };
  }
  if (method === 'tools/list')
    return { result: { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] } };
  if (method === 'tools/call') return { result: { content: [{ type: 'text', text: 'done' }] } };
  return { result: {} };
}

describe('over HTTP', () => {
  test('every request carries the headers', async () => {
    const server = await startPlain(() => undefined);
    const mcp = useMcp([at(server.url, { headers: { Authorization: 'Bearer t0ken', 'X-Team': 'a' } })]);
    await mcp.until('every', 'connected');
    await mcp.call('every__echo');
    await mcp.close();
    expect(server.seen.map(({ method, rpc }) => rpc?.method ?? method)).toEqual([
      'initialize',
      'notifications/initialized',
      'GET',
      'tools/list',
      'tools/call',
      'DELETE',
    ]);
    for (const { headers } of server.seen) {
      expect(headers).toMatchObject({ authorization: 'Bearer t0ken', 'x-team': 'a' });
    }
    expect(JSON.stringify([mcp.logs, mcp.status()])).not.toContain('t0ken');
  });

  const lost: Record<string, Answer> = {
    '404': { status: 404, body: {} },
    '400 No valid session ID': {
      status: 400,
      body: {
        jsonrpc: '2.0',
        id: null,
        error: { code: -32000, message: 'Bad Request: No valid session ID provided' },
      },
    },
  };
  test.each(Object.entries(lost))(
    'a lost session, told by %s, is replaced, and the call is made again',
    async (_, refusal) => {
      let sessions = 0;
      const server = await startPlain((rpc, request) => {
        if (rpc.method === 'initialize') {
          sessions++;
          return { ...usual(rpc), session: `s${sessions}` };
        }
        return request.headers['mcp-session-id'] === 's1' && rpc.method === 'tools/call'
          ? refusal
          : undefined;
      });
      const mcp = useMcp([at(server.url)]);
      await mcp.until('every', 'connected');
      expect(textsOf(await mcp.call('every__echo'))).toEqual(['done']);
      expect(sessions).toBe(2);
      const calls = server.seen.filter(({ rpc }) => rpc?.method === 'tools/call');
      expect(calls.map(({ headers }) => headers['mcp-session-id'])).toEqual(['s1', 's2']);
    },
  );

  test('a call whose stream ends without a response fails at once', async () => {
    const server = await startPlain(({ method }) => (method === 'tools/call' ? { stream: true } : undefined));
    const mcp = useMcp([at(server.url)]);
    await mcp.until('every', 'connected');
    const startedMs = performance.now();
    expect(textsOf(await mcp.call('every__echo'))).toEqual([
      'The call to the MCP server "every" failed: it ended the stream without an answer.',
    ]);
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(mcp.statusOf('every').status).toBe('connected');
  });

  test('an error is an answer, whose words are for the model and nobody else', async () => {
    const error = { code: -32602, message: 'a must be a number' };
    const server = await startPlain(({ id, method }) =>
      method === 'tools/call' ? { body: { jsonrpc: '2.0', id, error } } : undefined,
    );
    const mcp = useMcp([at(server.url)]);
    await mcp.until('every', 'connected');
    expect(textsOf(await mcp.call('every__echo'))).toEqual([expect.stringMatching(/a must be a number$/)]);
    expect(JSON.stringify([mcp.logs, mcp.status()])).not.toContain('must be');
  });

  test.each([
    [401, 'it answered with HTTP status 401'],
    [429, 'it answered with HTTP status 429'],
    [500, 'it answered with HTTP status 500'],
    [404, 'it answered with HTTP status 404'],
  ])('a server that answers initialize with %d is unavailable', async (status, reason) => {
    const server = await startPlain(() => ({ status, body: { error: 'secret words' } }));
    const mcp = useMcp([at(server.url)]);
    expect((await mcp.until('every', 'unavailable')).error).toBe(reason);
    // only where Streamable HTTP is not known is the older transport asked for
    expect(server.seen.some(({ method }) => method === 'GET')).toBe(status === 404);
    expect(JSON.stringify(mcp.logs)).not.toContain('secret');
  });

  test('nobody at the address, and a server that comes later', async () => {
    const port = await freePort();
    const mcp = useMcp([at(`http://127.0.0.1:${port}/mcp`)]);
    expect((await mcp.until('every', 'unavailable')).error).toBe('nothing listens at its address');
    expect(mcp.list()).toEqual([]);
    await startEverything('streamableHttp', port);
    await mcp.until('every', 'connected');
    expect(mcp.list().map(({ name }) => name)).toEqual(everyTool);
  });

  test('a certificate that nobody vouches for is refused, unless MCP_SSL_VERIFY is false', async () => {
    const server = await startPlain(() => undefined, selfSigned());
    const strict = useMcp([at(server.url)]);
    expect((await strict.until('every', 'unavailable')).error).toBe('its certificate is not trusted');
    expect(server.seen).toEqual([]);
    const lax = useMcp([at(server.url)], { isTlsVerified: false });
    expect((await lax.until('every', 'connected')).tools).toEqual(['every__echo']);
  });

  test('a host that is not known', async () => {
    const mcp = useMcp([at('http://no-such-host.invalid/mcp')]);
    expect((await mcp.until('every', 'unavailable')).error).toBe('its host is not known');
  });
});
