import Anthropic from '@anthropic-ai/sdk';
import { Fault } from '../core/errors.js';
import type { StreamFailure } from './answer-stream.js';
import {
  brokenOff,
  garbled,
  isObject,
  isTimeout,
  statusFault,
  timedOut,
  toConnectionFault,
} from './provider-errors.js';

/** Anything that was thrown while the provider was called, as a Fault. */
export function toError(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof Anthropic.APIConnectionTimeoutError) return timedOut(provider, error);
  if (error instanceof Anthropic.APIConnectionError) return toConnectionFault(provider, error);
  if (error instanceof Anthropic.APIError && typeof error.status === 'number') {
    const { status, headers, message } = error;
    return statusFault(provider, { status, code: codeOf(error.type, message), headers, cause: error });
  }
  return isTimeout(error) ? timedOut(provider, error) : brokenOff(provider, error);
}

/** A failure inside an answer with status 200. */
export function streamFault(failure: StreamFailure, provider: string): Fault {
  if (failure.kind === 'garbage') return garbled(provider, failure.cause);
  const told: { type?: unknown; message?: unknown } = isObject(failure.error) ? failure.error : {};
  const type = typeof told.type === 'string' ? told.type : '';
  const message = typeof told.message === 'string' ? told.message : JSON.stringify(failure.error);
  return statusFault(provider, {
    status: statusOf(type),
    code: codeOf(type, message),
    cause: new Error(message),
    upstreamStatus: undefined,
  });
}

/** @see https://platform.claude.com/docs/en/api/errors */
function statusOf(type: string): number {
  switch (type) {
    case 'invalid_request_error':
      return 400;
    case 'authentication_error':
      return 401;
    case 'billing_error':
      return 402;
    case 'permission_error':
      return 403;
    case 'not_found_error':
      return 404;
    case 'request_too_large':
      return 413;
    case 'rate_limit_error':
      return 429;
    case 'timeout_error':
      return 504;
    case 'overloaded_error':
      return 529;
    default:
      return 500;
  }
}

/** An empty account is told as a bad request. */
function codeOf(type: string | null, message: string): string {
  return /credit balance/i.test(message) ? 'insufficient_quota' : (type ?? '');
}
