import { randomUUID } from 'node:crypto';
import { setImmediate as nextTick, setTimeout as wait } from 'node:timers/promises';
import { Fault } from '../core/errors.js';
import type { AnswerSummary, PipelineEvent } from '../core/events.js';
import type { TraceContext } from '../core/trace.js';
import { createMemoryLog } from './memory-log.js';
import { type Owner, Run, type RunOutcome } from './run.js';

/** What carries a run out: yields its events and returns the answer, or throws a Fault or the abort reason. */
export type RunWork = (
  run: Run,
) => AsyncGenerator<PipelineEvent, { answer: string; summary: AnswerSummary }, undefined>;

export type RunSteps = ReturnType<RunWork>;

/** Told of each run from outside, for logs and metrics. Must not throw. */
export type RunObserver = {
  onStart(run: Run, start: RunStart): void;
  onEvent(run: Run, event: PipelineEvent): void;
  onEnd(run: Run, outcome: RunOutcome): void;
  onRejected(reason: 'overloaded' | 'shutting_down'): void;
  /** Takes the steps of a run from here on. What it returns is asked in place of them. */
  follow?(run: Run, steps: RunSteps): Pick<RunSteps, 'next'>;
};

export type RunsOptions = {
  maxConcurrent: number;
  runTimeoutMs: number;
  /** milliseconds that a run's log is kept after its end */
  logTtlMs: number;
  logBytes: number;
  logEvents: number;
  logTotalBytes: number;
  readerLagBytes: number;
  observer: RunObserver;
};

export type RunStart = {
  owner: Owner;
  requestId: string;
  trace?: TraceContext | undefined;
  /** what the caller said, for observers; the run itself does not keep it */
  message?: string | undefined;
  showThinking: boolean;
  onDisconnect: 'cancel' | 'continue';
  metadata?: Record<string, unknown> | undefined;
  /** the session that the run belongs to */
  sessionId?: string | undefined;
  idempotency?: { key: string; bodyHash: string } | undefined;
};

export interface Runs {
  readonly activeCount: number;
  readonly isDraining: boolean;
  /**
   * Starts a run, or finds the one that this owner's idempotency key already started. `prepare` is called for a new
   * run only, once it has a place. Throws a Fault: `overloaded`, `shutting_down`, `idempotency_mismatch` for the same
   * key with another body, or what `prepare` throws.
   */
  start(start: RunStart, prepare: () => RunWork): Run;
  /** The run that this owner's idempotency key already started. Throws `idempotency_mismatch` for another body. */
  findStarted(start: RunStart): Run | undefined;
  /** The owner's run. Throws `not_found`, or `gone` when its log is no longer held. */
  find(id: string, owner: Owner): Run;
  /** Refuses new runs, waits for the live ones up to `timeoutMs`, ends the rest in a retryable error. */
  drain(timeoutMs: number): Promise<void>;
  close(): void;
}

/** Ended runs whose ids are still told apart from ids that never existed. */
const maxTombstones = 10_000;

/** Milliseconds that a run waits in all for readers who fall behind. */
const maxPatienceMs = 1000;

