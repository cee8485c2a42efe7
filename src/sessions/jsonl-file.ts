import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Owner } from './session-store.js';
import { ownerKey } from './session-store.js';

const newline = 0x0a;

export type JsonLines = {
  values: unknown[];
  bytes: number /** lines that are not JSON */;
  brokenLines: number;
};

/** Every whole line of a file; the rest after the last line break is one that was never written to its end. */
export async function readLines(path: string): Promise<JsonLines> {
  const bytes = await readFile(path);
  const values: unknown[] = [];
  let brokenLines = 0;
  for (const line of bytes.toString('utf8').split('\n')) {
    if (line.trim() === '') continue;
    try {
      values.push(JSON.parse(line));
    } catch {
      brokenLines += 1;
    }
  }
  return { values, bytes: bytes.length, brokenLines };
}

/**
 * Adds whole lines at the end, on the disk when it resolves. When that fails the file is as it was before.
 * Returns the new size.
 */
export async function appendLines(path: string, values: readonly unknown[]): Promise<number> {
  const handle = await open(path, 'a+', 0o600);
  try {
    const before = await repairEnd(handle, path);
    const bytes = toBytes(values);
    try {
      await handle.appendFile(bytes);
      await handle.datasync();
    } catch (error) {
      await handle.truncate(before).catch(() => {});
      throw error;
    }
    return before + bytes.length;
  } finally {
    await handle.close();
  }
}

/** Makes the file end with a whole line: a torn one is kept in a file beside it. Returns the size. */
async function repairEnd(handle: FileHandle, path: string): Promise<number> {
  const { size } = await handle.stat();
  if (size === 0) return 0;
  const last = await handle.read({ buffer: Buffer.alloc(1), position: size - 1 });
  if (last.buffer[0] === newline) return size;
  const bytes = await readFile(path);
  const torn = bytes.subarray(bytes.lastIndexOf(newline) + 1);
  if (isJson(torn)) {
    await handle.appendFile('\n');
    return bytes.length + 1;
  }
  await writeFile(tornPathOf(path), Buffer.concat([torn, Buffer.from('\n')]), { flag: 'a', mode: 0o600 });
  await handle.truncate(bytes.length - torn.length);
  return bytes.length - torn.length;
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

export const tornPathOf = (path: string) => path.replace(/\.jsonl$/, '.torn');

/** Writes a file as a whole: after a crash there is the old one or the new one. Returns its size. */
export async function replaceFile(path: string, values: readonly unknown[]): Promise<number> {
  const temporary = `${path}.tmp`;
  const bytes = toBytes(values);
  try {
    await writeFile(temporary, bytes, { flush: true, mode: 0o600 });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
  return bytes.length;
}

/** Makes sure that names which were added to a folder or taken from it stay so. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function toBytes(values: readonly unknown[]): Buffer {
  return Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
}

/** Names of any kind as a folder name: readable where that is safe, and no two the same, not even without case. */
export function folderOf(owner: Owner): string {
  const plain = `${owner.tenant}-${owner.subject}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `${plain.slice(0, 40)}-${hashOf(ownerKey(owner))}`;
}

/** Ids of our own are file names as they are; others, given by clients, may be anything. */
export function fileOf(id: string): string {
  return /^sess_[0-9a-f]{32}$/.test(id) ? `${id}.jsonl` : `named-${hashOf(id)}.jsonl`;
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);
