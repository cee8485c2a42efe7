import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

export type StoredEvent = {
  id: string;
  at: string;
  run_id: string;
  type: string;
  name: string | null;
  duration_ms: number | null;
  ok: boolean | null;
  data: Record<string, unknown>;
};

/** Every event of an audit trail, in the order in which they were written. */
export function eventsIn(path: string): StoredEvent[] {
  if (!existsSync(path)) return [];
  return path.endsWith('.db') ? rowsIn(path) : linesIn(path);
}

function linesIn(path: string): StoredEvent[] {
  const text = readFileSync(path, 'utf8');
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is torn');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StoredEvent);
}

function rowsIn(path: string): StoredEvent[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare('SELECT * FROM events ORDER BY rowid').all();
  database.close();
  return rows.map((row) => ({
    ...(row as unknown as StoredEvent),
    ok: row.ok === null ? null : row.ok === 1,
    data: JSON.parse(row.data as string) as Record<string, unknown>,
  }));
}

/** An event in few words. */
export const outlineOf = ({ type, name, ok }: StoredEvent) =>
  [type, name, ok].filter((word) => word !== null).join(' ');
