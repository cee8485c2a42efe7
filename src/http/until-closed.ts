import type { FastifyReply } from 'fastify';
import { Fault } from '../core/errors.js';

/** Aborts when the caller leaves. */
export function untilClosed({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const leave = () => controller.abort(new Fault('cancelled', 'The caller left before there was an answer.'));
  if (raw.destroyed) leave();
  else raw.once('close', leave);
  return controller.signal;
}