export function createRuns(options: RunsOptions): Runs {
  const runs = new Map<string, Run>();
  const tombstones = new Map<string, string>();
  const keys = new Map<string, { run: Run; bodyHash: string }>();
  const keyOfRun = new Map<string, string>();
  const expiries = new Map<string, NodeJS.Timeout>();
  /** what an ended run holds besides its log */
  const recordBytes = new Map<string, number>();
  const active = new Set<Run>();
  const idle: (() => void)[] = [];
  let heldBytes = 0;
  let isDraining = false;

  function onBytes(change: number): number {
    heldBytes += change;
    while (heldBytes > options.logTotalBytes) {
      const oldest = expiries.keys().next();
      if (oldest.done) return heldBytes - options.logTotalBytes;
      forget(oldest.value);
    }
    return 0;
  }

  function forget(id: string): void {
    const run = runs.get(id);
    clearTimeout(expiries.get(id));
    expiries.delete(id);
    if (!run) return;
    runs.delete(id);
    const key = keyOfRun.get(id);
    if (key !== undefined) {
      keys.delete(key);
      keyOfRun.delete(id);
    }
    tombstones.set(id, ownerKey(run.options.owner));
    if (tombstones.size > maxTombstones) tombstones.delete(tombstones.keys().next().value as string);
    run.log.clear();
    onBytes(-(recordBytes.get(id) ?? 0));
    recordBytes.delete(id);
  }

  function admit(): void {
    if (isDraining) {
      options.observer.onRejected('shutting_down');
      throw new Fault('shutting_down', 'The service is shutting down; try again on another instance.', {
        retryAfterMs: 1000,
      });
    }
    if (active.size >= options.maxConcurrent) {
      options.observer.onRejected('overloaded');
      throw new Fault('overloaded', `All ${options.maxConcurrent} places are taken; try again shortly.`, {
        retryAfterMs: 1000,
      });
    }
  }

  function findByKey(start: RunStart): Run | undefined {
    if (!start.idempotency) return undefined;
    const held = keys.get(idempotencyKey(start.owner, start.idempotency.key));
    if (!held) return undefined;
    if (held.bodyHash !== start.idempotency.bodyHash) {
      throw new Fault('idempotency_mismatch', 'This Idempotency-Key was used with a different body.');
    }
    return held.run;
  }

  async function carryOut(run: Run, work: RunWork): Promise<void> {
    let outcome: RunOutcome;
    let patienceMs = maxPatienceMs;
    try {
      // the headers and the first comment leave before the first phase keeps the process busy
      await nextTick();
      run.signal.throwIfAborted();
      const own = work(run);
      const steps = options.observer.follow?.(run, own) ?? own;
      let step = await steps.next();
      while (!step.done) {
        run.accept(step.value);
        options.observer.onEvent(run, step.value);
        if (run.log.isCrowded && patienceMs > 0) patienceMs -= await letReadersCatchUp(run, patienceMs);
        step = await steps.next();
      }
      outcome = run.complete(step.value.answer, step.value.summary);
    } catch (error) {
      outcome = run.fail(error);
    }
    active.delete(run);
    const bytes = keptBytes(run, outcome);
    recordBytes.set(run.id, bytes);
    onBytes(bytes);
    expiries.set(run.id, setTimeout(() => forget(run.id), options.logTtlMs).unref());
    options.observer.onEnd(run, outcome);
    if (active.size === 0) for (const resolve of idle.splice(0)) resolve();
  }

  function whenIdle(): Promise<void> {
    return active.size === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
  }

  return {
    get activeCount() {
      return active.size;
    },
    get isDraining() {
      return isDraining;
    },
    findStarted: findByKey,
    start(start, prepare) {
      const existing = findByKey(start);
      if (existing) return existing;
      admit();
      const work = prepare();
      const log = createMemoryLog({
        maxEvents: options.logEvents,
        maxBytes: options.logBytes,
        readerLagBytes: options.readerLagBytes,
        onBytes,
      });
      const run = new Run({
        id: `run_${randomUUID().replaceAll('-', '')}`,
        requestId: start.requestId,
        trace: start.trace,
        owner: start.owner,
        log,
        showThinking: start.showThinking,
        onDisconnect: start.onDisconnect,
        metadata: start.metadata,
        sessionId: start.sessionId,
        timeoutMs: options.runTimeoutMs,
      });
      runs.set(run.id, run);
      active.add(run);
      if (start.idempotency) {
        const name = idempotencyKey(start.owner, start.idempotency.key);
        keys.set(name, { run, bodyHash: start.idempotency.bodyHash });
        keyOfRun.set(run.id, name);
      }
      options.observer.onStart(run, start);
      void carryOut(run, work);
      return run;
    },
    find(id, owner) {
      const run = runs.get(id);
      const key = ownerKey(owner);
      if (run && ownerKey(run.options.owner) === key) return run;
      if (tombstones.get(id) === key) {
        throw new Fault('gone', 'The run has ended and its events are no longer held.');
      }
      throw new Fault('not_found', 'There is no such run.');
    },
    async drain(timeoutMs) {
      isDraining = true;
      const timer = setTimeout(() => {
        const fault = new Fault('shutting_down', 'The service shut down before the answer was complete.');
        for (const run of active) run.cancel(fault);
      }, timeoutMs);
      await whenIdle();
      clearTimeout(timer);
    },
    close() {
      for (const id of [...expiries.keys()]) forget(id);
    },
  };
}

/** A model that is faster than the network would have good readers dropped. Returns the milliseconds waited. */
async function letReadersCatchUp(run: Run, patienceMs: number): Promise<number> {
  const startedMs = performance.now();
  const waitedMs = () => performance.now() - startedMs;
  while (run.log.isCrowded && !run.signal.aborted && waitedMs() < patienceMs) await wait(1);
  return waitedMs();
}

function keptBytes({ options, phases }: Run, outcome: RunOutcome): number {
  const answer = outcome.status === 'completed' ? outcome.answer.length : 0;
  return answer + JSON.stringify([options.metadata, phases]).length;
}

const ownerKey = (owner: Owner) => JSON.stringify([owner.tenant, owner.subject]);
const idempotencyKey = (owner: Owner, key: string) => JSON.stringify([owner.tenant, owner.subject, key]);
