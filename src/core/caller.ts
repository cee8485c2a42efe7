/** Who asked for a run. A tool may be for some roles only. */
export type Caller = { tenant: string; subject: string; roles: readonly string[] };

/** The role of a caller who may use everything, as everybody may where nobody has to say who they are. */
export const everyRole = '*';

/** Whether the caller may use what is for `roles`; absent: what is for everybody. */
export function mayUse(caller: Caller, roles: readonly string[] | undefined): boolean {
  if (roles === undefined || caller.roles.includes(everyRole)) return true;
  return roles.some((role) => caller.roles.includes(role));
}
