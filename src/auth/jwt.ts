import { everyRole } from '../core/caller.js';
import { type AuthRequest, type Identity, isIdentifier } from './authenticator.js';
import type { JwtKey, JwtKeys, TokenHeader } from './jwt-keys.js';
import { singleHeader, unauthorized } from './refusal.js';

export type Claims = Record<string, unknown>;

/** What else has to hold of a token when its signature is right. */
export type TimeRules = { nowMs: number; leewayMs: number };

/**
 * The claims of a token whose signature by this key and whose exp and nbf are right; exp must be there. Throws a Fault
 * `unauthorized` for any other.
 */
export type VerifyToken = (token: string, key: JwtKey, time: TimeRules) => Claims;

export type JwtOptions = {
  keys: JwtKeys;
  verify: VerifyToken;
  issuer: string | undefined;
  audience: string | undefined;
  /** epoch milliseconds */
  now: () => number;
};

const maxTokenLength = 16 * 1024;
const leewayMs = 30_000;
const mostRoles = 100;
/** In the year 5138. A time that was given in milliseconds is later: such a token would never end. */
const lastSecond = 100_000_000_000;

/** The bearer token of a request; undefined when it has none. Throws when it has several, or another kind of credential. */
export function bearerToken(request: AuthRequest): string | undefined {
  const header = singleHeader(request, 'Authorization');
  if (header === undefined) return request.bearerToken;
  if (request.bearerToken !== undefined) throw unauthorized('malformed', 'The request has two tokens.');
  const [, token] = /^bearer +([^ ]+)$/i.exec(header) ?? [];
  if (token === undefined)
    throw unauthorized('malformed', 'Authorization must be: Bearer, a space, the token.');
  return token;
}

/** Who a token was given to. Rejects with a Fault. */
export async function readToken(token: string, options: JwtOptions, signal: AbortSignal): Promise<Identity> {
  const header = readHeader(token);
  const key = await options.keys.find(header, signal);
  // the key decides; what the token says of itself may only agree
  if (header.alg !== key.algorithm) throw unauthorized('signature', "The token's algorithm is not accepted.");
  const claims = options.verify(token, key, { nowMs: options.now(), leewayMs });
  checkOrigin(claims, options);
  return toIdentity(claims);
}

function readHeader(token: string): TokenHeader {
  if (token.length > maxTokenLength) throw malformed();
  const header = parseHeader(token);
  const { kid } = header;
  if ('crit' in header)
    throw unauthorized('malformed', 'The token demands extensions that are not known here.');
  if (kid !== undefined && !isIdentifier(kid)) throw malformed();
  return header;
}

function parseHeader(token: string): TokenHeader {
  const [, part = ''] = /^([\w-]+)\.[\w-]+\.[\w-]*$/.exec(token) ?? [];
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw malformed();
}

const malformed = () => unauthorized('malformed', 'The token is not a signed JSON Web Token.');

function checkOrigin({ iss, aud }: Claims, { issuer, audience }: JwtOptions): void {
  if (issuer !== undefined && iss !== issuer) {
    throw unauthorized('issuer', 'The token is from an issuer that is not accepted here.');
  }
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (audience !== undefined && !audiences.includes(audience)) {
    throw unauthorized('audience', 'The token is for another service.');
  }
}

function toIdentity({ sub, tenant = 'default', roles, scope, exp }: Claims): Identity {
  if (!isIdentifier(sub)) throw wrongClaim('sub', 'a text of 1 to 256 characters');
  if (!isIdentifier(tenant)) throw wrongClaim('tenant', 'a text of 1 to 256 characters');
  if (typeof exp !== 'number' || Math.abs(exp) > lastSecond)
    throw wrongClaim('exp', 'a time in seconds, not in milliseconds');
  const caller = { tenant, subject: sub, roles: readRoles(roles, scope) };
  return { caller, scheme: 'jwt', expiresAt: Math.floor(exp * 1000) };
}

/** The role that stands for all roles is not given by tokens: whoever issues one could name it by accident. */
function readRoles(roles: unknown = [], scope: unknown = ''): string[] {
  if (!Array.isArray(roles) || !roles.every(isIdentifier)) throw wrongClaim('roles', 'a list of texts');
  if (typeof scope !== 'string') throw wrongClaim('scope', 'a text');
  const scopes = scope.split(' ').filter((name) => name !== '');
  const all = [...new Set([...roles, ...scopes])];
  if (all.length > mostRoles)
    throw wrongClaim('roles', `a list of at most ${mostRoles} roles, scopes included`);
  return all.filter((role) => role !== everyRole);
}

function wrongClaim(name: string, expected: string) {
  return unauthorized('claims', `The token's claim ${name} must be ${expected}.`);
}
