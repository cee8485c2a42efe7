import type { FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import type { App } from '../../app.js';
import { type ErrorType, Fault, toFault } from '../../core/errors.js';
import { describeError } from '../../observability/logger.js';
import type { Services } from '../../services.js';
import { endOfAccess } from '../expiry.js';
import { callerFields } from '../plugins/observe-requests.js';
import { checkHandshake, checkOrigin } from '../plugins/upgrades.js';
import { checkProtocols } from '../plugins/web-sockets.js';
import { carryOut } from '../protocols/websocket-actions.js';
import { type Connection, createConnection } from '../protocols/websocket-connection.js';
import { type Named, toErrorFrame } from '../protocols/websocket-frames.js';
import { createRequestReader, followsRun, namesIn, parseMessage } from '../protocols/websocket-requests.js';
import { jsonResponse, problemResponses } from '../schemas/common.js';
import { socketMessages } from '../schemas/websocket.js';

export const webSocketPath = '/api/ws';

/** Time that peers get for the last bytes of their runs when the app closes. */
const finishTimeoutMs = 5_000;

const description =
  'Messages are JSON as text: requests by `WebSocketRequest`, answers by `WebSocketFrame`, both shown as the body of 101. ' +
  'Every frame of a run has its `runId` and `seq`, which counts from 1 without gaps: the number that `resume` takes as ' +
  '`after`. A request that is refused gets an `error` without `seq`, and the socket stays open. A run whose last socket ' +
  'or stream closes is cancelled, unless it was asked for with `on_disconnect: continue`. The socket is closed with 1001 ' +
  'when the service stops, 1008 when the token of its handshake has expired, 1009 for a message above MAX_BODY_BYTES and ' +
  '1013 when its peer reads too slowly.';

/** Takes WebSockets at `path`, which may be called for several paths of one app. Must come before their first request. */
export function registerWebSocket(app: App, services: Services, path: string): void {
  const { config, metrics, logger } = services;
  const requests = createRequestReader(app, path);
  const connections = new Set<Connection>();
  let isClosing = false;

  function check(request: FastifyRequest): void {
    checkHandshake(request);
    checkProtocols(request.raw);
    checkOrigin(request, config.corsOrigins);
    if (isClosing) throw new Fault('shutting_down', 'The service is shutting down.');
    if (app.websocketServer.clients.size >= config.maxWebSockets) {
      throw new Fault('overloaded', `All ${config.maxWebSockets} sockets are taken; try again shortly.`);
    }
  }

  function open(socket: WebSocket, request: FastifyRequest): void {
    const openedMs = performance.now();
    const requestId = String(request.id);
    const { trace } = request;
    // whose runs and sessions these are is settled by the handshake
    const { caller } = request.identity;
    const refused: Partial<Record<ErrorType, number>> = {};
    metrics.webSockets.inc();
    const connection = createConnection({
      socket,
      wire: request.raw.socket,
      requestId,
      heartbeatMs: config.heartbeatMs,
      endsAt: endOfAccess(request.identity, config),
      onMessage: answer,
      onStalled: (runId) => logger.warn({ run_id: runId }, 'a reader stalled and was dropped'),
      onExpired: () => metrics.errors.inc({ type: 'unauthorized' }),
    });
    connections.add(connection);
    socket.on('close', (code) => {
      connections.delete(connection);
      metrics.webSockets.dec();
      const seconds = (performance.now() - openedMs) / 1000;
      metrics.httpDuration.observe({ method: 'GET', route: path, status_code: '101' }, seconds);
      request.log.info(
        {
          route: path,
          close_code: code,
          duration_ms: Math.round(seconds * 1000),
          ...callerFields(request),
          ...(Object.keys(refused).length > 0 && { refused }),
        },
        'websocket',
      );
    });

    async function answer(bytes: Buffer, isBinary: boolean): Promise<void> {
      let named: Named = {};
      try {
        let value: unknown;
        let isStream = false;
        try {
          value = parseMessage(bytes, isBinary);
          named = namesIn(value);
          isStream = followsRun(value);
        } finally {
          // what cannot be read counts as well
          await app.rateLimits.take(request, isStream);
        }
        await carryOut(services, { caller, requestId, trace, connection }, requests.read(value));
      } catch (error) {
        if (!connection.signal.aborted) refuse(toFault(error), named);
      }
    }

    function refuse(fault: Fault, named: Named): void {
      const { type } = fault;
      const count = (refused[type] ?? 0) + 1;
      refused[type] = count;
      metrics.errors.inc({ type });
      if (type === 'internal_error') {
        request.log.error({ error: describeError(fault.cause) }, 'request failed');
      } else if (count === 1) {
        // who goes on sending does not fill the log
        request.log.info({ route: path, error_type: type, ...callerFields(request) }, 'message refused');
      }
      connection.send(toErrorFrame(fault, requestId, named));
    }
  }

  app.addHook('preClose', async () => {
    isClosing = true;
    const patience = AbortSignal.timeout(finishTimeoutMs);
    await Promise.all([...connections].map((connection) => connection.finish(patience)));
  });

  app.route({
    method: 'GET',
    url: path,
    schema: {
      operationId: 'openWebSocket',
      summary: 'Ask, follow, steer and cancel runs over a WebSocket',
      description,
      tags: ['chat'],
      security: [],
      hide: path !== webSocketPath,
      response: {
        101: jsonResponse('The messages of the socket', socketMessages),
        ...problemResponses(
          'invalid_request',
          'forbidden',
          'upgrade_required',
          'overloaded',
          'shutting_down',
        ),
      },
    },
    config: { takesWebSockets: true },
    onRequest: async (request) => {
      if (request.ws) check(request);
    },
    handler: async (_request, reply) => {
      reply.headers({ upgrade: 'websocket', connection: 'Upgrade' });
      throw new Fault('upgrade_required', 'This address takes WebSockets only: send Upgrade: websocket.');
    },
    wsHandler: open,
  });
}
