import { createHash } from 'node:crypto';
import { Fault, type FieldProblem } from '../core/errors.js';
import { ingestFile } from '../files/ingest.js';
import type { ResponseFormat } from '../llm/provider.js';
import type { ChatRequest } from '../pipeline/chat-request.js';
import { runPipeline } from '../pipeline/run-pipeline.js';
import type { Owner, Run } from '../runs/run.js';
import type { Services } from '../services.js';
import { checkChatBody } from './check-chat-body.js';
import { invalidRequest } from './plugins/errors.js';
import type { ChatBody } from './schemas/chat.js';

/** Without authentication everything belongs to one caller. */
export const anonymous: Owner = { tenant: 'default', subject: 'anonymous' };

export type ChatCall = {
  requestId: string;
  body: ChatBody;
  idempotencyKey: string | undefined;
  isStream: boolean;
};

/** Starts the run that a chat request asks for, or finds the one its Idempotency-Key started. */
export function startRun(services: Services, call: ChatCall): Run {
  const { body, idempotencyKey: key } = call;
  const problems = checkChatBody(body);
  if (problems.length > 0) throw invalidRequest(problems);
  return services.runs.start(
    {
      owner: anonymous,
      requestId: call.requestId,
      showThinking: body.show_thinking ?? false,
      onDisconnect: body.on_disconnect ?? 'cancel',
      metadata: body.metadata,
      idempotency: key === undefined ? undefined : { key, bodyHash: hashOf(body) },
    },
    () => {
      const chat = toChatRequest(services, body, call.isStream);
      return (run) =>
        runPipeline(services.pipeline, chat, { id: run.id, deadlineAt: run.deadlineAt }, run.signal);
    },
  );
}

/** A hash that is the same for bodies that differ in the order of their fields only. */
function hashOf(body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(body)))
    .digest('base64');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([name, item]) => [name, sorted(item)]));
}

function toChatRequest(services: Services, body: ChatBody, isStream: boolean): ChatRequest {
  if (body.session_id !== undefined) throw new Fault('not_found', 'There is no such session.');
  return {
    message: body.message,
    files: (body.files ?? []).map((file, index) =>
      ingestFile(
        {
          name: (file.file_name ?? file.path) as string,
          content: file.content ?? Buffer.from(file.content_base64 ?? '', 'base64'),
          lineStart: file.line_start,
          lineEnd: file.line_end,
        },
        index,
      ),
    ),
    images: (body.images ?? []).map(({ data, mime_type }) => ({ type: 'image', data, mimeType: mime_type })),
    history: body.history ?? [],
    memoryLimit: body.memory_limit ?? 10,
    ...resolveModel(services, body),
    effort: body.effort ?? services.config.defaultEffort,
    temperature: body.temperature ?? 0.7,
    maxTokens: body.max_tokens,
    maxCostUsd: body.max_cost_usd,
    contextWindow: body.context_window_size,
    tools: resolveTools(services, body.tools),
    responseFormat: (body.response_format ?? { type: 'text' }) as ResponseFormat,
    mayRevise: !isStream || (body.allow_revision ?? false),
  };
}

function resolveModel({ catalog, providerNames }: Services, body: ChatBody) {
  const refuse = (path: string, message: string): never => {
    throw invalidRequest([{ path, message } satisfies FieldProblem]);
  };
  const { provider } = body;
  if (provider !== undefined && !providerNames.includes(provider)) {
    refuse('provider', `is not configured; there is: ${providerNames.join(', ')}`);
  }
  const model = body.model === undefined ? undefined : catalog.find(body.model, provider);
  if (body.model !== undefined && !model) {
    const ids = catalog.models().filter((known) => provider === undefined || known.provider === provider);
    refuse('model', `is not available; there is: ${listOf(ids.map((known) => known.id))}`);
  }
  const able = model ? [model] : catalog.models().filter((known) => !provider || known.provider === provider);
  if (body.images?.length && !able.some((known) => known.accepts.images)) {
    refuse('images', 'are not accepted by any available model');
  }
  return { model, provider };
}

function resolveTools({ tools }: Services, names: string[] | undefined) {
  if (!names) return tools.list();
  const problems = names.flatMap((name, index) =>
    tools.find(name)
      ? []
      : [
          {
            path: `tools[${index}]`,
            message: `is not a tool; there is: ${listOf(tools.list().map((tool) => tool.name))}`,
          },
        ],
  );
  if (problems.length > 0) throw invalidRequest(problems);
  return tools.list().filter((tool) => names.includes(tool.name));
}

function listOf(names: string[]): string {
  const shown = names.slice(0, 30).join(', ') || 'none';
  return names.length > 30 ? `${shown} and ${names.length - 30} more` : shown;
}
