import { setTimeout } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { raceAbort } from '../../src/core/abort.ts';
import { Fault } from '../../src/core/errors.ts';
import type { AnswerSummary, PipelineEvent } from '../../src/core/events.ts';
import type { Owner, Run } from '../../src/runs/run.ts';
import type { LogEntry } from '../../src/runs/run-log.ts';
import { createRuns, type Runs, type RunsOptions, type RunWork } from '../../src/runs/runs.ts';

const alice: Owner = { tenant: 'acme', subject: 'alice' };
const bob: Owner = { tenant: 'acme', subject: 'bob' };

const summary: AnswerSummary = {
  provider: 'p',
  model: 'm',
  finishReason: 'stop',
  exitReason: 'completed',
  evaluation: { score: 1, passed: true, checks: [], revisions: 0 },
};

function runsWith(options: Partial<RunsOptions> = {}) {
  const observer = { onStart: vi.fn(), onEvent: vi.fn(), onEnd: vi.fn(), onRejected: vi.fn() };
  const runs = createRuns({
    maxConcurrent: 10,
    runTimeoutMs: 60_000,
    logTtlMs: 60_000,
    logBytes: 1_000_000,
    logEvents: 10_000,
    logTotalBytes: 1_000_000,
    readerLagBytes: 1_000_000,
    observer,
    ...options,
  });
  return { runs, observer };
}

const says =
  (...texts: string[]): (() => RunWork) =>
  () =>
    async function* () {
      for (const text of texts) yield { type: 'text-delta', text } satisfies PipelineEvent;
      return { answer: texts.join(''), summary };
    };

/** Work that goes on until its run is aborted, and then throws the reason. */
const waits = (): RunWork =>
  async function* (run) {
    yield { type: 'text-delta', text: 'wait' };
    await raceAbort(new Promise(() => {}), run.signal);
    return { answer: '', summary };
  };

const startOf = (owner = alice) => ({
  owner,
  requestId: 'req',
  showThinking: false,
  onDisconnect: 'cancel' as const,
});

function entriesOf(run: Run): LogEntry[] {
  return run.log.open(run.log.firstSeq - 1, { onReadable() {}, onDropped() {} }).take(1e9);
}

const typesOf = (run: Run) => entriesOf(run).map(({ event }) => event.type);

function faultOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Fault) return error.type;
    throw error;
  }
  return 'none';
}

test('a run ends with one run-complete and run-done', async () => {
  const { runs, observer } = runsWith();
  const run = runs.start(startOf(), says('a', 'b'));
  expect(await run.ended).toMatchObject({ status: 'completed', answer: 'ab' });
  expect(typesOf(run)).toEqual(['text-delta', 'text-delta', 'run-complete', 'run-done']);
  expect([run.status, runs.activeCount]).toEqual(['completed', 0]);
  await expect.poll(() => observer.onEnd.mock.calls.length).toBe(1);
});

test.each([
  ['a fault', new Fault('provider_error', 'It broke.'), 'provider_error', 'It broke.'],
  [
    'a surprise',
    new TypeError('at /secret/path'),
    'internal_error',
    'Something went wrong inside the service.',
  ],
  ['no error at all', 'thrown text', 'internal_error', 'Something went wrong inside the service.'],
])('a run whose work throws %s ends with one run-error', async (_what, thrown, errorType, message) => {
  const { runs } = runsWith();
  const run = runs.start(
    startOf(),
    () =>
      // biome-ignore lint/correctness/useYield: it fails before its first event
      async function* () {
        throw thrown;
      },
  );
  expect((await run.ended).status).toBe('failed');
  expect(typesOf(run)).toEqual(['run-error', 'run-done']);
  expect(entriesOf(run)[0]?.event).toMatchObject({ errorType, message });
});

