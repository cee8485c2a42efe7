import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
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
    const { url } = request.routeOptions;
    if (url !== undefined) tracing?.nameRequest(request.method, url);
    noteTrace(request, reply, tracing);
  });
}

/** The same for a request that no hook sees. */
export function noteTrace(request: FastifyRequest, reply: FastifyReply, tracing: Tracing | undefined): void {
  request.trace = tracing?.activeTrace();
  if (request.trace) return;
  // no span is made of probes and of sockets
  request.trace = tracing ? tracing.traceIn(request.headers) : traceOf(request.headers);
  if (!request.trace) return;
  request.log = request.log.child({ trace_id: traceIdOf(request.trace) });
  reply.log = request.log;
}
