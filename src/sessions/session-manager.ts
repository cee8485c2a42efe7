import { randomUUID } from 'node:crypto';
import { Fault } from '../core/errors.js';
import { textOf } from '../core/message.js';
import { isWellFormed, messagesOf } from './history.js';
import { MemorySessionStore } from './memory.js';
import {
  type ListPosition,
  type Owner,
  ownerKey,
  type Session,
  type SessionEntry,
  type SessionStore,
  type StoredMessage,
  type StoredSession,
} from './session-store.js';
import { titleOf, toLine } from './title.js';
import { type Claim, createTurns, type SessionConflict, type Turns } from './turns.js';

/** What became of a session, or `conflict`: a message was refused because its session was busy. */
export type SessionEvent = 'created' | 'deleted' | 'evicted' | 'forked' | 'conflict';

export type SessionManagerOptions = {
  /** sessions that one owner may have; the oldest go. Absent: any number */
  maxSessions?: number | undefined;
  /** what becomes of a second request on a busy session; `reject` unless given */
  conflict?: SessionConflict;
  /** Told of what happens to sessions, for metrics. Must not throw. */
  onEvent?: ((event: SessionEvent) => void) | undefined;
};

export type SessionPage = { sessions: Session[]; nextCursor?: string };

/** What one run adds to its session. */
export type Addition = {
  messages: {
    message: StoredMessage /** epoch milliseconds; absent: now */;
    at?: number;
    isInterrupted?: boolean;
  }[];
  /** a summary that stands for everything up to and including the entry `through` */
  compaction?: { summary: string; through: string } | undefined;
};

/** How many sessions are looked at in one go when there are too many. */
const evictionPage = 100;

/**
 * Everybody's conversations over one store. A session that is unknown, malformed or somebody else's is one and the same
 * `not_found`.
 */
export class SessionManager {
  private readonly turns: Turns;
  private lastMs = 0;

  constructor(
    readonly store: SessionStore = new MemorySessionStore(),
    private readonly options: SessionManagerOptions = {},
  ) {
    this.turns = createTurns(options.conflict ?? 'reject');
  }

  /** Sessions that are being written to. */
  get busyCount(): number {
    return this.turns.busyCount;
  }

  /** `id`: one that the caller chose. Throws `not_found` when somebody else has it. */
  async create(owner: Owner, given: { id?: string; title?: string }, signal: AbortSignal): Promise<Session> {
    return this.add(owner, { ...given, title: toLine(given.title ?? '') }, [], 'created', signal);
  }

  async get(owner: Owner, id: string, signal: AbortSignal): Promise<Session> {
    return (await this.store.find(owner, id, signal)) ?? unknown();
  }

  /** The session of this id, made when nobody has one. */
  async getOrCreate(owner: Owner, id: string, signal: AbortSignal): Promise<Session> {
    return (await this.store.find(owner, id, signal)) ?? this.create(owner, { id }, signal);
  }

  async read(owner: Owner, id: string, signal: AbortSignal): Promise<StoredSession> {
    return (await this.store.read(owner, id, signal)) ?? unknown();
  }

  /** The newest first. Throws `invalid_request` for a cursor that this method did not give. */
  async list(
    owner: Owner,
    { limit, cursor }: { limit: number; cursor?: string | undefined },
    signal: AbortSignal,
  ): Promise<SessionPage> {
    const sessions = await this.store.list(owner, fromCursor(cursor), limit + 1, signal);
    const page = sessions.slice(0, limit);
    const last = page.at(-1);
    return sessions.length > limit && last
      ? { sessions: page, nextCursor: toCursor(last) }
      : { sessions: page };
  }

  async rename(owner: Owner, id: string, title: string, signal: AbortSignal): Promise<Session> {
    const line = toLine(title);
    if (line === '') throw invalid('title', 'must not be blank');
    const change = { title: line, updatedAt: this.now() };
    return (await this.store.update(owner, id, change, signal)) ?? unknown();
  }

  /** A run that is under way in the session is cancelled first. */
  async delete(owner: Owner, id: string, signal: AbortSignal): Promise<void> {
    await this.get(owner, id, signal);
    const fault = new Fault('cancelled', 'The run was cancelled because its session was deleted.');
    await this.turns.clear(lineKey(owner, id), fault, signal);
    if (!(await this.store.delete(owner, id, signal))) unknown();
    this.options.onEvent?.('deleted');
  }

  /** A new session with the messages up to and including `messageId`; all of them when it is absent. */
  async fork(owner: Owner, id: string, messageId: string | undefined, signal: AbortSignal): Promise<Session> {
    const { session, entries } = await this.read(owner, id, signal);
    return this.add(owner, { title: session.title }, entriesUpTo(entries, messageId), 'forked', signal);
  }

