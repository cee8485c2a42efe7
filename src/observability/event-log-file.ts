import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Fault } from '../core/errors.js';

/** Why EVENT_LOG cannot be used, for the operator who set it. */
export function unusable(path: string, why: string, cause?: unknown): Fault {
  return new Fault('internal_error', `EVENT_LOG ${path} ${why}.`, cause === undefined ? {} : { cause });
}

/** What is at the path; undefined when there is nothing. */
export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the path leads to another file than it did, or to none: the log was rotated. */
export async function isMoved(path: string, opened: Stats): Promise<boolean> {
  const now = await statOf(path);
  return now === undefined || now.ino !== opened.ino || now.dev !== opened.dev;
}
