import {
  type Authenticator,
  type AuthMode,
  anonymous,
  type Identity,
  type NonceStore,
} from './authenticator.js';
import { createSignatureCheck, type HmacKey, type HmacOptions, readSignature } from './hmac.js';
import { createJwks } from './jwks.js';
import { bearerToken, type JwtOptions, readToken, type VerifyToken } from './jwt.js';
import { fixedKey, type JwtKeySource, type JwtKeys } from './jwt-keys.js';
import { unauthorized } from './refusal.js';

export type AuthSettings = {
  authMode: AuthMode;
  jwtKey: JwtKeySource | undefined;
  jwtIssuer: string | undefined;
  jwtAudience: string | undefined;
  hmacKeys: HmacKey[];
};

export type AuthParts = {
  settings: AuthSettings;
  /** fetches the key set */
  fetch: typeof globalThis.fetch;
  nonces: NonceStore;
  /** receives one line when the key set cannot be fetched */
  onTrouble(fields: { reason: string }): void;
  /** epoch milliseconds */
  now?: () => number;
};

/** Everything that callers are told by but the check of a token's signature, which the web framework brings. */
export interface Authentication {
  createAuthenticator(verify: VerifyToken): Authenticator;
  close(): void;
}

export function createAuthentication(parts: AuthParts): Authentication {
  const { settings, nonces, now = Date.now } = parts;
  const { jwtKey, jwtIssuer: issuer, jwtAudience: audience, hmacKeys } = settings;
  const keys = jwtKey && openKeys(jwtKey, parts);
  return {
    createAuthenticator(verify) {
      if (settings.authMode === 'none') return openToAll;
      const jwt = keys && { keys, verify, issuer, audience, now };
      const hmac = hmacKeys.length > 0 ? { keys: hmacKeys, nonces, now } : undefined;
      return askFor(jwt, hmac);
    },
    close: () => keys?.close(),
  };
}

function openKeys(source: JwtKeySource, { fetch, onTrouble, now = Date.now }: AuthParts): JwtKeys {
  return source.kind === 'key'
    ? fixedKey(source.key)
    : createJwks({ url: source.url, fetch, onTrouble, now });
}

const openToAll: Authenticator = {
  schemes: [],
  authenticate: async () => ({ caller: anonymous, scheme: 'none' }),
};

function askFor(jwt: JwtOptions | undefined, hmac: HmacOptions | undefined): Authenticator {
  const checkSignature = hmac && createSignatureCheck(hmac);
  const signers = new Set(hmac?.keys.map(({ tenant, id }) => ownerOf(tenant, id)));

  /** Who may choose the subject of a token must become nobody who signs, nor own what was made when nobody was asked. */
  function checkSubject({ caller }: Identity): void {
    const owner = ownerOf(caller.tenant, caller.subject);
    if (signers.has(owner))
      throw unauthorized('claims', "The token's claim sub is the name of a signing key.");
    if (owner === ownerOf(anonymous.tenant, anonymous.subject)) {
      throw unauthorized('claims', "The token's claim sub is the name for callers who are not known.");
    }
  }

  return {
    schemes: [...(jwt ? (['jwt'] as const) : []), ...(hmac ? (['hmac'] as const) : [])],
    async authenticate(request, signal) {
      const token = jwt && bearerToken(request);
      const signed = hmac && readSignature(request);
      if (token !== undefined && signed) {
        throw unauthorized('malformed', 'The request has a token and a signature; send one of them.');
      }
      if (jwt && token !== undefined) {
        const identity = await readToken(token, jwt, signal);
        checkSubject(identity);
        return identity;
      }
      if (checkSignature && signed) return checkSignature(signed, request, signal);
      throw unauthorized('missing', missingMessage(jwt !== undefined, hmac !== undefined));
    },
  };
}

const ownerOf = (tenant: string, subject: string) => JSON.stringify([tenant, subject]);

function missingMessage(takesTokens: boolean, takesSignatures: boolean): string {
  const ways = [
    ...(takesTokens ? ['Authorization: Bearer and a token'] : []),
    ...(takesSignatures ? ['a signature in the X-PAF headers'] : []),
  ];
  return `This needs ${ways.join(', or ')}.`;
}
