import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { errorCodes, type FastifyReply, type FastifyRequest } from 'fastify';
import { authUnavailable } from '../auth/refusal.js';
import { Fault } from '../core/errors.js';

/** So much of a body is held whatever others hold, so that large ones keep no small ones out. */
const freeBytes = 64 * 1024;

/**
 * Reads bodies before they are parsed, within the limit of their route, which can be done once for each. As nobody knows
 * yet who sends them, all that are under way hold `mostHeldBytes` together at most; then further ones get a 503.
 */
export function createBodyReader(mostHeldBytes: number) {
  let heldBytes = 0;

  /** `isKept`: false: the bytes are hashed and let go. */
  return async (request: FastifyRequest, reply: FastifyReply, isKept: boolean) => {
    const { bodyLimit } = request.routeOptions;
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    if (!hasBody(request)) return { hash: hash.digest('hex'), chunks };
    if (Number(request.headers['content-length'] ?? 0) > bodyLimit) throw tooLarge(reply);
    let size = 0;
    let counted = 0;
    try {
      // the connection still has to carry the answer
      for await (const chunk of request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > bodyLimit) throw tooLarge(reply);
        hash.update(chunk);
        if (!isKept) continue;
        chunks.push(chunk);
        const more = Math.max(0, size - freeBytes) - counted;
        if (more > 0 && heldBytes + more > mostHeldBytes) throw tooMany(reply);
        counted += more;
        heldBytes += more;
      }
    } catch (error) {
      if (error instanceof Fault || error instanceof errorCodes.FST_ERR_CTP_BODY_TOO_LARGE) throw error;
      throw new Fault('invalid_request', 'The body ended before it was whole.', { cause: error });
    } finally {
      heldBytes -= counted;
    }
    return { hash: hash.digest('hex'), chunks };
  };
}

/** Whether a body follows the headers of a request. */
export function hasBody({ headers, ws }: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers;
  return !ws && (encoding !== undefined || (length !== undefined && length !== '0'));
}

/** Bytes that were read already, for the parser that would have read them. */
export function handOn(chunks: Buffer[]): Readable & { receivedEncodedLength: number } {
  const receivedEncodedLength = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return Object.assign(Readable.from(chunks, { objectMode: false }), { receivedEncodedLength });
}

function tooMany(reply: FastifyReply): Fault {
  reply.header('connection', 'close');
  return authUnavailable('Too many large requests are being checked now; try again shortly.', 1000);
}

function tooLarge(reply: FastifyReply): Error {
  // the rest of the body may still come
  reply.header('connection', 'close');
  return new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();
}
