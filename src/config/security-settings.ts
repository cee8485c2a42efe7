import { authModes } from '../auth/authenticator.js';
import { boolean, line, oneOf, seconds, secret, secretText, url } from './kinds.js';

/** Settings of who may use the service. */
export const securitySettings = {
  authMode: {
    env: 'AUTH_MODE',
    kind: oneOf(authModes),
    default: 'none',
    group: 'security',
    about:
      'Who may use the service: none (everybody), jwt (who has a token), hmac (who signs), or any (either of them). ' +
      'NODE_ENV=production refuses none.',
  },
  isAnonymousAllowed: {
    env: 'ALLOW_ANONYMOUS',
    kind: boolean,
    default: 'false',
    group: 'security',
    about: 'true: AUTH_MODE=none is also taken with NODE_ENV=production.',
  },
  authGraceMs: {
    env: 'AUTH_GRACE',
    kind: seconds(0),
    default: '60',
    group: 'security',
    about: 'How long after the end of its token a stream or a WebSocket goes on.',
  },
  jwtSecret: {
    env: 'JWT_SECRET',
    kind: secret,
    group: 'security',
    about:
      'Secret of tokens with HS256, at least 32 bytes: openssl rand -hex 32. JWT_SECRET_FILE names a file that holds it ' +
      'instead.',
  },
  jwtPublicKey: {
    env: 'JWT_PUBLIC_KEY',
    kind: secretText,
    group: 'security',
    about:
      'Public key or certificate of tokens in PEM, \\n for its line ends works too: RSA of 2048 bits or more (RS256), ' +
      'P-256 (ES256) or Ed25519 (EdDSA). JWT_PUBLIC_KEY_FILE names a file that holds it instead.',
  },
  jwtJwksUrl: {
    env: 'JWT_JWKS_URL',
    kind: url,
    group: 'security',
    about: 'Address of the key set of tokens with RS256, ES256 or EdDSA; set JWT_AUDIENCE too.',
  },
  jwtIssuer: {
    env: 'JWT_ISSUER',
    kind: line,
    group: 'security',
    about: 'What the claim iss of a token must be; unless set, anything.',
  },
  jwtAudience: {
    env: 'JWT_AUDIENCE',
    kind: line,
    group: 'security',
    about: 'What the claim aud of a token must be or hold; unless set, anything.',
  },
  hmacKeys: {
    env: 'HMAC_KEYS',
    kind: secretText,
    group: 'security',
    about:
      'Keys of callers who sign, as JSON on one line or between single quotes: {"id": {"secret", "tenant", "roles"}}. secret ' +
      'may be a list of up to 3 while it is replaced. HMAC_KEYS_FILE names a file that holds them instead.',
  },
  metricsToken: {
    env: 'METRICS_TOKEN',
    kind: secret,
    group: 'security',
    about:
      'What /metrics asks for, as Authorization: Bearer; unless set, nothing. METRICS_TOKEN_FILE names a file that holds it ' +
      'instead.',
  },
} as const;
