import type { FastifyReply } from 'fastify';
import { Fault } from '../core/errors.js';
import type { Run } from '../runs/run.js';
import type { Services } from '../services.js';
import { endOfAccess } from './expiry.js';
import { createSseStream, sseHeaders } from './protocols/sse.js';
import { ref, responseHeaders, runIdHeader } from './schemas/common.js';

/** The documented answer of every route that tails a run. */
export const streamResponse = {
  description: 'The events of the run, each as `schema` says',
  headers: { ...responseHeaders, ...runIdHeader },
  content: { 'text/event-stream': { schema: ref('StreamEvent') } },
};

/** Answers with the run's events after `after`, live until the run ends. Throws `gone` when some are no longer held. */
export function sendEvents(services: Services, reply: FastifyReply, run: Run, after: number): FastifyReply {
  const { metrics, config, logger } = services;
  checkHeld(run, after);
  reply.headers({ ...sseHeaders, 'x-run-id': run.id });
  // HEAD reads nothing, so it must not count as a reader that keeps the run alive
  if (reply.request.method === 'HEAD') return reply.send();
  services.tracing?.linkTo(run);
  metrics.streamReaders.inc();
  const stream = createSseStream(run, after, {
    heartbeatMs: config.heartbeatMs,
    requestId: reply.request.id,
    endsAt: endOfAccess(reply.request.identity, config),
    onClose(reason) {
      metrics.streamReaders.dec();
      if (reason === 'stalled') logger.warn({ run_id: run.id }, 'a reader stalled and was dropped');
      if (reason === 'expired') metrics.errors.inc({ type: 'unauthorized' });
    },
  });
  if (reply.raw.destroyed) stream.destroy();
  return reply.send(stream);
}

/** Throws `gone` when events after `after` are no longer held. */
export function checkHeld({ log }: Run, after: number): void {
  if (after + 1 >= log.firstSeq) return;
  throw new Fault('gone', `Events up to ${log.firstSeq - 1} are no longer held; the answer was too long.`);
}
