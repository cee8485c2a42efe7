import { type Static, type TSchema, Type } from 'typebox';
import { type ErrorType, errorStatus } from '../../core/errors.js';

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'URN that names the kind of problem' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What went wrong, in words' }),
    request_id: Type.String(),
    trace_id: Type.Optional(
      Type.String({ description: 'The trace that the request is a part of, when it is one' }),
    ),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description: 'Every problem of the body, at most 20',
        maxItems: 20,
      }),
    ),
  },
  {
    $id: 'Problem',
    description: 'Problem details (RFC 9457)',
    examples: [
      {
        type: 'urn:paf:error:invalid_request',
        title: 'Bad Request',
        status: 400,
        detail: 'message is required.',
        request_id: 'req-1',
        errors: [{ path: 'message', message: 'is required' }],
      },
    ],
  },
);
export type Problem = Static<typeof Problem>;

export const ref = (id: string): TSchema => Type.Unsafe({ $ref: `${id}#` });

const requestIdHeader = {
  'X-Request-Id': { type: 'string', description: 'The request id: the one sent, when it was well-formed' },
};
const retryAfterHeader = {
  'Retry-After': { type: 'integer', description: 'Seconds after which a retry makes sense' },
};

const authenticateHeader = {
  'WWW-Authenticate': { type: 'string', description: 'How to say who asks' },
};
const headersOf: Record<number, Record<string, unknown>> = {
  401: authenticateHeader,
  409: retryAfterHeader,
  429: retryAfterHeader,
  503: retryAfterHeader,
};

/** The documented response of a status whose body is problem+json. */
function problemResponse(status: number, types: ErrorType[]) {
  return {
    description: types.map((type) => `\`${type}\``).join(', '),
    headers: { ...requestIdHeader, ...headersOf[status] },
    content: { 'application/problem+json': { schema: ref('Problem') } },
  };
}

/** The responses of a route that can fail in these ways, by status. */
export function problemResponses(...types: ErrorType[]): Record<number, unknown> {
  const byStatus = Map.groupBy(types, (type) => errorStatus[type]);
  return Object.fromEntries([...byStatus].map(([status, group]) => [status, problemResponse(status, group)]));
}

/** The same responses, and one more way to fail. */
export function withProblem(responses: Record<number, unknown>, type: ErrorType): Record<number, unknown> {
  const status = errorStatus[type];
  const known = responses[status] as { description: string } | undefined;
  const added = problemResponse(status, [type]);
  if (!known) return { ...responses, [status]: added };
  return { ...responses, [status]: { ...known, description: `${known.description}, ${added.description}` } };
}

export function jsonResponse(description: string, schema: TSchema, headers: Record<string, unknown> = {}) {
  return {
    description,
    headers: { ...requestIdHeader, ...headers },
    content: { 'application/json': { schema } },
  };
}

export const runIdHeader = { 'X-Run-Id': { type: 'string', description: 'The id of the run' } };
export const responseHeaders = requestIdHeader;
