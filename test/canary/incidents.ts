import { expect, onTestFinished, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { startChat } from '../helpers/chat.ts';
import { useFolder } from '../helpers/folders.ts';
import { jsonPost, startService, type TestService } from '../helpers/service.ts';
import { patient } from '../helpers/workers.ts';
import { startProcess } from '../process/service-process.ts';
import { type Canaries, createCanaries, type Leak } from './canaries.ts';
import { type ClientParts, createClient, ownSinks, tokenOf } from './client.ts';
import { createOutputs } from './outputs.ts';
import type { Place } from './places.ts';
import { startAngryCollector } from './servers.ts';
import { hostileModule, useLockedRedis } from './world.ts';

/** What an incident let out, and the error types that callers were told. */
export type Incident = { leaks: Leak[]; errors: Set<string>; places: Place[] };

function begin(url: string, canaries: Canaries) {
  const outputs = createOutputs(canaries);
  const parts: ClientParts = { url, canaries, outputs, driven: new Map(), errors: new Set() };
  const client = createClient(parts, ownSinks, () => ({}));
  const health = async () => {
    for (const [operation, path] of Object.entries({
      getHealth: '/api/health',
      getReadiness: '/api/health/ready',
      getStatus: '/api/chat/status',
      getMetrics: '/metrics',
    }))
      await client.send(operation, path);
  };
  return { outputs, client, health, errors: parts.errors };
}

/** Redis refuses the password; then errors come that nobody catches, the last of which ends the process. */
async function crash(): Promise<Incident> {
  const canaries = createCanaries();
  const redis = await useLockedRedis('another one', canaries.at('password of Redis'));
  const key = canaries.at('header of the collector');
  const collector = await startAngryCollector(canaries);
  const service = await startProcess({
    LOG_LEVEL: 'trace',
    REDIS_URL: redis ?? `redis://:${canaries.at('password of Redis')}@127.0.0.1:9/`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${key}`,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    MEMORY_BACKEND: 'redis',
    TENANT_DAILY_TOKENS: '100000',
    EVENT_LOG: `${useFolder()}/events.jsonl`,
    NODE_OPTIONS: `--import=${hostileModule}`,
    UNCAUGHT: canaries.at('uncaught error'),
    UNHANDLED: canaries.at('unhandled rejection'),
  });
  const { outputs, client, health, errors } = begin(service.url, canaries);
  await client.send('createSession', '/api/sessions', jsonPost({ title: canaries.at('title') }));
  await client.send('chat', '/api/chat', jsonPost({ message: canaries.at('message') }));
  await health();
  await service.waitForOutput(/spans cannot be exported/);
  service.kill('SIGHUP');
  await service.waitForOutput(/unhandled rejection/);
  service.kill('SIGUSR1');
  expect(await service.exited).not.toBe(0);
  outputs.add('log', service.stdout());
  outputs.add('stderr', service.stderr());
  return { leaks: outputs.leaks(), errors, places: canaries.places() };
}

/** No room for another run, a run that is forgotten, and parts that throw what they were given. */
async function insideOut(): Promise<Incident> {
  const canaries = createCanaries();
  const { at } = canaries;
  const pause = hold(1);
  const { service, fake } = await startChat([{ text: 'Hello there.', hold: pause }], {
    MAX_CONCURRENT_REQUESTS: '1',
    RUN_LOG_TTL: '0.05',
    LOG_LEVEL: 'trace',
  });
  const { outputs, client, health, errors } = begin(service.url, canaries);
  const body = jsonPost({ message: at('message') });
  const live = await client.open('streamChat', '/api/chat/stream', body);
  await pause.reached;
  await client.send('chat', '/api/chat', body);
  pause.release();
  await live.ended;
  await vi.waitFor(async () => {
    const { status } = await client.send('getRun', `/api/runs/${live.runId}`);
    if (status !== 410) throw new Error(`${status}`);
  }, patient);

  const throwing: Tool = {
    name: 'throwing',
    description: 'Throws.',
    parameters: { type: 'object' },
    isParallel: true,
    execute: (args) => Promise.reject(new Error(`${JSON.stringify(args)} ${at('failure of a tool')}`)),
  };
  service.services.tools.list = () => [throwing];
  const call = { id: 'c', name: 'throwing', arguments: JSON.stringify({ a: at('arguments of a tool') }) };
  fake.script({ toolCalls: [call] }, { text: at('answer') });
  await client.send('chat', '/api/chat', body);
  const fail = () => Promise.reject(new TypeError(`${at('file content')} ${at('message')}`));
  Object.assign(service.services.sessions.store, { create: fail, find: fail, read: fail, list: fail });
  Object.assign(service.services.files, { ingest: fail });
  const file = { file_name: `${at('file name')}.txt`, content: at('file content') };
  for (const path of ['/api/chat', '/api/chat/stream'])
    await client.send('chat', path, jsonPost({ message: at('message'), files: [file] }));
  await client.send('createSession', '/api/sessions', jsonPost({ title: at('title') }));
  await client.send('listSessions', '/api/sessions');
  await health();
  outputs.add('log', JSON.stringify(service.logs));
  return { leaks: outputs.leaks(), errors, places: canaries.places() };
}

/** The keys of tokens are away, whose address holds a key itself. */
async function noKeys(): Promise<Incident> {
  const canaries = createCanaries();
  const service: TestService = await startService({
    LOG_LEVEL: 'trace',
    AUTH_MODE: 'jwt',
    JWT_AUDIENCE: 'us',
    JWT_JWKS_URL: `http://127.0.0.1:9/keys?key=${canaries.at('query of the JWKS address')}`,
  });
  onTestFinished(() => service.close());
  const { outputs, client, health, errors } = begin(service.url, canaries);
  const token = tokenOf('any', { alg: 'RS256', kid: canaries.at('garbled token') }, { sub: 'ann', exp: 9e9 });
  const headers = { authorization: `Bearer ${token}` };
  await client.send('chat', '/api/chat', jsonPost({ message: canaries.at('message') }, headers));
  await health();
  outputs.add('log', JSON.stringify(service.logs));
  return { leaks: outputs.leaks(), errors, places: canaries.places() };
}

export const incidents = { crash, insideOut, noKeys };