test('work starts once the caller has its run, and not at all when it was cancelled by then', async () => {
  const { runs } = runsWith();
  const work = vi.fn(says('a')());
  const run = runs.start(startOf(), () => work);
  await Promise.resolve();
  expect(work).not.toHaveBeenCalled();
  await run.ended;
  expect(work).toHaveBeenCalledTimes(1);
  const cancelled = runs.start(startOf(), () => work);
  cancelled.cancel();
  expect((await cancelled.ended).status).toBe('cancelled');
  expect(work).toHaveBeenCalledTimes(1);
});

test('runs belong to their owner: for anybody else they do not exist, held or not', async () => {
  const { runs } = runsWith({ logTtlMs: 0 });
  const run = runs.start(startOf(alice), waits);
  expect(runs.find(run.id, alice)).toBe(run);
  expect(faultOf(() => runs.find(run.id, bob))).toBe('not_found');
  run.cancel();
  await run.ended;
  await expect.poll(() => faultOf(() => runs.find(run.id, alice))).toBe('gone');
  expect(faultOf(() => runs.find(run.id, bob))).toBe('not_found');
});

test('idempotency keys belong to their owner', async () => {
  const { runs } = runsWith();
  const idempotency = { key: 'k', bodyHash: 'h' };
  const first = runs.start({ ...startOf(alice), idempotency }, says('a'));
  expect(runs.start({ ...startOf(alice), idempotency }, says('b'))).toBe(first);
  expect(runs.start({ ...startOf(bob), idempotency }, says('c'))).not.toBe(first);
  const other = { ...startOf(alice), idempotency: { key: 'k', bodyHash: 'h2' } };
  expect(faultOf(() => runs.start(other, says('d')))).toBe('idempotency_mismatch');
});

test('a prepare that throws takes no place and no key', async () => {
  const { runs, observer } = runsWith({ maxConcurrent: 1 });
  const start = { ...startOf(), idempotency: { key: 'k', bodyHash: 'h' } };
  const refuse = () => {
    throw new Fault('invalid_request', 'no');
  };
  expect(faultOf(() => runs.start(start, refuse))).toBe('invalid_request');
  expect([runs.activeCount, observer.onStart.mock.calls.length]).toEqual([0, 0]);
  expect((await runs.start(start, says('a')).ended).status).toBe('completed');
});

test('a full house refuses with a hint when to come back', async () => {
  const { runs, observer } = runsWith({ maxConcurrent: 1 });
  const run = runs.start(startOf(), waits);
  const prepare = vi.fn(waits);
  expect(faultOf(() => runs.start(startOf(), prepare))).toBe('overloaded');
  expect(prepare).not.toHaveBeenCalled();
  expect(observer.onRejected).toHaveBeenCalledExactlyOnceWith('overloaded');
  run.cancel();
  await run.ended;
  expect(faultOf(() => runs.start(startOf(), says('a')))).toBe('none');
});

async function finished(runs: Runs, text: string): Promise<Run> {
  const run = runs.start(startOf(), says(text));
  await run.ended;
  return run;
}

test('over the bound of all logs the oldest finished runs are given up, live ones never', async () => {
  const { runs } = runsWith({ logTotalBytes: 10_000 });
  const live = runs.start(startOf(), waits);
  const old = [];
  for (let number = 0; number < 8; number += 1) old.push(await finished(runs, 'x'.repeat(2000)));
  const found = old.map((run) => faultOf(() => runs.find(run.id, alice)));
  const firstHeld = found.indexOf('none');
  expect(firstHeld).toBeGreaterThan(3);
  expect(found).toEqual([...Array(firstHeld).fill('gone'), ...Array(8 - firstHeld).fill('none')]);
  expect(runs.find(live.id, alice)).toBe(live);
  expect(typesOf(live)).toEqual(['text-delta']);
  live.cancel();
});

test('one live run alone cannot outgrow the bound of all logs', async () => {
  const { runs } = runsWith({ logTotalBytes: 5000 });
  const run = runs.start(startOf(), says(...Array<string>(100).fill('x'.repeat(500))));
  await run.ended;
  expect(run.log.lastSeq).toBe(102);
  expect(run.log.firstSeq).toBeGreaterThan(92);
});

