import { expect, test } from 'vitest';
import type { ToolProgress } from '../../src/tools/tool.ts';
import { startOddWorker, textOf, useWorkers, type WorkerProcess } from '../helpers/workers.ts';

async function useOddWorker(env: Record<string, string> = {}, timeoutMs = 10_000) {
  const worker = await startOddWorker(env);
  const workers = useWorkers([worker.endpoint], { timeoutMs });
  await workers.until(worker.endpoint, 'serving');
  return { worker, workers };
}

const startsOf = ({ notes }: WorkerProcess) => notes.filter((note) => note.startsWith('start '));

test('a task type is a tool whose result is JSON', async () => {
  const { worker, workers } = await useOddWorker({ TYPES: 'echo,bad_schema' });
  expect(workers.list()).toMatchObject([
    { name: 'worker__echo', description: 'The task echo', isParallel: true, timeoutMs: 11_000 },
  ]);
  expect(workers.statusOf(worker.endpoint)).toEqual({
    endpoint: worker.endpoint,
    status: 'serving',
    error: undefined,
    outstanding: 0,
    capabilities: [
      {
        taskType: 'echo',
        description: 'The task echo',
        version: '1',
        tool: 'worker__echo',
        problem: undefined,
      },
      {
        taskType: 'bad_schema',
        description: 'The task bad_schema',
        version: '1',
        tool: undefined,
        problem: 'its input schema is not that of an object',
      },
    ],
  });
  const data = { text: 'hello', nested: [1, null, { a: true }] };
  expect(await workers.call('echo', data)).toEqual({
    content: [{ type: 'text', text: JSON.stringify({ echo: data }) }],
    details: { echo: data },
    isError: false,
  });
  expect(workers.outcomes).toEqual([['echo', 'ok']]);
});

test('a worker is told for whom it works and how long', async () => {
  const { workers } = await useOddWorker();
  const { details } = await workers.call('who');
  expect(details).toEqual({
    'x-run-id': 'run-1',
    'x-request-id': 'request-1',
    'x-caller-tenant': 'acme',
    'x-caller-subject': 'J%C3%B6 100%25',
    'x-caller-roles': 'reader,writer',
    seconds: 10,
  });
  // the run itself ends earlier
  const short = await workers.call('who', {}, { deadlineAt: Date.now() + 3_000 });
  expect(short.details).toMatchObject({ seconds: 3 });
});

test('progress and partial output come while the task is at work', async () => {
  const { worker, workers } = await useOddWorker();
  const progress: ToolProgress[] = [];
  const first = Promise.withResolvers<void>();
  const onProgress = (each: ToolProgress) => {
    progress.push(each);
    first.resolve();
  };
  const slow = workers.call('slow', {}, { onProgress });
  await first.promise;
  expect(workers.statusOf(worker.endpoint).outstanding).toBe(1);
  worker.tell('finish');
  expect((await slow).details).toEqual({ by: worker.child.pid });
  expect(progress).toEqual([
    { progress: 0.25, total: 1, message: 'a quarter' },
    { progress: 0.75, total: 1, message: 'three quarters' },
  ]);
  expect(workers.statusOf(worker.endpoint).outstanding).toBe(0);

  progress.length = 0;
  const partial = await workers.call('partial', {}, { onProgress });
  expect(textOf(partial)).toBe('first line\nlast line');
  expect(progress).toEqual([
    {
      message: 'Part of the result is there',
      partialResult: { content: [{ type: 'text', text: 'first line' }] },
    },
  ]);
});

test.each([
  ['unknown', 'refused', 'The worker refused the task: There is no task type "unknown".'],
  ['invalid', 'refused', 'The worker refused the task: payload.data must be string'],
  [
    'full',
    'lost',
    'The worker has no room for another task, and there is no other one that could do the task.',
  ],
  ['huge', 'broken', 'The worker sent or was sent a message that is too large.'],
  ['flood', 'broken', 'The worker sent too much partial output.'],
  ['no_result', 'broken', 'The worker ended the call without a result.'],
  ['failing', 'failed', 'The task failed: it was too much'],
  ['senseless', 'failed', 'There is no column "x".'],
  ['stall', 'deadline', 'The worker did not finish within 0.5 seconds.'],
  ['die', 'lost', 'The worker lost the connection, and there is no other one that could do the task.'],
])('the task %s ends as %s, with one try', async (taskType, outcome, text) => {
  const { worker, workers } = await useOddWorker({}, taskType === 'stall' ? 500 : 10_000);
  const result = await workers.call(taskType);
  expect(result).toEqual({ content: [{ type: 'text', text }], isError: true });
  expect(workers.outcomes).toEqual([[taskType, outcome]]);
  expect(startsOf(worker)).toHaveLength(1);
  expect(workers.statusOf(worker.endpoint).outstanding).toBe(0);
});

test('a large result that fits is taken whole', async () => {
  const { workers } = await useOddWorker();
  expect(textOf(await workers.call('large'))).toHaveLength(3 * 1024 * 1024 + '{"text":""}'.length);
});

test('what comes after the result is ignored, and a call that does not end is cancelled', async () => {
  const { worker, workers } = await useOddWorker();
  const progress: ToolProgress[] = [];
  const result = await workers.call('after_result', {}, { onProgress: (each) => progress.push(each) });
  expect(result.details).toEqual({ answer: 1 });
  await worker.until(/^cancelled after_result /);
  expect(progress).toEqual([]);
  expect(workers.outcomes).toEqual([['after_result', 'ok']]);
});

test('a call that is aborted is cancelled at the worker within 250 ms', async () => {
  const { worker, workers } = await useOddWorker();
  const controller = new AbortController();
  const call = workers.call('stall', {}, { signal: controller.signal });
  await worker.until(/^start stall /);
  const abortedMs = performance.now();
  controller.abort(new Error('the caller left'));
  await expect(call).rejects.toThrow('the caller left');
  await worker.until(/^cancelled stall /);
  expect(performance.now() - abortedMs).toBeLessThan(250);
  expect(workers.outcomes).toEqual([['stall', 'cancelled']]);
});

test('a call whose signal is aborted before never reaches the worker', async () => {
  const { worker, workers } = await useOddWorker();
  await expect(
    workers.call('echo', {}, { signal: AbortSignal.abort(new Error('too late')) }),
  ).rejects.toThrow('too late');
  await workers.call('echo');
  expect(startsOf(worker)).toHaveLength(1);
});
