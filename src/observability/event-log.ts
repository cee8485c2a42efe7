import { setImmediate as nextTick } from 'node:timers/promises';

/** One line of the audit trail. `data` is a JSON object as text. */
export type EventRow = {
  id: string;
  /** ISO 8601, UTC */
  at: string;
  runId: string;
  type: 'run_start' | 'phase' | 'llm_call' | 'tool_call' | 'steering' | 'error' | 'run_end';
  name: string | null;
  durationMs: number | null;
  ok: boolean | null;
  data: string;
};

/** Where the audit trail is kept. Calls come one after the other. */
export interface EventSink {
  /** Throws a Fault that names EVENT_LOG when the place cannot be used. */
  open(): Promise<void>;
  /** Adds all of the rows, or none and throws. */
  write(rows: readonly EventRow[]): Promise<void>;
  close(): Promise<void>;
}

export interface EventLog {
  /** Never waits and never throws: a row for which there is no room is dropped and counted. */
  add(row: EventRow): void;
  /** Throws what the sink's `open` throws. Rows that were added before are kept until then. */
  open(): Promise<void>;
  /** Resolves when everything added so far is written, or could not be in time. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export type EventLogTrouble = {
  /** events that were dropped since the last report */
  dropped: number;
  waiting: number;
  /** why the last attempt to write failed; undefined when writing is only too slow */
  reason: string | undefined;
};

export type EventLogOptions = {
  sink: EventSink;
  onDropped(count: number): void;
  /** Called once a minute at most, and at the end. */
  onTrouble(trouble: EventLogTrouble): void;
};

const batchRows = 100;
const batchMs = 100;
const retryMs = 1_000;
/** Bounds of what waits for a disk that is slow or full. */
const maxRows = 20_000;
const maxChars = 16 * 1024 * 1024;
const reportIntervalMs = 60_000;
const closeTimeoutMs = 5_000;

/** Collects events and writes them in small batches, beside the runs and never in their way. */
export function createEventLog({ sink, onDropped, onTrouble }: EventLogOptions): EventLog {
  const queue: EventRow[] = [];
  let queuedChars = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let state: 'new' | 'open' | 'closed' = 'new';
  let failure: string | undefined;
  let unreported = 0;
  let reportedAtMs = Number.NEGATIVE_INFINITY;

  function drop(count: number): void {
    unreported += count;
    onDropped(count);
    report(failure);
  }

  function report(reason: string | undefined, isLast = false): void {
    const nowMs = performance.now();
    if (!isLast && nowMs - reportedAtMs < reportIntervalMs) return;
    reportedAtMs = nowMs;
    onTrouble({ dropped: unreported, waiting: queue.length, reason });
    unreported = 0;
  }

  function schedule(delayMs: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => void write(), delayMs);
  }

  function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeQueue().finally(() => {
      writing = undefined;
      if (queue.length > 0 && state === 'open') schedule(failure === undefined ? 0 : retryMs);
    });
    return writing;
  }

  async function writeQueue(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, batchRows);
      try {
        await sink.write(batch);
      } catch (error) {
        failure = reasonOf(error);
        report(failure);
        return;
      }
      failure = undefined;
      queue.splice(0, batch.length);
      for (const row of batch) queuedChars -= row.data.length;
      // the runs go on between two batches
      await nextTick();
    }
  }

  async function writeAll(): Promise<void> {
    if (state === 'new') return;
    do await write();
    while (queue.length > 0 && failure === undefined);
  }

  return {
    add(row) {
      const isFull = queue.length >= maxRows || queuedChars + row.data.length > maxChars;
      if (isFull || state === 'closed') return drop(1);
      queue.push(row);
      queuedChars += row.data.length;
      if (state === 'new' || writing || failure !== undefined) return;
      if (queue.length >= batchRows) schedule(0);
      else if (timer === undefined) schedule(batchMs);
    },
    async open() {
      await sink.open();
      state = 'open';
      if (queue.length > 0) schedule(0);
    },
    flush: () => withinMs(closeTimeoutMs, writeAll()).catch(() => {}),
    async close() {
      if (state !== 'open') return;
      state = 'closed';
      const end = writeAll().then(() => sink.close());
      await withinMs(closeTimeoutMs, end).catch((error) => {
        failure = reasonOf(error);
      });
      clearTimeout(timer);
      if (queue.length > 0) onDropped(queue.length);
      unreported += queue.length;
      queue.length = 0;
      if (unreported > 0) report(failure, true);
    },
  };
}

/** Waits no longer than that: a disk that hangs must not keep the process. */
async function withinMs(timeoutMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(), { code: 'ETIMEDOUT' })), timeoutMs);
  });
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}

/** A system's or SQLite's own words for what failed; they quote no event. */
function reasonOf(error: unknown): string {
  const { code, errstr } = error as { code?: string; errstr?: string };
  return errstr ?? code ?? (error instanceof Error ? error.name : typeof error);
}
