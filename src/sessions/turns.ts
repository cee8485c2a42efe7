import { raceAbort } from '../core/abort.js';
import { Fault } from '../core/errors.js';

export const sessionConflicts = ['reject', 'enqueue', 'interrupt'] as const;
/** What becomes of a second request on a session that is busy. */
export type SessionConflict = (typeof sessionConflicts)[number];

/** A writer's place in the line of one session. */
export interface Claim {
  /** Resolves when all earlier writers are done; rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  /** Lets the next one go on. Does nothing the second time. */
  release(): void;
}

/** Sees to it that a session has one writer at a time, in the order in which they came. */
export interface Turns {
  /**
   * Takes a place at once. `interrupt` is called when a later writer wants this one to end early. Throws `conflict` when
   * the session is busy and the policy is to reject, or when too many wait already.
   */
  claim(key: string, interrupt: (fault: Fault) => void): Claim;
  isBusy(key: string): boolean;
  /** Ends what is under way and what waits, then resolves when the line is empty. */
  clear(key: string, fault: Fault, signal: AbortSignal): Promise<void>;
  readonly busyCount: number;
}

const maxWaiting = 20;
const retryAfterMs = 1000;

type Writer = { done: Promise<void>; interrupt: (fault: Fault) => void };

export function createTurns(policy: SessionConflict): Turns {
  const lines = new Map<string, Writer[]>();

  function admit(line: readonly Writer[]): void {
    if (line.length === 0) return;
    if (policy === 'reject') {
      throw new Fault(
        'conflict',
        'This session is answering another message; one is answered at a time. Wait for its end, or cancel its run.',
        { retryable: true, retryAfterMs },
      );
    }
    if (policy === 'interrupt') {
      const fault = new Fault(
        'cancelled',
        'The run was cancelled because a newer message came to its session.',
      );
      for (const writer of line) writer.interrupt(fault);
    } else if (line.length > maxWaiting) {
      throw new Fault('conflict', `${maxWaiting} messages wait in this session already; try again later.`, {
        retryable: true,
        retryAfterMs,
      });
    }
  }

  return {
    get busyCount() {
      return lines.size;
    },
    isBusy: (key) => lines.has(key),
    claim(key, interrupt) {
      const line = lines.get(key) ?? [];
      admit(line);
      const earlier = Promise.all(line.map((writer) => writer.done));
      const { promise: done, resolve } = Promise.withResolvers<void>();
      const writer: Writer = { done, interrupt };
      line.push(writer);
      lines.set(key, line);
      return {
        async ready(signal) {
          await raceAbort(earlier, signal);
        },
        release() {
          const index = line.indexOf(writer);
          if (index === -1) return;
          line.splice(index, 1);
          if (line.length === 0) lines.delete(key);
          resolve();
        },
      };
    },
    async clear(key, fault, signal) {
      const line = lines.get(key) ?? [];
      for (const writer of line) writer.interrupt(fault);
      await raceAbort(Promise.all(line.map((writer) => writer.done)), signal);
    },
  };
}
