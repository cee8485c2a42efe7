import { Type } from 'typebox';
import type { App } from '../../app.js';
import type { Services } from '../../services.js';
import { askForToken } from '../plugins/authentication.js';
import { problemResponses, responseHeaders } from '../schemas/common.js';

export function registerMetricsRoute(app: App, { metrics, config }: Services): void {
  app.get(
    '/metrics',
    {
      config: { isPublic: true },
      onRequest: askForToken(config.metricsToken, metrics),
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics in the Prometheus text format',
        tags: ['operation'],
        security: config.metricsToken === undefined ? [] : [{ metricsToken: [] }],
        response: {
          200: {
            description: 'The metrics',
            headers: responseHeaders,
            content: { 'text/plain': { schema: Type.String() } },
          },
          ...problemResponses('internal_error', ...(config.metricsToken ? (['unauthorized'] as const) : [])),
        },
      },
    },
    async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}

export function registerOpenApiRoute(app: App): void {
  app.get(
    '/openapi.json',
    {
      config: { isPublic: true },
      schema: {
        operationId: 'getOpenApi',
        summary: 'This description as OpenAPI 3.1',
        tags: ['operation'],
        security: [],
        response: {
          200: {
            description: 'The description',
            headers: responseHeaders,
            content: { 'application/json': { schema: Type.Record(Type.String(), Type.Unknown()) } },
          },
        },
      },
    },
    async () => ({ ...app.swagger() }),
  );
}
