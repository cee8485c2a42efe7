import type { RunEvent } from '../core/events.js';
import type { DropReason, LogEntry, LogListener, LogReader, RunLog } from './run-log.js';

export type MemoryLogOptions = {
  maxEvents: number;
  maxBytes: number;
  /** bytes that a reader may be behind before it counts as stalled */
  readerLagBytes: number;
  /**
   * Called with each change of the bytes held. Returns the bytes by which all logs together are over their
   * bound, when no other log could be given up for it.
   */
  onBytes: (change: number) => number;
};

type StoredEntry = LogEntry & { readonly endBytes: number };

/** How many bytes may come before it is looked whether readers fall behind. */
const lagCheckBytes = 64 * 1024;
/** What an event's frame adds around its text: id, event name, field names, timestamp. */
const frameOverheadBytes = 96;

export function createMemoryLog(options: MemoryLogOptions): RunLog {
  const readers = new Set<MemoryReader>();
  let entries: (StoredEntry | undefined)[] = [];
  let head = 0;
  let firstSeq = 1;
  let lastSeq = 0;
  let totalBytes = 0;
  let givenUpBytes = 0;
  let isEnded = false;
  let isFlushScheduled = false;
  let uncheckedBytes = 0;
  let isCrowded = false;

  /** where the entry after `seq` starts, in bytes since the first event */
  const bytesAt = (seq: number) => entries[head + seq - firstSeq]?.endBytes ?? givenUpBytes;

  function giveUpOldest(): number {
    const before = givenUpBytes;
    givenUpBytes = bytesAt(firstSeq);
    entries[head] = undefined;
    head += 1;
    firstSeq += 1;
    if (head > 256 && head * 2 > entries.length) {
      entries = entries.slice(head);
      head = 0;
    }
    return givenUpBytes - before;
  }

  function trim(excessBytes: number): void {
    let freed = 0;
    while (entries.length - head > 1 && (freed < excessBytes || entries.length - head > options.maxEvents)) {
      freed += giveUpOldest();
    }
    if (freed > 0) options.onBytes(-freed);
  }

  function checkLag(): void {
    uncheckedBytes = 0;
    isCrowded = false;
    for (const reader of readers) isCrowded ||= reader.isFallingBehind;
  }

  function flush(): void {
    isFlushScheduled = false;
    for (const reader of readers) reader.wake();
  }

  function append(event: RunEvent): void {
    const bytes = sizeOf(event);
    totalBytes += bytes;
    lastSeq += 1;
    entries.push({ seq: lastSeq, at: Date.now() / 1000, event, frame: undefined, endBytes: totalBytes });
    if (event.type === 'run-done') isEnded = true;
    const overAll = options.onBytes(bytes);
    trim(Math.max(overAll, totalBytes - givenUpBytes - options.maxBytes));
    uncheckedBytes += bytes;
    if (uncheckedBytes > lagCheckBytes) checkLag();
    if (!isFlushScheduled && readers.size > 0) {
      isFlushScheduled = true;
      setImmediate(flush);
    }
  }

  class MemoryReader implements LogReader {
    private position: number;
    private allowance: number;
    private isWaiting = true;

    constructor(
      after: number,
      private readonly listener: LogListener,
    ) {
      this.position = after;
      this.allowance = Math.max(options.readerLagBytes, this.lag() + options.readerLagBytes);
    }

    private lag(): number {
      return totalBytes - bytesAt(this.position);
    }

    get isFallingBehind(): boolean {
      return this.lag() > this.allowance - options.readerLagBytes / 2;
    }

    take(maxBytes: number): LogEntry[] {
      const taken: LogEntry[] = [];
      if (this.position + 1 < firstSeq) {
        this.drop('stalled');
        return taken;
      }
      const startBytes = bytesAt(this.position);
      for (let index = head + this.position + 1 - firstSeq; index < entries.length; index += 1) {
        const entry = entries[index] as StoredEntry;
        taken.push(entry);
        if (entry.endBytes - startBytes >= maxBytes) break;
      }
      this.position += taken.length;
      this.isWaiting = taken.length === 0;
      if (!this.isWaiting && this.allowance > options.readerLagBytes) {
        // one that replays a long log may be far behind at first, but only ever closer
        this.allowance = Math.max(
          options.readerLagBytes,
          Math.min(this.allowance, this.lag() + options.readerLagBytes),
        );
      }
      if (isCrowded) checkLag();
      return taken;
    }

    wake(): void {
      if (this.position + 1 < firstSeq) {
        this.drop('stalled');
      } else if (!this.isWaiting) {
        if (this.lag() > this.allowance) this.drop('stalled');
      } else if (this.position < lastSeq) {
        this.isWaiting = false;
        this.listener.onReadable();
      }
    }

    drop(reason: DropReason): void {
      this.close();
      this.listener.onDropped(reason);
    }

    close(): void {
      readers.delete(this);
      if (isCrowded) checkLag();
    }
  }

  return {
    get firstSeq() {
      return firstSeq;
    },
    get lastSeq() {
      return lastSeq;
    },
    get isEnded() {
      return isEnded;
    },
    get isCrowded() {
      return isCrowded;
    },
    append,
    open(after, listener) {
      const reader = new MemoryReader(after, listener);
      readers.add(reader);
      return reader;
    },
    clear() {
      options.onBytes(givenUpBytes - totalBytes);
      givenUpBytes = totalBytes;
      entries = [];
      head = 0;
      firstSeq = lastSeq + 1;
      for (const reader of readers) reader.drop('expired');
    },
  };
}

function sizeOf(event: RunEvent): number {
  if (event.type === 'text-delta' || event.type === 'reasoning-delta') {
    return event.text.length + frameOverheadBytes;
  }
  return JSON.stringify(event).length + frameOverheadBytes;
}
