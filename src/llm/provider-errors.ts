import { type ErrorType, Fault } from '../core/errors.js';

type HeadersLike = { get(name: string): string | null };

/** What a provider says of a failure; `status` is a guess when the failure came inside a stream. */
export type Refusal = {
  status: number;
  code?: string | undefined;
  headers?: HeadersLike | undefined;
  cause?: unknown;
  upstreamStatus?: number | undefined;
};

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
  if (isRedirect(status)) {
    return ['provider_unavailable', `${who} redirects to another address, which is not followed.`, false];
  }
  return ['provider_error', `${who} failed.`, true];
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

function rejection(who: string, status: number, code: string, cause: unknown): string {
  const text = `${code} ${cause instanceof Error ? cause.message : ''}`;
  if (
    status === 413 ||
    /context.?(length|window|size|limit)|maximum.{0,20}(context|length)|too long/i.test(text)
  ) {
    return `${who} refused the request: it is too long for the model.`;
  }
  if (status === 404) return `${who} does not know the model or the address it was asked at.`;
  return `${who} refused the request.`;
}

export function garbled(provider: string, cause: unknown): Fault {
  const message = `The model provider ${provider} sent something that is not an answer.`;
  return new Fault('provider_error', message, { cause });
}

export function unsendable(provider: string, cause: unknown): Fault {
  const message = `The model provider ${provider} cannot be asked: its key or its address is not valid.`;
  return new Fault('provider_unavailable', message, { cause, retryable: false });
}

export function timedOut(provider: string, cause: unknown): Fault {
  return new Fault('provider_timeout', `The model provider ${provider} did not answer in time.`, { cause });
}

/** An answer that ended before the model did. */
export function brokenOff(provider: string, cause?: unknown): Fault {
  return new Fault('provider_error', `The answer of the model provider ${provider} broke off.`, { cause });
}

export function isTimeout(error: unknown): boolean {
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

export function isErrorStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 400 && status < 600;
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
