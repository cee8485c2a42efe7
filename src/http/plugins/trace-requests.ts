import type { FastifyInstance } from 'fastify';
import { type TraceContext, traceIdOf } from '../../core/trace.js';
import type { Tracing } from '../../observability/tracing/tracing.js';
import { traceOf } from '../trace-of-request.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** the distributed trace that the request is a part of */
    trace: TraceContext | undefined;
  }
}

/** Every route behind this knows which trace a request belongs to, and its log lines say it. */
export function registerTracing(app: FastifyInstance, tracing: Tracing | undefined): void {
  app.decorateRequest('trace');
  app.addHook('onRequest', async (request, reply) => {
    if (tracing) {
      const { url } = request.routeOptions;
      if (url !== undefined) tracing.nameRequest(request.method, url);
      request.trace = tracing.requestTrace(request.headers);
      return;
    }
    request.trace = traceOf(request.headers);
    if (!request.trace) return;
    request.log = request.log.child({ trace_id: traceIdOf(request.trace) });
    reply.log = request.log;
  });
}
