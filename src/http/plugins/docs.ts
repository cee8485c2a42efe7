import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { Authenticator } from '../../auth/authenticator.js';
import { type SetLimits, withLimits } from '../schemas/limits.js';
import { securitySchemesOf, withSecurity } from '../schemas/security.js';

const description =
  'Answers chat requests in four phases (understand, plan, execute, evaluate) over several LLM providers, and streams what happens.';

const tags = [
  { name: 'chat', description: 'Ask, and read the answer' },
  { name: 'runs', description: 'Resume, inspect and cancel what is under way' },
  { name: 'catalogue', description: 'Models, providers and limits' },
  { name: 'operation', description: 'Health and metrics' },
];

/** Collects the routes' schemas into OpenAPI; must be registered before the routes. */
export async function registerOpenApi(
  app: FastifyInstance,
  version: string,
  schemes: Authenticator['schemes'],
  hasMetricsToken: boolean,
  limits: SetLimits,
): Promise<void> {
  const securitySchemes = securitySchemesOf(schemes, hasMetricsToken);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'PAF Core Agent',
        description,
        version,
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      servers: [{ url: '/', description: 'Where this description comes from' }],
      tags,
      ...(Object.keys(securitySchemes).length > 0 && { components: { securitySchemes } }),
    },
    transform: ({ schema, url, route }) => {
      const { isPublic, isStream } = route.config ?? {};
      if (isPublic) return { schema, url };
      const startsRun = isStream === true && route.method === 'POST';
      return { schema: withLimits(withSecurity(schema, schemes), limits, startsRun), url };
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        (json.$id as string | undefined) ?? `schema-${index}`,
    },
  });
}

/** The plugin's own policy upgrades every address to https, which leaves a blank page over plain http. */
const contentSecurityPolicy = {
  'default-src': "'self'",
  'base-uri': "'self'",
  'frame-ancestors': "'self'",
  'img-src': "'self' data:",
  'object-src': "'none'",
  'script-src': "'self'",
  'script-src-attr': "'none'",
  'style-src': "'self'",
};

/** The API page; all its files are served from here. */
export async function registerDocsPage(app: FastifyInstance): Promise<void> {
  await app.register(async (scope) => {
    // each route and file of the page, which takes no configuration for its routes
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, isPublic: true };
    });
    await scope.register(swaggerUi, { routePrefix: '/docs', staticCSP: contentSecurityPolicy });
  });
}
