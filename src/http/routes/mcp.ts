import type { App } from '../../app.js';
import type { Services } from '../../services.js';
import { jsonResponse, problemResponses, ref } from '../schemas/common.js';

export function registerMcpRoutes(app: App, { mcp }: Services): void {
  app.get(
    '/api/mcp/servers',
    {
      schema: {
        operationId: 'listMcpServers',
        summary: 'The configured MCP servers that you may use, how they are and what they offer',
        tags: ['catalogue'],
        security: [],
        response: {
          200: jsonResponse('The servers', ref('McpServers')),
          ...problemResponses('internal_error'),
        },
      },
    },
    async (request) => ({
      servers: mcp
        .statusFor(request.identity.caller)
        .map(({ error, ...server }) => ({ ...server, ...(error !== undefined && { error }) })),
    }),
  );
}
