import type { UserMessage } from './message.js';

export type QueueMode = 'all' | 'one-at-a-time';

/** Messages that wait to enter a conversation which is under way. */
export interface MessageQueue<Item = UserMessage> {
  mode: QueueMode;
  readonly size: number;
  /** False: the queue is closed, and the item does not enter. */
  push(item: Item): boolean;
  /** Those that enter next, oldest first: all, or one at a time, as the mode says. None: nothing waits. */
  take(): Item[];
  clear(): void;
  /** Takes nothing in any more. */
  close(): void;
}

export function createMessageQueue<Item = UserMessage>(mode: QueueMode = 'all'): MessageQueue<Item> {
  let waiting: Item[] = [];
  let isClosed = false;
  return {
    mode,
    get size() {
      return waiting.length;
    },
    push(item) {
      if (!isClosed) waiting.push(item);
      return !isClosed;
    },
    take() {
      return waiting.splice(0, this.mode === 'all' ? waiting.length : 1);
    },
    clear() {
      waiting = [];
    },
    close() {
      isClosed = true;
    },
  };
}
