import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Metrics } from '../../observability/metrics.js';

/** Probes and scrapes are counted but only logged at debug level. */
const quietRoutes = /^\/(metrics|api\/health)/;

/** One log line and one duration for each request; every response carries its request id, and none is for a cache. */
export function registerRequestObserver(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(ownHeaders(request));
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unmatched';
    const labels = { method: request.method, route, status_code: String(reply.statusCode) };
    metrics.httpDuration.observe(labels, reply.elapsedTime / 1000);
    const level = quietRoutes.test(route) ? 'debug' : 'info';
    request.log[level](
      { ...labels, status_code: reply.statusCode, duration_ms: Math.round(reply.elapsedTime * 10) / 10 },
      'request',
    );
  });
}

/** What every response carries, also one that no hook sees. */
export function ownHeaders({ id }: FastifyRequest) {
  return { 'x-request-id': id, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
}

const wellFormed = /^[\w.:-]{1,128}$/;

/** The caller's X-Request-Id when it is well-formed. */
export function acceptedRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && wellFormed.test(header) ? header : undefined;
}
