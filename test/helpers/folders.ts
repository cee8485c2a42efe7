import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder of its own, gone when the test ends. */
export function useFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'paf-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Only root may make a small disk. */
export const canMount = process.platform === 'linux' && process.getuid?.() === 0 && mountTest();

function mountTest(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'paf-mount-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0;
  if (isMounted) spawnSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return isMounted;
}

/** A real disk of so many bytes. */
export function useDisk(bytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'paf-disk-'));
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]);
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Leaves no byte free. */
export function fillDisk(folder: string): void {
  const path = join(folder, 'ballast');
  for (const size of [65_536, 4_096, 512, 1]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}
