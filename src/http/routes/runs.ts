import type { App } from '../../app.js';
import type { Run } from '../../runs/run.js';
import type { Services } from '../../services.js';
import { invalidRequest } from '../plugins/errors.js';
import { ignoreBodies } from '../plugins/json-body.js';
import { toAttemptPayload, toThinkingPayload, toUsagePayload } from '../protocols/payloads.js';
import { jsonResponse, problemResponses, ref, responseHeaders } from '../schemas/common.js';
import { ResumeHeaders, ResumeQuery, RunParams } from '../schemas/runs.js';
import { sendEvents, streamResponse } from '../send-events.js';

export function registerRunRoutes(app: App, services: Services): void {
  const { runs } = services;

  app.get(
    '/api/runs/:id/events',
    {
      schema: {
        operationId: 'resumeRun',
        summary: 'Tail a run from where a stream was lost',
        tags: ['runs'],
        security: [],
        params: RunParams,
        querystring: ResumeQuery,
        headers: ResumeHeaders,
        response: {
          200: streamResponse,
          204: {
            type: 'null',
            description: 'The run has ended and every event was seen',
            headers: responseHeaders,
          },
          ...problemResponses('invalid_request', 'not_found', 'gone', 'internal_error'),
        },
      },
      config: { isStream: true },
    },
    async (request, reply) => {
      const run = runs.find(request.params.id, request.identity.caller);
      const after = readCursor(run, request.headers['last-event-id'], request.query.after);
      if (run.log.isEnded && after === run.log.lastSeq) return reply.code(204).send(null);
      return sendEvents(services, reply, run, after);
    },
  );

  app.get(
    '/api/runs/:id',
    {
      schema: {
        operationId: 'getRun',
        summary: 'What became of a run',
        tags: ['runs'],
        security: [],
        params: RunParams,
        response: {
          200: jsonResponse('The run', ref('Run')),
          ...problemResponses('not_found', 'gone', 'internal_error'),
        },
      },
    },
    async (request) => toRecord(runs.find(request.params.id, request.identity.caller)),
  );

  app.register(async (scope) => {
    ignoreBodies(scope);
    registerCancelRoute(scope, services);
  });
}

function registerCancelRoute(app: App, { runs }: Services): void {
  app.post(
    '/api/runs/:id/cancel',
    {
      schema: {
        operationId: 'cancelRun',
        summary: 'Stop a run',
        description:
          'The run ends in an `error` event of type `cancelled`. A run that has ended stays as it is.',
        tags: ['runs'],
        security: [],
        params: RunParams,
        response: {
          200: jsonResponse('The run after the cancel', ref('Run')),
          ...problemResponses('not_found', 'gone', 'internal_error'),
        },
      },
    },
    async (request) => {
      const run = runs.find(request.params.id, request.identity.caller);
      run.cancel();
      await run.ended;
      return toRecord(run);
    },
  );
}

/** The number of the last event the client has seen. */
function readCursor(run: Run, header: string | undefined, query: string | undefined): number {
  const path = header === undefined ? 'after' : 'Last-Event-ID';
  const text = header ?? query ?? '0';
  if (!/^\d{1,15}$/.test(text)) throw invalidRequest([{ path, message: 'must be a whole number' }]);
  const after = Number(text);
  if (after > run.log.lastSeq) {
    throw invalidRequest([{ path, message: `is beyond the newest event, ${run.log.lastSeq}` }]);
  }
  return after;
}

function toRecord(run: Run) {
  return {
    run_id: run.id,
    status: run.status,
    usage: toUsagePayload(run.usage),
    phases: run.phases.map((phase) => ({ ...toThinkingPayload(phase), duration_ms: phase.durationMs })),
    attempts: run.attempts.map(toAttemptPayload),
    created_at: run.createdAt / 1000,
    ended_at: run.endedAt === undefined ? null : run.endedAt / 1000,
    ...(run.options.metadata === undefined ? {} : { metadata: run.options.metadata }),
  };
}
