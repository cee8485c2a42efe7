import type { AuthMode } from '../auth/authenticator.js';
import type { HmacKey } from '../auth/hmac.js';
import { type JwtKeySource, readPublicKey } from '../auth/jwt-keys.js';
import { readHmacKeys } from './hmac-keys.js';
import { isProduction } from './production.js';
import { fileHint, type Source, textOfVariable } from './read-settings.js';
import { weaknessOf } from './weak-secrets.js';

type SecurityValues = {
  authMode: AuthMode;
  isAnonymousAllowed: boolean;
  jwtSecret: string | undefined;
  jwtPublicKey: string | undefined;
  jwtJwksUrl: string | undefined;
  jwtIssuer: string | undefined;
  jwtAudience: string | undefined;
  hmacKeys: string | undefined;
  metricsToken: string | undefined;
};

export type AuthenticationConfig = {
  /** what tokens are checked with; undefined: none are taken */
  jwtKey: JwtKeySource | undefined;
  /** with secrets in it; none: no signatures are taken */
  hmacKeys: HmacKey[];
  /** why NODE_ENV=production lets nobody reach the service as it is set; programs may use it without HTTP */
  accessProblems: string[];
};

/** How callers show who they are; a mode that cannot work is a problem. */
export function readAuthentication(source: Source, values: SecurityValues): AuthenticationConfig {
  const isStrict = isProduction(source.env);
  const takesTokens = values.authMode === 'jwt' || values.authMode === 'any';
  const takesSignatures = values.authMode === 'hmac' || values.authMode === 'any';
  const given = givenNames(source.env);
  const accessProblems: string[] = [];
  if (isStrict && values.authMode === 'none' && !values.isAnonymousAllowed) {
    accessProblems.push(
      'AUTH_MODE is none, which NODE_ENV=production refuses: set it to jwt, hmac or any, or set ALLOW_ANONYMOUS=true',
    );
  }
  checkSources(source, values.authMode, given);
  warnOfUnused(source, values, given, { takesTokens, takesSignatures });

  const jwtKey = takesTokens ? readJwtKey(source, values) : undefined;
  const hmacKeys =
    takesSignatures && values.hmacKeys !== undefined ? readHmacKeys(source, values.hmacKeys) : [];
  const secrets: [name: string, secret: string | undefined][] = [
    ['JWT_SECRET', takesTokens ? values.jwtSecret : undefined],
    ['METRICS_TOKEN', values.metricsToken],
    ...hmacKeys.flatMap(({ id, secrets }) =>
      secrets.map((secret): [string, string] => [`HMAC_KEYS: ${id}.secret`, secret]),
    ),
  ];
  for (const [name, secret] of secrets) {
    const weakness = secret === undefined ? undefined : weaknessOf(secret);
    if (weakness === undefined) continue;
    if (isStrict) accessProblems.push(`${name} ${weakness}; openssl rand -hex 32 makes a good one`);
    else source.warnings.push(`${name} ${weakness}: NODE_ENV=production refuses it`);
  }
  return { jwtKey, hmacKeys, accessProblems };
}

const tokenSources = ['JWT_SECRET', 'JWT_PUBLIC_KEY', 'JWT_JWKS_URL'];
const tokenSettings = [...tokenSources, 'JWT_ISSUER', 'JWT_AUDIENCE'];

/** The variables that are set, by the file that NAME_FILE names or in any other way. */
function givenNames(env: NodeJS.ProcessEnv): Set<string> {
  const names = [...tokenSettings, 'HMAC_KEYS'];
  return new Set(
    names.filter(
      (name) => textOfVariable(env, name) !== undefined || textOfVariable(env, `${name}_FILE`) !== undefined,
    ),
  );
}

function checkSources({ problems }: Source, mode: AuthMode, given: Set<string>): void {
  if (mode === 'none') return;
  const sources = tokenSources.filter((name) => given.has(name));
  if (mode !== 'hmac' && sources.length > 1) {
    problems.push(`${sources.join(' and ')} are set; keep one of them`);
  }
  const oneOfThem = 'one of JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL';
  if (mode === 'jwt' && sources.length === 0) problems.push(`AUTH_MODE jwt needs ${oneOfThem}`);
  if (mode === 'hmac' && !given.has('HMAC_KEYS')) problems.push('AUTH_MODE hmac needs HMAC_KEYS');
  if (mode === 'any' && sources.length === 0 && !given.has('HMAC_KEYS')) {
    problems.push(`AUTH_MODE any needs ${oneOfThem}, or HMAC_KEYS`);
  }
}

function warnOfUnused(
  { warnings, env }: Source,
  { authMode, jwtJwksUrl, jwtAudience, isAnonymousAllowed }: SecurityValues,
  given: Set<string>,
  { takesTokens, takesSignatures }: { takesTokens: boolean; takesSignatures: boolean },
): void {
  const unused = [
    ...tokenSettings.filter((name) => !takesTokens && given.has(name)),
    ...(!takesSignatures && given.has('HMAC_KEYS') ? ['HMAC_KEYS'] : []),
    ...(authMode !== 'none' && isAnonymousAllowed ? ['ALLOW_ANONYMOUS'] : []),
  ];
  for (const name of unused) warnings.push(`${name} is set, but AUTH_MODE is ${authMode}: it is not used`);
  if (!takesTokens || jwtJwksUrl === undefined) return;
  if (jwtAudience === undefined) {
    warnings.push(
      "JWT_JWKS_URL is set without JWT_AUDIENCE: its issuer's tokens for other services are taken too",
    );
  }
  if (/^http:/i.test(textOfVariable(env, 'JWT_JWKS_URL') ?? '')) {
    warnings.push('JWT_JWKS_URL is not https: whoever is on the way to it can say which tokens are right');
  }
}

function readJwtKey(source: Source, values: SecurityValues): JwtKeySource | undefined {
  const { jwtSecret, jwtPublicKey, jwtJwksUrl } = values;
  if (jwtSecret !== undefined) {
    // what everybody may read would be the secret
    if (/^[[{]/.test(jwtSecret)) {
      source.problems.push(
        'JWT_SECRET must not be a key in JSON; a public key goes into JWT_PUBLIC_KEY, as PEM',
      );
    }
    return { kind: 'key', key: { algorithm: 'HS256', material: jwtSecret } };
  }
  if (jwtJwksUrl !== undefined) return { kind: 'jwks', url: jwtJwksUrl };
  if (jwtPublicKey === undefined) return undefined;
  const key = readPublicKey(jwtPublicKey.replaceAll('\\n', '\n'));
  if (key) return { kind: 'key', key };
  source.problems.push(
    'JWT_PUBLIC_KEY must be a public key or certificate in PEM: RSA of at least 2048 bits, P-256 or Ed25519' +
      fileHint('JWT_PUBLIC_KEY', jwtPublicKey),
  );
  return undefined;
}
