import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ToolProgress } from '../../src/tools/tool.ts';
import {
  patient,
  startOddWorker,
  startProxy,
  type TestWorkers,
  textOf,
  useWorkers,
  type WorkerProcess,
} from '../helpers/workers.ts';

async function startTwo(env: Record<string, string> = {}) {
  const processes = await Promise.all([startOddWorker(env), startOddWorker(env)]);
  const workers = useWorkers(processes.map(({ endpoint }) => endpoint));
  for (const { endpoint } of processes) await workers.until(endpoint, 'serving');
  const [first, second] = processes as [WorkerProcess, WorkerProcess];
  return { first, second, workers };
}

const idsOf = ({ notes }: WorkerProcess, taskType: string) =>
  notes.flatMap((note) => (note.startsWith(`start ${taskType} `) ? [note.split(' ')[2]] : []));

const warningsOf = ({ logs }: TestWorkers) => logs.filter(({ level }) => level === 'warn');

test('a worker that is killed in the middle of a task is replaced by another one with the same task', async () => {
  const { first, second, workers } = await startTwo();
  const progress: ToolProgress[] = [];
  const call = workers.call('slow', {}, { onProgress: (each) => progress.push(each) });
  await vi.waitFor(() => expect(progress).toHaveLength(1), patient);
  await first.kill();
  await second.until(/^start slow /);
  second.tell('finish');
  expect((await call).details).toEqual({ by: second.child.pid });
  expect(idsOf(first, 'slow')).toEqual(idsOf(second, 'slow'));
  expect(progress.map(({ message }) => message)).toEqual([
    'a quarter',
    'The worker was lost: another one is asked',
    'a quarter',
    'three quarters',
  ]);
  expect(workers.outcomes).toEqual([['slow', 'ok']]);
});

test('a task that two workers do not survive is not given to a third', async () => {
  const processes = await Promise.all([startOddWorker(), startOddWorker(), startOddWorker()]);
  const workers = useWorkers(processes.map(({ endpoint }) => endpoint));
  for (const { endpoint } of processes) await workers.until(endpoint, 'serving');
  expect(textOf(await workers.call('die'))).toBe('The worker lost the connection.');
  expect(processes.map((each) => idsOf(each, 'die').length)).toEqual([1, 1, 0]);
});

test('a full worker passes the task on to another one', async () => {
  const full = await startOddWorker({ FULL: 'yes' });
  const free = await startOddWorker();
  const workers = useWorkers([full.endpoint, free.endpoint]);
  for (const { endpoint } of [full, free]) await workers.until(endpoint, 'serving');
  expect((await workers.call('echo', { a: 1 })).details).toEqual({ echo: { a: 1 } });
  await full.until(/^start echo /);
  await free.until(/^start echo /);
  expect(idsOf(full, 'echo')).toEqual(idsOf(free, 'echo'));
});

test('tasks go to the worker with the fewest of them under way', async () => {
  const { first, second, workers } = await startTwo();
  const controller = new AbortController();
  const calls = ['stall', 'stall', 'stall', 'stall'].map((type) =>
    workers.call(type, {}, { signal: controller.signal }),
  );
  await vi.waitFor(() => {
    expect([idsOf(first, 'stall').length, idsOf(second, 'stall').length]).toEqual([2, 2]);
  }, patient);
  expect(workers.status().map(({ outstanding }) => outstanding)).toEqual([2, 2]);
  controller.abort(new Error('enough'));
  await Promise.allSettled(calls);
  expect(workers.status().map(({ outstanding }) => outstanding)).toEqual([0, 0]);
});

test('a worker that is down is not offered, and is back within 15 s when it was started again', async () => {
  const worker = await startOddWorker({ TYPES: 'echo' });
  const workers = useWorkers([worker.endpoint]);
  await workers.until(worker.endpoint, 'serving');
  await worker.kill();
  const down = await workers.until(worker.endpoint, 'unavailable');
  expect(workers.list()).toEqual([]);
  expect(down.capabilities.map(({ taskType }) => taskType)).toEqual(['echo']);
  // long enough for the waits between tries to grow
  await vi.waitFor(
    () =>
      expect(workers.statusOf(worker.endpoint).error).toBe('is not there: nothing listens at its address'),
    patient,
  );
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const startedMs = performance.now();
  await startOddWorker({ PORT: String(worker.port), TYPES: 'echo,who' });
  await workers.until(worker.endpoint, 'serving');
  expect(performance.now() - startedMs).toBeLessThan(15_000);
  expect(workers.list().map(({ name }) => name)).toEqual(['worker__echo', 'worker__who']);
  expect((await workers.call('echo', { a: 1 })).isError).toBe(false);
  // the same reason again and again is one line
  expect(warningsOf(workers).map(({ reason }) => reason)).toEqual([
    'lost the connection',
    'is not there: nothing listens at its address',
  ]);
  expect(workers.logs.at(-1)).toMatchObject({ message: 'worker back', worker: worker.endpoint, tools: 2 });
});

