import type { SessionEvent } from '../sessions/session-manager.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { Metrics } from './metrics.js';

export function countSessionEvent({ sessions, sessionConflicts }: Metrics, event: SessionEvent): void {
  if (event === 'conflict') sessionConflicts.inc();
  else sessions.inc({ event });
}

/** The same store, each operation of which is timed. */
export function observeSessionStore(store: SessionStore, { sessionStoreDuration }: Metrics): SessionStore {
  async function timed<T>(operation: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const end = sessionStoreDuration.startTimer({ operation });
    try {
      const result = await work();
      end({ outcome: 'ok' });
      return result;
    } catch (error) {
      // a caller who left says nothing about the store
      end({ outcome: signal.aborted && error === signal.reason ? 'cancelled' : 'error' });
      throw error;
    }
  }

  return {
    get backend() {
      return store.backend;
    },
    get health() {
      return store.health;
    },
    open: (signal) => store.open(signal),
    create: (owner, stored, signal) => timed('create', signal, () => store.create(owner, stored, signal)),
    find: (owner, id, signal) => timed('find', signal, () => store.find(owner, id, signal)),
    read: (owner, id, signal) => timed('read', signal, () => store.read(owner, id, signal)),
    update: (owner, id, change, signal) =>
      timed('update', signal, () => store.update(owner, id, change, signal)),
    delete: (owner, id, signal) => timed('delete', signal, () => store.delete(owner, id, signal)),
    list: (owner, after, limit, signal) =>
      timed('list', signal, () => store.list(owner, after, limit, signal)),
    checkWritable: (signal) => timed('check_writable', signal, () => store.checkWritable(signal)),
    close: () => store.close(),
  };
}
