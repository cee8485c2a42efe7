import { memoryBackends } from '../sessions/session-store.js';
import { sessionConflicts } from '../sessions/turns.js';
import { oneOf, path, redisUrl, wholeNumber } from './kinds.js';

/** Settings of conversations that the service keeps. */
export const sessionSettings = {
  memoryBackend: {
    env: 'MEMORY_BACKEND',
    kind: oneOf(memoryBackends),
    default: 'memory',
    group: 'sessions',
    about: 'Where sessions are kept: memory (lost when the process ends), filesystem, or redis.',
  },
  sessionFolder: {
    env: 'MEMORY_FILESYSTEM_PATH',
    kind: path,
    default: '~/.paf-core-agent',
    group: 'sessions',
    about: 'The folder of MEMORY_BACKEND=filesystem, for one process at a time; ~ is the home directory.',
  },
  maxSessions: {
    env: 'MAX_SESSIONS',
    kind: wholeNumber(1, 1_000_000),
    group: 'sessions',
    about:
      'Sessions of one owner; the oldest one that is not in use goes for a new one. Unless set, 10, and any number with ' +
      'AUTH_MODE=none.',
  },
  sessionConflict: {
    env: 'SESSION_CONFLICT',
    kind: oneOf(sessionConflicts),
    default: 'reject',
    group: 'sessions',
    about:
      'A second request on a session that is answering: reject (409), enqueue (it waits), or interrupt (the first one is ' +
      'cancelled).',
  },
  redisUrl: {
    env: 'REDIS_URL',
    kind: redisUrl,
    group: 'sessions',
    about:
      'The Redis server of MEMORY_BACKEND=redis, in which limits, quotas and the nonces of signed requests are counted for ' +
      'all replicas too: redis://[user:password@]host[:port][/db], rediss:// for TLS. REDIS_URL_FILE names a file that ' +
      'holds it instead.',
  },
} as const;