  /** Forgets the messages; the id stays. A run that is under way is cancelled first. */
  async clear(owner: Owner, id: string, signal: AbortSignal): Promise<Session> {
    await this.get(owner, id, signal);
    const fault = new Fault('cancelled', 'The run was cancelled because its session was cleared.');
    await this.turns.clear(lineKey(owner, id), fault, signal);
    const at = this.now();
    const entries: SessionEntry[] = [{ type: 'clear', id: newEntryId(), at }];
    return (await this.store.update(owner, id, { updatedAt: at, entries }, signal)) ?? unknown();
  }

  /** Adds messages at the end, all of them or none. The first one of a user gives the session its title. */
  async append(owner: Owner, id: string, addition: Addition, signal: AbortSignal): Promise<Session> {
    const { title } = await this.get(owner, id, signal);
    const { compaction } = addition;
    const entries: SessionEntry[] = addition.messages.map(({ message, at = this.now(), isInterrupted }) => ({
      type: 'message',
      id: newEntryId(),
      at,
      message,
      ...(isInterrupted ? { isInterrupted } : {}),
    }));
    if (compaction) entries.unshift({ type: 'compaction', id: newEntryId(), at: this.now(), ...compaction });
    const updatedAt = this.now();
    const newTitle = title === '' ? titleFrom(addition) : '';
    const change = { updatedAt, entries, ...(newTitle === '' ? {} : { title: newTitle }) };
    return (await this.store.update(owner, id, change, signal)) ?? unknown();
  }

  /** A place as the session's writer, at once. `interrupt` is called when the run should end early. */
  claim(owner: Owner, id: string, interrupt: (fault: Fault) => void): Claim {
    try {
      return this.turns.claim(lineKey(owner, id), interrupt);
    } catch (error) {
      this.options.onEvent?.('conflict');
      throw error;
    }
  }

  isProcessing(owner: Owner, id: string): boolean {
    return this.turns.isBusy(lineKey(owner, id));
  }

  /** Gives up the connection or the files of the store. */
  close(): Promise<void> {
    return this.store.close();
  }

  private async add(
    owner: Owner,
    { id = newSessionId(), title }: { id?: string; title: string },
    entries: SessionEntry[],
    event: SessionEvent,
    signal: AbortSignal,
  ): Promise<Session> {
    const now = this.now();
    const session: Session = { id, title, createdAt: now, updatedAt: now };
    if (!(await this.store.create(owner, { session, entries }, signal))) {
      // the same id may have been taken by the same owner a moment ago
      return (await this.store.find(owner, id, signal)) ?? unknown();
    }
    this.options.onEvent?.(event);
    await this.evict(owner, id, signal);
    return session;
  }

  /** Deletes the oldest sessions beyond the limit, but none that is in use, nor the new one. */
  private async evict(owner: Owner, newId: string, signal: AbortSignal): Promise<void> {
    const { maxSessions } = this.options;
    if (maxSessions === undefined) return;
    const kept = await this.store.list(owner, undefined, maxSessions, signal);
    let last = kept.at(-1);
    while (last) {
      const beyond: Session[] = await this.store.list(owner, last, evictionPage, signal);
      for (const { id } of beyond) {
        if (id === newId || this.isProcessing(owner, id)) continue;
        if (await this.store.delete(owner, id, signal)) this.options.onEvent?.('evicted');
      }
      last = beyond.at(-1);
    }
  }

  /** Epoch milliseconds, never the same twice, so that the order of sessions is that of their changes. */
  private now(): number {
    this.lastMs = Math.max(Date.now(), this.lastMs + 1);
    return this.lastMs;
  }
}

export const newSessionId = () => `sess_${randomUUID().replaceAll('-', '')}`;
const newEntryId = () => `msg_${randomUUID().replaceAll('-', '')}`;
const lineKey = (owner: Owner, id: string) => JSON.stringify([ownerKey(owner), id]);

function unknown(): never {
  throw new Fault('not_found', 'There is no such session.');
}

function entriesUpTo(entries: SessionEntry[], messageId: string | undefined): SessionEntry[] {
  if (messageId === undefined) return entries;
  const isThere = messagesOf(entries).some(({ id }) => id === messageId);
  if (!isThere) throw new Fault('not_found', 'There is no such message in this session.');
  return entries.slice(0, entries.findIndex(({ id }) => id === messageId) + 1);
}

function titleFrom({ messages }: Addition): string {
  const first = messages.find(({ message }) => message.role === 'user')?.message;
  return first && isWellFormed(first) && first.role === 'user' ? titleOf(textOf(first.content)) : '';
}

function toCursor({ id, updatedAt }: ListPosition): string {
  return Buffer.from(JSON.stringify([updatedAt, id])).toString('base64url');
}

function fromCursor(cursor: string | undefined): ListPosition | undefined {
  if (cursor === undefined) return undefined;
  try {
    const [updatedAt, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Number.isSafeInteger(updatedAt) && typeof id === 'string') return { updatedAt, id };
  } catch {
    // said below
  }
  throw invalid('cursor', 'is not one that a list gave');
}

function invalid(path: string, message: string): Fault {
  return new Fault('invalid_request', `${path} ${message}.`, { problems: [{ path, message }] });
}
