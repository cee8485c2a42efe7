import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Fault } from '../core/errors.js';
import type { EventSink } from './event-log.js';
import { isMoved, unusable } from './event-log-file.js';

const schema = `
CREATE TABLE IF NOT EXISTS events (
  id TEXT PRIMARY KEY NOT NULL,
  at TEXT NOT NULL,
  run_id TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT,
  duration_ms REAL,
  ok INTEGER,
  data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_run_id ON events (run_id);
`;
const columns = ['id', 'at', 'run_id', 'type', 'name', 'duration_ms', 'ok', 'data'];

/** Another process may be writing; nobody waits for this one yet. */
const startLockTimeoutMs = 2_000;
/** SQLITE_NOTADB */
const notDatabase = 26;

type Opened = { database: DatabaseSync; insert: StatementSync; stats: Stats };

/**
 * The audit trail as the table `events` of an SQLite file, which others may read meanwhile. A batch is one transaction.
 * SQLite works in this thread, so it never waits for a lock: a batch that meets one fails, and is tried again later.
 */
export function createSqliteSink(path: string): EventSink {
  let opened: Opened | undefined;

  async function reopen(lockTimeoutMs: number): Promise<Opened> {
    opened?.database.close();
    opened = undefined;
    // makes the file private, and tells more precisely than SQLite why it cannot
    await (await open(path, 'a', 0o600)).close();
    // loaded here because who has no such log needs no SQLite
    const sqlite = await import('node:sqlite');
    const database = new sqlite.DatabaseSync(path, { timeout: lockTimeoutMs });
    try {
      prepare(database, path);
      database.exec('PRAGMA busy_timeout = 0');
      const insert = database.prepare(
        `INSERT OR IGNORE INTO events (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      );
      opened = { database, insert, stats: await stat(path) };
      return opened;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  return {
    async open() {
      try {
        await reopen(startLockTimeoutMs);
      } catch (error) {
        if (error instanceof Fault) throw error;
        const { code, errcode, errstr } = error as { code?: string; errcode?: number; errstr?: string };
        const why =
          errcode === notDatabase ? 'is not an SQLite file' : `cannot be written (${errstr ?? code})`;
        throw unusable(path, why, error);
      }
    },
    async write(rows) {
      const isGone = opened === undefined || (await isMoved(path, opened.stats));
      const { database, insert } = isGone || !opened ? await reopen(0) : opened;
      database.exec('BEGIN IMMEDIATE');
      try {
        for (const { id, at, runId, type, name, durationMs, ok, data } of rows) {
          insert.run(id, at, runId, type, name, durationMs, ok === null ? null : Number(ok), data);
        }
        database.exec('COMMIT');
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    async close() {
      opened?.database.close();
      opened = undefined;
    },
  };
}

function prepare(database: DatabaseSync, path: string): void {
  const found = database.prepare('SELECT name FROM pragma_table_info(?)').all('events');
  if (found.length > 0) {
    const names = found.map((column) => column.name);
    if (names.join() !== columns.join()) {
      throw unusable(path, `has a table events with other columns: ${names.join(', ')}; name another file`);
    }
  }
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
  // begins a transaction even when there is nothing to create, to find out now whether it may write
  database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
}
