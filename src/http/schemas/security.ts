import type { Authenticator } from '../../auth/authenticator.js';
import type { ErrorType } from '../../core/errors.js';
import { withProblem } from './common.js';

type Schemes = Authenticator['schemes'];

const bearerScheme = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT',
  description:
    'A JSON Web Token. Browsers offer it to a WebSocket as `Sec-WebSocket-Protocol: bearer, <token>`.',
} as const;

const header = (name: string, description: string) =>
  ({ type: 'apiKey', in: 'header', name, description }) as const;

/** A signature is in four headers, each of which the description language takes for a key of its own. */
const hmacSchemes = {
  hmacKeyId: header(
    'X-PAF-Key-Id',
    'Which key signs. All four headers are made anew for each request: `scripts/sign-request.sh` does it',
  ),
  hmacTimestamp: header('X-PAF-Timestamp', 'Unix seconds, at most 300 from now'),
  hmacNonce: header(
    'X-PAF-Nonce',
    '16 to 128 letters, digits, `-` or `_` that no other request of the key has',
  ),
  hmacSignature: header(
    'X-PAF-Signature',
    '`v1=` and the lower-case hex HMAC-SHA256 of `v1`, timestamp, nonce, method, path with query and the hex SHA-256 of the body, ' +
      'joined by line feeds',
  ),
};

/** Of the route of metrics alone, which asks for no caller but for whom the operator gave it to. */
const metricsScheme = { type: 'http', scheme: 'bearer', description: 'METRICS_TOKEN' } as const;

export function securitySchemesOf(schemes: Schemes, hasMetricsToken: boolean) {
  return {
    ...(hasMetricsToken ? { metricsToken: metricsScheme } : {}),
    ...(schemes.includes('jwt') ? { bearer: bearerScheme } : {}),
    ...(schemes.includes('hmac') ? hmacSchemes : {}),
  };
}

/** Any one of these is enough, all that one names being needed. */
function requirementsOf(schemes: Schemes): Record<string, string[]>[] {
  const signature = Object.fromEntries(Object.keys(hmacSchemes).map((name) => [name, []]));
  return schemes.map((scheme) => (scheme === 'jwt' ? { bearer: [] } : signature));
}

const refusals: ErrorType[] = ['unauthorized', 'auth_unavailable'];

/** The description of a route that asks who its callers are, where they are asked. */
export function withSecurity<Schema extends { response?: unknown }>(
  schema: Schema,
  schemes: Schemes,
): Schema {
  if (schemes.length === 0) return schema;
  const response = refusals.reduce(withProblem, (schema.response ?? {}) as Record<number, unknown>);
  return { ...schema, security: requirementsOf(schemes), response };
}
