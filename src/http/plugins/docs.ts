import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

const description =
  'Answers chat requests in four phases (understand, plan, execute, evaluate) over several LLM providers, and streams what happens.';

const tags = [
  { name: 'chat', description: 'Ask, and read the answer' },
  { name: 'runs', description: 'Resume, inspect and cancel what is under way' },
  { name: 'catalogue', description: 'Models, providers and limits' },
  { name: 'operation', description: 'Health and metrics' },
];

/** Collects the routes' schemas into OpenAPI; must be registered before the routes. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
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
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: contentSecurityPolicy });
}
