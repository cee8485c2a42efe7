import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { expect, vi } from 'vitest';
import type { FakeAnthropic } from '../../scripts/fake-llm/anthropic.ts';
import type { FakeBedrock } from '../../scripts/fake-llm/bedrock.ts';
import { type FakeLlm, hold } from '../../scripts/fake-llm/server.ts';
import type { Operation } from '../helpers/contract.ts';
import { useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { useFakeBedrock } from '../helpers/fake-bedrock.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { useFolder } from '../helpers/folders.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { jsonPost } from '../helpers/service.ts';
import { patient } from '../helpers/workers.ts';
import { type ServiceProcess, startProcess } from '../process/service-process.ts';
import { startWorker, type WorkerProcess } from '../worker/worker-process.ts';
import { type Canaries, createCanaries } from './canaries.ts';
import {
  type Client,
  type ClientParts,
  createClient,
  othersSinks,
  ownSinks,
  refusedSinks,
  signedHeaders,
  tokenOf,
} from './client.ts';
import { createOutputs, type Outputs } from './outputs.ts';
import { startCollector, startFileHost, startMcpServer, startQuotingWorker } from './servers.ts';

/** One service as a process, with everything around it that it talks to, each of which tells what it was sent. */
export type World = {
  kind: WorldKind;
  canaries: Canaries;
  outputs: Outputs;
  service: ServiceProcess;
  worker: WorkerProcess;
  openai: FakeLlm;
  anthropic: FakeAnthropic;
  bedrock: FakeBedrock;
  /** of MODELS_FILE; its list of models is locked */
  endpoint: FakeLlm;
  fileHost: string;
  /** whose texts are private */
  ann: Client;
  /** the same, who signs */
  signer: Client;
  /** of another tenant */
  bob: Client;
  /** callers whose tenants nobody else has, to be used up */
  other(subject: string): Client;
  /** a caller with these headers alone */
  anybody(headers: Record<string, string>): Client;
  operator: Client;
  parts: ClientParts;
  /** the routes that the service says it has */
  operations: string[];
  /** Ends the service by SIGTERM and collects what it leaves behind. */
  finish(): Promise<void>;
};

/** `closed`: texts stay inside, and logs tell all they can. `open`: who operates it asked for texts. */
export type WorldKind = 'closed' | 'open';

const mcpFixture = fileURLToPath(new URL('../fixtures/mcp/quoting-server.ts', import.meta.url));
/** What throws errors from inside a service that is told to. */
export const hostileModule = new URL('crash.mjs', import.meta.url).href;

export const modelName = (canaries: Canaries) => canaries.at('model name');

export async function startWorld(kind: WorldKind): Promise<World> {
  const canaries = createCanaries();
  const outputs = createOutputs(canaries);
  const folder = useFolder();
  const [openai, anthropic, bedrock, endpoint] = await Promise.all([
    useFakeLlm({ requireScript: true, models: [{ id: modelName(canaries) }] }),
    useFakeAnthropic({ requireScript: true }),
    useFakeBedrock({ requireScript: true }),
    useFakeLlm({ requireScript: true }),
  ]);
  endpoint.modelsFault = {
    type: 'status',
    status: 401,
    body: {
      error: {
        message: `${canaries.at('error of a list of models')} ${canaries.keyAt('key of an endpoint')}`,
      },
    },
  };
  const take = (sink: Parameters<Outputs['add']>[0]) => (text: string) => outputs.add(sink, text);
  const isOpen = kind === 'open';
  const [fileHost, mcpUrl, lockedUrl, quotingWorker, collector] = await Promise.all([
    startFileHost(canaries, take('to file host')),
    startMcpServer(canaries, take('to MCP server'), false),
    startMcpServer(canaries, take('to MCP server'), true),
    startQuotingWorker(canaries, take('to worker')),
    startCollector(take('to collector'), take(isOpen ? 'spans with texts' : 'spans')),
  ]);
  const tracing = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${canaries.at('header of the collector')}`,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  };
  const redis = isOpen ? undefined : await useLockedRedis(canaries.at('password of Redis'));
  const worker = await startWorker({ LOG_LEVEL: 'trace', ...tracing });
  const eventLog = join(folder, isOpen ? 'events.db' : 'events.jsonl');
  const models = join(folder, 'models.json');
  writeFileSync(models, JSON.stringify(modelsFile(canaries, endpoint.url)));
  const service = await startProcess({
    LOG_LEVEL: isOpen ? 'info' : 'trace',
    ...modelSettings(canaries, {
      openai: openai.url,
      anthropic: anthropic.url,
      bedrock: bedrock.url,
      models,
    }),
    MCP_SERVERS: JSON.stringify(mcpServers(canaries, mcpUrl, lockedUrl)),
    OTHER_VARIABLE: canaries.at('other variable'),
    WORKER_AGENT_ENDPOINTS: `127.0.0.1:${worker.port},${quotingWorker}`,
    WORKER_PLAINTEXT: 'true',
    AUTH_MODE: 'any',
    JWT_SECRET: canaries.keyAt('JWT secret'),
    JWT_ISSUER: 'us',
    JWT_AUDIENCE: 'paf',
    HMAC_KEYS: JSON.stringify({
      signer: {
        secret: [canaries.keyAt('HMAC secret'), canaries.keyAt('older HMAC secret')],
        tenant: canaries.at('tenant'),
        roles: ['admin'],
      },
    }),
    METRICS_TOKEN: canaries.keyAt('metrics token'),
    RATE_LIMIT_RPM: '1000',
    RATE_LIMIT_STREAMS_RPM: '300',
    TENANT_DAILY_TOKENS: '10000000',
    FILE_URL_ALLOW_HTTP: 'true',
    FILE_URL_ALLOW_PRIVATE: 'true',
    FILE_URL_HOSTS: '127.0.0.1',
    MAX_BODY_BYTES: String(512 * 1024),
    REQUEST_TIMEOUT: '1',
    DRAIN_TIMEOUT: '0.3',
    AUTH_GRACE: '0',
    UPEE_MAX_REVISIONS: '0',
    MEMORY_BACKEND: isOpen ? 'filesystem' : redis ? 'redis' : 'memory',
    ...(redis && { REDIS_URL: redis }),
    MEMORY_FILESYSTEM_PATH: join(folder, 'sessions'),
    EVENT_LOG: eventLog,
    CAPTURE_CONTENT: String(isOpen),
    ...tracing,
    // libraries that tell all they do
    ...(isOpen ? {} : { OTEL_LOG_LEVEL: 'debug' }),
  });
  const parts: ClientParts = { url: service.url, canaries, outputs, driven: new Map(), errors: new Set() };

  const callers = createCallers(parts);
  await untilConnected(callers.bob);
  const document = JSON.parse((await callers.bob.send('getOpenApi', '/openapi.json')).text);

  return {
    kind,
    canaries,
    outputs,
    service,
    worker,
    openai,
    anthropic,
    bedrock,
    endpoint,
    fileHost,
    parts,
    operations: Object.values<Record<string, Operation>>(document.paths).flatMap((item) =>
      Object.values(item).map(({ operationId }) => operationId),
    ),
    ...callers,
    async finish() {
      outputs.add('process', readFileSync(`/proc/${service.pid}/cmdline`, 'utf8'));
      outputs.add('process', readFileSync(`/proc/${service.pid}/comm`, 'utf8'));
      await drain({ openai, ann: callers.ann, canaries, service });
      for (const [sink, fake] of Object.entries({
        'to openai': openai,
        'to anthropic': anthropic,
        'to bedrock': bedrock,
        'to endpoint': endpoint,
      }))
        for (const { headers, body } of fake.requests)
          outputs.add(sink as 'to openai', `${JSON.stringify(headers)} ${JSON.stringify(body)}`);
      worker.kill('SIGTERM');
      await worker.exited;
      outputs.add('worker log', `${worker.stdout()}\n${worker.stderr()}`);
      outputs.add(isOpen ? 'log at info' : 'log', service.stdout());
      outputs.add('stderr', service.stderr());
      outputs.add(isOpen ? 'event log with texts' : 'event log', readEventLog(eventLog));
    },
  };
}

/** SIGTERM while an answer is under way, and another request that comes too late. */
async function drain({
  openai,
  ann,
  canaries,
  service,
}: Pick<World, 'openai' | 'ann' | 'canaries' | 'service'>) {
  const pause = hold(1);
  openai.script({ text: `It is ${canaries.at('answer that is cancelled')} now.`, hold: pause });
  const body = jsonPost({ message: canaries.at('message'), model: modelName(canaries) });
  const live = await ann.open('streamChat', '/api/chat/stream', body);
  await pause.reached;
  service.kill('SIGTERM');
  await service.waitForOutput(/"stopping"/);
  await ann.send('chat', '/api/chat', body);
  await live.ended;
  expect(await service.exited).toBe(0);
}

/** The address of a Redis that asks for this password; undefined where none is installed. */
export async function useLockedRedis(password: string, given = password): Promise<string | undefined> {
  if (!hasRedis) return undefined;
  const { url, port } = await useRedis();
  const admin = new Redis(url);
  await admin.config('SET', 'requirepass', password);
  admin.disconnect();
  return `redis://:${given}@127.0.0.1:${port}/`;
}

/** Tools are there once their servers are; those that let nobody in never are. */
async function untilConnected(client: Client): Promise<void> {
  await vi.waitFor(async () => {
    const { servers } = JSON.parse((await client.send('listMcpServers', '/api/mcp/servers')).text);
    const { workers } = JSON.parse((await client.send('listWorkers', '/api/workers')).text);
    const states = [...servers, ...workers].map(({ status }) => status).toSorted();
    expect(states).toEqual(['connected', 'connected', 'serving', 'serving', 'unavailable', 'unavailable']);
  }, patient);
}

function createCallers(parts: ClientParts) {
  const { canaries } = parts;
  const about = () => ({
    cookie: `session=${canaries.at('Cookie')}`,
    'x-api-key': canaries.at('X-Api-Key'),
    'proxy-authorization': `Basic ${canaries.at('Proxy-Authorization')}`,
    referer: `https://example.com/?from=${canaries.at('Referer')}`,
    'user-agent': canaries.at('User-Agent'),
    baggage: `who=${canaries.at('baggage')}`,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: `vendor=${canaries.at('tracestate')}`,
    'x-forwarded-for': canaries.at('X-Forwarded-For'),
    'x-request-id': canaries.at('request id'),
  });
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  const secret = canaries.keyAt('JWT secret');
  const token = tokenOf(
    secret,
    { kid: canaries.at('token header') },
    {
      sub: canaries.at('subject'),
      tenant: canaries.at('tenant'),
      email: canaries.at('token claims'),
      exp: inAnHour,
    },
  );
  const [header = '', payload = '', signature = ''] = token.split('.');
  canaries.note('token header', header.slice(-30));
  canaries.note('token claims', payload.slice(-40));
  canaries.note('token signature', signature);
  const bearerOf = (subject: string, tenant: string) => ({
    authorization: `Bearer ${tokenOf(secret, {}, { sub: subject, tenant, exp: inAnHour })}`,
  });
  const key = { keyId: 'signer', secret: canaries.keyAt('HMAC secret') };
  return {
    ann: createClient(parts, ownSinks, () => ({ ...about(), authorization: `Bearer ${token}` })),
    signer: createClient(parts, ownSinks, (method, path, body) => ({
      ...about(),
      ...signedHeaders(canaries, key, method, path, body),
    })),
    bob: createClient(parts, othersSinks, () => bearerOf('bob', 'others')),
    other: (subject: string) =>
      createClient(parts, othersSinks, () => bearerOf(subject, `tenant-of-${subject}`)),
    anybody: (headers: Record<string, string>) =>
      createClient(parts, refusedSinks, () => ({ ...about(), ...headers })),
    operator: createClient(parts, othersSinks, () => ({
      authorization: `Bearer ${canaries.keyAt('metrics token')}`,
    })),
  };
}

function modelSettings(
  canaries: Canaries,
  { openai, anthropic, bedrock, models }: Record<'openai' | 'anthropic' | 'bedrock' | 'models', string>,
): Record<string, string> {
  return {
    OPENAI_API_KEY: canaries.keyAt('key of openai'),
    OPENAI_BASE_URL: openai,
    ANTHROPIC_API_KEY: canaries.keyAt('key of anthropic'),
    ANTHROPIC_BASE_URL: anthropic.replace(/\/v1$/, ''),
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: canaries.at('AWS access key id'),
    AWS_SECRET_ACCESS_KEY: canaries.at('AWS secret'),
    AWS_SESSION_TOKEN: canaries.at('AWS session token'),
    AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock,
    // nobody is there
    VLLM_ENDPOINT: `http://127.0.0.1:9/${canaries.at('path of an address of models')}/v1`,
    UPEE_PLANNER_MODEL: 'claude-canary',
    UPEE_JUDGE_MODEL: 'claude-canary',
    LLM_PROVIDER: 'openai',
    LLM_MODEL: modelName(canaries),
    MODELS_FILE: models,
    ENDPOINT_KEY: canaries.keyAt('key of an endpoint'),
    HTTPS_PROXY: `http://proxy:${canaries.at('password of the proxy')}@127.0.0.1:9`,
  };
}

function modelsFile(canaries: Canaries, endpoint: string) {
  const accepts = { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false };
  const one = (id: string) => ({ models: [{ id, contextWindow: 100_000, maxOutput: 4096, accepts }] });
  return {
    providers: {
      openai: one(modelName(canaries)),
      anthropic: one('claude-canary'),
      bedrock: one('bedrock-canary'),
      extra: { ...one('extra-canary'), baseUrl: endpoint, apiKeyEnv: 'ENDPOINT_KEY' },
    },
  };
}

function mcpServers(canaries: Canaries, url: string, lockedUrl: string) {
  const env = {
    SECRET: canaries.at('environment of an MCP server'),
    TOLD: canaries.at('environment that an MCP server tells'),
    RESULT: canaries.at('result of a tool'),
    PROGRESS: canaries.at('progress of a tool'),
    FAILURE: canaries.at('failure of a tool'),
    ERROR: canaries.at('error of an MCP server'),
    STDERR: canaries.at('stderr of an MCP server'),
    OUTPUT: canaries.at('output of an MCP server'),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the service replaces it
    OTHER: '${OTHER_VARIABLE}',
  };
  const headers = { Authorization: `Bearer ${canaries.at('header of an MCP server')}` };
  const args = ['--no-warnings', mcpFixture];
  return {
    plain: { command: process.execPath, args, env },
    broken: {
      command: process.execPath,
      args: [...args, 'broken', canaries.at('argument of an MCP server')],
      env,
    },
    remote: { url, headers },
    locked: { url: `${lockedUrl}?key=${canaries.at('query of an MCP address')}`, headers },
  };
}

function readEventLog(path: string): string {
  if (!path.endsWith('.db')) return readFileSync(path, 'utf8');
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare('SELECT * FROM events').all();
  database.close();
  return JSON.stringify(rows);
}
