import { randomBytes } from 'node:crypto';
import jwt from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import type { Claims, VerifyToken } from '../auth/jwt.js';
import { type AuthFailure, unauthorized } from '../auth/refusal.js';

/** What a refusal by the library means to the caller. */
const refusals: Record<string, [reason: AuthFailure, message: string]> = {
  FAST_JWT_EXPIRED: ['expired', 'The token has expired.'],
  FAST_JWT_INACTIVE: ['not_yet_valid', 'The token is not valid yet.'],
  FAST_JWT_INVALID_SIGNATURE: ['signature', "The token's signature is not right."],
  FAST_JWT_MISSING_SIGNATURE: ['signature', 'The token is not signed.'],
  FAST_JWT_INVALID_ALGORITHM: ['signature', "The token's algorithm is not accepted."],
  FAST_JWT_VERIFY_ERROR: ['signature', "The token's signature is not right."],
  FAST_JWT_MISSING_REQUIRED_CLAIM: ['claims', 'The token has no claim exp, the time of its end.'],
  FAST_JWT_INVALID_CLAIM_TYPE: ['claims', "The token's claims exp and nbf must be times in seconds."],
  FAST_JWT_INVALID_CLAIM_VALUE: ['claims', "The token's claims exp and nbf must be times in seconds."],
  FAST_JWT_INVALID_CRIT_HEADER: ['malformed', 'The token demands extensions that are not known here.'],
  FAST_JWT_INVALID_PAYLOAD: ['malformed', 'The token is not a signed JSON Web Token.'],
  FAST_JWT_MALFORMED: ['malformed', 'The token is not a signed JSON Web Token.'],
};

/** Checks signature, exp and nbf. The key and its algorithm come with each call, never from the token. */
export async function createTokenVerifier(app: FastifyInstance): Promise<VerifyToken> {
  // no token is signed with this one
  await app.register(jwt, { secret: { public: randomBytes(32).toString('hex') } });
  return (token, { material, algorithm }, { nowMs, leewayMs }) => {
    try {
      return app.jwt.verify<Claims>(token, {
        key: material,
        algorithms: [algorithm],
        clockTimestamp: nowMs,
        clockTolerance: leewayMs,
        requiredClaims: ['exp'],
        cache: false,
      });
    } catch (error) {
      throw toRefusal(error);
    }
  };
}

function toRefusal(error: unknown): unknown {
  // a time that no date can have, which the library cannot put into its message
  const code =
    error instanceof RangeError ? 'FAST_JWT_INVALID_CLAIM_VALUE' : (error as { code?: string }).code;
  const refusal = refusals[code ?? ''];
  return refusal ? unauthorized(...refusal, error) : error;
}
