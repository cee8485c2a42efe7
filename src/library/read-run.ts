import { Fault } from '../core/errors.js';
import type { Run } from '../runs/run.js';
import type { LogEntry } from '../runs/run-log.js';

/** So much is taken from the log in one go. */
const batchBytes = 64 * 1024;

/** The events of a run from the first to the last. When the signal aborts the run is cancelled, and read to its end. */
export async function* readRun(run: Run, signal: AbortSignal): AsyncGenerator<LogEntry, void, undefined> {
  let wake = () => {};
  let isDropped = false;
  const reader = run.log.open(0, {
    onReadable: () => wake(),
    onDropped() {
      isDropped = true;
      wake();
    },
  });
  const cancel = () =>
    run.cancel(
      signal.reason instanceof Fault ? signal.reason : new Fault('cancelled', 'The query was cancelled.'),
    );
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const entries = reader.take(batchBytes);
      yield* entries;
      if (entries.at(-1)?.event.type === 'run-done') return;
      if (isDropped) throw await reasonOf(run);
      if (entries.length === 0) await woken;
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    reader.close();
  }
}

/** Why there is no more of the log: it is given up when the runtime is closed, and when it outgrows its bounds. */
async function reasonOf(run: Run): Promise<Fault> {
  const outcome = run.status === 'running' ? undefined : await run.ended;
  if (outcome && outcome.status !== 'completed') return outcome.fault;
  return new Fault('gone', 'The reader fell too far behind the events of this run.');
}
