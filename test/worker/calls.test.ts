import { fileURLToPath } from 'node:url';
import { ChannelCredentials, makeClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { TaskRequestInput } from '../../src/workers/generated/paf/worker/v1/TaskRequest.ts';
import { toStruct } from '../../src/workers/struct.ts';
import {
  answerOf,
  checkService,
  collectCall,
  connect,
  longTask,
  nextEvent,
  runTask,
  startWorker,
  statusOf,
  taskOf,
  type WorkerProcess,
  watchHealth,
} from './worker-process.ts';

/** What a caller may wait for a cancel to have reached the task. */
const soonMs = 250;

let worker: WorkerProcess;

beforeAll(async () => {
  const closings: (() => void)[] = [];
  worker = await startWorker({ WORKER_MAX_TASKS: '2' }, undefined, (close) => closings.push(close));
  return () => {
    for (const close of closings.toReversed()) close();
  };
});

const small = (rest: Partial<TaskRequestInput> = {}) => taskOf('data_analysis', { data: 'a\n1\n2\n' }, rest);

/** Starts work for several seconds and waits until it is under way. */
async function startLong(request = longTask()) {
  const call = worker.client.executeTask(request);
  const ended = collectCall(call);
  await nextEvent(call, 'progress');
  return { call, ended, taskId: request.taskId ?? '' };
}

const isCancelled = (taskId: string, timeout = soonMs) =>
  vi.waitFor(
    async () =>
      expect(await statusOf(worker.client, taskId)).toMatchObject({ status: 'TASK_STATE_CANCELLED' }),
    { timeout, interval: 5 },
  );

describe('capabilities', () => {
  test('tell task types with their schemas and limits', async () => {
    const answer = await new Promise<unknown>((resolve, reject) =>
      worker.client.listCapabilities({}, (error, value) => (error ? reject(error) : resolve(value))),
    );
    const limits = {
      maxPayloadBytes: 33_554_432,
      maxResultBytes: 4_128_768,
      maxDuration: { seconds: 300, nanos: 0 },
    };
    const capability = (taskType: string) => ({
      taskType,
      version: '1',
      description: expect.stringMatching(/\w{3}.*\.$/),
      payloadSchema: expect.stringMatching(/^\{"type":"object","(required|properties)"/),
      limits,
    });
    expect(answer).toEqual({
      capabilities: ['data_analysis', 'text_search', 'code_metrics'].map(capability),
      workerVersion: '0.1.0',
      maxConcurrentTasks: 2,
    });
  });
});

describe('a task', () => {
  test('stops at once when its caller cancels, and the worker answers others meanwhile', async () => {
    const { call, ended, taskId } = await startLong();
    const started = performance.now();
    expect(await checkHealth()).toBe('SERVING');
    expect(performance.now() - started).toBeLessThan(soonMs);
    expect(await statusOf(worker.client, taskId)).toMatchObject({
      taskId,
      status: 'TASK_STATE_RUNNING',
      startedAt: { seconds: expect.any(Number) },
      completedAt: null,
    });
    call.cancel();
    await isCancelled(taskId);
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
  });

  test('stops when its caller goes away', async () => {
    const client = connect(worker.port);
    const request = longTask();
    const call = client.executeTask(request);
    const ended = collectCall(call);
    await nextEvent(call, 'progress');
    client.close();
    call.cancel();
    await isCancelled(request.taskId ?? '');
    await ended;
  });

  test('stops at the deadline of its call', async () => {
    const request = longTask();
    const { code, events } = await runTask(worker.client, request, 1_200);
    expect([events[0]?.event, code]).toEqual(['accepted', 'DEADLINE_EXCEEDED']);
    await isCancelled(request.taskId ?? '');
  });

  test('stops when its own time is up', async () => {
    const { ended, taskId } = await startLong(longTask({ timeout: { seconds: 0, nanos: 300_000_000 } }));
    const { code, events } = await ended;
    expect(code).toBe('OK');
    expect(events.at(-1)).toMatchObject({
      taskId,
      event: 'error',
      error: { code: 'TIMEOUT', message: 'The task took longer than it may.', retryable: false },
    });
    expect(await statusOf(worker.client, taskId)).toMatchObject({
      status: 'TASK_STATE_CANCELLED',
      error: 'The task took longer than it may.',
    });
  });

  test('is refused while the worker is full', async () => {
    const first = await startLong();
    const second = await startLong();
    expect(await runTask(worker.client, small())).toEqual({
      code: 'RESOURCE_EXHAUSTED',
      details: 'The worker is full: 2 tasks are running.',
      events: [],
    });
    first.call.cancel();
    await isCancelled(first.taskId);
    expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });
    second.call.cancel();
    await isCancelled(second.taskId);
  });

  test('that runs already is joined by a second call, and lives until the last one leaves', async () => {
    const request = longTask();
    const first = await startLong(request);
    const secondCall = worker.client.executeTask(request);
    const second = collectCall(secondCall);
    const accepted = await nextEvent(secondCall, 'accepted');
    expect(accepted.accepted).toEqual({ attached: true });
    first.call.cancel();
    await first.ended;
    // progress still comes, so the task goes on
    await nextEvent(secondCall, 'progress');
    expect(await statusOf(worker.client, first.taskId)).toMatchObject({ status: 'TASK_STATE_RUNNING' });
    secondCall.cancel();
    await isCancelled(first.taskId);
    await second;
  });

  test('that is done answers its result again, without running again', async () => {
    const request = small();
    const first = await runTask(worker.client, request);
    const again = await runTask(worker.client, request);
    expect(again.events.map(({ event }) => event)).toEqual(['accepted', 'result']);
    expect(again.events[0]?.accepted).toEqual({ attached: true });
    expect(again.events[1]).toEqual(first.events.at(-1));
    expect(await statusOf(worker.client, request.taskId ?? '')).toMatchObject({
      status: 'TASK_STATE_COMPLETED',
      progress: 1,
      completedAt: { seconds: expect.any(Number) },
    });
  });

  test('that was cancelled can be started again', async () => {
    const request = longTask({
      payload: {
        structured: toStruct({ documents: [{ name: 'a', text: 'x\n'.repeat(4_000_000) }], query: 'x' }),
      },
    });
    const first = await startLong(request);
    first.call.cancel();
    await isCancelled(first.taskId);
    const call = worker.client.executeTask(request);
    const ended = collectCall(call);
    expect((await nextEvent(call, 'accepted')).accepted).toEqual({ attached: false });
    call.cancel();
    await ended;
    await isCancelled(first.taskId);
  });

  test('does not share its id with another one', async () => {
    const request = small();
    await runTask(worker.client, request);
    const other = taskOf('data_analysis', { data: 'a\n1\n' }, { taskId: request.taskId ?? '' });
    expect(await runTask(worker.client, other)).toEqual({
      code: 'ALREADY_EXISTS',
      details: 'task_id belongs to another task, with another type or payload.',
      events: [],
    });
  });

  test('is the same task whatever the order of its fields, and in bytes', async () => {
    const taskId = crypto.randomUUID();
    await runTask(worker.client, taskOf('data_analysis', { data: 'a\n1\n', column: 'a' }, { taskId }));
    const raw = Buffer.from('{"column":"a", "data":"a\\n1\\n"}');
    const payload = { raw, contentType: 'application/json; charset=utf-8' };
    const again = await runTask(worker.client, { taskId, taskType: 'data_analysis', payload });
    expect(again.events.map(({ event }) => event)).toEqual(['accepted', 'result']);
  });

  test('that is not known has no status', async () => {
    expect(await statusOf(worker.client, crypto.randomUUID())).toBe('NOT_FOUND');
    expect(await statusOf(worker.client, '')).toBe('NOT_FOUND');
  });

  test('whose message is too large is refused', async () => {
    const request = taskOf('data_analysis', { data: 'x'.repeat(33 * 1024 * 1024) });
    expect(await runTask(worker.client, request)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', events: [] });
  });

  test('whose result is too large ends in an error', async () => {
    const data = JSON.stringify([{ a: 1, b: 'y'.repeat(5_000_000) }]);
    const { code, events } = await runTask(
      worker.client,
      taskOf('data_analysis', { data, operation: 'top_n' }),
    );
    expect(code).toBe('OK');
    expect(events.at(-1)).toMatchObject({ error: { code: 'RESULT_TOO_LARGE', retryable: false } });
  });
});

describe('a bad request', () => {
  const data = 'a\n1\n';
  const file = { name: 'a.js', content: '' };
  test.each<[string, string, object, string]>([
    ['no data', 'data_analysis', {}, 'payload.data is missing.'],
    ['empty data', 'data_analysis', { data: '' }, 'payload.data must NOT have fewer than 1 characters.'],
    ['data of another type', 'data_analysis', { data: [1] }, 'payload.data must be string.'],
    [
      'an unknown format',
      'data_analysis',
      { data, format: 'xml' },
      'payload.format must be one of csv, json.',
    ],
    [
      'an unknown operation',
      'data_analysis',
      { data, operation: 'plot' },
      'payload.operation must be one of schema, statistics, group_by, top_n.',
    ],
    [
      'an unknown aggregate',
      'data_analysis',
      { data, aggregate: 'avg' },
      'payload.aggregate must be one of sum, mean, min, max, count.',
    ],
    ['n of 0', 'data_analysis', { data, n: 0 }, 'payload.n must be >= 1.'],
    ['n with a fraction', 'data_analysis', { data, n: 1.5 }, 'payload.n must be integer.'],
    ['an unknown field', 'data_analysis', { data, limit: 3 }, 'payload.limit is not known.'],
    ['two mistakes', 'data_analysis', { limit: 3 }, 'payload.data is missing; payload.limit is not known.'],
    [
      'no documents',
      'text_search',
      { documents: [], query: 'x' },
      'payload.documents must NOT have fewer than 1 items.',
    ],
    [
      'a document without text',
      'text_search',
      { documents: [{ name: 'a' }], query: 'x' },
      'payload.documents[0].text is missing.',
    ],
    [
      'a query without words',
      'text_search',
      { documents: [{ name: 'a', text: '' }], query: '?!' },
      'payload.query must hold a letter or a digit.',
    ],
    [
      'a file without content',
      'code_metrics',
      { files: [file, { name: 'b' }] },
      'payload.files[1].content is missing.',
    ],
    [
      'neither files nor code',
      'code_metrics',
      { language: 'js' },
      'payload must hold either files or code, and language only beside code.',
    ],
    [
      'both files and code',
      'code_metrics',
      { files: [file], code: '' },
      'payload must hold either files or code, and language only beside code.',
    ],
  ])('with %s names the field', async (_what, taskType, payload, details) => {
    expect(await runTask(worker.client, taskOf(taskType, payload))).toEqual({
      code: 'INVALID_ARGUMENT',
      details,
      events: [],
    });
  });

  test.each<[string, TaskRequestInput, string, string]>([
    [
      'an unknown type',
      taskOf('make_coffee', {}),
      'NOT_FOUND',
      'There is no task type "make_coffee"; there are: data_analysis, text_search, code_metrics.',
    ],
    [
      'no id',
      small({ taskId: '' }),
      'INVALID_ARGUMENT',
      'task_id must be 1 to 128 printable ASCII characters without spaces.',
    ],
    [
      'a long id',
      small({ taskId: 'x'.repeat(129) }),
      'INVALID_ARGUMENT',
      'task_id must be 1 to 128 printable ASCII characters without spaces.',
    ],
    ['no payload', small({ payload: null }), 'INVALID_ARGUMENT', 'payload is missing.'],
    ['an empty payload', small({ payload: {} }), 'INVALID_ARGUMENT', 'payload is missing.'],
    [
      'bytes without a type',
      small({ payload: { raw: Buffer.from('{}') } }),
      'INVALID_ARGUMENT',
      'payload.content_type must be application/json.',
    ],
    [
      'bytes that are no JSON',
      small({ payload: { raw: Buffer.from('{'), contentType: 'application/json' } }),
      'INVALID_ARGUMENT',
      'payload.raw is not valid JSON.',
    ],
    [
      'bytes that are no UTF-8',
      small({ payload: { raw: Buffer.from([34, 255, 34]), contentType: 'application/json' } }),
      'INVALID_ARGUMENT',
      'payload.raw is not valid JSON.',
    ],
    [
      'JSON that is no object',
      small({ payload: { raw: Buffer.from('7'), contentType: 'application/json' } }),
      'INVALID_ARGUMENT',
      'payload must be object.',
    ],
    [
      'a timeout of 0',
      small({ timeout: { seconds: 0, nanos: 0 } }),
      'INVALID_ARGUMENT',
      'timeout must be more than 0.',
    ],
  ])('with %s is refused', async (_what, request, code, details) => {
    expect(await runTask(worker.client, request)).toEqual({ code, details, events: [] });
  });

  test('does not harm the worker, even when it nests deeply', async () => {
    const deep = `${'{"data":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
    const { code } = await runTask(worker.client, {
      taskId: crypto.randomUUID(),
      taskType: 'data_analysis',
      payload: { raw: Buffer.from(deep), contentType: 'application/json' },
    });
    expect(code).toBe('INVALID_ARGUMENT');
    expect(await answerOf(worker.client, 'data_analysis', { data: 'a\n1\n' })).toMatchObject({ rows: 1 });
  });
});

const checkHealth = () => checkService(worker.port, 'paf.worker.v1.WorkerAgent');

describe('health', () => {
  test('is told for the whole worker and for its service', async () => {
    expect(await checkService(worker.port, '')).toBe('SERVING');
    expect(await checkHealth()).toBe('SERVING');
    expect(await checkService(worker.port, 'some.Other')).toBe('NOT_FOUND');
  });

  test('can be watched', async () => {
    const watch = watchHealth(worker.port, '');
    expect(await watch.next()).toBe('SERVING');
    const unknown = watchHealth(worker.port, 'some.Other');
    expect(await unknown.next()).toBe('SERVICE_UNKNOWN');
  });
});

describe('reflection', () => {
  const folder = fileURLToPath(new URL('../../node_modules/@grpc/reflection/build/proto', import.meta.url));

  test.each(['v1', 'v1alpha'])('(%s) lists the services and gives their files', async (version) => {
    const definition = loadSync(`grpc/reflection/${version}/reflection.proto`, {
      includeDirs: [folder],
      oneofs: true,
    });
    const service = definition[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
    const Reflection = makeClientConstructor(service, 'ServerReflection');
    const client = new Reflection(`localhost:${worker.port}`, ChannelCredentials.createInsecure());
    onTestFinished(() => client.close());
    const ask = (question: object) =>
      new Promise<{ messageResponse: string; listServicesResponse?: { service: { name: string }[] } }>(
        (resolve, reject) => {
          const call = client.ServerReflectionInfo?.();
          call.on('data', resolve).on('error', reject);
          call.write(question);
          call.end();
        },
      );
    const { listServicesResponse } = await ask({ listServices: '' });
    expect(listServicesResponse?.service.map(({ name }) => name).toSorted()).toEqual([
      'grpc.health.v1.Health',
      'paf.worker.v1.WorkerAgent',
    ]);
    for (const fileContainingSymbol of ['paf.worker.v1.WorkerAgent', 'google.protobuf.Struct']) {
      expect((await ask({ fileContainingSymbol })).messageResponse).toBe('fileDescriptorResponse');
    }
  });
});
