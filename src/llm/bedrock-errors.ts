import { Fault } from '../core/errors.js';
import type { StreamFailure } from './answer-stream.js';
import type { StreamException } from './bedrock-events.js';
import {
  brokenOff,
  garbled,
  isObject,
  isTimeout,
  statusFault,
  timedOut,
  toConnectionFault,
  unsendable,
} from './provider-errors.js';

/** What the SDK throws, in the parts that are read. */
type SdkError = {
  name?: unknown;
  code?: unknown;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
};

/**
 * The status that says best what an exception means, by its name in lower case and without its last word: the stream
 * spells the names in another way, and AWS gives several meanings one status.
 */
const statusByName: Record<string, number> = {
  throttling: 429,
  toomanyrequests: 429,
  servicequotaexceeded: 429,
  accessdenied: 403,
  unrecognizedclient: 403,
  invalidclienttokenid: 403,
  expiredtoken: 403,
  invalidsignature: 403,
  incompletesignature: 403,
  missingauthenticationtoken: 403,
  unauthorized: 401,
  validation: 400,
  resourcenotfound: 404,
  modeltimeout: 408,
  modelerror: 500,
  modelstreamerror: 500,
  internalserver: 500,
  modelnotready: 503,
  serviceunavailable: 503,
};

/** Anything that was thrown while an answer was read, as a Fault. */
export function toError(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  return isTimeout(error) ? timedOut(provider, error) : brokenOff(provider, error);
}

/** What the SDK threw instead of an answer: no credentials, no connection, or an answer with an error status. */
export function toOpeningFault(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  const { name, $response } = (isObject(error) ? error : {}) as SdkError;
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') return anonymous(provider, error);
  const upstreamStatus = statusOf(error);
  const status = statusNamed(name) ?? upstreamStatus;
  if (status === undefined) return toUnansweredFault(provider, error);
  const headers = { get: (header: string) => $response?.headers?.[header] ?? null };
  return statusFault(provider, { status: refined(status, error), upstreamStatus, headers, cause: error });
}

/** A failure inside an answer with status 200. */
export function streamFault(failure: StreamFailure, provider: string): Fault {
  if (failure.kind === 'garbage') return garbled(provider, failure.cause);
  const { name, cause } = failure.error as StreamException;
  const status = refined(statusNamed(name) ?? 500, cause);
  return statusFault(provider, { status, cause, upstreamStatus: undefined });
}

export function statusOf(error: unknown): number | undefined {
  return isObject(error) ? (error as SdkError).$metadata?.httpStatusCode : undefined;
}

function statusNamed(name: unknown): number | undefined {
  if (typeof name !== 'string') return undefined;
  const key = name.toLowerCase().replace(/(exception|error)$/, '');
  return Object.hasOwn(statusByName, key) ? statusByName[key] : undefined;
}

/** A ValidationException is many things, which only its text tells apart. */
function refined(status: number, cause: unknown): number {
  const text = status === 400 && cause instanceof Error ? cause.message : '';
  if (/too many (input )?tokens/i.test(text)) return 413;
  return /model (identifier|id)\b|on-demand throughput|end of its life/i.test(text) ? 404 : status;
}

function anonymous(provider: string, cause: unknown): Fault {
  const message = `This service has no valid credentials for the model provider ${provider}.`;
  return new Fault('provider_unavailable', message, { cause, retryable: false, upstreamStatus: 401 });
}

/** No connection, or one that broke before any answer; what never left this process could not be sent at all. */
function toUnansweredFault(provider: string, error: unknown): Fault {
  const { name, code } = (isObject(error) ? error : {}) as SdkError;
  const isOfSocket = typeof code === 'string' && !code.includes('INVALID');
  // the SDK's own failures of HTTP/2 have no code, and it calls a reset connection a timeout
  const isOfHttp2 = error instanceof Error && /http\/?2/i.test(error.message);
  if (isOfSocket || isOfHttp2) return toConnectionFault(provider, error);
  return name === 'TimeoutError' ? timedOut(provider, error) : unsendable(provider, error);
}
