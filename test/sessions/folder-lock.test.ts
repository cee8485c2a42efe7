import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { isLock, lockFolder } from '../../src/sessions/folder-lock.ts';
import { useFolder } from '../helpers/folders.ts';

/** What happens right after the age of the lock file was looked at. */
let afterLook = () => {};

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const stat = async (path: string) => {
    const stats = await original.stat(path);
    afterLook();
    return stats;
  };
  return { ...original, stat };
});

afterEach(() => {
  afterLook = () => {};
});

const gone = JSON.stringify({ pid: 1, host: 'gone' });
const faster = { pid: 1, host: 'faster' };

function useStaleLock(): { folder: string; path: string } {
  const folder = useFolder();
  const path = join(folder, 'lock');
  writeFileSync(path, gone);
  utimesSync(path, 1, 1);
  return { folder, path };
}

test('a lock that nobody refreshes is taken over, and nothing is left of it', async () => {
  const { folder, path } = useStaleLock();
  const lock = await lockFolder(path);
  expect(readdirSync(folder)).toEqual(['lock']);
  if (!isLock(lock)) throw new Error(`held by ${lock.host}`);
  await lock.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('of two that find it stale the faster one keeps it', async () => {
  const { folder, path } = useStaleLock();
  afterLook = () => {
    afterLook = () => {};
    writeFileSync(path, JSON.stringify(faster));
  };
  expect(await lockFolder(path)).toEqual(faster);
  expect(readdirSync(folder)).toEqual(['lock']);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(faster);
});
