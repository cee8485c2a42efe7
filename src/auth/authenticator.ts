import { type Caller, everyRole } from '../core/caller.js';

export const authModes = ['none', 'jwt', 'hmac', 'any'] as const;

export type AuthMode = (typeof authModes)[number];

/** Who sends a request, as its credentials show. */
export type Identity = {
  caller: Caller;
  scheme: 'none' | 'jwt' | 'hmac';
  /** epoch milliseconds at which the credentials end; absent: they do not */
  expiresAt?: number;
};

/** Without authentication everything belongs to one caller, who may use everything. */
export const anonymous: Caller = { tenant: 'default', subject: 'anonymous', roles: [everyRole] };

/** What credentials are read from. */
export type AuthRequest = {
  method: string;
  /** path and query exactly as they were sent */
  url: string;
  /** names and values in turn, as they were sent */
  rawHeaders: readonly string[];
  /** a bearer token that came elsewhere than in Authorization, as browsers have to send it for a WebSocket */
  bearerToken?: string | undefined;
  /**
   * The SHA-256 of the body in hex. Asked for once at most, and only when nothing else speaks against the request. `isKept`:
   * whether the body may be of use; what is not is not held while it comes.
   */
  bodyHash(isKept: boolean): Promise<string>;
};

/**
 * Tells who sends a request. Rejects with a Fault: `unauthorized` with its `reason` when the credentials are missing or
 * wrong, a 503 when it cannot be known now. No message quotes a credential or tells known from unknown names.
 */
export interface Authenticator {
  /** the schemes that are asked for; none: nobody is asked */
  readonly schemes: readonly ('jwt' | 'hmac')[];
  authenticate(request: AuthRequest, signal: AbortSignal): Promise<Identity>;
}

/** Names and tenants: they become keys of stores and fields of logs. */
export function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{1,256}$/u.test(value) && value.trim() === value;
}

/** Remembers which nonces were used. */
export interface NonceStore {
  /**
   * Resolves with whether this is the nonce's first claim for the key in the last `ttlMs` milliseconds, which are the same
   * for all claims. Rejects with a Fault of status 503 when it cannot tell or has no room: nothing is let through unseen.
   */
  claim(keyId: string, nonce: string, ttlMs: number, signal: AbortSignal): Promise<boolean>;
}
