import type { RunEvent } from '../core/events.js';

/** One numbered event. `frame` is an encoder's cache, so that a frame is made once for all its readers. */
export type LogEntry = {
  readonly seq: number;
  /** epoch seconds */
  readonly at: number;
  readonly event: RunEvent;
  frame: string | undefined;
};

export type DropReason = 'stalled' | 'expired';

export type LogListener = {
  /** there are entries to take; called once a tick at most, and not again before the next `take` */
  onReadable(): void;
  /** the reader fell too far behind, or the log is gone: nothing more will come */
  onDropped(reason: DropReason): void;
};

export interface LogReader {
  /** The next entries in order, about `maxBytes` of them at most; empty when all were taken. */
  take(maxBytes: number): LogEntry[];
  close(): void;
}

/**
 * The events of one run, numbered 1, 2, 3 … without gaps. The log is the truth and connections only tail it.
 *
 * `append` never blocks and never throws; old entries are given up when the log outgrows its bounds, which `firstSeq`
 * tells. `open(after)` starts after that number; the caller checks first that `after` is still held
 * (`after + 1 >= firstSeq`) and not beyond `lastSeq`.
 */
export interface RunLog {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly isEnded: boolean;
  /** a reader falls behind and will be dropped if that goes on: who appends may give it a moment */
  readonly isCrowded: boolean;
  append(event: RunEvent): void;
  open(after: number, listener: LogListener): LogReader;
  /** Gives up all entries and drops all readers. */
  clear(): void;
}
