import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { Fault } from '../../core/errors.js';
import type { Run } from '../../runs/run.js';
import type { DropReason, LogReader } from '../../runs/run-log.js';
import { toFrame } from './websocket-frames.js';

/** So much of a run is sent before it is another one's turn. */
const batchBytes = 16 * 1024;

type Tail = { run: Run; reader: LogReader; detach: () => void };

export type OutletEvents = {
  /** the peer reads too slowly: nothing more is sent */
  onStalled(runId: string): void;
  /** a run can be followed no further */
  onLost(run: Run, fault: Fault): void;
  /** a run was followed to its end, or is no longer */
  onLeft(): void;
};

/** What goes out of one socket: the events of the runs that it follows, as fast as its peer reads and no faster. */
export interface Outlet {
  /** those whose events are not all sent, the one that came last at the end */
  readonly runs: Run[];
  /** Follows a run from after `after`, in place of where it was followed from before. */
  follow(run: Run, after: number): void;
  /** Leaves all runs. */
  close(): void;
}

export function createOutlet(socket: WebSocket, wire: Socket, events: OutletEvents): Outlet {
  const tails = new Map<string, Tail>();
  /** those that may have something to send, in the order of their turns */
  const ready = new Set<Tail>();
  let isClosed = false;

  function leave(tail: Tail): void {
    if (tails.get(tail.run.id) === tail) tails.delete(tail.run.id);
    ready.delete(tail);
    tail.reader.close();
    tail.detach();
    events.onLeft();
  }

  function onDropped(tail: Tail, reason: DropReason): void {
    leave(tail);
    if (reason === 'stalled') events.onStalled(tail.run.id);
    else events.onLost(tail.run, new Fault('gone', 'The rest of the events of this run is no longer held.'));
  }

  /** Whether there may be more. */
  function sendSome(tail: Tail): boolean {
    const entries = tail.reader.take(batchBytes);
    for (const entry of entries) {
      const frame = toFrame(entry, tail.run);
      if (frame !== undefined) socket.send(frame);
    }
    if (entries.at(-1)?.event.type !== 'run-done') return entries.length > 0;
    leave(tail);
    return false;
  }

  function send(): void {
    // all frames of one tick leave in one write
    wire.cork();
    for (const tail of ready) {
      if (wire.writableNeedDrain) break;
      ready.delete(tail);
      if (sendSome(tail)) ready.add(tail);
    }
    wire.uncork();
  }

  wire.on('drain', send);

  return {
    get runs() {
      return [...tails.values()].map(({ run }) => run);
    },
    follow(run, after) {
      const detach = run.attach();
      // a run that started while its socket closed has a reader who left
      if (isClosed) return detach();
      const earlier = tails.get(run.id);
      const onReadable = () => {
        ready.add(tail);
        send();
      };
      const reader = run.log.open(after, {
        onReadable,
        onDropped: (reason) => onDropped(tail, reason),
      });
      const tail: Tail = { run, reader, detach };
      // last, because a run that nobody follows may be cancelled
      if (earlier) leave(earlier);
      tails.set(run.id, tail);
      onReadable();
    },
    close() {
      isClosed = true;
      wire.off('drain', send);
      for (const tail of [...tails.values()]) leave(tail);
    },
  };
}
