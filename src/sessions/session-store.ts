import type { Caller } from '../core/caller.js';
import type { Message } from '../core/message.js';

/** Whom a session belongs to. Nobody else may know that it exists. */
export type Owner = Pick<Caller, 'tenant' | 'subject'>;

/** A message of an application's own kind: kept as plain data, never shown to a model as it is. */
export type CustomMessage = { role: string; [field: string]: unknown };
export type StoredMessage = Message | CustomMessage;

export type MessageEntry = {
  type: 'message';
  id: string;
  /** epoch milliseconds */
  at: number;
  message: StoredMessage;
  /** the run ended before the message was complete */
  isInterrupted?: true;
};

/** What a session consists of, in order. Nothing is ever changed, only added. */
export type SessionEntry =
  | MessageEntry
  /** the summary, a user message as a model is told it, stands for every message up to and including `through` */
  | { type: 'compaction'; id: string; at: number; summary: string; through: string }
  /** what came before is forgotten */
  | { type: 'clear'; id: string; at: number };

export type Session = {
  id: string;
  /** empty until the first message gives it one */
  title: string;
  /** epoch milliseconds */
  createdAt: number;
  updatedAt: number;
};

export type StoredSession = { session: Session; entries: SessionEntry[] };

/** What changes with one write: all of it is stored, or nothing. */
export type SessionChange = { updatedAt: number; title?: string; entries?: readonly SessionEntry[] };

/** Where a page of a list ends. */
export type ListPosition = Pick<Session, 'id' | 'updatedAt'>;

export type StoreHealth = { status: 'healthy' | 'unhealthy'; error?: string };

/** Told of what an operator should know. Never holds a message, an address or a secret. */
export type StoreWarning = (fields: Record<string, unknown>, message: string) => void;

export const memoryBackends = ['memory', 'filesystem', 'redis'] as const;
export type MemoryBackend = (typeof memoryBackends)[number];

/**
 * Where sessions are kept. A promise that resolves means stored: for good where the store outlives the process. One that
 * rejects does so with the Fault `session_unavailable`, or with the signal's reason, and what was stored before is still
 * there. Somebody else's session is answered like one that does not exist. Entries come back as they were given, each
 * once, in order. The caller sees to it that a session has one writer at a time.
 */
export interface SessionStore {
  readonly backend: MemoryBackend;
  readonly health: StoreHealth;
  /** Makes ready what can be; the first call of any other method does so too. Rejects when it never will be. */
  open(signal: AbortSignal): Promise<void>;
  /** False, and nothing is stored, when anybody has a session of this id. */
  create(owner: Owner, stored: StoredSession, signal: AbortSignal): Promise<boolean>;
  find(owner: Owner, id: string, signal: AbortSignal): Promise<Session | undefined>;
  read(owner: Owner, id: string, signal: AbortSignal): Promise<StoredSession | undefined>;
  /** The session after the change; undefined when there is none any more. */
  update(owner: Owner, id: string, change: SessionChange, signal: AbortSignal): Promise<Session | undefined>;
  /** Whether there was one. */
  delete(owner: Owner, id: string, signal: AbortSignal): Promise<boolean>;
  /** The owner's sessions after the position, the newest first, those of one millisecond by their ids. */
  list(owner: Owner, after: ListPosition | undefined, limit: number, signal: AbortSignal): Promise<Session[]>;
  /** Rejects when a write would be refused now, so that nothing is spent on what cannot be stored. */
  checkWritable(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export function ownerKey(owner: Owner): string {
  return JSON.stringify([owner.tenant, owner.subject]);
}

/** The order of lists: the newest first. */
function byNewest(left: ListPosition, right: ListPosition): number {
  if (left.updatedAt !== right.updatedAt) return right.updatedAt - left.updatedAt;
  return left.id < right.id ? 1 : left.id > right.id ? -1 : 0;
}

/** One page of sessions that are not yet in order. */
export function pageOf(
  sessions: Iterable<Session>,
  after: ListPosition | undefined,
  limit: number,
): Session[] {
  const sorted = [...sessions].sort(byNewest);
  const rest = after === undefined ? sorted : sorted.filter((session) => byNewest(after, session) < 0);
  return rest.slice(0, limit);
}