test('a worker that says so gets no tasks until it says otherwise', async () => {
  const { first, second, workers } = await startTwo();
  first.tell('not serving');
  expect((await workers.until(first.endpoint, 'not_serving')).error).toBe('takes no tasks now');
  await workers.call('echo');
  await workers.call('echo');
  await vi.waitFor(() => expect(idsOf(second, 'echo')).toHaveLength(2), patient);
  expect(idsOf(first, 'echo')).toEqual([]);
  second.tell('not serving');
  await workers.until(second.endpoint, 'not_serving');
  expect(workers.list()).toEqual([]);
  first.tell('serving');
  await workers.until(first.endpoint, 'serving');
  await workers.call('echo');
  await first.until(/^start echo /);
});

test('a worker whose health cannot be watched is asked for it', async () => {
  const worker = await startOddWorker({ HEALTH: 'check' });
  const workers = useWorkers([worker.endpoint]);
  await workers.until(worker.endpoint, 'serving');
  expect((await workers.call('echo')).isError).toBe(false);
});

test('a worker that has no health service is not used', async () => {
  const worker = await startOddWorker({ HEALTH: 'none' });
  const workers = useWorkers([worker.endpoint]);
  await vi.waitFor(() => expect(workers.statusOf(worker.endpoint).error).toBeDefined(), patient);
  expect(workers.statusOf(worker.endpoint)).toMatchObject({
    status: 'unavailable',
    error: 'does not serve grpc.health.v1 or paf.worker.v1',
  });
});

test('a connection through which nothing gets any more is noticed, and another worker does the task', async () => {
  const [frozen, other] = await Promise.all([startOddWorker(), startOddWorker()]);
  const proxy = await startProxy(frozen.port);
  const workers = useWorkers([proxy.endpoint, other.endpoint], {
    times: { keepaliveMs: 300, keepaliveTimeoutMs: 300 },
  });
  for (const endpoint of [proxy.endpoint, other.endpoint]) await workers.until(endpoint, 'serving');
  const call = workers.call('slow');
  await frozen.until(/^start slow /);
  proxy.freeze();
  await other.until(/^start slow /);
  other.tell('finish');
  expect((await call).details).toEqual({ by: other.child.pid });
  expect(warningsOf(workers)).toContainEqual(
    expect.objectContaining({
      message: 'worker task failed',
      reason: 'lost the connection',
    }),
  );
});

const servers = {
  'an HTTP server': [
    () => createHttpServer((_request, response) => response.end('junk')),
    'does not speak gRPC',
  ],
  'a server that never says anything': [() => createServer(), 'did not answer in time'],
} as const;

test.each(Object.entries(servers))('%s is a plain reason, told once', async (_, [create, reason]) => {
  const server = create();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const workers = useWorkers([endpoint]);
  await vi.waitFor(() => expect(workers.statusOf(endpoint).error).toBe(reason), patient);
  expect(workers.statusOf(endpoint).status).toBe('unavailable');
  expect(warningsOf(workers)).toHaveLength(1);
});

test('a worker that fails several times in a row is given a rest, and one task tries it again', async () => {
  const worker = await startOddWorker();
  const workers = useWorkers([worker.endpoint], { times: { restMs: 300 } });
  await workers.until(worker.endpoint, 'serving');
  for (let count = 0; count < 3; count++) await workers.call('no_result');
  expect(textOf(await workers.call('echo'))).toBe('No worker can take the task now.');
  await vi.waitFor(async () => expect((await workers.call('echo')).isError).toBe(false), patient);
  expect(workers.outcomes.slice(0, 4).map(([, outcome]) => outcome)).toEqual([
    'broken',
    'broken',
    'broken',
    'unavailable',
  ]);
});

test('a name stands for all addresses behind it, those that come later too', async () => {
  const worker = await startOddWorker();
  const name = `dns:///workers.example.com:${worker.port}`;
  let found: string[] = [];
  const workers = useWorkers([name], { resolve: async () => found });
  expect((await workers.until(name, 'unavailable')).error).toBeUndefined();
  await vi.waitFor(
    () => expect(workers.statusOf(name).error).toBe('is not there: its host is not known'),
    patient,
  );
  found = ['127.0.0.1'];
  await workers.until(worker.endpoint, 'serving');
  expect(workers.status()).toHaveLength(1);
  found = ['127.0.0.1', '127.0.0.9'];
  await vi.waitFor(() => expect(workers.status()).toHaveLength(2), patient);
  // a name server that knows nothing for a while takes nobody away
  found = [];
  expect((await workers.call('echo')).isError).toBe(false);
});
