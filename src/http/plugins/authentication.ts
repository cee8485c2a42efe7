import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator, Identity } from '../../auth/authenticator.js';
import { singleHeader, unauthorized } from '../../auth/refusal.js';
import { Fault } from '../../core/errors.js';
import type { Metrics } from '../../observability/metrics.js';
import type { Services } from '../../services.js';
import { createBodyReader, handOn, hasBody } from '../read-body.js';
import { untilClosed } from '../until-closed.js';
import { createTokenVerifier } from '../verify-token.js';
import { offeredToken } from './web-sockets.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route asks nobody who they are: its requests have no `identity`. */
    isPublic?: boolean;
  }
  interface FastifyRequest {
    /** who sends the request; not there on public routes */
    identity: Identity;
  }
}

const anonymousWarning =
  'AUTH_MODE is none: everybody who reaches this service may use all of it, and all of them are one caller. ' +
  'Set AUTH_MODE to jwt, hmac or any before others can reach it.';

/** Bodies of the largest size for which there is room while their signatures are checked. */
const mostHeldBodies = 4;

/**
 * Throws when nobody may reach the service as it is set. Every route that is not public knows who asks, or refuses. What
 * needs no body is checked before anything else; a body that is part of a signature is read here, so that nothing looks into
 * one whose signature is not right.
 */
export async function registerAuthentication(
  app: FastifyInstance,
  { authentication, config, metrics, logger }: Services,
): Promise<Authenticator> {
  if (config.accessProblems.length > 0) throw new Fault('forbidden', config.accessProblems.join('\n'));
  const authenticator = authentication.createAuthenticator(await createTokenVerifier(app));
  const { schemes } = authenticator;
  const readBody = createBodyReader(mostHeldBodies * config.maxBodyBytes);
  const bodies = new WeakMap<FastifyRequest, Buffer[]>();
  if (schemes.length === 0) logger.warn(anonymousWarning);

  app.decorateRequest('identity');
  app.addHook('onRequest', async (request, reply) => {
    if (isOpen(request)) return;
    try {
      const asked = {
        method: request.method,
        url: request.raw.url ?? '',
        rawHeaders: request.raw.rawHeaders,
        bearerToken: schemes.includes('jwt') && request.ws ? offeredToken(request.raw) : undefined,
        bodyHash: async (isKept: boolean) => {
          const { hash, chunks } = await readBody(request, reply, isKept);
          if (hasBody(request)) bodies.set(request, chunks);
          return hash;
        },
      };
      request.identity = await authenticator.authenticate(asked, untilClosed(reply));
    } catch (error) {
      note(error, request, metrics);
      if (error instanceof Fault && error.type === 'unauthorized') challenge(request, reply, schemes);
      throw error;
    }
  });
  app.addHook('preParsing', async (request, _reply, payload) => {
    const chunks = bodies.get(request);
    // a run may go on for long
    bodies.delete(request);
    return chunks ? handOn(chunks) : payload;
  });
  app.addHook('onSend', async (request, reply) => {
    if (reply.statusCode !== 403 || schemes.length === 0 || isOpen(request)) return;
    metrics.authFailures.inc({ reason: 'forbidden' });
    request.log.info({ reason: 'forbidden' }, 'authentication failed');
    challenge(request, reply, schemes);
  });
  return authenticator;
}

/** What needs no caller: public routes, addresses that are none, and what browsers ask before the request itself. */
function isOpen({ is404, method, routeOptions }: FastifyRequest): boolean {
  return is404 || method === 'OPTIONS' || routeOptions.config.isPublic === true;
}

/** Counts and logs why a caller was not let in; never with what they sent. */
function note(error: unknown, request: FastifyRequest, metrics: Metrics): void {
  if (!(error instanceof Fault)) return;
  const { remoteAddress } = request.socket;
  if (error.type === 'unauthorized') {
    const reason = error.reason ?? 'malformed';
    metrics.authFailures.inc({ reason });
    request.log.info({ reason, remote_address: remoteAddress }, 'authentication failed');
  } else if (error.status === 503) {
    metrics.authFailures.inc({ reason: 'unavailable' });
    request.log.warn({ reason: 'unavailable', remote_address: remoteAddress }, 'authentication failed');
  }
}

/** Says how to come back: one header for each scheme that is taken, which names what is wrong with a token that came (RFC 6750). */
function challenge(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  schemes: Authenticator['schemes'],
): void {
  const hasToken = /^bearer/i.test(headers.authorization ?? headers['sec-websocket-protocol'] ?? '');
  const error = reply.statusCode === 403 ? 'insufficient_scope' : 'invalid_token';
  const values = {
    jwt: `Bearer realm="paf"${hasToken ? `, error="${error}"` : ''}`,
    hmac: 'PAF-HMAC realm="paf"',
  };
  reply.header(
    'www-authenticate',
    schemes.map((scheme) => values[scheme]),
  );
}

/** Lets only those pass who send this token; without one, everybody. */
export function askForToken(token: string | undefined, metrics: Metrics) {
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (!expected) return;
    try {
      const given = singleHeader(request.raw, 'Authorization')?.replace(/^bearer +/i, 'Bearer ');
      if (given === undefined)
        throw unauthorized('missing', 'This needs Authorization: Bearer and the METRICS_TOKEN.');
      if (!timingSafeEqual(digest(given), expected)) {
        throw unauthorized('unknown_key', 'The token is not the right one.');
      }
    } catch (error) {
      note(error, request, metrics);
      challenge(request, reply, ['jwt']);
      throw error;
    }
  };
}

/** Of the same length whatever the text is, so that comparing tells nothing about it. */
const digest = (text: string) => createHash('sha256').update(text).digest();
