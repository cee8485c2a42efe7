import type { IncomingMessage } from 'node:http';
import websocket from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import { unauthorized } from '../../auth/refusal.js';
import { Fault } from '../../core/errors.js';
import { requestIdOf } from './observe-requests.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    takesWebSockets?: boolean;
  }
}

/** Time in which a peer answers that it closes too. */
const closeTimeoutMs = 2_000;

/** The subprotocol beside which browsers offer their token: they can set no header of a handshake. */
const bearer = 'bearer';

/**
 * Lets routes take WebSockets. Must be registered before any hook that may refuse a handshake, so that the connection of
 * one that is refused is ended.
 */
export async function registerWebSockets(app: FastifyInstance, maxPayload: number): Promise<void> {
  const options = {
    maxPayload,
    // tokens are short, so compressing each costs more memory and time than it saves bytes
    perMessageDeflate: false,
    closeTimeout: closeTimeoutMs,
    // never what stands beside it: that is a token
    handleProtocols: (offered: Set<string>) => (offered.has(bearer) ? bearer : (false as const)),
  };
  await app.register(websocket, {
    options,
    // each path closes its own sockets
    preClose: (done) => done(),
    // ws closes what breaks the protocol with the right code
    errorHandler: (error, _socket, request) => request.log.debug({ error: error.message }, 'websocket error'),
  });
  app.addHook('onRequest', async (request, reply) => {
    if (!request.ws) return;
    // the plugin ends the connection of a handshake that is refused
    reply.header('connection', 'close');
    if (!request.routeOptions.config.takesWebSockets)
      throw new Fault('not_found', 'Nothing here takes WebSockets.');
  });
  app.websocketServer.on('headers', (lines, request) => {
    lines.push(`X-Request-Id: ${requestIdOf(request)}`);
  });
}

/**
 * The token that a handshake offers as a subprotocol: `Sec-WebSocket-Protocol: bearer, <jwt>`, in this order and with no
 * other. Undefined when it does not offer `bearer`, in whatever case. Throws `unauthorized` for any other form.
 */
export function offeredToken({ headers }: IncomingMessage): string | undefined {
  const offered = protocolsOf(headers['sec-websocket-protocol']);
  if (!offered.some((name) => name.toLowerCase() === bearer)) return undefined;
  const [first, token = '', ...others] = offered;
  if (first === bearer && others.length === 0 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw unauthorized(
    'malformed',
    'Sec-WebSocket-Protocol must be bearer, a comma, the token, and nothing else.',
  );
}

/** Throws for what no client library sends, which would be answered without a problem body. */
export function checkProtocols({ headers }: IncomingMessage): void {
  const offered = protocolsOf(headers['sec-websocket-protocol']);
  const areTokens = offered.every((name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name));
  if (areTokens && new Set(offered).size === offered.length) return;
  throw new Fault('invalid_request', 'Sec-WebSocket-Protocol must be a list of different names.');
}

function protocolsOf(header: string | undefined): string[] {
  return header === undefined ? [] : header.split(',').map((name) => name.trim());
}
