import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  LogController,
  type RawServerDefault,
} from 'fastify';
import { registerAuthentication } from './http/plugins/authentication.js';
import { answerBrokenRequest } from './http/plugins/broken-requests.js';
import { registerDocsPage, registerOpenApi } from './http/plugins/docs.js';
import { registerErrors, sendFault } from './http/plugins/errors.js';
import { registerInFlight } from './http/plugins/in-flight.js';
import { registerJsonBody } from './http/plugins/json-body.js';
import { acceptedRequestId, ownHeaders, registerRequestObserver } from './http/plugins/observe-requests.js';
import { closeAfterAnswer, isWebSocketUpgrade } from './http/plugins/upgrades.js';
import { registerValidation } from './http/plugins/validation.js';
import { registerAgentRoute } from './http/routes/agent.js';
import { registerCatalogRoutes } from './http/routes/catalog.js';
import { registerChatRoutes } from './http/routes/chat.js';
import { registerHealthRoutes } from './http/routes/health.js';
import { registerMcpRoutes } from './http/routes/mcp.js';
import { registerMetricsRoute, registerOpenApiRoute } from './http/routes/operation.js';
import { registerRunRoutes } from './http/routes/runs.js';
import { registerSessionRoutes } from './http/routes/sessions.js';
import { registerWebSocket, webSocketPath } from './http/routes/websocket.js';
import { registerWorkerRoutes } from './http/routes/workers.js';
import { sharedCatalogSchemas } from './http/schemas/catalog.js';
import { Problem } from './http/schemas/common.js';
import { sharedEventSchemas } from './http/schemas/events.js';
import { McpServersAnswer } from './http/schemas/mcp.js';
import { RunRecord } from './http/schemas/runs.js';
import { sharedSessionSchemas } from './http/schemas/sessions.js';
import { sharedWebSocketSchemas } from './http/schemas/websocket.js';
import { WorkersAnswer } from './http/schemas/workers.js';
import type { Services } from './services.js';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Longer than the idle time of usual load balancers, so that they never meet a connection that we just closed. */
const keepAliveTimeoutMs = 75_000;
const bodyTimeoutMs = 120_000;
/** As long as a path can be: an id of any length is looked for, and not found. */
const maxParamLength = 16 * 1024;

/** The HTTP face of the services: plugins, then routes. Does not listen. */
export async function createApp(services: Services): Promise<App> {
  const { config, metrics } = services;
  const app: App = Fastify({
    loggerInstance: services.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    requestIdHeader: false,
    genReqId: (request) => acceptedRequestId(request.headers['x-request-id']) ?? randomUUID(),
    bodyLimit: config.maxBodyBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: bodyTimeoutMs,
    forceCloseConnections: true,
    // the routes answer until the end: new runs are refused by their own rules, as a problem
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength },
    http: { shouldUpgradeCallback: isWebSocketUpgrade },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => {
      reply.headers(ownHeaders(request));
      // no hook sees these, so the plugin for WebSockets does not close them
      if (isWebSocketUpgrade(request.raw)) closeAfterAnswer(reply);
      return sendFault(error, request, reply, metrics);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  registerInFlight(app);
  registerErrors(app, metrics);
  registerJsonBody(app);
  registerValidation(app);
  registerRequestObserver(app, metrics);
  registerAuthentication(app);
  await app.register(helmet, { contentSecurityPolicy: false });
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: config.corsOrigins.includes('*') ? '*' : config.corsOrigins,
      methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
      exposedHeaders: ['X-Request-Id', 'X-Run-Id', 'Retry-After'],
      strictPreflight: false,
    });
  }
  await registerOpenApi(app, config.version);
  for (const schema of [
    Problem,
    ...sharedEventSchemas,
    RunRecord,
    ...sharedCatalogSchemas,
    McpServersAnswer,
    WorkersAnswer,
    ...sharedSessionSchemas,
    ...sharedWebSocketSchemas,
  ])
    app.addSchema(schema);

  registerChatRoutes(app, services);
  registerAgentRoute(app, services);
  registerRunRoutes(app, services);
  registerSessionRoutes(app, services);
  await registerWebSocket(app, services, webSocketPath);
  registerCatalogRoutes(app, services);
  registerHealthRoutes(app, services);
  registerMcpRoutes(app, services);
  registerWorkerRoutes(app, services);
  if (config.isMetricsEnabled) registerMetricsRoute(app, services);
  if (config.isDocsEnabled) {
    registerOpenApiRoute(app);
    await registerDocsPage(app);
  }
  return app;
}
