import { access, constants, mkdir, readdir, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { raceAbort } from '../core/abort.js';
import { Fault } from '../core/errors.js';
import { type FolderLock, isLock, lockFolder } from './folder-lock.js';
import {
  appendLines,
  fileOf,
  folderOf,
  readLines,
  replaceFile,
  syncFolder,
  tornPathOf,
} from './jsonl-file.js';
import { createKeyedQueue } from './keyed-queue.js';
import {
  type ListPosition,
  type Owner,
  ownerKey,
  pageOf,
  type Session,
  type SessionChange,
  type SessionEntry,
  type SessionStore,
  type StoredSession,
  type StoreHealth,
  type StoreWarning,
} from './session-store.js';
import { reasonOf, unavailable } from './store-fault.js';

/** A line that says how a session is; the last one of a file counts. In the index it also says where. */
type SessionLine = { type: 'session'; owner: Owner } & Session;
type IndexLine = SessionLine & { file: string; bytes: number };
type DeletedLine = { type: 'deleted'; file: string };

/** A known session: its place under `sessions/`, and the size that its file had when it was last looked at. */
type Held = { owner: Owner; session: Session; file: string; bytes: number };

/** Less free space than this counts as a full disk. */
const leastFreeBytes = 1024 * 1024;
/** Lines of the index that may be outdated before it is written anew. */
const spareIndexLines = 200;

/**
 * Sessions as files of JSON lines: `sessions/<owner>/<id>.jsonl`, and `sessions.jsonl` as an index of them. A session's
 * file is the truth: lines are only added, and each change is on the disk (fdatasync) before its promise resolves. The
 * index is only there to start fast: what differs from it in size is read again. One process at a time.
 */
export class JsonlSessionStore implements SessionStore {
  readonly backend = 'filesystem';
  health: StoreHealth = { status: 'healthy' };
  private readonly held = new Map<string, Held>();
  private readonly enqueue = createKeyedQueue();
  private opened: Promise<void> | undefined;
  private lock: FolderLock | undefined;
  private indexLines = 0;
  private isIndexBroken = false;

  constructor(
    private readonly folder: string,
    private readonly onWarning: StoreWarning = () => {},
  ) {}

  open(signal: AbortSignal): Promise<void> {
    this.opened ??= this.load().catch((error) => {
      this.opened = undefined;
      throw error;
    });
    return raceAbort(this.opened, signal);
  }

  async create(owner: Owner, { session, entries }: StoredSession, signal: AbortSignal): Promise<boolean> {
    return this.change(session.id, 'saved', signal, async () => {
      if (this.held.has(session.id)) return false;
      const ownerFolder = folderOf(owner);
      const file = join(ownerFolder, fileOf(session.id));
      if (await mkdir(this.path(ownerFolder), { recursive: true, mode: 0o700 }))
        await syncFolder(this.path('.'));
      const bytes = await replaceFile(this.path(file), [toLine(owner, session), ...entries]);
      await this.note({ owner, session: { ...session }, file, bytes });
      return true;
    });
  }

  async find(owner: Owner, id: string, signal: AbortSignal): Promise<Session | undefined> {
    await this.ready(signal);
    const held = this.heldBy(owner, id);
    return held && { ...held.session };
  }

  async read(owner: Owner, id: string, signal: AbortSignal): Promise<StoredSession | undefined> {
    return this.change(id, 'read', signal, async () => {
      const held = this.heldBy(owner, id);
      if (!held) return undefined;
      const found = await this.readFile(held.file).catch(ignoreMissing);
      if (found) return { session: { ...held.session }, entries: found.entries };
      // somebody took the file away, and with it the session
      this.held.delete(id);
      await this.addToIndex({ type: 'deleted', file: held.file });
      return undefined;
    });
  }

  async update(
    owner: Owner,
    id: string,
    { entries = [], ...fields }: SessionChange,
    signal: AbortSignal,
  ): Promise<Session | undefined> {
    return this.change(id, 'saved', signal, async () => {
      const held = this.heldBy(owner, id);
      if (!held) return undefined;
      const session = { ...held.session, ...fields };
      const bytes = await appendLines(this.path(held.file), [...entries, toLine(owner, session)]);
      await this.note({ ...held, session, bytes });
      return { ...session };
    });
  }

  async delete(owner: Owner, id: string, signal: AbortSignal): Promise<boolean> {
    return this.change(id, 'deleted', signal, async () => {
      const held = this.heldBy(owner, id);
      if (!held) return false;
      const path = this.path(held.file);
      await unlink(path).catch(ignoreMissing);
      await unlink(tornPathOf(path)).catch(ignoreMissing);
      this.held.delete(id);
      await syncFolder(this.path(folderOf(owner)));
      await this.addToIndex({ type: 'deleted', file: held.file });
      return true;
    });
  }

  async list(
    owner: Owner,
    after: ListPosition | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Session[]> {
    await this.ready(signal);
    const key = ownerKey(owner);
    const own = [...this.held.values()].filter((held) => ownerKey(held.owner) === key);
    return pageOf(
      own.map(({ session }) => ({ ...session })),
      after,
      limit,
    );
  }

  async checkWritable(signal: AbortSignal): Promise<void> {
    await this.ready(signal);
    await this.guard('saved', async () => {
      await access(this.path('.'), constants.W_OK);
      const { bavail, bsize } = await statfs(this.folder);
      if (bavail * bsize < leastFreeBytes) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
  }

  async close(): Promise<void> {
    const opened = this.opened;
    if (!opened) return;
    await opened.catch(() => {});
    await this.enqueue('index', () => this.writeIndex()).catch(() => {});
    await this.lock?.release();
    this.lock = undefined;
    this.opened = undefined;
    this.held.clear();
  }

  private path(file: string): string {
    return join(this.folder, 'sessions', file);
  }

  private get indexPath(): string {
    return join(this.folder, 'sessions.jsonl');
  }

  private heldBy(owner: Owner, id: string): Held | undefined {
    const held = this.held.get(id);
    return held && ownerKey(held.owner) === ownerKey(owner) ? held : undefined;
  }

  private async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.open(signal);
    signal.throwIfAborted();
  }

  /** One piece of work at a time for each session. */
  private async change<T>(
    id: string,
    verb: 'read' | 'saved' | 'deleted',
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    await this.ready(signal);
    return this.enqueue(`session ${id}`, () => this.guard(verb, work));
  }

  private async guard<T>(verb: 'read' | 'saved' | 'deleted', work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      if (verb !== 'read') this.health = { status: 'healthy' };
      return result;
    } catch (error) {
      const reason = reasonOf(error);
      this.health = { status: 'unhealthy', error: reason };
      throw unavailable(verb, reason, error);
    }
  }

  private async load(): Promise<void> {
    try {
      await mkdir(this.path('.'), { recursive: true, mode: 0o700 });
      const lock = await lockFolder(join(this.folder, 'lock'));
      if (!isLock(lock)) {
        throw new Fault(
          'session_unavailable',
          `The session folder ${this.folder} is in use by process ${lock.pid} on ${lock.host}; give each process a ` +
            'folder of its own, or share sessions through Redis.',
        );
      }
      this.lock = lock;
    } catch (error) {
      if (error instanceof Fault) throw error;
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      throw new Fault('session_unavailable', `The session folder ${this.folder} cannot be used (${code}).`, {
        cause: error,
      });
    }
    await this.guard('read', () => this.loadSessions()).catch(async (error) => {
      await this.lock?.release();
      throw error;
    });
  }

  private async loadSessions(): Promise<void> {
    const index = await this.readIndex();
    for (const file of await this.listFiles()) {
      const known = index.get(file);
      const { size } = await stat(this.path(file));
      const held = known?.bytes === size ? toHeld(known) : await this.loadFile(file, known);
      if (held) this.held.set(held.session.id, held);
    }
    const isSame =
      index.size === this.held.size && [...this.held.values()].every(({ file }) => index.has(file));
    if (!isSame) this.isIndexBroken = true;
  }

  private async listFiles(): Promise<string[]> {
    const names = await readdir(this.path('.'), { recursive: true });
    for (const name of names) if (name.endsWith('.tmp')) await unlink(this.path(name)).catch(ignoreMissing);
    return names.filter((name) => name.endsWith('.jsonl'));
  }

  private async readIndex(): Promise<Map<string, IndexLine>> {
    const index = new Map<string, IndexLine>();
    const { values, brokenLines } = await readLines(this.indexPath).catch((error) => {
      ignoreMissing(error);
      return { values: [], brokenLines: 0 };
    });
    for (const value of values) {
      if (isIndexLine(value)) index.set(value.file, value);
      else if (isDeletedLine(value)) index.delete(value.file);
    }
    this.indexLines = values.length + brokenLines;
    this.isIndexBroken = brokenLines > 0;
    return index;
  }

  /** A file that the index does not know as it is. */
  private async loadFile(file: string, known: IndexLine | undefined): Promise<Held | undefined> {
    const { line = known, bytes } = await this.readFile(file);
    if (!line) {
      this.onWarning({ file }, 'a session file says nowhere whose it is; it is left alone');
      return undefined;
    }
    this.isIndexBroken = true;
    return toHeld({ ...line, file, bytes });
  }

  private async readFile(file: string) {
    const { values, bytes, brokenLines } = await readLines(this.path(file));
    let line: SessionLine | undefined;
    const entries = new Map<string, SessionEntry>();
    let strangeLines = brokenLines;
    for (const value of values) {
      if (isSessionLine(value)) line = value;
      else if (!isEntry(value)) strangeLines += 1;
      // a line that was written twice counts once
      else if (!entries.has(value.id)) entries.set(value.id, value);
    }
    if (strangeLines > 0) this.onWarning({ file, lines: strangeLines }, 'a session file has broken lines');
    return { line, entries: [...entries.values()], bytes };
  }

  private async note(held: Held): Promise<void> {
    this.held.set(held.session.id, held);
    await this.addToIndex(toIndexLine(held));
  }

  /** The index is no truth of its own: when it cannot be written, the change is stored all the same. */
  private async addToIndex(line: IndexLine | DeletedLine): Promise<void> {
    await this.enqueue('index', async () => {
      const isOutdated = this.indexLines > this.held.size * 2 + spareIndexLines;
      if (this.isIndexBroken || isOutdated) return this.writeIndex();
      await appendLines(this.indexPath, [line]);
      this.indexLines += 1;
    }).catch((error) => {
      this.isIndexBroken = true;
      this.onWarning({ reason: reasonOf(error) }, 'the index of sessions could not be written');
    });
  }

  private async writeIndex(): Promise<void> {
    const lines = [...this.held.values()].map(toIndexLine);
    await replaceFile(this.indexPath, lines);
    this.indexLines = lines.length;
    this.isIndexBroken = false;
  }
}

function toLine(owner: Owner, session: Session): SessionLine {
  return { type: 'session', owner: { tenant: owner.tenant, subject: owner.subject }, ...session };
}

function toIndexLine({ owner, session, file, bytes }: Held): IndexLine {
  return { ...toLine(owner, session), file, bytes };
}

function toHeld({ owner, id, title, createdAt, updatedAt, file, bytes }: IndexLine): Held {
  return { owner, session: { id, title, createdAt, updatedAt }, file, bytes };
}

function isSessionLine(value: unknown): value is SessionLine {
  const line = value as Partial<SessionLine> | null;
  return (
    line?.type === 'session' &&
    typeof line.id === 'string' &&
    typeof line.title === 'string' &&
    typeof line.createdAt === 'number' &&
    typeof line.updatedAt === 'number' &&
    typeof line.owner?.tenant === 'string' &&
    typeof line.owner.subject === 'string'
  );
}

function isIndexLine(value: unknown): value is IndexLine {
  return isSessionLine(value) && typeof (value as Partial<IndexLine>).file === 'string';
}

function isDeletedLine(value: unknown): value is DeletedLine {
  const line = value as Partial<DeletedLine> | null;
  return line?.type === 'deleted' && typeof line.file === 'string';
}

function isEntry(value: unknown): value is SessionEntry {
  const entry = value as Record<string, unknown> | null;
  if (typeof entry?.id !== 'string' || typeof entry.at !== 'number') return false;
  if (entry.type === 'message') {
    const message = entry.message as { role?: unknown } | null | undefined;
    return typeof message?.role === 'string';
  }
  if (entry.type === 'compaction')
    return typeof entry.summary === 'string' && typeof entry.through === 'string';
  return entry.type === 'clear';
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
