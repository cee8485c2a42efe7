import { expect, test } from 'vitest';
import {
  collectCall,
  connect,
  longTask,
  nextEvent,
  runTask,
  startWorker,
  taskOf,
  watchHealth,
} from './worker-process.ts';

const small = () => taskOf('data_analysis', { data: 'a\n1\n2\n' });

test('an idle worker ends at once, with open channels and health watches', async () => {
  const worker = await startWorker();
  const watches = [watchHealth(worker.port, ''), watchHealth(worker.port, 'paf.worker.v1.WorkerAgent')];
  for (const watch of watches) expect(await watch.next()).toBe('SERVING');
  await runTask(worker.client, small());
  const started = performance.now();
  worker.kill('SIGTERM');
  for (const watch of watches) expect(await watch.next()).toBe('NOT_SERVING');
  expect(await worker.exited).toBe(0);
  expect(performance.now() - started).toBeLessThan(3_000);
});

test('a busy worker tells that it stops, takes nothing new and finishes what it has', async () => {
  const worker = await startWorker({ DRAIN_TIMEOUT: '20' });
  const watch = watchHealth(worker.port, '');
  expect(await watch.next()).toBe('SERVING');
  const call = worker.client.executeTask(longTask({}, 20));
  const ended = collectCall(call);
  await nextEvent(call, 'progress');
  worker.kill('SIGTERM');
  expect(await watch.next()).toBe('NOT_SERVING');
  expect(await runTask(worker.client, small())).toEqual({
    code: 'UNAVAILABLE',
    details: 'The worker is about to stop.',
    events: [],
  });
  // a connection made now is answered the same way
  expect(await runTask(connect(worker.port), small())).toMatchObject({ code: 'UNAVAILABLE' });
  const { code, events } = await ended;
  expect(code).toBe('OK');
  expect(events.at(-1)).toMatchObject({ result: { success: true } });
  expect(await worker.exited).toBe(0);
});

test('a task that takes longer than the worker may wait ends in an error that is worth another try', async () => {
  const worker = await startWorker({ DRAIN_TIMEOUT: '0.2' });
  const call = worker.client.executeTask(longTask());
  const ended = collectCall(call);
  await nextEvent(call, 'progress');
  worker.kill('SIGTERM');
  const { code, events } = await ended;
  expect(code).toBe('OK');
  expect(events.at(-1)).toMatchObject({
    event: 'error',
    error: {
      code: 'SHUTTING_DOWN',
      message: 'The worker had to stop before the task was done.',
      retryable: true,
    },
  });
  expect(await worker.exited).toBe(0);
});

test('a worker that cannot start says why', async () => {
  const worker = await startWorker();
  await expect(startWorker({ WORKER_PORT: String(worker.port) })).rejects.toThrow(
    'the worker ended with 1: WORKER_PORT is in use; set another one.\n',
  );
  await expect(startWorker({ WORKER_PORT: 'x', WORKER_MAX_TASKS: '0' })).rejects.toThrow(
    /WORKER_PORT must .*\nWORKER_MAX_TASKS must /,
  );
  await expect(startWorker({ WORKER_TLS_CERT_FILE: '/nowhere/server.crt' })).rejects.toThrow(
    /a worker with TLS needs both WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE\nWORKER_TLS_CERT_FILE names a file that cannot be read \(ENOENT\): \/nowhere\/server.crt\n/,
  );
});

test('a worker does not care about settings of the service', async () => {
  const worker = await startWorker({ PORT: 'x', OPENAI_API_KEY_FILE: '/nowhere/key' });
  expect(await runTask(worker.client, small())).toMatchObject({ code: 'OK' });
});
