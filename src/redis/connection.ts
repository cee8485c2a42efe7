import type { Redis } from 'ioredis';
import { raceAbort } from '../core/abort.js';

const connectTimeoutMs = 2_000;
const maxReconnectDelayMs = 2_000;
/** A connection on which nothing comes back for so long is given up: its other end may be gone without a word. */
const silenceMs = 5_000;

type RedisOptions = {
  /** the longest wait for an answer, for a connection included */
  commandTimeoutMs: number;
  /** Told of trouble once, until all is well again. `reason` gives nothing away. */
  onTrouble?: (reason: string) => void;
};

/** Why Redis did not do what it was asked for, in words that give nothing away. */
export class RedisFailure extends Error {
  constructor(
    readonly reason: string,
    cause: unknown,
  ) {
    super(reason, { cause });
    this.name = 'RedisFailure';
  }
}

/**
 * One connection to a Redis server, made when it is needed first and made again whenever it is lost. Nothing waits
 * longer for it than for one command.
 */
export interface RedisConnection {
  /** what is wrong; undefined: nothing, as far as is known */
  readonly failure: string | undefined;
  /** Tries to connect. A server that is down may come up later, so that is not the end. */
  open(signal: AbortSignal): Promise<void>;
  /** Asks. Throws a RedisFailure, or the signal's reason when that aborts first. */
  call<T>(work: (redis: Redis) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The client itself, not yet connected maybe, for libraries that take one. */
  client(): Promise<Redis>;
  close(): Promise<void>;
}

/** Connects to nothing yet. The client is loaded by those only who use it. */
export function createRedis(url: string, options: RedisOptions): RedisConnection {
  let redis: Redis | undefined;
  let loading: Promise<Redis> | undefined;
  let failure: string | undefined;

  async function load(): Promise<Redis> {
    const { Redis: Client } = await import('ioredis');
    redis = new Client(url, {
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      commandTimeout: options.commandTimeoutMs,
      socketTimeout: silenceMs,
      // a request waits for one try to reconnect, not for all of them
      maxRetriesPerRequest: 1,
      // after a failover the name leads to another server, to which this connection does not
      reconnectOnError(error) {
        const isReadOnly = error.message.startsWith('READONLY');
        if (isReadOnly) note(error);
        return isReadOnly;
      },
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), maxReconnectDelayMs),
    });
    redis.on('error', note);
    redis.on('ready', () => {
      failure = undefined;
    });
    return redis;
  }

  function note(error: unknown): void {
    const reason = describe(error);
    if (failure !== reason) options.onTrouble?.(reason);
    failure = reason;
  }

  function client(): Promise<Redis> {
    loading ??= load();
    return loading;
  }

  return {
    get failure() {
      if (failure !== undefined) return failure;
      const { status = 'wait' } = redis ?? {};
      return status === 'ready' || status === 'wait' ? undefined : 'not connected';
    },
    client,
    async open(signal) {
      const made = await raceAbort(client(), signal);
      if (made.status === 'wait') await raceAbort(made.connect().catch(note), signal);
    },
    async call(work, signal) {
      signal.throwIfAborted();
      try {
        return await raceAbort(client().then(work), signal);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw new RedisFailure(describe(error), error);
      }
    },
    async close() {
      (await loading)?.disconnect();
    },
  };
}

/** Never the text of the error itself: it may hold the address. */
function describe(error: unknown): string {
  const { code, message = '' } = error as { code?: string; message?: string };
  if (/timed out/i.test(message) || code === 'ETIMEDOUT') return 'does not answer';
  if (/^(OOM|MISCONF|READONLY)/.test(message)) return 'takes no writes now';
  if (/^(NOAUTH|WRONGPASS|NOPERM)/.test(message)) return 'refuses the credentials of REDIS_URL';
  return 'cannot be reached';
}
