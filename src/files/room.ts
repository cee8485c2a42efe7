import { raceAbort } from '../core/abort.js';
import { Fault } from '../core/errors.js';

/** What one run holds of the room. */
export interface FileShare {
  /** Takes so many bytes more, at once. Throws `overloaded` when there is no room for them. */
  grow(bytes: number): void;
  /** Says how many bytes are really held, which may be more than there was room for. */
  settle(bytes: number): void;
  /** Gives everything back; again is nothing. */
  release(): void;
}

/** The memory that the files of all runs may take together. */
export interface FileRoom {
  /** Waits, in turn, until so many bytes are free. Throws `overloaded` when they can never be, or the abort reason. */
  take(bytes: number, signal: AbortSignal): Promise<FileShare>;
}

export function createFileRoom(maxBytes: number): FileRoom {
  let used = 0;
  const waiting: { bytes: number; enter(): void }[] = [];

  // a share of nothing waits as well, because it is going to grow
  const hasRoomFor = (bytes: number) => used < maxBytes && used + bytes <= maxBytes;

  function letIn(): void {
    while (waiting[0] && hasRoomFor(waiting[0].bytes)) waiting.shift()?.enter();
  }

  function enter(bytes: number): FileShare {
    let held = bytes;
    used += bytes;
    const settle = (next: number) => {
      used += next - held;
      held = next;
      letIn();
    };
    return {
      grow(more) {
        if (used + more > maxBytes) throw overloaded();
        settle(held + more);
      },
      settle,
      release: () => settle(0),
    };
  }

  return {
    async take(bytes, signal) {
      signal.throwIfAborted();
      if (bytes > maxBytes) throw overloaded();
      if (waiting.length === 0 && hasRoomFor(bytes)) return enter(bytes);
      const { promise, resolve } = Promise.withResolvers<FileShare>();
      const place = { bytes, enter: () => resolve(enter(bytes)) };
      waiting.push(place);
      try {
        return await raceAbort(promise, signal);
      } catch (error) {
        const index = waiting.indexOf(place);
        if (index !== -1) waiting.splice(index, 1);
        // it was let in at the very moment it left
        else void promise.then((share) => share.release());
        letIn();
        throw error;
      }
    },
  };
}

function overloaded(): Fault {
  return new Fault('overloaded', 'The files of all requests take too much memory; try again shortly.', {
    retryAfterMs: 1000,
  });
}
