import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readBody } from 'node:stream/consumers';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { problemOf } from '../helpers/chat.ts';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { useFakeBedrock } from '../helpers/fake-bedrock.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { contentOf, jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';

type Env = Record<string, string>;
type Answer = { content: string; provider: string; model: string };
type Place = Pick<TestService, 'url'>;

const openaiEnv = (url: string, key = 'sk-openai'): Env => ({ OPENAI_BASE_URL: url, OPENAI_API_KEY: key });
const anthropicEnv = (url: string, key = 'sk-anthropic'): Env => ({
  ANTHROPIC_BASE_URL: url,
  ANTHROPIC_API_KEY: key,
});
const bedrockEnv = (url: string, key = 'AKIAFAKE'): Env => ({
  AWS_REGION: 'eu-central-1',
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url,
  AWS_ACCESS_KEY_ID: key,
  AWS_SECRET_ACCESS_KEY: 'hush-secret',
});

async function ask(service: Place, body: object): Promise<Answer> {
  const response = await fetch(
    `${service.url}/api/chat`,
    jsonPost({ message: 'Hello', effort: 'quick', ...body }),
  );
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

async function get<T extends object>(service: Place, path: string): Promise<T> {
  const response = await fetch(`${service.url}${path}`);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

type ListedModel = { id: string; provider: string; available: boolean; is_preferred: boolean };
type Models = { models: ListedModel[]; default: string };
type ListedProvider = { available: boolean; models: string[]; health: Record<string, unknown> };
type Providers = { providers: Record<string, ListedProvider>; summary: object };

const modelsOf = (service: Place) => get<Models>(service, '/api/chat/models');
const providersOf = (service: Place) => get<Providers>(service, '/api/chat/providers');

async function healthOf(service: Place, provider: string) {
  return (await providersOf(service)).providers[provider]?.health;
}

/** A service with the three vendors' providers, each with a fake of its own. */
async function startThree(env: Env = {}) {
  const openai = await useFakeLlm({ apiKey: 'sk-openai' });
  const anthropic = await useFakeAnthropic({ apiKey: 'sk-anthropic', models: [{ id: 'claude-listed' }] });
  const bedrock = await useFakeBedrock({ accessKeyId: 'AKIAFAKE' });
  const service = await startService({
    ...openaiEnv(openai.url),
    ...anthropicEnv(rootOf(anthropic)),
    ...bedrockEnv(bedrock.url),
    ...env,
  });
  return { service, openai, anthropic, bedrock };
}

function writeModelsFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'models-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'models.yaml');
  writeFileSync(path, text);
  return path;
}

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

describe('settings alone', () => {
  test('make OpenAI answer', async () => {
    const fake = await useFakeLlm({ apiKey: 'sk-openai' });
    fake.script({ text: 'From OpenAI.' });
    const service = await startService(openaiEnv(fake.url));
    expect(await ask(service, {})).toMatchObject({
      content: 'From OpenAI.',
      provider: 'openai',
      model: 'gpt-6-luna',
    });
  });

  test('make Anthropic answer, at an address with and without /v1 and slashes', async () => {
    const fake = await useFakeAnthropic({ apiKey: 'sk-anthropic' });
    for (const url of [rootOf(fake), `${rootOf(fake)}//`, fake.url]) {
      fake.script({ text: 'From Anthropic.' });
      const service = await startService(anthropicEnv(url));
      const stream = await streamChat(service, { message: 'Hello', effort: 'standard' });
      const events = await stream.ended;
      expect(contentOf(events)).toBe('From Anthropic.');
      expect(events.find(({ event }) => event === 'complete')?.data).toMatchObject({
        provider: 'anthropic',
        model: 'claude-sonnet-5-5',
      });
      expect(Object.keys((await providersOf(service)).providers)).toEqual(['anthropic']);
    }
  });

  test('make the small model answer a simple question whose effort is not named', async () => {
    const fake = await useFakeAnthropic({ apiKey: 'sk-anthropic' });
    fake.script({ text: 'Paris.' });
    const service = await startService(anthropicEnv(rootOf(fake)));
    const question = { message: 'What is the capital of France?', effort: undefined };
    const answer = await ask(service, question);
    expect(answer).toMatchObject({ content: 'Paris.', model: 'claude-haiku-5-5' });
  });

  test('make Bedrock answer', async () => {
    const fake = await useFakeBedrock({ accessKeyId: 'AKIAFAKE' });
    fake.script({ text: 'From Bedrock.' });
    const service = await startService(bedrockEnv(fake.url));
    expect(await ask(service, { effort: 'determined' })).toMatchObject({
      content: 'From Bedrock.',
      provider: 'bedrock',
      model: 'global.anthropic.claude-opus-5-5',
    });
    expect(fake.requests[0]?.headers.authorization).toMatch(
      /Credential=AKIAFAKE\/\d+\/eu-central-1\/bedrock\//,
    );
  });

  test('make every endpoint of MODELS_FILE answer, with its key, its models and their quirks', async () => {
    const groq = await useFakeLlm({ apiKey: 'gsk-one' });
    const lab = await useFakeLlm({ models: [{ id: 'lab-model' }] });
    const path = writeModelsFile(`providers:
  groq:
    api: openai
    baseUrl: ${groq.url}
    apiKeyEnv: GROQ_API_KEY
    default: thinker
    models:
      - { id: plain, accepts: { images: false } }
      - id: thinker
        aliases: [think]
        contextWindow: 131072
        maxOutput: 2000
        accepts: { temperature: false, reasoning: true }
  lab: { baseUrl: ${lab.url} }
`);
    const service = await startService({ MODELS_FILE: path, GROQ_API_KEY: 'gsk-one' });
    groq.script({ text: 'One.' }, { text: 'Two.' });
    lab.script({ text: 'Three.' });
    const answers = [
      await ask(service, { temperature: 0.5, max_tokens: 90 }),
      await ask(service, { model: 'plain', temperature: 0.5, max_tokens: 90 }),
      await ask(service, { provider: 'lab' }),
    ];
    expect(answers.map(({ content, provider, model }) => [content, provider, model])).toEqual([
      ['One.', 'groq', 'thinker'],
      ['Two.', 'groq', 'plain'],
      ['Three.', 'lab', 'lab-model'],
    ]);
    const bodies = groq.requests.map(({ body }) => body as unknown as Record<string, unknown>);
    expect(bodies[0]).toMatchObject({ model: 'thinker', max_completion_tokens: 90 });
    expect(bodies[0]).not.toHaveProperty('temperature');
    expect(bodies[0]).not.toHaveProperty('max_tokens');
    expect(bodies[1]).toMatchObject({ model: 'plain', max_tokens: 90, temperature: 0.5 });
    expect((await modelsOf(service)).models.map(({ id, provider }) => [provider, id])).toEqual([
      ['groq', 'plain'],
      ['groq', 'thinker'],
      ['groq', 'fake-model'],
      ['lab', 'lab-model'],
    ]);
  });

  test('reach an IPv6 address', async () => {
    const fake = await useFakeLlm({ host: '::1' });
    fake.script({ text: 'Six.' });
    const service = await startService({
      OPENAI_BASE_URL: `http://[::1]:${fake.port}`,
      LLM_MODEL: 'fake-model',
    });
    expect((await ask(service, {})).content).toBe('Six.');
  });
});

describe('several providers at once', () => {
  test('are listed in the order in which they are asked, each with its models', async () => {
    const { service } = await startThree();
    const { providers, summary } = await providersOf(service);
    const shown = Object.entries(providers).map(([name, { available, health, models }]) => {
      return [name, available, health.status, models.length];
    });
    expect(shown).toEqual([
      ['openai', true, 'healthy', 15],
      ['anthropic', true, 'healthy', 9],
      ['bedrock', true, 'healthy', 5],
    ]);
    expect(providers.anthropic?.models.at(-1)).toBe('claude-listed');
    expect(summary).toEqual({ total_providers: 3, healthy_providers: 3, total_models: 29 });
    const { models, ...rest } = await modelsOf(service);
    expect(rest).toEqual({ default: 'gpt-6.1-terra', total_available: 29, preferred: 'openai' });
    expect(models.filter((model) => model.is_preferred)).toMatchObject([{ id: 'gpt-6.1-terra' }]);
  });

  test('are told apart when one of them does not work', async () => {
    const openai = await useFakeLlm({ apiKey: 'sk-right' });
    const anthropic = await useFakeAnthropic({ apiKey: 'sk-anthropic' });
    const service = await startService({
      ...openaiEnv(openai.url, 'sk-wrong'),
      ...anthropicEnv(rootOf(anthropic)),
      DEMO_MODEL: 'true',
    });
    const available = Map.groupBy((await modelsOf(service)).models, ({ provider }) => provider);
    const shown = [...available].map(([name, models]) => [name, models.some((model) => model.available)]);
    expect(shown).toEqual([
      ['openai', false],
      ['anthropic', true],
      ['demo', true],
    ]);
    anthropic.script({ text: 'I can.' });
    expect(await ask(service, {})).toMatchObject({ content: 'I can.', provider: 'anthropic' });
  });

  test('have their own model for each effort', async () => {
    const { service, openai, anthropic, bedrock } = await startThree();
    const asked: string[][] = [];
    for (const [provider, fake] of [
      ['openai', openai],
      ['anthropic', anthropic],
      ['bedrock', bedrock],
    ] as const) {
      fake.script({ text: 'Yes.' }, { text: 'Yes.' }, { text: 'Yes.' });
      for (const effort of ['quick', 'standard', 'determined']) {
        const { model } = await ask(service, { provider, effort });
        asked.push([provider, effort, model]);
      }
    }
    expect(asked).toEqual([
      ['openai', 'quick', 'gpt-6-luna'],
      ['openai', 'standard', 'gpt-6.1-terra'],
      ['openai', 'determined', 'gpt-6-sol'],
      ['anthropic', 'quick', 'claude-haiku-5-5'],
      ['anthropic', 'standard', 'claude-sonnet-5-5'],
      ['anthropic', 'determined', 'claude-opus-5-5'],
      ['bedrock', 'quick', 'global.anthropic.claude-haiku-5-5'],
      ['bedrock', 'standard', 'global.anthropic.claude-sonnet-5-5'],
      ['bedrock', 'determined', 'global.anthropic.claude-opus-5-5'],
    ]);
  });

  test('follow LLM_PROVIDER and LLM_MODEL', async () => {
    const { service, anthropic } = await startThree({ LLM_PROVIDER: 'anthropic', LLM_MODEL: 'claude-mine' });
    anthropic.script({ text: 'Mine.' });
    expect(await ask(service, {})).toMatchObject({ provider: 'anthropic', model: 'claude-mine' });
    expect(Object.keys((await providersOf(service)).providers)[0]).toBe('anthropic');
  });

  test('follow DEFAULT_MODEL, whatever the effort', async () => {
    const { service, anthropic } = await startThree({ DEFAULT_MODEL: 'claude-haiku-4-5' });
    anthropic.script({ text: 'Mine.' }, { text: 'Mine.' });
    for (const effort of ['quick', 'determined']) {
      expect(await ask(service, { effort })).toMatchObject({
        provider: 'anthropic',
        model: 'claude-haiku-4-5',
      });
    }
    expect(await modelsOf(service)).toMatchObject({ default: 'claude-haiku-4-5', preferred: 'anthropic' });
  });

  test('are found by a model or its alias', async () => {
    const { service, anthropic, openai } = await startThree();
    anthropic.script({ text: 'Four.' });
    openai.script({ text: 'Five.' });
    expect(await ask(service, { model: 'claude-haiku-4-5-20251001' })).toMatchObject({
      content: 'Four.',
      provider: 'anthropic',
      model: 'claude-haiku-4-5',
    });
    expect(anthropic.requests[0]?.body.model).toBe('claude-haiku-4-5');
    expect(await ask(service, { model: 'gpt-5.6' })).toMatchObject({
      content: 'Five.',
      model: 'gpt-5.6-sol',
    });
  });
});

describe('images', () => {
  const images = [{ data: png, mime_type: 'image/png' }];

  test('go to the first model that takes them', async () => {
    const blind = await useFakeLlm({ requireScript: true });
    const anthropic = await useFakeAnthropic({ apiKey: 'sk-anthropic' });
    const path = writeModelsFile(
      `providers: { openai: { models: [{ id: blind, accepts: { images: false } }] } }`,
    );
    const service = await startService({
      ...openaiEnv(blind.url),
      ...anthropicEnv(rootOf(anthropic)),
      MODELS_FILE: path,
      LLM_PROVIDER: 'openai',
      LLM_MODEL: 'blind',
    });
    anthropic.script({ text: 'A dot.' });
    expect(await ask(service, { images })).toMatchObject({ content: 'A dot.', provider: 'anthropic' });
    expect(JSON.stringify(anthropic.requests[0]?.body.messages)).toContain(png);
    const response = await fetch(
      `${service.url}/api/chat`,
      jsonPost({ message: 'See', images, model: 'blind' }),
    );
    const problem = await problemOf(response);
    expect(problem).toMatchObject({
      status: 400,
      errors: [{ path: 'images', message: expect.stringContaining('not accepted') }],
    });
  });

  test('reach each vendor in its own form', async () => {
    const { service, openai, bedrock } = await startThree();
    openai.script({ text: 'A dot.' });
    bedrock.script({ text: 'A dot.' });
    for (const provider of ['openai', 'bedrock']) await ask(service, { images, provider });
    expect(JSON.stringify(openai.requests[0]?.body)).toContain(`data:image/png;base64,${png}`);
    expect(JSON.stringify(bedrock.requests[0]?.body)).toContain(png);
  });
});

describe('a wrong key', () => {
  test.each([
    ['openai', async () => openaiEnv((await useFakeLlm({ apiKey: 'sk-right' })).url, 'sk-hush')],
    [
      'anthropic',
      async () => anthropicEnv(rootOf(await useFakeAnthropic({ apiKey: 'sk-right' })), 'sk-hush'),
    ],
    [
      'groq',
      async () => {
        const fake = await useFakeLlm({ apiKey: 'sk-right' });
        const text = `providers: { groq: { baseUrl: "${fake.url}", apiKeyEnv: GROQ_KEY, models: [{ id: m }] } }`;
        return { MODELS_FILE: writeModelsFile(text), GROQ_KEY: 'sk-hush' };
      },
    ],
    ['bedrock', async () => bedrockEnv((await useFakeBedrock({ accessKeyId: 'AKIARIGHT' })).url, 'AKIAHUSH')],
  ])('of %s is `auth` in its health and provider_unavailable for the client', async (provider, envOf) => {
    const service = await startService(await envOf());
    const stream = await streamChat(service, { message: 'Hello' });
    const events = await stream.ended;
    expect(events.map(({ event }) => event)).toEqual(['error', 'done']);
    expect(events[0]?.data).toMatchObject({
      error: `The model provider ${provider} does not accept the credentials of this service.`,
      error_type: 'provider_unavailable',
    });
    const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 'Hello' }));
    const problem = await problemOf(response);
    expect(problem.status).toBe(503);
    expect(await healthOf(service, provider)).toMatchObject({
      status: 'unhealthy',
      reason: 'auth',
      error: 'It does not accept the credentials.',
    });
    const told = stream.raw() + JSON.stringify([problem, await healthOf(service, provider), service.logs]);
    expect(told).not.toMatch(/hush|sk-|AKIA|authentication_error|invalid_api_key|Incorrect|security token/i);
  });
});

