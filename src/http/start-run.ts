import { createHash } from 'node:crypto';
import type { Caller } from '../core/caller.js';
import type { FieldProblem } from '../core/errors.js';
import type { Message } from '../core/message.js';
import type { TraceContext } from '../core/trace.js';
import type { IngestedFiles, IngestRequest } from '../files/ingest.js';
import type { ResponseFormat } from '../llm/provider.js';
import type { ChatRequest } from '../pipeline/chat-request.js';
import { findLeastInput } from '../pipeline/least-input.js';
import { type PipelineRun, runPipeline } from '../pipeline/run-pipeline.js';
import type { Run } from '../runs/run.js';
import type { RunStart } from '../runs/runs.js';
import type { Services } from '../services.js';
import { newSessionId } from '../sessions/session-manager.js';
import { fileToolNames } from '../tools/builtin/file-tools.js';
import { checkChatBody } from './check-chat-body.js';
import { openFiles, readFiles, withFileTools } from './files-of-request.js';
import { invalidRequest } from './plugins/errors.js';
import type { ChatBody } from './schemas/chat.js';
import { type SessionPlace, type Steps, takePlace } from './session-of-request.js';

export type ChatCall = {
  caller: Caller;
  requestId: string;
  trace?: TraceContext | undefined;
  body: ChatBody;
  idempotencyKey: string | undefined;
  isStream: boolean;
  /** The run is in a session in any case: one that nobody has is made when the run starts. */
  makesSession?: boolean;
};

/** A chat request without what has to be read first. */
type Chat = Omit<ChatRequest, 'files'>;

/**
 * Starts the run that a chat request asks for, or finds the one its Idempotency-Key started. What the request names by
 * address is checked before, and fetched by the run. `signal` ends the waiting of a caller who left.
 */
export async function startRun(services: Services, call: ChatCall, signal: AbortSignal): Promise<Run> {
  const { caller, body, idempotencyKey: key } = call;
  const problems = checkChatBody(body);
  if (problems.length > 0) throw invalidRequest(problems);
  const sessionId = body.session_id ?? (call.makesSession ? newSessionId() : undefined);
  const start: RunStart = {
    owner: caller,
    requestId: call.requestId,
    trace: call.trace,
    message: body.message,
    showThinking: body.show_thinking ?? false,
    onDisconnect: body.on_disconnect ?? 'cancel',
    metadata: body.metadata,
    sessionId,
    idempotency: key === undefined ? undefined : { key, bodyHash: hashOf(body) },
  };
  const earlier = services.runs.findStarted(start);
  if (earlier) return earlier;
  const chat = toChatRequest(services, caller, body, call.isStream);
  await checkQuota(services, caller, { body, chat, isInSession: sessionId !== undefined }, signal);
  if (sessionId !== undefined && !call.makesSession) await services.sessions.get(caller, sessionId, signal);
  const sources = await openFiles(services, body, signal);
  let place: SessionPlace | undefined;
  const run = services.runs.start(start, () => {
    const reading = { sources, question: body.message, acceptsImages: acceptsImages(services, chat) };
    services.files.check(reading);
    // last, because it is given up only at the end of a run
    if (sessionId !== undefined) {
      const made = call.makesSession ? { history: chat.history } : undefined;
      place = takePlace(services, caller, { sessionId, body, made });
    }
    const answer = (history: Message[], started: Run) =>
      work(services, { ...chat, history }, reading, call, started);
    return (started) =>
      place ? place.carryOut(started, (history) => answer(history, started)) : answer(chat.history, started);
  });
  place?.follow(run);
  return run;
}

type Charged = { body: ChatBody; chat: Chat; isInSession: boolean };

/** Refuses what the tenant has too little left for, before there is a run: on a stream that could only end in an error. */
async function checkQuota(
  services: Services,
  { tenant }: Caller,
  { body: { files = [] }, chat, isInSession }: Charged,
  signal: AbortSignal,
): Promise<void> {
  const { quotas } = services.limits;
  if (!quotas) return;
  const fileNames = files.map((file) => file.file_name ?? file.path ?? '');
  // what a session holds is not read before the run has its turn
  const asked = { ...chat, fileNames, history: isInSession ? [] : chat.history };
  const { models, countFor } = findLeastInput(services.pipeline, asked);
  await quotas.check(tenant, models, countFor, signal);
}

