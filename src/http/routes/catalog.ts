import type { App } from '../../app.js';
import type { Caller } from '../../core/caller.js';
import { Fault } from '../../core/errors.js';
import type { QuotaStanding } from '../../limits/quotas.js';
import type { Services } from '../../services.js';
import { fileToolNames } from '../../tools/builtin/file-tools.js';
import { jsonResponse, problemResponses, ref } from '../schemas/common.js';
import { untilClosed } from '../until-closed.js';
import { toHealthPayload } from './health.js';

export function registerCatalogRoutes(app: App, services: Services): void {
  const { catalog, providerNames, config, runs, tools } = services;
  const common = { tags: ['catalogue'], security: [] };
  const failure = problemResponses('internal_error');

  app.get(
    '/api/chat/models',
    {
      schema: {
        ...common,
        operationId: 'listModels',
        summary: 'The models that can be named in a request',
        response: { 200: jsonResponse('The models', ref('Models')), ...failure },
      },
    },
    async () => {
      const preferred = catalog.defaultModel();
      const models = catalog.models().map((model) => ({
        id: model.id,
        name: model.name,
        provider: model.provider,
        available: services.isAvailable(model.provider),
        context_window: model.contextWindow,
        max_output: model.maxOutput,
        description: model.description,
        is_preferred: model.id === preferred?.id && model.provider === preferred.provider,
        accepts: { images: model.accepts.images, tools: model.accepts.tools },
      }));
      return {
        models,
        default: preferred?.id ?? null,
        total_available: models.filter((model) => model.available).length,
        preferred: preferred?.provider ?? null,
      };
    },
  );

  app.get(
    '/api/chat/providers',
    {
      schema: {
        ...common,
        operationId: 'listProviders',
        summary: 'The configured providers and how they are',
        response: { 200: jsonResponse('The providers', ref('Providers')), ...failure },
      },
    },
    async () => {
      const status = services.providerStates();
      const providers = providerNames.map((name) => {
        const models = catalog.models().flatMap((model) => (model.provider === name ? [model.id] : []));
        const entry = {
          name,
          available: services.isAvailable(name),
          models,
          health: toHealthPayload(status[name]),
          model_count: models.length,
        };
        return [name, entry] as const;
      });
      return {
        providers: Object.fromEntries(providers),
        summary: {
          total_providers: providerNames.length,
          healthy_providers: Object.values(status).filter((one) => one.status === 'healthy').length,
          total_models: catalog.models().length,
        },
      };
    },
  );

  app.get(
    '/api/chat/status',
    {
      schema: {
        ...common,
        operationId: 'getStatus',
        summary: 'What the service can do, and its limits',
        response: { 200: jsonResponse('The status', ref('Status')), ...failure },
      },
    },
    async (request, reply) => ({
      service: 'paf-core-agent',
      version: config.version,
      status: services.readiness() === undefined ? 'ready' : 'not_ready',
      upee_enabled: true,
      streaming_enabled: true,
      available_providers: providerNames.filter((name) => services.isAvailable(name)),
      provider_health: Object.fromEntries(
        Object.entries(services.providerStates()).map(([name, status]) => [name, toHealthPayload(status)]),
      ),
      features: {
        tools: [...tools.list(request.identity.caller).map((tool) => tool.name), ...fileToolNames].sort(),
        docs: config.isDocsEnabled,
        metrics: config.isMetricsEnabled,
        sessions: config.memoryBackend,
      },
      limits: {
        max_context_tokens: config.maxContextTokens ?? null,
        max_concurrent_requests: config.maxConcurrentRequests,
        request_timeout: config.requestTimeoutMs / 1000,
        run_timeout: config.runTimeoutMs / 1000,
        max_body_bytes: config.maxBodyBytes,
        max_turns: config.maxTurns,
        max_tool_calls: config.maxToolCalls,
        max_sessions: config.maxSessions ?? null,
      },
      active_runs: runs.activeCount,
      ...(await quotaOf(services, request.identity.caller, untilClosed(reply))),
    }),
  );
}

/** What is left for the caller's tenant: null when it cannot be told, nothing when no quota is set. */
async function quotaOf({ limits }: Services, { tenant }: Caller, signal: AbortSignal) {
  if (!limits.quotas) return {};
  try {
    return { quota: toQuotaPayload(await limits.quotas.standing(tenant, signal)) };
  } catch (error) {
    if (error instanceof Fault && error.type === 'limits_unavailable') return { quota: null };
    throw error;
  }
}

function toQuotaPayload({ tokens, microUsd, resetsAt }: QuotaStanding) {
  const toUsd = (amount: number) => amount / 1_000_000;
  const resets_at = resetsAt / 1000;
  return {
    ...(tokens && { tokens: { ...tokens, resets_at } }),
    ...(microUsd && {
      cost_usd: {
        limit: toUsd(microUsd.limit),
        used: toUsd(microUsd.used),
        left: toUsd(microUsd.left),
        resets_at,
      },
    }),
  };
}
