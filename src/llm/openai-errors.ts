import OpenAI from 'openai';
import { Fault } from '../core/errors.js';
import type { StreamFailure } from './answer-stream.js';
import {
  brokenOff,
  garbled,
  isErrorStatus,
  isObject,
  isTimeout,
  statusFault,
  timedOut,
  toConnectionFault,
} from './provider-errors.js';

/** Anything that was thrown while a provider was called, as a Fault. */
export function toError(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof OpenAI.APIConnectionTimeoutError) return timedOut(provider, error);
  if (error instanceof OpenAI.APIConnectionError) return toConnectionFault(provider, error);
  if (error instanceof OpenAI.APIError && typeof error.status === 'number') {
    const { status, headers } = error;
    return statusFault(provider, { status, code: codeOf(error), headers, cause: error });
  }
  return isTimeout(error) ? timedOut(provider, error) : brokenOff(provider, error);
}

/** A failure inside an answer with status 200. */
export function streamFault(failure: StreamFailure, provider: string): Fault {
  if (failure.kind === 'garbage') return garbled(provider, failure.cause);
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

function codeOf(error: { code?: unknown; type?: unknown }): string | undefined {
  const names = [error.code, error.type].filter((name) => typeof name === 'string' && !/^\d*$/.test(name));
  return names.length === 0 ? undefined : names.join(' ');
}
