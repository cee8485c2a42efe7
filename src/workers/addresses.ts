import { lookup } from 'node:dns/promises';
import { delay, raceAbort } from '../core/abort.js';
import type { WorkerAddress, WorkerTarget } from './worker.js';

export type Resolve = (host: string) => Promise<string[]>;

const resolveAgainMs = 5_000;

/** All addresses of a host, as the system knows them. */
export const resolveHost: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Calls back with the addresses behind a name, at once and whenever they change, until the signal aborts. A name that
 * cannot be resolved for now keeps the addresses that it had; undefined: it never had any.
 */
export async function followName(
  target: WorkerTarget,
  resolve: Resolve,
  onAddresses: (addresses: WorkerAddress[] | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    const hosts = await raceAbort(resolve(target.host), signal).catch(() => []);
    const text = [...new Set(hosts)].sort().join(' ');
    if (signal.aborted) return;
    if (text !== '' && text !== last) {
      last = text;
      onAddresses(text.split(' ').map((host) => toAddress(host, target.port)));
    } else if (last === undefined) onAddresses(undefined);
    await delay(resolveAgainMs, signal).catch(() => {});
  }
}

function toAddress(host: string, port: number): WorkerAddress {
  return { endpoint: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, host, port };
}
