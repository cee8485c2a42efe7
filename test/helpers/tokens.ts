import { createHmac, randomBytes } from 'node:crypto';

/** Of this process only, so that no token of a test is of use anywhere. */
export const jwtSecret = randomBytes(32).toString('base64url');

export const jwtEnv = { AUTH_MODE: 'jwt', JWT_SECRET: jwtSecret };

export type TestCaller = { tenant?: string; subject: string; roles?: string[] };

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as an identity provider signs it (HS256); an hour long unless `expiresAt`, in epoch seconds, is given. */
export function tokenOf(
  { tenant, subject, roles }: TestCaller,
  expiresAt = Date.now() / 1000 + 3600,
): string {
  const claims = {
    sub: subject,
    ...(tenant === undefined ? {} : { tenant }),
    ...(roles === undefined ? {} : { roles }),
    exp: expiresAt,
  };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', jwtSecret).update(signed).digest('base64url')}`;
}

export const bearer = (caller: TestCaller, expiresAt?: number) => ({
  authorization: `Bearer ${tokenOf(caller, expiresAt)}`,
});
