import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool, fetch as undiciFetch } from 'undici';

type Fetch = typeof globalThis.fetch;

/** Addresses of proxies; `noProxy` lists the hosts that are asked directly. */
export type ProxyOptions = {
  httpsProxy: string | undefined;
  httpProxy: string | undefined;
  noProxy: string | undefined;
};

export type ConnectOptions = {
  connectTimeoutMs?: number;
  /** false: a server may show whatever certificate */
  isTlsVerified?: boolean;
};

const usualConnectTimeoutMs = 10_000;
const mostRedirects = 5;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * For addresses that the operator set, which may be private. The caller owns every timeout, so this has none but the one
 * for connecting.
 *
 * A redirect is followed within its origin only, and not when it would turn a request into another one. Any other is
 * handed over as the answer that it is: undici would take keys, whatever their header, and messages along to any host.
 */
export function createFetch(proxies?: ProxyOptions, options: ConnectOptions = {}): Fetch {
  const dispatcher = createDispatcher(proxies, options);
  const request = undiciFetch as unknown as (url: unknown, init: unknown) => Promise<Response>;
  return async (url, init) => {
    const direct = { ...init, dispatcher, redirect: 'manual' };
    let response = await request(url, direct);
    if (!redirectStatuses.has(response.status)) return response;
    let from = addressOf(url);
    for (let redirects = 0; redirects < mostRedirects; redirects += 1) {
      const next = targetWithin(from, response, init);
      if (next === undefined) break;
      await response.body?.cancel();
      from = next;
      response = await request(next, direct);
    }
    return response;
  };
}

/** Where the same request may go on to; undefined when the response leads nowhere, or elsewhere. */
function targetWithin(from: URL, response: Response, init: RequestInit = {}): URL | undefined {
  const location = response.headers.get('location');
  if (location === null || !redirectStatuses.has(response.status)) return undefined;
  const { method = 'GET', body } = init;
  const isSameRequest = /^(get|head)$/i.test(method) || [307, 308].includes(response.status);
  // a stream was read by the first request
  const canRepeat = body === undefined || body === null || typeof body === 'string';
  const next = URL.parse(location, from.href);
  const isWithin = next?.origin === from.origin && next.username === '' && next.password === '';
  return isSameRequest && canRepeat && isWithin ? next : undefined;
}

const addressOf = (url: Parameters<Fetch>[0]) => new URL(url instanceof Request ? url.url : url);

/** A request to another host than the one that was configured. */
export class OtherOrigin extends Error {
  readonly code = 'ERR_OTHER_ORIGIN';
}

/** Lets no request out but those to the origin of this address: its scheme, host and port. */
export function pinTo(address: string, fetch: Fetch): Fetch {
  const origin = URL.parse(address)?.origin;
  return async (url, init) => {
    if (addressOf(url).origin !== origin) throw new OtherOrigin();
    return fetch(url, init);
  };
}

function createDispatcher(
  { httpsProxy, httpProxy, noProxy }: Partial<ProxyOptions> = {},
  { connectTimeoutMs = usualConnectTimeoutMs, isTlsVerified = true }: ConnectOptions = {},
): Dispatcher {
  const timeouts = { headersTimeout: 0, bodyTimeout: 0 };
  const requestTls = { rejectUnauthorized: isTlsVerified };
  const connect = { timeout: connectTimeoutMs, ...requestTls };
  const options = { ...timeouts, connect, requestTls, allowH2: false };
  if (httpsProxy === undefined && httpProxy === undefined) return new Agent(options);
  return new EnvHttpProxyAgent({
    ...options,
    connectTimeout: connectTimeoutMs,
    // plain requests to a proxy would get undici's own timeouts
    factory: (origin, given: Pool.Options) => new Pool(origin, { ...given, ...timeouts }),
    // an empty text, unlike none, keeps undici from reading the environment
    httpsProxy: httpsProxy ?? '',
    httpProxy: httpProxy ?? '',
    noProxy: noProxy ?? '',
  });
}
