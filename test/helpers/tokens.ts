import { bearer as bearerOf, mint } from './credentials.ts';

export { jwtEnv, jwtSecret } from './credentials.ts';

export type TestCaller = { tenant?: string; subject: string; roles?: string[] };

/** A token as an identity provider signs it; an hour long unless `expiresAt`, in epoch seconds, is given. */
export function tokenOf(
  { tenant, subject, roles }: TestCaller,
  expiresAt = Date.now() / 1000 + 3600,
): string {
  return mint({ sub: subject, tenant, roles, exp: expiresAt });
}

export const bearer = (caller: TestCaller, expiresAt?: number) => bearerOf(tokenOf(caller, expiresAt));
