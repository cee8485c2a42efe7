import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { cancelRun, getRun, startChat } from '../helpers/chat.ts';
import { loadContract, send } from '../helpers/contract.ts';
import { freePort, temporaryDirectory } from '../helpers/mcp.ts';
import { contentOf, startService, streamChat, type TestService } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';
import { patient, startOddWorker } from '../helpers/workers.ts';
import { startWorker, type WorkerProcess } from '../worker/worker-process.ts';

const run = promisify(execFile);
const certsScript = fileURLToPath(new URL('../../scripts/dev-certs.sh', import.meta.url));

type Payload = {
  endpoint: string;
  status: string;
  error?: string;
  outstanding: number;
  capabilities: { task_type: string; tool?: string }[];
};

async function workersOf(service: TestService): Promise<Payload[]> {
  const { status, text } = await send(service, '/api/workers');
  expect(status).toBe(200);
  return (JSON.parse(text) as { workers: Payload[] }).workers;
}

const until = (service: TestService, ...statuses: string[]) =>
  vi.waitFor(
    async () => expect((await workersOf(service)).map(({ status }) => status)).toEqual(statuses),
    patient,
  );

const endpointOf = ({ port }: { port: number }) => `localhost:${port}`;
const plain = (...workers: { port: number }[]) => ({
  WORKER_AGENT_ENDPOINTS: workers.map(endpointOf).join(','),
  WORKER_PLAINTEXT: 'true',
});

const callOf = (name: string, args: object): ScriptedReply => ({
  toolCalls: [{ id: 'call_1', name, arguments: JSON.stringify(args) }],
});

/** Seconds of work that fit into the arguments of a call. */
const longSearch = () => {
  const query = Array.from({ length: 330 }, (_, index) => index.toString(36).padStart(2, '0')).join(' ');
  const text = 'zz\n'.repeat(100_000);
  return callOf('worker__text_search', { documents: [{ name: 'long', text }], query });
};

/** A model with room for such arguments. */
const largeWindow = { LLM_MODEL: 'gpt-6-sol' };

const plainWorker = () => startWorker({ WORKER_PLAINTEXT: 'true' });

test('a chat delegates to two workers; one is killed in the middle of its task, and the other one answers', async () => {
  const processes = [await plainWorker(), await plainWorker()];
  const { service, fake } = await startChat([longSearch(), { text: 'Nothing was found.' }], {
    ...plain(...processes),
    ...largeWindow,
  });
  await until(service, 'serving', 'serving');
  const stream = await streamChat(service, { message: 'Search this text.' });
  await stream.waitFor(({ event, data }) => event === 'tool_progress' && data.progress === 0);
  const busy = (await workersOf(service)).findIndex(({ outstanding }) => outstanding === 1);
  expect(busy).toBeGreaterThanOrEqual(0);
  processes[busy]?.kill('SIGKILL');
  const events = await stream.ended;
  const result = events.find(({ event }) => event === 'tool_result');
  expect(result?.data).toMatchObject({ name: 'worker__text_search', is_error: false });
  expect(JSON.stringify(result?.data)).toContain('\\"total_matches\\":0');
  const progress = events.filter(({ event }) => event === 'tool_progress').map(({ data }) => data.message);
  expect(progress.filter((message) => message === 'Searching 1 documents').length).toBeGreaterThanOrEqual(2);
  expect(progress).toContain('The worker was lost: another one is asked');
  expect(contentOf(events)).toBe('Nothing was found.');
  expect(events.at(-2)).toMatchObject({ event: 'complete', data: { exit_reason: 'completed' } });
  fake.verify();
  const statuses = (await workersOf(service)).map(({ status }) => status);
  expect(statuses[busy]).toBe('unavailable');
  expect(statuses[1 - busy]).toBe('serving');
  const { text } = await send(service, '/metrics');
  const lines = text.split('\n').filter((line) => /^paf_worker(s|_tasks)/.test(line));
  expect(lines.toSorted()).toEqual([
    'paf_worker_tasks_total{task_type="text_search",outcome="ok"} 1',
    'paf_workers{status="serving"} 1',
    'paf_workers{status="unavailable"} 1',
  ]);
});

