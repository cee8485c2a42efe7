import { setImmediate } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { runBounded } from '../../src/pipeline/run-bounded.ts';
import type { ToolProgress } from '../../src/tools/tool.ts';
import { patient, startOddWorker, textOf, useWorkers } from '../helpers/workers.ts';

test('a worker that lists what cannot be offered is used for the rest', async () => {
  const types = [
    'echo',
    '__proto__',
    'two words',
    'wörter',
    'deep_schema',
    'huge_schema',
    'bad_schema',
    'echo',
  ];
  const { endpoint } = await startOddWorker({ TYPES: types.join(',') });
  const workers = useWorkers([endpoint]);
  const { capabilities } = await workers.until(endpoint, 'serving');
  const badName = 'its task_type is not made of 1 to 48 lower case letters, digits and _';
  expect(capabilities.map(({ taskType, tool, problem }) => [taskType, tool ?? problem])).toEqual([
    ['echo', 'worker__echo'],
    ['__proto__', 'worker____proto__'],
    ['two words', badName],
    ['wörter', badName],
    ['deep_schema', 'its input schema nests too deeply'],
    ['huge_schema', 'its input schema has more than 64 KiB'],
    ['bad_schema', 'its input schema is not that of an object'],
    ['echo', 'it is listed twice'],
  ]);
  expect(workers.list().map(({ name }) => name)).toEqual(['worker__echo', 'worker____proto__']);
  expect(textOf(await workers.call('echo', { text: 'here' }))).toBe('{"echo":{"text":"here"}}');
});

test('of 10,000 task types the first 100 count, and their schemas are checked one in a turn of the loop', async () => {
  const types = Array.from({ length: 10_000 }, (_, at) => `task${at}`);
  const { endpoint } = await startOddWorker({ TYPES: types.join(',') });
  let turn = 0;
  const turns: number[] = [];
  const workers = useWorkers([endpoint], {
    runBounded(work, timeoutMs) {
      turns.push(turn);
      return runBounded(work, timeoutMs);
    },
  });
  let isServing = false;
  const serving = workers.until(endpoint, 'serving').then((status) => {
    isServing = true;
    return status;
  });
  while (!isServing) {
    await setImmediate();
    turn++;
  }
  expect((await serving).capabilities).toHaveLength(100);
  expect(workers.list()).toHaveLength(100);
  expect(new Set(turns).size).toBe(100);
});

test('progress is between 0 and 1, whatever a worker says', async () => {
  const { endpoint } = await startOddWorker({ TYPES: 'fractions' });
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  const told: ToolProgress[] = [];
  await workers.call('fractions', {}, { onProgress: (progress) => told.push(progress) });
  expect(told.map(({ progress, message }) => [message, progress])).toEqual([
    ['NaN', 0],
    ['-1', 0],
    ['2', 1],
    ['Infinity', 1],
  ]);
});

test('of a flood of progress only some is told, and the result still counts', async () => {
  const { endpoint } = await startOddWorker({ TYPES: 'busy' });
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  let told = 0;
  const startedMs = performance.now();
  const result = await workers.call('busy', {}, { onProgress: () => told++ });
  expect(textOf(result)).toBe('{"answer":1}');
  expect(told).toBeGreaterThanOrEqual(250);
  expect(told).toBeLessThanOrEqual(251 + (performance.now() - startedMs) / 100);
});

test.each([
  ['deep', 'broken', 'The worker broke off the call (INTERNAL).'],
  ['chatty', 'broken', 'The worker sent more than 100000 events.'],
  ['full_message', 'broken', 'The worker sent or was sent a message that is too large.'],
])('what is too much is told plainly: %s', async (taskType, outcome, told) => {
  const { endpoint } = await startOddWorker();
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  expect(textOf(await workers.call(taskType))).toBe(told);
  expect(workers.outcomes).toEqual([[taskType, outcome]]);
});

test('arguments that nest too deeply do not count against the worker', async () => {
  const { endpoint } = await startOddWorker({ TYPES: 'echo' });
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  let deep: object = {};
  for (let level = 1; level < 1_000; level++) deep = { deep };
  for (let count = 1; count <= 3; count++) {
    expect(textOf(await workers.call('echo', deep))).toBe(
      'The worker was sent arguments that nest too deeply.',
    );
  }
  expect(textOf(await workers.call('echo'))).toBe('{"echo":{}}');
});

test('a worker that tears its connections down is replaced as one that was killed', async () => {
  const processes = [await startOddWorker(), await startOddWorker()];
  const workers = useWorkers(processes.map(({ endpoint }) => endpoint));
  for (const { endpoint } of processes) await workers.until(endpoint, 'serving');
  const [first, second] = processes;
  const call = workers.call('cut_off');
  await first?.until(/^start cut_off/);
  first?.tell('finish');
  await second?.until(/^start cut_off/);
  const lost = workers.logs.find(({ message }) => message === 'worker task failed');
  expect(lost).toMatchObject({ worker: first?.endpoint, reason: 'lost the connection' });
  second?.tell('finish');
  expect(textOf(await call)).toBe('The worker lost the connection.');
});

test('the time that a task had is told, also when the run left it less', async () => {
  const { endpoint } = await startOddWorker({ TYPES: 'stall' });
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  const result = await workers.call('stall', {}, { deadlineAt: Date.now() + 500 });
  expect(textOf(result)).toBe('The worker did not finish within 0.5 seconds.');
});

test('a worker that ends each watch of its health is asked ever more seldom', async () => {
  const { endpoint, notes } = await startOddWorker({ TYPES: 'echo', HEALTH: 'ends' });
  useWorkers([endpoint]);
  const watches = () => notes.filter((note) => note === 'watch').length;
  await vi.waitFor(() => expect(watches()).toBe(1), patient);
  const startedMs = performance.now();
  await vi.waitFor(() => expect(watches()).toBe(5), patient);
  // 0.25 + 0.5 + 1 + 2 seconds
  expect(performance.now() - startedMs).toBeGreaterThan(3_700);
});

test('closing does not wait for a name that is being looked up', async () => {
  const asked = Promise.withResolvers<void>();
  const resolve = () => {
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const workers = useWorkers(['dns:///worker:1'], { resolve });
  await asked.promise;
  await workers.close();
});

test('workers that were closed offer nothing', async () => {
  const { endpoint } = await startOddWorker({ TYPES: 'echo' });
  const workers = useWorkers([endpoint]);
  await workers.until(endpoint, 'serving');
  const [tool] = workers.list();
  await workers.close();
  expect(workers.list()).toEqual([]);
  expect(tool?.name).toBe('worker__echo');
});
