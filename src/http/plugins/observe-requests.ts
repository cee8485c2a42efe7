import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorType } from '../../core/errors.js';
import { shortened } from '../../observability/logger.js';
import type { Metrics } from '../../observability/metrics.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** what the request was refused with */
    errorType: ErrorType | undefined;
    /** where it came from; kept because a socket that is closed no longer says it */
    remoteAddress: string | undefined;
  }
}

const knownMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
]);

/** The status, as proxies log it, of a request whose client left before there was an answer. */
const unanswered = 499;

/** One log line and one duration for each request; every response carries its request id, and none is for a cache. */
export function registerRequestObserver(app: FastifyInstance, metrics: Metrics): void {
  const probes = createProbes();
  app.decorateRequest('errorType', undefined);
  app.decorateRequest('remoteAddress', undefined);
  app.addHook('onRequest', async (request, reply) => {
    request.remoteAddress = request.socket.remoteAddress;
    reply.headers(ownHeaders(request));
    // onResponse would not hear of those whose client left first
    reply.raw.once('close', () => {
      // a WebSocket that was accepted has a line of its own
      if (request.ws && !reply.raw.writableEnded) return;
      observe(request, reply, metrics, probes.take(request.routeOptions.url, reply.statusCode));
    });
  });
}

/** The same for a request that no hook sees. Must be called before it is answered. */
export function observeUnrouted(request: FastifyRequest, reply: FastifyReply, metrics: Metrics): void {
  request.remoteAddress = request.socket.remoteAddress;
  reply.raw.once('close', () => observe(request, reply, metrics, { isShown: true, skipped: 0 }));
}

function observe(request: FastifyRequest, reply: FastifyReply, metrics: Metrics, probe: Probe): void {
  const refusedWith = refusals.get(request.raw);
  const isAborted = refusedWith === undefined && !reply.raw.writableFinished;
  const statusCode = refusedWith ?? (isAborted && !reply.raw.headersSent ? unanswered : reply.statusCode);
  const labels = {
    method: knownMethods.has(request.method) ? request.method : 'other',
    route: request.routeOptions.url ?? 'unmatched',
  };
  metrics.httpDuration.observe({ ...labels, status_code: String(statusCode) }, reply.elapsedTime / 1000);
  const level = !probe.isShown ? 'debug' : statusCode >= 500 ? 'warn' : 'info';
  request.log[level](
    {
      ...labels,
      status_code: statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      ...callerFields(request),
      run_id: runIdOf(request, reply),
      error_type: refusedWith === undefined ? request.errorType : 'invalid_request',
      ...(isAborted && { aborted: true }),
      ...(probe.skipped > 0 && { skipped: probe.skipped }),
    },
    'request',
  );
}

/** Who sent a request, and from where, for its log line. Nobody is named whose credentials were refused. */
export function callerFields(request: FastifyRequest) {
  // a request that was refused before has none
  const identity = request.identity as FastifyRequest['identity'] | undefined;
  return {
    ...(identity && {
      tenant: shortened(identity.caller.tenant),
      subject: shortened(identity.caller.subject),
      scheme: identity.scheme,
    }),
    remote_address: request.remoteAddress,
  };
}

const runIdForm = /^run_[0-9a-f]{32}$/;

/** The run that a request began or named; what is no run's id is the caller's text. */
function runIdOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const { id } = (request.params ?? {}) as { id?: unknown };
  return [reply.getHeader('x-run-id'), id].find(
    (value): value is string => typeof value === 'string' && runIdForm.test(value),
  );
}

type Probe = { isShown: boolean; skipped: number };

/** Asked every few seconds, by machines. */
const probeRoutes = /^\/(metrics|api\/health)/;
const probeIntervalMs = 60_000;

/**
 * Which answers to probes and scrapes are worth a line: each that differs from the one before it in whether it failed,
 * and one a minute, which says how many were skipped. Refusals are like those of any other route.
 */
function createProbes() {
  const routes = new Map<string, { hasFailed: boolean; shownAtMs: number; skipped: number }>();
  return {
    take(route: string | undefined, statusCode: number): Probe {
      const isRefused = statusCode >= 400 && statusCode < 500;
      if (route === undefined || !probeRoutes.test(route) || isRefused) return { isShown: true, skipped: 0 };
      const nowMs = performance.now();
      const hasFailed = statusCode >= 500;
      const last = routes.get(route);
      if (last && last.hasFailed === hasFailed && nowMs - last.shownAtMs < probeIntervalMs) {
        last.skipped += 1;
        return { isShown: false, skipped: 0 };
      }
      routes.set(route, { hasFailed, shownAtMs: nowMs, skipped: 0 });
      return { isShown: true, skipped: last?.skipped ?? 0 };
    },
  };
}

/** What every response carries, also one that no hook sees. */
export function ownHeaders({ id }: FastifyRequest) {
  return { 'x-request-id': id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
}

const wellFormed = /^[\w.:-]{1,128}$/;

const requestIds = new WeakMap<IncomingMessage, string>();

/** Names a request: by the caller's X-Request-Id when it is well-formed. */
export function nameRequest(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && wellFormed.test(given) ? given : randomUUID();
  requestIds.set(request, id);
  return id;
}

/** The name of a request for those who only have what Node.js knows of it; undefined when it reached no route. */
export const requestIdOf = (request: IncomingMessage): string | undefined => requestIds.get(request);

const refusals = new WeakMap<IncomingMessage, number>();

/** To be told of a request that is answered past its own response, and with which status. */
export function noteRefusal(request: IncomingMessage, status: number): void {
  refusals.set(request, status);
}
