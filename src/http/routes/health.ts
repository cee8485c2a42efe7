import type { App } from '../../app.js';
import type { ProviderState, Services } from '../../services.js';
import type { McpServerStatus } from '../../tools/mcp/mcp-server.js';
import type { WorkerStatus } from '../../workers/worker.js';
import { jsonResponse, problemResponses, ref } from '../schemas/common.js';

export function toHealthPayload(status: ProviderState | undefined) {
  return {
    status: status?.status ?? 'unknown',
    ...(status?.reason === undefined ? {} : { reason: status.reason }),
    latency_ms: status?.latencyMs ?? null,
    error: status?.error ?? null,
    last_check: status?.lastCheck ?? null,
    breaker: status?.breaker ?? 'closed',
  };
}

/** An MCP server in the form of a provider. */
function toMcpHealth({ name, status, error }: McpServerStatus) {
  const payload = {
    status: mcpHealth[status],
    latency_ms: null,
    error: error === undefined ? null : `The MCP server is not available: ${error}.`,
    last_check: null,
    breaker: 'closed' as const,
  };
  return [`mcp:${name}`, payload] as const;
}

function toWorkerHealth({ endpoint, status, error }: WorkerStatus) {
  const unavailable = error === undefined ? ('unknown' as const) : ('unhealthy' as const);
  const payload = {
    status: status === 'serving' ? ('healthy' as const) : unavailable,
    latency_ms: null,
    error: error === undefined ? null : `The worker ${error}.`,
    last_check: null,
    breaker: 'closed' as const,
  };
  return [`worker:${endpoint}`, payload] as const;
}

/** Where sessions are kept, in the same form; the memory of the process cannot fail. */
function sessionHealth({ store }: Services['sessions']) {
  const { status, error = null } = store.health;
  if (store.backend === 'memory') return [];
  const payload = { status, latency_ms: null, error, last_check: null, breaker: 'closed' as const };
  return [[`sessions:${store.backend}`, payload] as const];
}

const mcpHealth = { connected: 'healthy', connecting: 'unknown', unavailable: 'unhealthy' } as const;

export function registerHealthRoutes(app: App, services: Services): void {
  const common = { tags: ['operation'], security: [] };
  const failure = problemResponses('internal_error');
  const now = () => Date.now() / 1000;

  app.get(
    '/api/health',
    {
      config: { isPublic: true },
      schema: {
        ...common,
        operationId: 'getHealth',
        summary: 'How the service and each provider are',
        response: {
          200: jsonResponse('All or some providers work', ref('Health')),
          ...failure,
          503: jsonResponse('No provider works', ref('Health')),
        },
      },
    },
    async (_request, reply) => {
      const providers = Object.entries(services.providerStates());
      const working = providers.filter(([name]) => services.isAvailable(name)).length;
      const mcpServers = services.mcp.status();
      const workers = services.workers.status();
      const isAll =
        providers.every(([, { status }]) => status === 'healthy') &&
        mcpServers.every(({ status }) => status === 'connected') &&
        workers.every(({ status }) => status === 'serving') &&
        services.sessions.store.health.status === 'healthy';
      const status = working === 0 ? 'unhealthy' : isAll ? 'healthy' : 'degraded';
      return reply.code(status === 'unhealthy' ? 503 : 200).send({
        status,
        version: services.config.version,
        timestamp: now(),
        services: Object.fromEntries([
          ...providers.map(([name, value]) => [name, toHealthPayload(value)] as const),
          ...mcpServers.map(toMcpHealth),
          ...workers.map(toWorkerHealth),
          ...sessionHealth(services.sessions),
        ]),
      });
    },
  );

  app.get(
    '/api/health/live',
    {
      config: { isPublic: true },
      schema: {
        ...common,
        operationId: 'getLiveness',
        summary: 'Whether the process is alive',
        response: { 200: jsonResponse('It is', ref('Live')) },
      },
    },
    async () => ({ status: 'alive' as const, timestamp: now() }),
  );

  app.get(
    '/api/health/ready',
    {
      config: { isPublic: true },
      schema: {
        ...common,
        operationId: 'getReadiness',
        summary: 'Whether the service may take traffic',
        response: {
          200: jsonResponse('It may', ref('Ready')),
          ...failure,
          503: jsonResponse('It may not: starting, draining, or no provider works', ref('Ready')),
        },
      },
    },
    async (_request, reply) => {
      const reason = services.readiness();
      return reply.code(reason ? 503 : 200).send({
        status: reason ? 'not_ready' : 'ready',
        ...(reason ? { reason } : {}),
        timestamp: now(),
      });
    },
  );
}
