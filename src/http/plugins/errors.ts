import { STATUS_CODES } from 'node:http';
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchemaValidationError,
} from 'fastify';
import { type ErrorType, errorStatus, Fault, type FieldProblem, toFault } from '../../core/errors.js';
import { nearestOf } from '../../core/nearest.js';
import { traceIdOf } from '../../core/trace.js';
import { describeError } from '../../observability/logger.js';
import type { Metrics } from '../../observability/metrics.js';
import type { Problem } from '../schemas/common.js';
import { collectMethods } from './allowed-methods.js';

const maxProblems = 20;
/** Some are the same once they are put in words; so many of the rest are only counted. */
const maxExaminedProblems = 100;

/** Every failure of a route becomes problem+json here, and only here. */
export function registerErrors(app: FastifyInstance, metrics: Metrics): void {
  const methodsOf = collectMethods(app);
  app.setErrorHandler((error: FastifyError, request, reply) => sendFault(error, request, reply, metrics));
  const faultOf = (request: FastifyRequest, reply: FastifyReply) => {
    const path = pathOf(request.url);
    return notFound(request.method, path, methodsOf(path), reply);
  };
  app.setNotFoundHandler((request, reply) => sendFault(faultOf(request, reply), request, reply, metrics));
  // nobody is asked who they are for what is not there, so nothing that they send is held
  app.addHook('preParsing', async (request, reply) => {
    if (request.is404) throw faultOf(request, reply);
  });
}

function notFound(method: string, path: string, methods: string[], reply: FastifyReply): Fault {
  if (methods.length === 0 || methods.includes(method)) {
    return new Fault('not_found', `There is no route ${method} ${path.slice(0, 200)}.`);
  }
  const allowed = methods.join(', ');
  reply.header('allow', allowed);
  return new Fault('method_not_allowed', `${path.slice(0, 200)} does not take ${method}, only ${allowed}.`);
}

export function sendFault(error: unknown, request: FastifyRequest, reply: FastifyReply, metrics: Metrics) {
  const fault = fromFastify(error) ?? toFault(error);
  metrics.errors.inc({ type: fault.type });
  if (fault.type === 'internal_error') {
    request.log.error({ error: describeError(fault.cause) }, 'request failed');
  }
  return sendProblem(fault, request, reply);
}

/** Answers with a fault that was counted and logged where it occurred. */
export function sendProblem(fault: Fault, request: FastifyRequest, reply: FastifyReply) {
  request.errorType = fault.type;
  const retryAfter = fault.retryAfterSeconds ?? (fault.status === 503 ? 1 : undefined);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  return reply
    .code(fault.status)
    .type('application/problem+json')
    .send(JSON.stringify(toProblem(fault, String(request.id), traceIdOf(request.trace))));
}

export function toProblem(fault: Fault, requestId: string, traceId?: string): Problem {
  return {
    type: `urn:paf:error:${fault.type}`,
    title: STATUS_CODES[fault.status] ?? 'Client Closed Request',
    status: fault.status,
    detail: fault.message,
    request_id: requestId,
    ...(traceId === undefined ? {} : { trace_id: traceId }),
    ...(fault.problems ? { errors: fault.problems.slice(0, maxProblems) } : {}),
  };
}

/** What Fastify itself refuses, as a Fault; undefined for anything else. */
function fromFastify(error: unknown): Fault | undefined {
  if (!(error instanceof Error) || error instanceof Fault) return undefined;
  const { validation, validationContext, statusCode, code } = error as FastifyError;
  if (validation) return schemaFault(validation, validationContext);
  if (statusCode === undefined || statusCode >= 500) return undefined;
  const type = typeOfStatus(statusCode);
  return new Fault(type, detailOf[code] ?? `${STATUS_CODES[statusCode] ?? 'Bad request'}.`);
}

/** What a schema has against a value, as a 400. `context` names the value as a whole. */
export function schemaFault(validation: FastifySchemaValidationError[], context?: string): Fault {
  const examined = validation.slice(0, maxExaminedProblems);
  const problems = examined.map((problem) => toFieldProblem(problem, context));
  return invalidRequest(problems, examined.length < validation.length);
}

const detailOf: Record<string, string> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The Content-Type must be application/json.',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is too large.',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The Content-Length does not match the body.',
  FST_ERR_BAD_URL: 'The path has a percent sign that no valid escape follows.',
};

function typeOfStatus(status: number): ErrorType {
  const match = Object.entries(errorStatus).find(([, value]) => value === status);
  return (match?.[0] as ErrorType | undefined) ?? 'invalid_request';
}

/** A 400 that lists every problem; its detail is the first one. `isCut`: there are more than these. */
export function invalidRequest(problems: FieldProblem[], isCut = false): Fault {
  const unique = [
    ...new Map(problems.map((problem) => [`${problem.path} ${problem.message}`, problem])).values(),
  ];
  const [first] = unique;
  const more = unique.length > 1 ? ` (and ${isCut ? 'at least ' : ''}${unique.length - 1} more)` : '';
  const text = first ? `${first.path} ${first.message}${more}` : 'The request is invalid';
  const detail = /[.?]$/.test(text) ? text : `${text}.`;
  return new Fault('invalid_request', detail, { problems: unique });
}

function toFieldProblem(problem: FastifySchemaValidationError, context = 'body'): FieldProblem {
  const { keyword, params, instancePath } = problem;
  const parent = toFieldPath(partsOf(instancePath));
  const child = (name: unknown) => `${parent === '' ? '' : `${parent}.`}${String(name).slice(0, 100)}`;
  if (keyword === 'required') return { path: child(params.missingProperty), message: 'is required' };
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    const meant = nearestOf(knownFields(problem), name.slice(0, 100));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    return { path: child(name), message: `is not a known field${hint}` };
  }
  return { path: parent === '' ? context : parent, message: messageOf(problem) };
}

/** The fields of the object that a problem is about; the validator is verbose for this. */
function knownFields(problem: FastifySchemaValidationError): string[] {
  const { parentSchema } = problem as { parentSchema?: { properties?: object } };
  return Object.keys(parentSchema?.properties ?? {});
}

/** `/files/0/line_start` as `files`, `0`, `line_start`. */
function partsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** `files`, `0`, `line_start` as `files[0].line_start`. */
export function toFieldPath(parts: string[]): string {
  return parts
    .map((part) => part.slice(0, 100))
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function messageOf({ keyword, params, message }: FastifySchemaValidationError): string {
  const limit = params.limit;
  switch (keyword) {
    case 'type':
      return `must be ${String(params.type).split(',').map(article).join(' or ')}`;
    case 'enum':
      return `must be one of: ${(params.allowedValues as string[]).join(', ')}`;
    case 'minLength':
      return 'must not be empty';
    case 'maxLength':
      return `must have at most ${limit} characters`;
    case 'maxItems':
      return `must have at most ${limit} items`;
    case 'minimum':
      return `must be at least ${limit}`;
    case 'maximum':
      return `must be at most ${limit}`;
    case 'exclusiveMinimum':
      return `must be greater than ${limit}`;
    case 'pattern':
      return params.pattern === '\\S' ? 'must not be blank' : 'has characters that are not allowed';
    default:
      return message ?? 'is invalid';
  }
}

const article = (type: string) =>
  type === 'null' ? type : /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
const pathOf = (url: string) => url.split('?')[0] ?? '';
