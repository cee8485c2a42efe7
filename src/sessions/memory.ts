import {
  type ListPosition,
  type Owner,
  ownerKey,
  pageOf,
  type Session,
  type SessionChange,
  type SessionStore,
  type StoredSession,
} from './session-store.js';

/** Sessions in the memory of the process: gone when it ends. */
export class MemorySessionStore implements SessionStore {
  readonly backend = 'memory';
  readonly health = { status: 'healthy' } as const;
  private readonly sessions = new Map<string, { owner: string; stored: StoredSession }>();

  async open(): Promise<void> {}

  async create(owner: Owner, stored: StoredSession, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { id } = stored.session;
    if (this.sessions.has(id)) return false;
    this.sessions.set(id, { owner: ownerKey(owner), stored: structuredClone(stored) });
    return true;
  }

  async find(owner: Owner, id: string, signal: AbortSignal): Promise<Session | undefined> {
    const stored = this.held(owner, id, signal);
    return stored && { ...stored.session };
  }

  async read(owner: Owner, id: string, signal: AbortSignal): Promise<StoredSession | undefined> {
    return structuredClone(this.held(owner, id, signal));
  }

  async update(
    owner: Owner,
    id: string,
    change: SessionChange,
    signal: AbortSignal,
  ): Promise<Session | undefined> {
    const stored = this.held(owner, id, signal);
    if (!stored) return undefined;
    const { entries = [], ...fields } = change;
    stored.entries.push(...structuredClone(entries));
    Object.assign(stored.session, fields);
    return { ...stored.session };
  }

  async delete(owner: Owner, id: string, signal: AbortSignal): Promise<boolean> {
    return this.held(owner, id, signal) !== undefined && this.sessions.delete(id);
  }

  async list(
    owner: Owner,
    after: ListPosition | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Session[]> {
    signal.throwIfAborted();
    const key = ownerKey(owner);
    const own = [...this.sessions.values()].filter((entry) => entry.owner === key);
    return pageOf(
      own.map(({ stored }) => ({ ...stored.session })),
      after,
      limit,
    );
  }

  async checkWritable(): Promise<void> {}

  async close(): Promise<void> {}

  private held(owner: Owner, id: string, signal: AbortSignal): StoredSession | undefined {
    signal.throwIfAborted();
    const entry = this.sessions.get(id);
    return entry?.owner === ownerKey(owner) ? entry.stored : undefined;
  }
}
