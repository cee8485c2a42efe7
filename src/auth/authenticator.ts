import { type Caller, everyRole } from '../core/caller.js';

/** Who sends a request, as its credentials show. */
export type Identity = {
  caller: Caller;
  scheme: 'none' | 'jwt' | 'hmac';
  /** epoch milliseconds at which the credentials end; absent: they do not */
  expiresAt?: number;
};

/** Without authentication everything belongs to one caller, who may use everything. */
export const anonymous: Caller = { tenant: 'default', subject: 'anonymous', roles: [everyRole] };
