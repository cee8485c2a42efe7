import { randomUUID } from 'node:crypto';
import { link, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** One process at a time may write to a folder. */
export interface FolderLock {
  release(): Promise<void>;
}

type Holder = { pid: number; host: string };

const refreshMs = 5_000;
/** A holder on another machine that did not refresh its lock for so long is gone. */
const staleMs = 30_000;
const maxTries = 5;

/** Folders that this process holds: after a restart in a container the new process may have the number of the old one. */
const held = new Set<string>();

/** Takes the lock file; returns who holds it instead when somebody does. */
export async function lockFolder(path: string): Promise<FolderLock | Holder> {
  const own: Holder = { pid: process.pid, host: hostname() };
  if (held.has(path)) return own;
  for (let tries = 0; tries < maxTries; tries += 1) {
    try {
      await writeFile(path, JSON.stringify(own), { flag: 'wx', mode: 0o600 });
      return hold(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const found = await look(path, own);
    if (!found) continue;
    if (!found.isStale) return found.holder;
    await takeAway(path, found.text);
  }
  return { pid: 0, host: 'unknown' };
}

export const isLock = (result: FolderLock | Holder): result is FolderLock => 'release' in result;

function hold(path: string): FolderLock {
  held.add(path);
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, refreshMs);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      held.delete(path);
      await unlink(path).catch(() => {});
    },
  };
}

type Found = { isStale: true; text: string } | { isStale: false; holder: Holder };

/** Undefined: there is no lock any more. */
async function look(path: string, own: Holder): Promise<Found | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    // its age comes second: one that was replaced meanwhile is fresh
    const { mtimeMs } = await stat(path);
    const isFresh = Date.now() - mtimeMs < staleMs;
    // it is being written just now, or was torn
    const holder = parse(text) ?? { pid: 0, host: 'unknown' };
    const isLiving = holder.host === own.host ? holder.pid !== own.pid && isAlive(holder.pid) : isFresh;
    return isLiving ? { isStale: false, holder } : { isStale: true, text };
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

/** Removes a stale lock. One that somebody faster has put in its place meanwhile goes back there. */
async function takeAway(path: string, staleText: string): Promise<void> {
  const taken = `${path}.${randomUUID()}`;
  try {
    await rename(path, taken);
  } catch (error) {
    ignoreMissing(error);
    return;
  }
  if ((await readFile(taken, 'utf8')) !== staleText) await link(taken, path).catch(() => {});
  await unlink(taken);
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value?.pid === 'number' && typeof value?.host === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