/** Reads the files, which is the first thing that a run does, and answers. */
function work(
  services: Services,
  chat: Chat,
  reading: IngestRequest,
  { caller, body }: ChatCall,
  run: Run,
): Steps {
  const answer = ({ files, images }: Pick<IngestedFiles, 'files' | 'images'>) => {
    const offered = withFileTools(chat.tools, files, body.tools);
    const request: ChatRequest = {
      ...chat,
      files,
      images: [...chat.images, ...images],
      tools: services.tracing?.wrapTools(offered) ?? offered,
    };
    return runPipeline(services.pipeline, request, toPipelineRun(run, caller), run.signal);
  };
  // a generator around the pipeline's would cost every token
  if (reading.sources.length === 0) return answer({ files: [], images: [] });
  return afterReading(services, reading, answer, run.signal);
}

async function* afterReading(
  services: Services,
  reading: IngestRequest,
  answer: (read: IngestedFiles) => Steps,
  signal: AbortSignal,
): Steps {
  const read = await readFiles(services, reading, signal);
  try {
    return yield* answer(read);
  } finally {
    read.release();
  }
}

function toPipelineRun({ id, options, deadlineAt, steering }: Run, caller: Caller): PipelineRun {
  const { requestId, trace } = options;
  return { id, requestId, trace, deadlineAt, caller, steering };
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

function toChatRequest(services: Services, caller: Caller, body: ChatBody, isStream: boolean): Chat {
  return {
    message: body.message,
    images: (body.images ?? []).map(({ data, mime_type }) => ({ type: 'image', data, mimeType: mime_type })),
    history: (body.history ?? []).slice(-(body.memory_limit ?? 10)).map(toMessage),
    ...resolveModel(services, body),
    effort: body.effort ?? services.config.defaultEffort,
    isEffortNamed: body.effort !== undefined,
    temperature: body.temperature ?? 0.7,
    maxTokens: body.max_tokens,
    maxCostUsd: body.max_cost_usd,
    contextWindow: body.context_window_size,
    tools: resolveTools(services, caller, body.tools),
    areToolsNamed: body.tools !== undefined,
    responseFormat: (body.response_format ?? { type: 'text' }) as ResponseFormat,
    mayRevise: !isStream || (body.allow_revision ?? false),
  };
}

function toMessage({ role, content }: NonNullable<ChatBody['history']>[number]): Message {
  return role === 'assistant' ? { role, content: [{ type: 'text', text: content }] } : { role, content };
}

function resolveModel(services: Services, body: ChatBody) {
  const { catalog, providerNames } = services;
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
  if (body.images?.length && !acceptsImages(services, { model, provider })) {
    refuse('images', 'are not accepted by any available model');
  }
  return { model, provider };
}

/** Whether a model that may answer the request sees. */
function acceptsImages(
  { catalog }: Services,
  { model, provider }: Pick<Chat, 'model' | 'provider'>,
): boolean {
  const able = model ? [model] : catalog.models().filter((known) => !provider || known.provider === provider);
  return able.some((known) => known.accepts.images);
}

function resolveTools({ tools }: Services, caller: Caller, names: string[] | undefined) {
  const usable = tools.list(caller);
  if (!names) return usable;
  const known = [...usable.map((tool) => tool.name), ...fileToolNames].sort();
  const problems = names.flatMap((name, index) =>
    known.includes(name)
      ? []
      : [{ path: `tools[${index}]`, message: `is not a tool; there is: ${listOf(known)}` }],
  );
  if (problems.length > 0) throw invalidRequest(problems);
  return usable.filter((tool) => names.includes(tool.name));
}

function listOf(names: string[]): string {
  const shown = names.slice(0, 30).join(', ') || 'none';
  return names.length > 30 ? `${shown} and ${names.length - 30} more` : shown;
}
