import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { App } from '../../app.js';
import type { Identity } from '../../auth/authenticator.js';
import type { TraceContext } from '../../core/trace.js';
import type { Run, RunOutcome } from '../../runs/run.js';
import type { Services } from '../../services.js';
import { sendProblem } from '../plugins/errors.js';
import { toCompletePayload, toThinkingPayload } from '../protocols/payloads.js';
import { ChatBody, IdempotencyHeaders } from '../schemas/chat.js';
import { jsonResponse, problemResponses, ref, runIdHeader } from '../schemas/common.js';
import { sendEvents, streamResponse } from '../send-events.js';
import { type ChatCall, startRun } from '../start-run.js';
import { untilClosed } from '../until-closed.js';

const refusals = problemResponses(
  'invalid_request',
  'not_found',
  'conflict',
  'gone',
  'payload_too_large',
  'unsupported_media_type',
  'invalid_file',
  'idempotency_mismatch',
  'overloaded',
  'shutting_down',
  'session_unavailable',
  'internal_error',
);

const failures = problemResponses(
  'invalid_request',
  'not_found',
  'conflict',
  'payload_too_large',
  'unsupported_media_type',
  'invalid_file',
  'idempotency_mismatch',
  'cancelled',
  'internal_error',
  'provider_error',
  'provider_rejected',
  'overloaded',
  'shutting_down',
  'session_unavailable',
  'provider_unavailable',
  'provider_timeout',
);

export function registerChatRoutes(app: App, services: Services): void {
  app.post(
    '/api/chat/stream',
    {
      schema: {
        operationId: 'streamChat',
        summary: 'Ask, and stream what happens as server-sent events',
        tags: ['chat'],
        security: [],
        headers: IdempotencyHeaders,
        body: ChatBody,
        response: { 200: streamResponse, ...refusals },
      },
      config: { isStream: true },
    },
    async (request, reply) => {
      const run = await startRun(services, toCall(request, true), untilClosed(reply));
      return sendEvents(services, reply, run, 0);
    },
  );

  app.post(
    '/api/chat',
    {
      schema: {
        operationId: 'chat',
        summary: 'Ask, and get the whole answer as JSON',
        tags: ['chat'],
        security: [],
        headers: IdempotencyHeaders,
        body: ChatBody,
        response: { 200: jsonResponse('The answer', ref('ChatAnswer'), runIdHeader), ...failures },
      },
      config: { isStream: true },
    },
    async (request, reply) => {
      const run = await startRun(services, toCall(request, false), untilClosed(reply));
      reply.header('x-run-id', run.id);
      const outcome = await awaitRun(run, reply);
      if (outcome.status === 'completed') return toAnswer(run, outcome);
      return sendProblem(outcome.fault, request, reply);
    },
  );
}

type ChatHttpRequest = {
  id: string;
  identity: Identity;
  trace: TraceContext | undefined;
  body: ChatBody;
  headers: IncomingHttpHeaders & { 'idempotency-key'?: string };
};

function toCall({ id, identity, trace, body, headers }: ChatHttpRequest, isStream: boolean): ChatCall {
  return {
    caller: identity.caller,
    requestId: id,
    trace,
    body,
    idempotencyKey: headers['idempotency-key'],
    isStream,
  };
}

/** Waits for the run's end as one of its readers, so that a caller who leaves counts as gone. */
async function awaitRun(run: Run, reply: FastifyReply): Promise<RunOutcome> {
  const detach = run.attach();
  reply.raw.once('close', detach);
  if (reply.raw.destroyed) detach();
  return run.ended;
}

function toAnswer(run: Run, outcome: Extract<RunOutcome, { status: 'completed' }>) {
  return {
    ...toCompletePayload(outcome.complete),
    timestamp: (run.endedAt ?? 0) / 1000,
    content: outcome.answer,
    ...(run.options.showThinking ? { thinking: run.phases.map(toThinkingPayload) } : {}),
  };
}