describe('TLS and proxies', () => {
  let certificates: string;
  const certificate = (name: string) => join(certificates, name);

  beforeAll(() => {
    certificates = mkdtempSync(join(tmpdir(), 'tls-'));
    const program = 'openssl';
    const openssl = (...args: string[]) => execFileSync(program, args, { cwd: certificates, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/CN=Test CA',
    );
    openssl('req', ...key, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=model.test');
    writeFileSync(certificate('names'), 'subjectAltName=DNS:model.test,DNS:claude.test,IP:127.0.0.1\n');
    const signing = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      'names',
    ];
    openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...signing);
  });

  afterAll(() => rmSync(certificates, { recursive: true }));

  async function listen(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  /** TLS in front of a port of this machine. */
  function wrapInTls(port: number): Promise<number> {
    const options = {
      key: readFileSync(certificate('key.pem')),
      cert: readFileSync(certificate('cert.pem')),
    };
    const server = createTlsServer(options, (socket) => {
      const inner = connect(port, '127.0.0.1');
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
      socket.pipe(inner).pipe(socket);
    });
    server.on('tlsClientError', () => {});
    return listen(server);
  }

  type Proxied = { method: string; target: string; headers: IncomingHttpHeaders };

  /** A proxy for names that nobody else can resolve; it takes tunnels and plain requests. */
  async function startProxy(ports: Record<string, number>) {
    const seen: Proxied[] = [];
    const portOf = (authority: string) => ports[authority] ?? 0;
    const server = createServer(async (request, response) => {
      const url = new URL(request.url ?? '');
      seen.push({ method: request.method ?? '', target: url.href, headers: request.headers });
      const body = request.method === 'GET' ? null : await readBody(request);
      const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
      const answer = await fetch(`http://127.0.0.1:${portOf(url.host)}${url.pathname}${url.search}`, {
        method: request.method ?? '',
        headers: headers as Record<string, string>,
        body,
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
    server.on('connect', (request, socket, head) => {
      const target = request.url ?? '';
      seen.push({ method: 'CONNECT', target, headers: request.headers });
      const inner = connect(portOf(target), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        inner.write(head);
        inner.pipe(socket).pipe(inner);
      });
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
    });
    const port = await listen(server);
    onTestFinished(() => server.closeAllConnections());
    return { port, url: `http://127.0.0.1:${port}`, seen };
  }

  /** The service in a process of its own, because certificates are read when one starts. */
  async function startProcess(env: Env): Promise<Place> {
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main], {
      env: { HOST: '127.0.0.1', PORT: '0', ...env },
      cwd: certificates,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    return new Promise((resolve, reject) => {
      const read = (more: Buffer) => {
        output += more;
        const port = /ready on http:\/\/localhost:(\d+)/.exec(output)?.[1];
        if (port) resolve({ url: `http://127.0.0.1:${port}` });
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', () => reject(new Error(`the service ended: ${output}`)));
    });
  }

  test('a certificate that nobody vouches for is said to be not trusted', async () => {
    const openai = await useFakeLlm();
    const anthropic = await useFakeAnthropic();
    const bedrock = await useFakeBedrock();
    const at = async (port: number) => `https://127.0.0.1:${await wrapInTls(port)}`;
    const service = await startService({
      ...openaiEnv(await at(openai.port)),
      ...anthropicEnv(await at(anthropic.port)),
      ...bedrockEnv(await at(bedrock.port)),
    });
    for (const provider of ['openai', 'anthropic', 'bedrock']) {
      const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 'Hello', provider }));
      expect(await problemOf(response)).toMatchObject({
        status: 503,
        type: 'urn:paf:error:provider_unavailable',
        detail: `The certificate of the model provider ${provider} is not trusted.`,
      });
      expect(await healthOf(service, provider)).toMatchObject({
        status: 'unhealthy',
        reason: 'unreachable',
        error: 'Its certificate is not trusted.',
      });
    }
    expect([openai.requests, anthropic.requests, bedrock.requests]).toEqual([[], [], []]);
  });

  test('NODE_EXTRA_CA_CERTS makes it trusted, directly and through HTTPS_PROXY', async () => {
    const openai = await useFakeLlm({ apiKey: 'sk-openai' });
    const anthropic = await useFakeAnthropic({ apiKey: 'sk-anthropic' });
    const bedrock = await useFakeBedrock({ accessKeyId: 'AKIAFAKE' });
    const proxy = await startProxy({
      'claude.test:443': await wrapInTls(anthropic.port),
      'model.test:443': await wrapInTls(bedrock.port),
    });
    const service = await startProcess({
      ...openaiEnv(`https://127.0.0.1:${await wrapInTls(openai.port)}`),
      ...anthropicEnv('https://claude.test'),
      ...bedrockEnv('https://model.test'),
      NODE_EXTRA_CA_CERTS: certificate('ca.pem'),
      HTTPS_PROXY: proxy.url,
      NO_PROXY: '127.0.0.1',
    });
    openai.script({ text: 'One.' });
    anthropic.script({ text: 'Two.' });
    bedrock.script({ text: 'Three.' });
    const answers: string[] = [];
    for (const provider of ['openai', 'anthropic', 'bedrock']) {
      answers.push((await ask(service, { provider })).content);
    }
    expect(answers).toEqual(['One.', 'Two.', 'Three.']);
    expect(proxy.seen.length).toBeGreaterThan(0);
    expect(new Set(proxy.seen.map(({ method, target }) => `${method} ${target}`))).toEqual(
      new Set(['CONNECT claude.test:443', 'CONNECT model.test:443']),
    );
  });

  test('HTTP_PROXY is asked, with its password, for what NO_PROXY does not name', async () => {
    const openai = await useFakeLlm({ apiKey: 'sk-openai' });
    const vllm = await useFakeLlm();
    const proxy = await startProxy({ 'model.test:8080': openai.port });
    const service = await startService({
      ...openaiEnv('http://model.test:8080/v1'),
      VLLM_ENDPOINT: vllm.url,
      HTTP_PROXY: `http://me:p%40ss@127.0.0.1:${proxy.port}`,
      NO_PROXY: `.example.com,127.0.0.1:${vllm.port}`,
    });
    openai.script({ text: 'Far.' });
    vllm.script({ text: 'Near.' });
    expect((await ask(service, { provider: 'openai' })).content).toBe('Far.');
    expect((await ask(service, { provider: 'vllm' })).content).toBe('Near.');
    expect(new Set(proxy.seen.map(({ method, target }) => `${method} ${target}`))).toEqual(
      new Set(['GET http://model.test:8080/v1/models', 'POST http://model.test:8080/v1/chat/completions']),
    );
    const basic = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
    expect(proxy.seen.map(({ headers }) => headers['proxy-authorization'])).toEqual(
      proxy.seen.map(() => basic),
    );
    expect(JSON.stringify(service.logs)).not.toContain('p%40ss');
  });

  test('a proxy that is not there, or does not let through, is said in plain words', async () => {
    const proxy = await startProxy({});
    for (const url of ['http://127.0.0.1:9', proxy.url]) {
      const service = await startService({ ...openaiEnv('https://model.test'), HTTPS_PROXY: url });
      const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 'Hello' }));
      expect(await problemOf(response)).toMatchObject({
        status: 503,
        detail: 'The model provider openai cannot be reached.',
      });
    }
  });
});
