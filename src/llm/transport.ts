import { Agent, type Dispatcher, EnvHttpProxyAgent, Pool, fetch as undiciFetch } from 'undici';

const usualConnectTimeoutMs = 10_000;
const maxErrorBytes = 64 * 1024;
/** the longest delay that a timer takes: no timeout */
export const noTimeoutMs = 2 ** 31 - 1;

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

/** The caller owns every timeout, so the transport has none but the one for connecting. */
export function createFetch(proxies?: ProxyOptions, options: ConnectOptions = {}): typeof globalThis.fetch {
  const dispatcher = createDispatcher(proxies, options);
  const request = undiciFetch as unknown as (url: unknown, init: unknown) => Promise<Response>;
  return (url, init) => request(url, { ...init, dispatcher });
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

/** The SDK reads the whole body of an error, so it is given one with an end. */
export async function boundErrorBody(response: Response): Promise<Response> {
  if (response.status < 400) return response;
  const text = await readText(response, maxErrorBytes).catch(() => '');
  return new Response(text, { status: response.status, headers: response.headers });
}

/** The body's text up to a limit; the rest is not fetched. */
export async function readText(response: Response, maxBytes: number): Promise<string> {
  if (!response.body) return '';
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size > maxBytes) {
      reader.cancel().catch(ignore);
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

export function contentType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

export function ignore(): void {}
