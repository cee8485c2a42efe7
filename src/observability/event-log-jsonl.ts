import type { Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { EventRow, EventSink } from './event-log.js';
import { isMoved, statOf, unusable } from './event-log-file.js';

const newline = 0x0a;
const firstBytes = Buffer.from('{"id":"');
const chunkBytes = 64 * 1024;

/**
 * The audit trail as JSON lines, which one process writes at a time. Lines are only added. A line that a crash cut short
 * is taken off when the file is opened, so that every line is whole; `onCut` is told how many bytes that were. A file
 * that was moved away is left to who moved it, and a new one is begun.
 */
export function createJsonlSink(path: string, onCut: (bytes: number) => void): EventSink {
  let file: { handle: FileHandle; stats: Stats } | undefined;

  async function reopen(): Promise<FileHandle> {
    const found = await statOf(path);
    // opening a pipe would wait for its reader
    if (found && !found.isFile() && !found.isCharacterDevice()) throw unusable(path, 'is not a file');
    const handle = await open(path, found && !found.isFile() ? 'a' : 'a+', 0o600);
    try {
      const stats = await handle.stat();
      if (stats.isFile() && stats.size > 0) await repairEnd(handle, path, stats.size, onCut);
      await file?.handle.close().catch(() => {});
      file = { handle, stats };
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async function current(): Promise<FileHandle> {
    if (file && !(file.stats.isFile() && (await isMoved(path, file.stats)))) return file.handle;
    return reopen();
  }

  return {
    async open() {
      try {
        await reopen();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw code === undefined ? error : unusable(path, `cannot be written (${code})`, error);
      }
    },
    async write(rows) {
      const handle = await current();
      const { size } = await handle.stat();
      try {
        await handle.appendFile(rows.map(toLine).join(''));
      } catch (error) {
        // what was written of the lines would be there twice, or torn
        await handle.truncate(size).catch(() => {});
        throw error;
      }
    },
    async close() {
      await file?.handle.close();
      file = undefined;
    },
  };
}

function toLine({ id, at, runId, type, name, durationMs, ok, data }: EventRow): string {
  const columns = JSON.stringify({ id, at, run_id: runId, type, name, duration_ms: durationMs, ok });
  return `${columns.slice(0, -1)},"data":${data}}\n`;
}

async function repairEnd(
  handle: FileHandle,
  path: string,
  size: number,
  onCut: (bytes: number) => void,
): Promise<void> {
  const first = await readAt(handle, 0, Math.min(size, firstBytes.length));
  if (!first.equals(firstBytes.subarray(0, first.length))) {
    throw unusable(path, 'holds something else than events; name another file');
  }
  const end = await endOfLines(handle, size);
  if (end === size) return;
  const rest = await readAt(handle, end, size - end);
  if (isJson(rest)) return handle.appendFile('\n');
  await handle.truncate(end);
  onCut(size - end);
}

/** The place after the last line break. */
async function endOfLines(handle: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; end -= chunkBytes) {
    const start = Math.max(0, end - chunkBytes);
    const place = (await readAt(handle, start, end - start)).lastIndexOf(newline);
    if (place >= 0) return start + place + 1;
  }
  return 0;
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(length), position });
  return buffer.subarray(0, bytesRead);
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
