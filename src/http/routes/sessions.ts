import type { App } from '../../app.js';
import type { Services } from '../../services.js';
import { ignoreBodies } from '../plugins/json-body.js';
import { toSessionDetail, toSessionPayload } from '../protocols/session-payloads.js';
import { jsonResponse, problemResponses, ref, responseHeaders } from '../schemas/common.js';
import { CreateBody, ForkBody, ListQuery, RenameBody, SessionParams } from '../schemas/sessions.js';
import { untilClosed } from '../until-closed.js';

const common = { tags: ['sessions'], security: [] };
const failures = ['session_unavailable', 'internal_error'] as const;
const bodyFailures = ['invalid_request', 'payload_too_large', 'unsupported_media_type'] as const;

export function registerSessionRoutes(app: App, services: Services): void {
  registerCollectionRoutes(app, services);
  registerReadRoute(app, services);
  registerChangeRoutes(app, services);
  app.register(async (scope) => {
    ignoreBodies(scope);
    registerDeleteRoute(scope, services);
  });
}

function registerCollectionRoutes(app: App, { sessions }: Services): void {
  app.post(
    '/api/sessions',
    {
      schema: {
        ...common,
        operationId: 'createSession',
        summary: 'Start a conversation that the service keeps',
        body: CreateBody,
        response: {
          201: jsonResponse('The new session', ref('Session')),
          ...problemResponses(...bodyFailures, ...failures),
        },
      },
    },
    async (request, reply) => {
      const title = request.body?.title;
      const given = title === undefined ? {} : { title };
      const session = await sessions.create(request.identity.caller, given, untilClosed(reply));
      return reply.code(201).send(toSessionPayload(session));
    },
  );

  app.get(
    '/api/sessions',
    {
      schema: {
        ...common,
        operationId: 'listSessions',
        summary: 'Your sessions, page by page',
        querystring: ListQuery,
        response: {
          200: jsonResponse('One page', ref('SessionList')),
          ...problemResponses('invalid_request', ...failures),
        },
      },
    },
    async (request, reply) => {
      const { limit = 20, cursor } = request.query;
      const page = await sessions.list(request.identity.caller, { limit, cursor }, untilClosed(reply));
      return {
        sessions: page.sessions.map(toSessionPayload),
        ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
      };
    },
  );
}

function registerReadRoute(app: App, services: Services): void {
  const { sessions, mcp } = services;
  app.get(
    '/api/sessions/:id',
    {
      schema: {
        ...common,
        operationId: 'getSession',
        summary: 'A session with its messages',
        params: SessionParams,
        response: {
          200: jsonResponse('The session', ref('SessionDetail')),
          ...problemResponses('not_found', ...failures),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const stored = await sessions.read(request.identity.caller, id, untilClosed(reply));
      const servers = mcp.status();
      return toSessionDetail(stored, {
        mcp_connected: servers.length > 0 && servers.every(({ status }) => status === 'connected'),
        agent_ready: services.readiness() === undefined,
        is_processing: sessions.isProcessing(request.identity.caller, id),
      });
    },
  );
}

function registerChangeRoutes(app: App, { sessions }: Services): void {
  app.patch(
    '/api/sessions/:id',
    {
      schema: {
        ...common,
        operationId: 'renameSession',
        summary: 'Give a session another title',
        params: SessionParams,
        body: RenameBody,
        response: {
          200: jsonResponse('The session', ref('Session')),
          ...problemResponses('not_found', ...bodyFailures, ...failures),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      return toSessionPayload(
        await sessions.rename(request.identity.caller, params.id, body.title, untilClosed(reply)),
      );
    },
  );

  app.post(
    '/api/sessions/:id/fork',
    {
      schema: {
        ...common,
        operationId: 'forkSession',
        summary: 'Start a session that begins like another one',
        params: SessionParams,
        body: ForkBody,
        response: {
          201: jsonResponse('The new session', ref('SessionFork')),
          ...problemResponses('not_found', ...bodyFailures, ...failures),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request;
      const { id } = await sessions.fork(
        request.identity.caller,
        params.id,
        body?.message_id,
        untilClosed(reply),
      );
      return reply.code(201).send({ id });
    },
  );
}

function registerDeleteRoute(app: App, { sessions }: Services): void {
  app.delete(
    '/api/sessions/:id',
    {
      schema: {
        ...common,
        operationId: 'deleteSession',
        summary: 'Delete a session with all that was said in it',
        description: 'A run that is under way in it is cancelled.',
        params: SessionParams,
        response: {
          204: { type: 'null', description: 'It is deleted', headers: responseHeaders },
          ...problemResponses('not_found', ...failures),
        },
      },
    },
    async (request, reply) => {
      await sessions.delete(request.identity.caller, request.params.id, untilClosed(reply));
      return reply.code(204).send(null);
    },
  );
}