test('a cancelled run cancels its task at the worker', async () => {
  const worker = await plainWorker();
  const { service } = await startChat([longSearch()], plain(worker));
  await until(service, 'serving');
  const stream = await streamChat(service, { message: 'Search this text.' });
  await stream.waitFor(({ event }) => event === 'tool_progress');
  await cancelRun(service, stream.runId);
  await worker.waitForOutput(/"state":"TASK_STATE_CANCELLED"/);
  const events = await stream.ended;
  expect(events.at(-2)).toMatchObject({ event: 'error', data: { error_type: 'cancelled' } });
  expect((await workersOf(service))[0]?.outstanding).toBe(0);
});

test('the tools of workers are those of the models, and the plan says that work is delegated', async () => {
  const worker = await plainWorker();
  const payload = { data: 'city,people\nRome,3\nOslo,1', format: 'csv', operation: 'statistics' };
  const replies = [callOf('worker__data_analysis', payload), { text: 'The mean is 2.' }];
  const { service, fake } = await startChat(replies, plain(worker));
  await until(service, 'serving');
  const stream = await streamChat(service, {
    message: 'Analyse this data: what is the mean of people?\ncity,people\nRome,3\nOslo,1',
  });
  const events = await stream.ended;
  const result = events.find(({ event }) => event === 'tool_result');
  expect(JSON.stringify(result?.data)).toContain('\\"mean\\":2');
  const { phases } = await getRun(service, stream.runId);
  const plan = phases.find(({ phase }) => phase === 'plan')?.metadata;
  expect(plan).toMatchObject({ strategy: 'delegate' });
  expect(plan?.reasons).toContainEqual('a worker on offer does such work: worker__data_analysis');
  fake.verify();
});

test('GET /api/workers is as documented; a worker that is away shows in health and costs nothing but its tools', async () => {
  const odd = await startOddWorker({ TYPES: 'echo,bad_schema' });
  const port = await freePort();
  const startedMs = performance.now();
  const service = await startService(plain(odd, { port }));
  expect(performance.now() - startedMs).toBeLessThan(5000);
  await until(service, 'serving', 'unavailable');
  await vi.waitFor(async () => expect((await workersOf(service))[1]?.error).toBeDefined(), patient);
  const contract = await loadContract(service);
  contract.check('listWorkers', await send(service, '/api/workers'));
  expect(await workersOf(service)).toEqual([
    {
      endpoint: endpointOf(odd),
      status: 'serving',
      outstanding: 0,
      capabilities: [
        { task_type: 'echo', description: 'The task echo', version: '1', tool: 'worker__echo' },
        {
          task_type: 'bad_schema',
          description: 'The task bad_schema',
          version: '1',
          problem: 'its input schema is not that of an object',
        },
      ],
    },
    {
      endpoint: `localhost:${port}`,
      status: 'unavailable',
      error: 'The worker is not there: nothing listens at its address.',
      outstanding: 0,
      capabilities: [],
    },
  ]);
  const health = await send(service, '/api/health');
  contract.check('getHealth', health);
  expect(JSON.parse(health.text)).toMatchObject({
    status: 'degraded',
    services: {
      [`worker:${endpointOf(odd)}`]: { status: 'healthy', error: null },
      [`worker:localhost:${port}`]: {
        status: 'unhealthy',
        error: 'The worker is not there: nothing listens at its address.',
      },
    },
  });
  expect((await send(service, '/api/health/ready')).status).toBe(200);
  const { features } = JSON.parse((await send(service, '/api/chat/status')).text);
  expect(features.tools.filter((name: string) => name.startsWith('worker__'))).toEqual(['worker__echo']);
  await odd.kill();
  await until(service, 'unavailable', 'unavailable');
  expect(contentOf(await (await streamChat(service, { message: 'Say hello.' })).ended)).not.toBe('');
});

test('a worker is told of the request, and no log line holds what it was sent or said', async () => {
  const odd = await startOddWorker({ TYPES: 'echo,who' });
  const service = await startService(plain(odd));
  await until(service, 'serving');
  const headers = { 'x-request-id': 'request-77' };
  const who = await streamChat(service, { message: '/tool worker__who {}' }, headers);
  const result = (await who.ended).find(({ event }) => event === 'tool_result');
  expect(JSON.parse(String(result?.data.result))).toMatchObject({
    'x-run-id': who.runId,
    'x-request-id': 'request-77',
    'x-caller-tenant': 'default',
    'x-caller-subject': 'anonymous',
    'x-caller-roles': '*',
    seconds: 300,
  });
  await (await streamChat(service, { message: '/tool worker__echo {"text": "hush-hush"}' })).ended;
  expect(JSON.stringify(service.logs)).not.toContain('hush-hush');
});

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const tracestate = 'congo=t61rcWkgMzE%20,rojo=00f067aa0ba902b7';

