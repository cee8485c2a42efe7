import { lookup } from 'node:dns/promises';
import { raceAbort } from '../core/abort.js';

/** All addresses of a host name. Rejects when there is none. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<string[]>;

/** Each lookup holds one of the process's four worker threads until the system gives it up. */
const mostLookups = 2;

/** Few lookups at once, in turn. By default the system is asked: its hosts file and search domains count too. */
export function createResolve(lookUp: (host: string) => Promise<string[]> = askSystem): Resolve {
  const waiting: (() => void)[] = [];
  let running = 0;

  async function resolve(host: string, signal: AbortSignal): Promise<string[]> {
    if (running >= mostLookups) await new Promise<void>((go) => waiting.push(go));
    else running += 1;
    try {
      // who has left while waiting costs no lookup
      signal.throwIfAborted();
      return await lookUp(host);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  }

  return (host, signal) => {
    const found = resolve(host, signal);
    // a lookup cannot be stopped: its end has nobody to tell once the caller has gone
    found.catch(() => {});
    return raceAbort(found, signal);
  };
}

async function askSystem(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}
