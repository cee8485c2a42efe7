import { createHash } from 'node:crypto';
import Fastify from 'fastify';
import { type AuthParts, createAuthentication } from '../../src/auth/authenticate.ts';
import type { Authenticator, AuthRequest } from '../../src/auth/authenticator.ts';
import { createMemoryNonces } from '../../src/auth/memory-nonces.ts';
import { toFault } from '../../src/core/errors.ts';
import { createTokenVerifier } from '../../src/http/verify-token.ts';
import { createFetch } from '../../src/outgoing/fetch.ts';

/** What the service asks, as `settings` have it. `clock` is what it takes for the time. */
export async function createTestAuthenticator(
  settings: Partial<AuthParts['settings']>,
  parts: Partial<Omit<AuthParts, 'settings'>> = {},
): Promise<Authenticator> {
  const authentication = createAuthentication({
    settings: {
      authMode: 'any',
      jwtKey: undefined,
      jwtIssuer: undefined,
      jwtAudience: undefined,
      hmacKeys: [],
      ...settings,
    },
    fetch: createFetch(),
    nonces: createMemoryNonces(parts.now),
    onTrouble() {},
    ...parts,
  });
  return authentication.createAuthenticator(await createTokenVerifier(Fastify()));
}

export function requestOf(headers: Record<string, string>, others: Partial<AuthRequest> = {}): AuthRequest {
  return {
    method: 'GET',
    url: '/api/chat/models',
    rawHeaders: Object.entries(headers).flat(),
    bodyHash: hashOf(''),
    ...others,
  };
}

/** How the service hashes a body. */
export const hashOf = (body: string | Buffer) => async () => createHash('sha256').update(body).digest('hex');

export const never = new AbortController().signal;

/** Who is let in, or why not: `reason: message`. */
export async function outcomeOf(authenticator: Authenticator, request: AuthRequest): Promise<unknown> {
  try {
    return await authenticator.authenticate(request, never);
  } catch (error) {
    const { type, reason, message } = toFault(error);
    return `${reason ?? type}: ${message}`;
  }
}
