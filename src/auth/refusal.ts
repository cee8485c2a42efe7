import { Fault } from '../core/errors.js';
import type { AuthRequest } from './authenticator.js';

export type AuthFailure =
  | 'missing'
  | 'malformed'
  | 'signature'
  | 'expired'
  | 'not_yet_valid'
  | 'audience'
  | 'issuer'
  | 'unknown_key'
  | 'replayed'
  | 'timestamp'
  | 'claims';

export function unauthorized(reason: AuthFailure, message: string, cause?: unknown): Fault {
  return new Fault('unauthorized', message, { reason, cause });
}

/** What would tell who asks is out of order: that is not the caller's fault. */
export function authUnavailable(message: string, retryAfterMs: number, cause?: unknown): Fault {
  return new Fault('auth_unavailable', message, { retryAfterMs, cause });
}

/** The value of a header that may come once only. Node joins or drops what comes twice, each of its ways hiding something. */
export function singleHeader(
  { rawHeaders }: Pick<AuthRequest, 'rawHeaders'>,
  name: string,
): string | undefined {
  const values = rawHeaders.filter(
    (_value, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name.toLowerCase(),
  );
  if (values.length > 1) throw unauthorized('malformed', `The header ${name} came more than once.`);
  return values[0]?.trim();
}
