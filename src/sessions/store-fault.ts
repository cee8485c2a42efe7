import { Fault } from '../core/errors.js';

const retryAfterMs = 1000;

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than allowed',
  EROFS: 'the disk is read-only',
  EACCES: 'the folder may not be written',
  EPERM: 'the folder may not be written',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  EIO: 'the disk reports errors',
};

/** Why a store failed, in words that give nothing away. */
export function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return (typeof code === 'string' && reasons[code]) || 'the storage does not work';
}

export function unavailable(verb: 'read' | 'saved' | 'deleted', reason: string, cause?: unknown): Fault {
  return new Fault('session_unavailable', `The session could not be ${verb}: ${reason}.`, {
    cause,
    retryAfterMs,
  });
}
