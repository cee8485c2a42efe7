import OpenAI from 'openai';
import { type ErrorType, Fault } from '../core/errors.js';
import type { StreamFailure } from './openai-chunks.js';

type HeadersLike = { get(name: string): string | null };

/** What a provider says of a failure; `status` is a guess when the failure came inside a stream. */
type Refusal = {
  status: number;
  code?: string | undefined;
  headers?: HeadersLike | undefined;
  cause?: unknown;
  upstreamStatus?: number | undefined;
};

/** Anything that was thrown while a provider was called, as a Fault. */
export function toError(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof OpenAI.APIConnectionTimeoutError) return timedOut(provider, error);
  if (error instanceof OpenAI.APIConnectionError) return toConnectionFault(provider, error);
  if (error instanceof OpenAI.APIError && typeof error.status === 'number') {
    const { status, headers } = error;
    return statusFault(provider, { status, code: codeOf(error), headers, cause: error });
  }
  return isTimeout(error) ? timedOut(provider, error) : cutOff(provider, error);
}

/** No connection, or one that broke before any answer. */
export function toConnectionFault(provider: string, error: unknown): Fault {
  if (isTimeout(error)) return timedOut(provider, error);
  const codes = codesOf(error);
  if (codes.includes('ERR_INVALID_URL')) return unsendable(provider, error);
  const isUntrusted = codes.some((code) => /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/.test(code));
  if (isUntrusted) {
    const message = `The certificate of the model provider ${provider} is not trusted.`;
    return new Fault('provider_unavailable', message, { cause: error, retryable: false });
  }
  return new Fault('provider_unavailable', `The model provider ${provider} cannot be reached.`, {
    cause: error,
  });
}

/** An answer with an error status. */
export function statusFault(provider: string, refusal: Refusal): Fault {
  const [type, message, isRetryable] = classify(provider, refusal);
  const isRefusedKey = refusal.status === 401 || refusal.status === 403;
  const hint = isRefusedKey ? undefined : retryHint(refusal.headers);
  const retryAfterMs = retryAfter(refusal.headers);
  const upstreamStatus = 'upstreamStatus' in refusal ? refusal.upstreamStatus : refusal.status;
  return new Fault(type, message, {
    cause: refusal.cause,
    retryable: hint ?? isRetryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(upstreamStatus === undefined ? {} : { upstreamStatus }),
  });
}

function classify(provider: string, { status, code = '', cause }: Refusal): [ErrorType, string, boolean] {
  const who = `The model provider ${provider}`;
  if (status === 401 || status === 403) {
    return ['provider_unavailable', `${who} does not accept the credentials of this service.`, false];
  }
  if (status === 402 || code.includes('insufficient_quota')) {
    return [
      'provider_unavailable',
      `The account of this service with ${provider} has no credit left.`,
      false,
    ];
  }
  if (status === 408 || status === 504) return ['provider_timeout', `${who} did not answer in time.`, true];
  if (status === 429) return ['provider_unavailable', `${who} takes no more requests at the moment.`, true];
  if (status === 503 || status === 529 || status === 409 || status === 425) {
    return ['provider_unavailable', `${who} is overloaded or down.`, true];
  }
  if (status >= 400 && status < 500) return ['provider_rejected', rejection(who, status, code, cause), false];
  return ['provider_error', `${who} failed.`, true];
}

function rejection(who: string, status: number, code: string, cause: unknown): string {
  const text = `${code} ${cause instanceof Error ? cause.message : ''}`;
  if (status === 413 || /context.?(length|window|size)|maximum.{0,20}(context|length)|too long/i.test(text)) {
    return `${who} refused the request: it is too long for the model.`;
  }
  if (status === 404) return `${who} does not know the model or the address it was asked at.`;
  return `${who} refused the request.`;
}

/** A failure inside an answer with status 200. */
export function streamFault(failure: StreamFailure, provider: string): Fault {
  if (failure.kind === 'garbage') {
    const message = `The model provider ${provider} sent something that is not an answer.`;
    return new Fault('provider_error', message, { cause: failure.cause });
  }
  const told = (isObject(failure.error) ? failure.error : {}) as WireError;
  const code = codeOf(told);
  const upstreamStatus = [told.code, told.status, told.status_code].map(Number).find(isErrorStatus);
  const status = upstreamStatus ?? guessStatus(code ?? '');
  const cause = new Error(typeof told.message === 'string' ? told.message : JSON.stringify(failure.error));
  return statusFault(provider, { status, code, cause, upstreamStatus });
}

type WireError = {
  message?: unknown;
  type?: unknown;
  code?: unknown;
  status?: unknown;
  status_code?: unknown;
};

function guessStatus(code: string): number {
  if (/context_length|invalid|bad_?request|not_supported/i.test(code)) return 400;
  if (/auth|api_key|permission/i.test(code)) return 401;
  if (/rate_?limit|quota|too_many/i.test(code)) return 429;
  if (/overload|unavailable|capacity/i.test(code)) return 503;
  return /timeout|timed_out/i.test(code) ? 408 : 500;
}

export function unfinished(provider: string): Fault {
  return new Fault('provider_error', `The answer of the model provider ${provider} broke off.`);
}

export function notAStream(provider: string): Fault {
  return streamFault({ kind: 'garbage', cause: undefined }, provider);
}

export function unsendable(provider: string, cause: unknown): Fault {
  const message = `The model provider ${provider} cannot be asked: its key or its address is not valid.`;
  return new Fault('provider_unavailable', message, { cause, retryable: false });
}

function timedOut(provider: string, cause: unknown): Fault {
  return new Fault('provider_timeout', `The model provider ${provider} did not answer in time.`, { cause });
}

function cutOff(provider: string, cause: unknown): Fault {
  return new Fault('provider_error', `The answer of the model provider ${provider} broke off.`, { cause });
}

function codeOf(error: { code?: unknown; type?: unknown }): string | undefined {
  const names = [error.code, error.type].filter((name) => typeof name === 'string' && !/^\d*$/.test(name));
  return names.length === 0 ? undefined : names.join(' ');
}

function isTimeout(error: unknown): boolean {
  return codesOf(error).some((code) => /TIMEDOUT|TIMEOUT/.test(code));
}

/** The codes along the chain of causes, where undici and the SDK leave those of the socket. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  let link: unknown = error;
  for (let depth = 0; isObject(link) && depth < 8; depth += 1) {
    const { code, cause, errors } = link as { code?: unknown; cause?: unknown; errors?: unknown[] };
    if (typeof code === 'string') codes.push(code);
    link = cause ?? errors?.[0];
  }
  return codes;
}

function retryHint(headers: HeadersLike | undefined): boolean | undefined {
  const hint = headers?.get('x-should-retry');
  return hint === 'true' ? true : hint === 'false' ? false : undefined;
}

/** Milliseconds from `retry-after-ms`, or from `Retry-After` in seconds or as a date. */
function retryAfter(headers: HeadersLike | undefined): number | undefined {
  const exact = headers?.get('retry-after-ms');
  const general = headers?.get('retry-after');
  if (exact) return validWait(Number(exact));
  if (!general) return undefined;
  const seconds = Number(general);
  return validWait(Number.isNaN(seconds) ? Date.parse(general) - Date.now() : seconds * 1000);
}

function validWait(ms: number): number | undefined {
  return Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : undefined;
}

function isErrorStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 400 && status < 600;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
