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
import { createRefusals } from './http/plugins/broken-requests.js';
import { registerDocsPage, registerOpenApi } from './http/plugins/docs.js';
import { registerErrors, sendFault } from './http/plugins/errors.js';
import { registerInFlight } from './http/plugins/in-flight.js';
import { registerJsonBody } from './http/plugins/json-body.js';
import {
  nameRequest,
  observeUnrouted,
  ownHeaders,
  registerRequestObserver,
} from './http/plugins/observe-requests.js';
import { rateLimitHeaders, registerRateLimits } from './http/plugins/rate-limit.js';
import { registerRequestHead } from './http/plugins/request-head.js';
import { noteTrace, registerTracing } from './http/plugins/trace-requests.js';
import { closeAfterAnswer, isWebSocketUpgrade } from './http/plugins/upgrades.js';
import { registerValidation } from './http/plugins/validation.js';
import { registerWebSockets } from './http/plugins/web-sockets.js';
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
import { setLimitsOf } from './http/schemas/limits.js';
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
/** Whoever sends a head byte by byte, or nothing at all, holds a connection no longer than this. */
const headTimeoutMs = 30_000;
const timeoutCheckMs = 5_000;
/** Further ones are dropped, while there are files left for what the service itself opens. No limit on requests of one. */
const maxConnections = 10_000;
/** As long as a path can be: an id of any length is looked for, and not found. */
const maxParamLength = 16 * 1024;

/** Of our answers none is a page; those of the API page bring a policy of their own. */
const securityHeaders = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  // browsers heed it over TLS only, which ends in front of us; hosts below this one are not ours to speak for
  strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: false },
} as const;

const preflightSeconds = 600;

/** The HTTP face of the services: plugins, then routes. Does not listen. */
export async function createApp(services: Services): Promise<App> {
  const { config, metrics } = services;
  const refusals = createRefusals(services);
  const app: App = Fastify({
    loggerInstance: services.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    requestIdHeader: false,
    genReqId: nameRequest,
    bodyLimit: config.maxBodyBytes,
    keepAliveTimeout: keepAliveTimeoutMs,
    requestTimeout: bodyTimeoutMs,
    forceCloseConnections: true,
    // the routes answer until the end: new runs are refused by their own rules, as a problem
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength },
    http: {
      shouldUpgradeCallback: isWebSocketUpgrade,
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: timeoutCheckMs,
      // a request without one is refused by a hook, whose answer is a problem
      requireHostHeader: false,
    },
    clientErrorHandler: refusals.answerBroken,
    frameworkErrors: (error, request, reply) => {
      reply.headers(ownHeaders(request));
      noteTrace(request, reply, services.tracing);
      observeUnrouted(request, reply, metrics);
      // no hook sees these, so the plugin for WebSockets does not close them
      if (isWebSocketUpgrade(request.raw)) closeAfterAnswer(reply);
      return sendFault(error, request, reply, metrics);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.server.maxConnections = maxConnections;
  refusals.register(app);
  registerInFlight(app);
  registerTracing(app, services.tracing);
  registerErrors(app, metrics);
  registerJsonBody(app);
  registerValidation(app);
  registerRequestObserver(app, metrics);
  await registerWebSockets(app, config.maxBodyBytes);
  await app.register(helmet, securityHeaders);
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: config.corsOrigins.includes('*') ? '*' : config.corsOrigins,
      methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
      exposedHeaders: ['X-Request-Id', 'X-Run-Id', 'Retry-After', 'WWW-Authenticate', ...rateLimitHeaders],
      // keys and tokens come in headers, so no page is given leave to send cookies
      credentials: false,
      maxAge: preflightSeconds,
      strictPreflight: false,
    });
  }
  registerRequestHead(app);
  // after what its refusals need too: headers that browsers ask for
  const { schemes } = await registerAuthentication(app, services);
  await registerRateLimits(app, services);
  await registerOpenApi(app, config.version, schemes, config.metricsToken !== undefined, setLimitsOf(config));
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
  registerWebSocket(app, services, webSocketPath);
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
