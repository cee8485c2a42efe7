/**
 * The closed set of faults, each with the HTTP status it maps to when no stream has started.
 * `error_type` on every wire is one of these names.
 */
export const errorStatus = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  gone: 410,
  payload_too_large: 413,
  unsupported_media_type: 415,
  invalid_file: 422,
  idempotency_mismatch: 422,
  upgrade_required: 426,
  rate_limited: 429,
  quota_exceeded: 429,
  cancelled: 499,
  internal_error: 500,
  provider_error: 502,
  provider_rejected: 502,
  overloaded: 503,
  shutting_down: 503,
  session_unavailable: 503,
  limits_unavailable: 503,
  auth_unavailable: 503,
  provider_unavailable: 503,
  provider_timeout: 504,
} as const;

export type ErrorType = keyof typeof errorStatus;

export type FieldProblem = { path: string; message: string };

type FaultOptions = {
  cause?: unknown;
  retryable?: boolean;
  /** milliseconds after which a retry makes sense, when the source of the fault said so */
  retryAfterMs?: number;
  /** every problem of a request body */
  problems?: FieldProblem[];
  /** the status a provider answered with */
  upstreamStatus?: number;
  /** which of several causes it has, in one word for metrics and logs; no client sees it */
  reason?: string;
};

const retryableTypes: ReadonlySet<ErrorType> = new Set([
  'rate_limited',
  'overloaded',
  'shutting_down',
  'session_unavailable',
  'limits_unavailable',
  'auth_unavailable',
  'provider_unavailable',
  'provider_timeout',
  'provider_error',
]);

/**
 * The one error class. `message` is written for the caller: it never holds a key, a stack or a provider's
 * own text (those stay in `cause`, which no client and no log line sees).
 */
export class Fault extends Error {
  readonly type: ErrorType;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly problems: FieldProblem[] | undefined;
  readonly upstreamStatus: number | undefined;
  readonly reason: string | undefined;

  constructor(type: ErrorType, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Fault';
    this.type = type;
    this.retryable = options.retryable ?? retryableTypes.has(type);
    this.retryAfterMs = options.retryAfterMs;
    this.problems = options.problems;
    this.upstreamStatus = options.upstreamStatus;
    this.reason = options.reason;
  }

  get status(): number {
    return errorStatus[this.type];
  }

  /** whole seconds, as every wire says it */
  get retryAfterSeconds(): number | undefined {
    return this.retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(this.retryAfterMs / 1000));
  }
}

/** Any thrown value as a Fault; what is not one already is an internal error whose text stays inside. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault('internal_error', 'Something went wrong inside the service.', { cause: error });
}
