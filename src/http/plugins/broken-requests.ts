import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { Fault } from '../../core/errors.js';
import { toProblem } from './errors.js';

const answers: Record<string, Answer> = {
  HPE_HEADER_OVERFLOW: { status: 431, detail: 'The headers are too large.' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: 'The request did not arrive in time.' },
};
const malformed = { status: 400, detail: 'The request is not valid HTTP.' };

/** Answers what is no HTTP request, so that no route and no hook ever sees it, and closes the connection. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  refuse(socket, answers[error.code ?? ''] ?? malformed);
}

/** Answers what Node.js would refuse without a word, or with no more than a status. */
export function registerRefusals({ server }: FastifyInstance): void {
  server.on('connect', (_request, socket) => {
    // Node.js has let go of the socket: without this a peer that cuts it would end the process
    socket.on('error', () => {});
    refuse(socket as Socket, { status: 405, detail: 'This is no proxy: CONNECT is not taken.' });
  });
  server.on('checkExpectation', (_request, response) => {
    const { headers, body } = toAnswer({ status: 417, detail: 'Expect may be 100-continue only.' });
    response.writeHead(417, headers).end(body);
  });
}

type Answer = { status: number; detail: string };

function refuse(socket: Socket, answer: Answer): void {
  if (isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const { headers, body } = toAnswer(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

function toAnswer({ status, detail }: Answer) {
  const requestId = randomUUID();
  const problem = { ...toProblem(new Fault('invalid_request', detail), requestId), status };
  const body = JSON.stringify({ ...problem, title: STATUS_CODES[status] });
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

/** Whether a response is under way, whose bytes an answer would get in between. Node's own handler looks at the same. */
function isAnswering(socket: Socket & { _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent ?? false;
}
