import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { Fault } from '../../core/errors.js';
import type { Services } from '../../services.js';
import { toProblem } from './errors.js';
import { noteRefusal, requestIdOf } from './observe-requests.js';

type Answer = { status: number; detail: string };

const answers: Record<string, Answer> = {
  HPE_HEADER_OVERFLOW: { status: 431, detail: 'The headers are too large.' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: 'The request did not arrive in time.' },
};
const malformed = { status: 400, detail: 'The request is not valid HTTP.' };

/** Answers that no route and no hook ever sees; each is counted and has a log line, like that of any request. */
export function createRefusals({ logger, metrics }: Pick<Services, 'logger' | 'metrics'>) {
  /** Returns the id that the line has. */
  function note(status: number, { remoteAddress }: Socket): string {
    const requestId = randomUUID();
    metrics.errors.inc({ type: 'invalid_request' });
    const line = { status_code: status, error_type: 'invalid_request', remote_address: remoteAddress };
    logger.info({ request_id: requestId, route: 'unmatched', ...line }, 'request');
    return requestId;
  }

  function refuse(socket: ServerSocket, answer: Answer): void {
    const response = socket._httpMessage;
    if (response?.headersSent) {
      // the answer's bytes would get in between
      socket.destroy();
      return;
    }
    // one whose body breaks off has reached a route, and has an id and a line of its own
    const requestId = (response && requestIdOf(response.req)) ?? note(answer.status, socket);
    if (response) noteRefusal(response.req, answer.status);
    const { headers, body } = toAnswer(answer, requestId);
    const head = [
      `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    socket.destroySoon();
  }

  return {
    /** Answers what is no HTTP request, and closes the connection. */
    answerBroken(error: Error & { code?: string }, socket: Socket): void {
      if (error.code === 'ECONNRESET' || socket.destroyed) return;
      refuse(socket, answers[error.code ?? ''] ?? malformed);
    },
    /** Answers what Node.js would refuse without a word, or with no more than a status. */
    register({ server }: FastifyInstance): void {
      server.on('connect', (_request, socket) => {
        // Node.js has let go of the socket: without this a peer that cuts it would end the process
        socket.on('error', () => {});
        refuse(socket as Socket, { status: 405, detail: 'This is no proxy: CONNECT is not taken.' });
      });
      server.on('checkExpectation', ({ socket }, response) => {
        const answer = { status: 417, detail: 'Expect may be 100-continue only.' };
        const { headers, body } = toAnswer(answer, note(answer.status, socket));
        response.writeHead(answer.status, headers).end(body);
      });
    },
  };
}

/** A connection with the response that is under way on it, at which Node's own handler looks as well. */
type ServerSocket = Socket & { _httpMessage?: ServerResponse | null };

function toAnswer({ status, detail }: Answer, requestId: string) {
  const fault = new Fault('invalid_request', detail);
  const problem = { ...toProblem(fault, requestId), status, title: STATUS_CODES[status] };
  const body = JSON.stringify(problem);
  const headers = {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': requestId,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
  };
  return { headers, body };
}
