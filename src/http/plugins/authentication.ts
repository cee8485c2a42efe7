import type { FastifyInstance } from 'fastify';
import { anonymous, type Identity } from '../../auth/authenticator.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** who sends the request */
    identity: Identity;
  }
}

/** Every route behind this knows who asks. */
export function registerAuthentication(app: FastifyInstance): void {
  app.decorateRequest('identity');
  app.addHook('onRequest', async (request) => {
    request.identity = { caller: anonymous, scheme: 'none' };
  });
}