/** The headers of a trace that a worker got in a run. */
function traceAtWorker(events: { event: string; data: Record<string, unknown> }[]): object {
  const result = events.find(({ event }) => event === 'tool_result');
  const told = JSON.parse(String(result?.data.result)) as Record<string, unknown>;
  expect(told).toHaveProperty('x-run-id');
  return Object.fromEntries(Object.entries(told).filter(([name]) => name.startsWith('trace')));
}

const wellFormed = { traceparent, tracestate };
test.each<[string, Record<string, string>, object]>([
  ['goes on to the worker as it came', wellFormed, wellFormed],
  ['needs no state', { traceparent }, { traceparent }],
  ['is left out when there is none', {}, {}],
  ['is left out when it is malformed', { traceparent: `${traceparent}-x`, tracestate }, {}],
  ['is left out without an id', { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, tracestate }, {}],
  [
    'goes on without a state that is too long',
    { traceparent, tracestate: 'a=b,'.repeat(129) },
    { traceparent },
  ],
])('the trace of a request %s', async (_, headers, expected) => {
  const odd = await startOddWorker({ TYPES: 'who' });
  const service = await startService(plain(odd));
  await until(service, 'serving');
  const stream = await streamChat(service, { message: '/tool worker__who {}' }, headers);
  expect(traceAtWorker(await stream.ended)).toEqual(expected);
});

test('the trace of a socket goes on to the worker', async () => {
  const odd = await startOddWorker({ TYPES: 'who' });
  const service = await startService(plain(odd));
  await until(service, 'serving');
  const socket = await openSocket(service, { headers: wellFormed });
  socket.send({ type: 'query', prompt: '/tool worker__who {}' });
  const { toolResult } = await socket.waitFor(({ type }) => type === 'tool_result');
  expect(JSON.stringify(toolResult)).toContain(`\\"traceparent\\":\\"${traceparent}\\"`);
});

test('mTLS with certificates that are replaced on both sides while everything runs', async () => {
  const folder = temporaryDirectory();
  await run('bash', [certsScript, folder]);
  const file = (name: string) => join(folder, name);
  const tls = (name: string) => ({
    WORKER_TLS_CA_FILE: file('ca.crt'),
    WORKER_TLS_CERT_FILE: file(`${name}.crt`),
    WORKER_TLS_KEY_FILE: file(`${name}.key`),
  });
  const worker: WorkerProcess = await startWorker(tls('server'));
  const metrics = callOf('worker__code_metrics', { code: 'const a = 1;\n', language: 'typescript' });
  const { service } = await startChat([metrics, { text: 'One line.' }, metrics, { text: 'Still one.' }], {
    WORKER_AGENT_ENDPOINTS: endpointOf(worker),
    ...tls('client'),
  });
  await until(service, 'serving');
  const ask = async () => {
    const events = await (await streamChat(service, { message: 'Measure this code: const a = 1;' })).ended;
    const result = events.find(({ event }) => event === 'tool_result');
    expect(result?.data, JSON.stringify(result?.data)).toMatchObject({ is_error: false });
    return contentOf(events);
  };
  expect(await ask()).toBe('One line.');

  // another authority: nothing that was trusted before is of any use
  await rm(file('ca.key'));
  await rm(file('ca.crt'));
  await run('bash', [certsScript, folder]);
  const rotatedMs = performance.now();
  const isRead = () => service.logs.some(({ msg }) => msg === 'worker certificates were read anew');
  await vi.waitFor(() => expect(isRead()).toBe(true), patient);
  expect(performance.now() - rotatedMs).toBeLessThan(15_000);
  await worker.waitForOutput(/certificates replaced/);
  await vi.waitFor(async () => {
    const last = service.logs.findLast(({ worker: name }) => name === endpointOf(worker));
    expect(last?.msg).toMatch(/^worker (connected|back)$/);
    expect((await workersOf(service))[0]?.status).toBe('serving');
  }, patient);
  expect(await ask()).toBe('Still one.');
}, 45_000);
