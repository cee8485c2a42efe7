import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { isWebSocketUpgrade } from './upgrades.js';

/** Time that open responses get for their last bytes when the app closes. */
const flushTimeoutMs = 5000;

/** Closing the app waits until every response has left, so that nothing that was written is lost. */
export function registerInFlight(app: FastifyInstance): void {
  const open = new Set<ServerResponse>();
  let onEmpty = () => {};
  app.addHook('onRequest', async (request, reply) => {
    // sockets are closed by their routes
    if (isWebSocketUpgrade(request.raw)) return;
    open.add(reply.raw);
    reply.raw.once('close', () => {
      open.delete(reply.raw);
      if (open.size === 0) onEmpty();
    });
  });
  app.addHook('preClose', async () => {
    if (open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, flushTimeoutMs);
      onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  });
}
