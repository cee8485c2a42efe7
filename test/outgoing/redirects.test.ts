import type { RequestListener } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { LlmRequest, Model } from '../../src/llm/provider.ts';
import { createFetch, OtherOrigin, pinTo } from '../../src/outgoing/fetch.ts';
import { reasonOf } from '../../src/tools/mcp/failures.ts';
import { bedrockAt } from '../helpers/fake-bedrock.ts';
import { type FileServer, startFileServer } from '../helpers/file-server.ts';
import { useMcp } from '../helpers/mcp.ts';
import { jsonPost, openStream, startService, type TestService } from '../helpers/service.ts';

const signal = new AbortController().signal;
const key = 'sk-very-secret-key';

const plain = (listener: RequestListener) => startFileServer(listener, { scheme: 'http' });

/** A host that nobody configured; it would take whatever comes. */
const startStranger = () => plain((_request, response) => response.end('{"data":[]}'));

const redirectTo =
  (location: string, status = 307): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { location }).end('moved');

describe('a fetch for what the operator set', () => {
  test.each([301, 302, 303, 307, 308])('hands over a redirect to another port, status %d', async (status) => {
    const stranger = await startStranger();
    const server = await plain(redirectTo(`${stranger.url}/taken`, status));
    const headers = { 'x-api-key': key, authorization: `Bearer ${key}` };
    for (const init of [{ headers }, { headers, method: 'POST', body: 'secret' }]) {
      const response = await createFetch()(server.url, { ...init, redirect: 'follow' });
      expect(response.status).toBe(status);
      expect(await response.text()).toBe('moved');
    }
    expect(stranger.requests).toEqual([]);
  });

  test.each([
    ['https to http', 'https', 'http'],
    ['http to https', 'http', 'https'],
  ] as const)('hands over a redirect from %s', async (_name, from, to) => {
    const other = await startFileServer((_request, response) => response.end(), { scheme: to });
    const server = await startFileServer(redirectTo(`${other.url}/x`), { scheme: from });
    expect((await createFetch()(server.url)).status).toBe(307);
    expect(other.requests).toEqual([]);
  });

  const followed: [name: string, status: number, init: RequestInit, line: string][] = [
    ['a GET', 301, {}, 'GET /new?a=1'],
    ['a GET', 302, {}, 'GET /new?a=1'],
    ['a GET', 303, {}, 'GET /new?a=1'],
    ['a POST', 307, { method: 'POST', body: 'the body' }, 'POST /new?a=1'],
    ['a POST', 308, { method: 'POST', body: 'the body' }, 'POST /new?a=1'],
  ];

  test.each(followed)('follows %s with status %d within the origin', async (_name, status, init, line) => {
    const bodies: string[] = [];
    const server = await plain((request, response) => {
      if (request.url === '/old') return response.writeHead(status, { location: '/new?a=1' }).end();
      return text(request).then((body) => response.end(`got ${bodies.push(body)}`));
    });
    const response = await createFetch()(`${server.url}/old`, { ...init, headers: { 'x-api-key': key } });
    expect(await response.text()).toBe('got 1');
    expect(bodies).toEqual([init.body ?? '']);
    expect(server.requests.map((request) => request.line)).toEqual([`${init.method ?? 'GET'} /old`, line]);
    expect(server.requests[1]?.headers['x-api-key']).toBe(key);
  });

  const handedOver: [name: string, status: number, location: string | undefined, init: RequestInit][] = [
    ['would make a GET of a POST', 302, '/new', { method: 'POST', body: 'x' }],
    ['would make a GET of a POST', 303, '/new', { method: 'POST', body: 'x' }],
    [
      'has a body that was read',
      307,
      '/new',
      { method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' },
    ],
    ['names a user', 307, 'http://me:word@HOST/new', {}],
    ['leads nowhere', 307, undefined, {}],
    ['leads to no address', 307, 'http://[', {}],
    ['leads to a file', 307, 'file:///etc/passwd', {}],
    ['is no redirect', 300, '/new', {}],
  ];

  test.each(handedOver)('hands over what %s, status %d', async (_name, status, location, init) => {
    const server: FileServer = await plain((request, response) => {
      const { host } = request.headers;
      response.writeHead(
        status,
        location === undefined ? {} : { location: location.replace('HOST', `${host}`) },
      );
      response.end('moved');
    });
    const response = await createFetch()(server.url, init);
    expect([response.status, await response.text()]).toEqual([status, 'moved']);
    expect(server.requests).toHaveLength(1);
  });

  test('follows five redirects and hands over the sixth', async () => {
    const server = await plain((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('arrived');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    expect(await (await createFetch()(`${server.url}/5`)).text()).toBe('arrived');
    expect((await createFetch()(`${server.url}/6`)).status).toBe(302);
    expect(server.requests).toHaveLength(12);
  });

  test('pinned to an address lets out nothing to another scheme, host or port', async () => {
    const server = await plain((_request, response) => response.end('here'));
    const pinned = pinTo(`${server.url}/v1`, createFetch());
    for (const url of [`${server.url}/v1/x`, new URL('/other', server.url)]) {
      expect(await (await pinned(url)).text()).toBe('here');
    }
    const { port } = server;
    const others = [`https://127.0.0.1:${port}`, `http://localhost:${port}`, 'http://127.0.0.1:9', 'data:,x'];
    for (const url of [...others, new Request(`http://localhost:${port}`)]) {
      await expect(pinned(url)).rejects.toBeInstanceOf(OtherOrigin);
    }
    expect(server.requests).toHaveLength(2);
  });
});

const bedrockModel: Model = {
  id: 'us.anthropic.claude-sonnet-4-6',
  provider: 'bedrock',
  name: 'Claude',
  description: '',
  contextWindow: 200_000,
  maxOutput: 64_000,
  accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: true },
};

const ask = { message: 'Say hello.' };

async function errorOf(service: TestService) {
  const stream = await openStream(`${service.url}/api/chat/stream`, jsonPost(ask));
  return (await stream.ended).find(({ event }) => event === 'error')?.data;
}

describe('a provider that redirects to another host', () => {
  const providers = {
    openai: (url: string) => ({ OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key, LLM_MODEL: 'gpt-5' }),
    vllm: (url: string) => ({ VLLM_ENDPOINT: `${url}/v1`, LLM_MODEL: 'some-model', LLM_PROVIDER: 'vllm' }),
    ollama: (url: string) => ({ OLLAMA_BASE_URL: url, USE_OLLAMA: 'true', LLM_MODEL: 'some-model' }),
    anthropic: (url: string) => ({
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: key,
      LLM_MODEL: 'claude-sonnet-4-6',
      LLM_PROVIDER: 'anthropic',
    }),
  };

  test.each(Object.entries(providers))(
    '%s: nothing goes there, and the run says why',
    async (name, toEnv) => {
      const stranger = await startStranger();
      const server = await plain((request, response) =>
        response.writeHead(307, { location: `${stranger.url}${request.url}?private-path` }).end('moved'),
      );
      const service = await startService(toEnv(server.url));
      const error = await errorOf(service);
      expect(error).toMatchObject({
        error: `The model provider ${name} redirects to another address, which is not followed.`,
        error_type: 'provider_unavailable',
        retryable: false,
      });
      expect(stranger.requests).toEqual([]);
      const posts = server.requests.filter(({ line }) => line.startsWith('POST'));
      expect(posts).toHaveLength(1);
      const status = await (await fetch(`${service.url}/api/chat/status`)).text();
      const everything = JSON.stringify([service.logs, error, status]);
      for (const secret of [key, String(stranger.port), 'private-path'])
        expect(everything).not.toContain(secret);
    },
  );

  test('bedrock: its SDK follows none', async () => {
    const stranger = await startStranger();
    const server = await plain(redirectTo(`${stranger.url}/taken`));
    const bedrock = bedrockAt(server.url);
    const request: LlmRequest = {
      model: bedrockModel,
      messages: [{ role: 'user', content: 'Hello' }],
      tools: [],
      responseFormat: { type: 'text' },
      effort: 'standard',
    };
    const drain = async () => {
      for await (const _event of bedrock.stream(request, signal));
    };
    await expect(drain()).rejects.toMatchObject({
      message: 'The model provider bedrock redirects to another address, which is not followed.',
      retryable: false,
    });
    expect(stranger.requests).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });

  test('that redirects its probe only still counts as alive', async () => {
    const stranger = await startStranger();
    const server = await plain(redirectTo(`${stranger.url}/login`, 302));
    const service = await startService(providers.openai(server.url));
    expect(service.services.providerStates().openai?.status).toBe('healthy');
    expect(stranger.requests).toEqual([]);
  });
});

describe('an MCP server', () => {
  const headers = { authorization: `Bearer ${key}`, 'x-api-key': key };
  const redirected = 'it redirects to another address, which is not followed (HTTP status 307)';

  test.each(['http', 'sse'] as const)(
    'that redirects to another host, over %s, is told why',
    async (transport) => {
      const stranger = await startStranger();
      const server = await plain(redirectTo(`${stranger.url}/mcp`));
      const mcp = useMcp([{ name: 'odd', transport, url: `${server.url}/mcp`, headers }]);
      await mcp.tried(AbortSignal.timeout(15_000));
      expect(mcp.statusOf('odd').error).toBe(redirected);
      expect(stranger.requests).toEqual([]);
      expect(JSON.stringify(mcp.logs)).not.toContain(key);
    },
  );

  test.each(['http', 'https'] as const)(
    'that names a message endpoint of another host by %s gets no message',
    async (scheme) => {
      const stranger = await startFileServer((_request, response) => response.end(), { scheme });
      const server = await plain((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`event: endpoint\ndata: ${stranger.url}/messages\n\n`);
      });
      const mcp = useMcp([{ name: 'odd', transport: 'sse', url: `${server.url}/sse`, headers }]);
      await mcp.tried(AbortSignal.timeout(15_000));
      expect(mcp.statusOf('odd').status).toBe('unavailable');
      expect(stranger.requests).toEqual([]);
    },
  );

  test.each(['http', 'sse'] as const)(
    'that asks for a login elsewhere, over %s, sends us nowhere',
    async (transport) => {
      const stranger = await startStranger();
      const metadata = `Bearer resource_metadata="${stranger.url}/.well-known/oauth-protected-resource"`;
      const server = await plain((_request, response) =>
        response.writeHead(401, { 'www-authenticate': metadata }).end(),
      );
      const mcp = useMcp([{ name: 'odd', transport, url: `${server.url}/mcp`, headers: {} }]);
      await mcp.tried(AbortSignal.timeout(15_000));
      expect(mcp.statusOf('odd').error).toBe('it answered with HTTP status 401');
      expect(stranger.requests).toEqual([]);
      expect(new Set(server.requests.map(({ line }) => line.split(' ')[1]))).toEqual(new Set(['/mcp']));
    },
  );

  test('to which the SDK would upgrade the connection by itself gets nothing', async () => {
    const refused = await pinTo('http://mcp.test/mcp', createFetch())('https://mcp.test/mcp').catch(reasonOf);
    expect(refused).toBe('it leads to another address, which is not followed');
  });
});