test('a run that outpaces a reader waits for it, but not for long', async () => {
  const { runs } = runsWith({ readerLagBytes: 200_000 });
  const texts = Array<string>(60).fill('x'.repeat(10_000));
  const run = runs.start(startOf(), says(...texts));
  const onDropped = vi.fn();
  const slow = run.log.open(0, { onReadable() {}, onDropped });
  await setTimeout(50);
  const waitingAt = run.log.lastSeq;
  expect(waitingAt).toBeLessThan(30);
  slow.take(1e9);
  await expect.poll(() => run.log.lastSeq).toBeGreaterThan(waitingAt);
  expect(onDropped).not.toHaveBeenCalled();
  await run.ended;
  expect(run.log.lastSeq).toBe(62);
  await expect.poll(() => onDropped.mock.calls).toEqual([['stalled']]);
});

test('a run that waits for a reader ends at once when it is cancelled', { retry: 2 }, async () => {
  const { runs } = runsWith({ readerLagBytes: 100_000 });
  const run = runs.start(
    startOf(),
    () =>
      async function* (self) {
        for (;;) {
          self.signal.throwIfAborted();
          yield { type: 'text-delta', text: 'x'.repeat(10_000) };
        }
      },
  );
  run.log.open(0, { onReadable() {}, onDropped() {} });
  await setTimeout(30);
  const startedMs = performance.now();
  run.cancel();
  expect((await run.ended).status).toBe('cancelled');
  expect(performance.now() - startedMs).toBeLessThan(250);
});

test('drain refuses new runs, waits for live ones and leaves them alone in time', async () => {
  const { runs, observer } = runsWith();
  const release = Promise.withResolvers<void>();
  const run = runs.start(
    startOf(),
    () =>
      async function* () {
        yield { type: 'text-delta', text: 'a' };
        await release.promise;
        return { answer: 'a', summary };
      },
  );
  const drained = runs.drain(10_000);
  expect(runs.isDraining).toBe(true);
  expect(faultOf(() => runs.start(startOf(), waits))).toBe('shutting_down');
  expect(observer.onRejected).toHaveBeenCalledExactlyOnceWith('shutting_down');
  release.resolve();
  await drained;
  expect((await run.ended).status).toBe('completed');
});

test('drain ends what is left at its timeout, in a retryable error', async () => {
  const { runs } = runsWith();
  const run = runs.start(startOf(), waits);
  await runs.drain(20);
  expect(await run.ended).toMatchObject({
    status: 'failed',
    fault: { type: 'shutting_down', retryable: true },
  });
  expect(typesOf(run)).toEqual(['text-delta', 'run-error', 'run-done']);
});

test('an idle drain is over at once', { retry: 2 }, async () => {
  const { runs } = runsWith();
  const startedMs = performance.now();
  await runs.drain(10_000);
  expect(performance.now() - startedMs).toBeLessThan(100);
});

test('the deadline of a run ends it in provider_timeout', async () => {
  const { runs } = runsWith({ runTimeoutMs: 20 });
  const run = runs.start(startOf(), waits);
  expect(await run.ended).toMatchObject({ status: 'failed', fault: { type: 'provider_timeout' } });
});

test('the last reader that leaves cancels, and leaving twice counts once', async () => {
  const { runs } = runsWith();
  const run = runs.start(startOf(), waits);
  const leaveFirst = run.attach();
  const leaveSecond = run.attach();
  leaveFirst();
  leaveFirst();
  expect(run.signal.aborted).toBe(false);
  leaveSecond();
  expect(run.signal.aborted).toBe(true);
  expect((await run.ended).status).toBe('cancelled');
});

test('with on_disconnect continue nobody who leaves cancels', async () => {
  const { runs } = runsWith();
  const run = runs.start({ ...startOf(), onDisconnect: 'continue' }, waits);
  run.attach()();
  expect(run.signal.aborted).toBe(false);
  run.cancel();
  await run.ended;
});
