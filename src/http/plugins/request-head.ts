import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { Fault } from '../../core/errors.js';
import { closeAfterAnswer, isWebSocketUpgrade } from './upgrades.js';

/** A name, an IP address or nothing, and a port: what else servers and proxies would read in different ways. */
const validHost = /^(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?$/i;

/**
 * Refuses requests whose head a proxy in front of the service may have read in another way than the service does, and closes
 * their connection: who they are for, and where they end, must be beyond doubt. The parser itself refuses the worst.
 */
export function registerRequestHead(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }, reply) => {
    // Node.js reads no further request behind one whose upgrade it was told to pass over
    if (raw.headers.upgrade !== undefined && !isWebSocketUpgrade(raw)) closeAfterAnswer(reply);
    const problem = problemOf(raw);
    if (problem === undefined) return;
    reply.header('connection', 'close');
    throw new Fault('invalid_request', problem);
  });
}

function problemOf(request: IncomingMessage): string | undefined {
  const { httpVersion, headers } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'The version of HTTP must be 1.1 or 1.0.';
  const hosts = countOf(request, 'host');
  if (hosts > 1) return 'Host must be sent once only.';
  if (hosts === 0 && httpVersion === '1.1') return 'Host is missing.';
  if (!validHost.test(headers.host ?? '')) return 'Host is not a valid host.';
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (httpVersion === '1.0' || coding.toLowerCase() !== 'chunked')) {
    return 'Transfer-Encoding may be chunked only, and only with HTTP/1.1.';
  }
  if (countOf(request, 'content-type') > 1) return 'Content-Type must be sent once only.';
  return undefined;
}

/** Of a header that comes twice Node.js keeps the first and says nothing. */
function countOf({ rawHeaders }: IncomingMessage, name: string): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
}
