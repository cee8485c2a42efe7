import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, type buildConnector, fetch, type Response } from 'undici';
import { isReachable } from './address.js';
import { readUrl, type UrlRules } from './read-url.js';
import { Refusal } from './refusal.js';
import { createResolve, type Resolve } from './resolve.js';

export type OutgoingRules = UrlRules & {
  /** addresses inside private networks count as reachable too */
  allowPrivate: boolean;
};

/** An address that was checked, with the IP addresses that its host had then. */
export type Target = { url: URL; addresses: LookupAddress[] };

/**
 * Lets requests out whose address came from outside, to public hosts only.
 *
 * `check` resolves the host and refuses unless every address of it is public. `get` connects to the very addresses
 * that were checked, directly and never through a proxy, which would look the name up again. It sends no cookie and no
 * credentials, checks each redirect like a first address, hands the last response to `read` and cuts the connection
 * when that settles. Both throw a Refusal, the signal's reason once that aborts, or what `read` throws.
 */
export interface OutgoingGuard {
  check(url: string, signal: AbortSignal): Promise<Target>;
  get<T>(target: Target, read: (response: Response) => Promise<T>, signal: AbortSignal): Promise<T>;
}

const mostRedirects = 5;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const connectTimeoutMs = 10_000;
const lookupTimeoutMs = 5_000;
const headers = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'paf-core-agent' };

export function createOutgoingGuard(rules: OutgoingRules, resolve: Resolve = createResolve()): OutgoingGuard {
  /** One text for a host that is unknown and one that is inside: nobody learns which names a network has. */
  const unreachable = rules.allowPrivate
    ? 'names a host that has no address which may be reached'
    : 'names a host that has no public address';

  async function check(text: string, signal: AbortSignal): Promise<Target> {
    signal.throwIfAborted();
    const url = readUrl(text, rules);
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const found = isIP(host) === 0 ? await lookUp(host, signal) : [host];
    if (found.length === 0 || !found.every((address) => isReachable(address, rules.allowPrivate))) {
      throw new Refusal(unreachable);
    }
    return { url, addresses: found.map((address) => ({ address, family: isIP(address) })) };
  }

  async function lookUp(host: string, signal: AbortSignal): Promise<string[]> {
    const timeout = AbortSignal.timeout(lookupTimeoutMs);
    try {
      return await resolve(host, AbortSignal.any([signal, timeout]));
    } catch (error) {
      signal.throwIfAborted();
      throw new Refusal(timeout.aborted ? 'names a host that could not be looked up in time' : unreachable, {
        cause: error,
      });
    }
  }

  async function checkRedirect(response: Response, from: Target, signal: AbortSignal): Promise<Target> {
    const location = response.headers.get('location');
    const next = location === null ? null : URL.parse(location, from.url.href);
    if (next === null) throw new Refusal(`was answered with status ${response.status} and no address`);
    if (from.url.protocol === 'https:' && next.protocol === 'http:') {
      throw new Refusal('leads to a redirect from https to http');
    }
    try {
      return await check(next.href, signal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new Refusal('leads to a redirect that is not allowed', { cause: error });
    }
  }

  async function get<T>(
    first: Target,
    read: (response: Response) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    let target = first;
    for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
      const agent = new Agent({ allowH2: false, connect: connectTo(target.addresses) });
      try {
        const response = await send(target, agent, signal);
        if (!redirectStatuses.has(response.status)) return await read(response);
        target = await checkRedirect(response, target, signal);
      } finally {
        await agent.destroy();
      }
    }
    throw new Refusal(`leads to more than ${mostRedirects} redirects`);
  }

  return { check, get };
}

async function send({ url }: Target, dispatcher: Agent, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { dispatcher, signal, headers, redirect: 'manual' });
  } catch (error) {
    signal.throwIfAborted();
    throw toRefusal(error);
  }
}

/** Connects to nothing but these addresses, whatever the name means by now. */
function connectTo(addresses: LookupAddress[]): buildConnector.BuildOptions {
  return {
    timeout: connectTimeoutMs,
    lookup: (_host, options, callback) => {
      const [first] = addresses;
      if (options.all) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family ?? 0);
    },
  };
}

/** A request that failed on its way, in words that hold nothing of what the other side sent. */
export function toRefusal(error: unknown): Refusal {
  // the ports of mail, shells and the like, which the standard of fetch blocks
  if (error instanceof TypeError && error.cause instanceof Error && error.cause.message === 'bad port') {
    return new Refusal('could not be fetched: its port belongs to another protocol', { cause: error });
  }
  const codes = codesOf(error).join(' ');
  if (/CERT|SIGNATURE|SSL|TLS|EPROTO/.test(codes)) {
    return new Refusal('could not be fetched: there is no trusted TLS connection to its host', {
      cause: error,
    });
  }
  return new Refusal('could not be fetched: the connection failed', { cause: error, isRetryable: true });
}

function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const { code } = error as NodeJS.ErrnoException;
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  return [...(typeof code === 'string' ? [code] : []), ...inner.flatMap(codesOf)];
}
