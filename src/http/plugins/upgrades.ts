import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Fault } from '../../core/errors.js';

/** Whether a request opens a WebSocket. What else a client would upgrade to is passed over, as HTTP allows. */
export function isWebSocketUpgrade({ method, httpVersion, headers }: IncomingMessage): boolean {
  if (method !== 'GET' || httpVersion === '1.0') return false;
  return headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** Ends the connection after the answer: nobody reads on from one whose upgrade was asked for. */
export function closeAfterAnswer({ raw }: FastifyReply): void {
  const { socket } = raw;
  raw.setHeader('connection', 'close');
  raw.once('finish', () => socket?.destroySoon());
}

/** Throws for a handshake that is not one of RFC 6455. */
export function checkHandshake({ headers }: FastifyRequest): void {
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new Fault('invalid_request', 'Sec-WebSocket-Key must be 16 bytes in base64.');
  }
  if (headers['sec-websocket-version'] !== '13') {
    throw new Fault('invalid_request', 'Sec-WebSocket-Version must be 13.');
  }
}

/**
 * Throws when a page of another origin opens the socket: browsers send a site's cookies with it and do not ask first, as
 * they do for other requests.
 */
export function checkOrigin({ headers }: FastifyRequest, allowed: string[]): void {
  const { origin, host } = headers;
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return;
  if (host !== undefined && isSameOrigin(origin, host)) return;
  throw new Fault('forbidden', 'Pages of this origin may not open a WebSocket here; see CORS_ORIGINS.');
}

/** A proxy may speak another scheme to us than the browser did to it. */
function isSameOrigin(origin: string, host: string): boolean {
  const page = URL.parse(origin);
  return page !== null && page.host !== '' && page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}
