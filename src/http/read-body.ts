import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { errorCodes, type FastifyReply, type FastifyRequest } from 'fastify';
import { Fault } from '../core/errors.js';

/**
 * Reads a body before it is parsed, within the limit of its route, which can be done once. `isKept`: false: its bytes are
 * hashed and let go.
 */
export async function readBody(request: FastifyRequest, reply: FastifyReply, isKept: boolean) {
  const { bodyLimit } = request.routeOptions;
  const hash = createHash('sha256');
  const chunks: Buffer[] = [];
  if (!hasBody(request)) return { hash: hash.digest('hex'), chunks };
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) throw tooLarge(reply);
  let size = 0;
  try {
    // the connection still has to carry the answer
    for await (const chunk of request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bodyLimit) throw tooLarge(reply);
      hash.update(chunk);
      if (isKept) chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof errorCodes.FST_ERR_CTP_BODY_TOO_LARGE) throw error;
    throw new Fault('invalid_request', 'The body ended before it was whole.', { cause: error });
  }
  return { hash: hash.digest('hex'), chunks };
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

function tooLarge(reply: FastifyReply): Error {
  // the rest of the body may still come
  reply.header('connection', 'close');
  return new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE();
}
