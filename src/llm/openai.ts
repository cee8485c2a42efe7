import OpenAI from 'openai';
import type { ChatCompletionCreateParamsStreaming as WireRequest } from 'openai/resources/chat/completions';
import { createFetch, pinTo } from '../outgoing/fetch.js';
import { requestIdHeader, streamAnswer } from './answer-stream.js';
import { createChunkDecoder } from './openai-chunks.js';
import { streamFault, toError } from './openai-errors.js';
import { toRequest } from './openai-request.js';
import type { LlmProvider, ProbedModel } from './provider.js';
import { statusFault, toConnectionFault, unsendable } from './provider-errors.js';
import { boundErrorBody, ignore, noTimeoutMs, parseObject, readText } from './transport.js';

export type OpenAiProviderOptions = {
  /** how the provider is configured and named to callers: openai, vllm, ollama … */
  name: string;
  /** with its path, usually ending in /v1 */
  baseUrl: string;
  apiKey?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
};

const maxProbeBytes = 4 * 1024 * 1024;

/** Chat Completions: OpenAI itself and every server that speaks its wire. */
export function createOpenAiProvider(options: OpenAiProviderOptions): LlmProvider {
  const { name } = options;
  const baseUrl = options.baseUrl.trim().replace(/\/+$/, '');
  const apiKey = options.apiKey?.trim() || undefined;
  const fetch = pinTo(baseUrl, options.fetch ?? createFetch());
  const client = createClient(baseUrl, apiKey, fetch);

  return {
    name,
    stream: (request, signal) =>
      streamAnswer(
        {
          provider: name,
          open: (connection) => {
            const headers = requestIdHeader(request.requestId);
            return open(client, name, { body: toRequest(request, name), headers }, connection);
          },
          decoder: createChunkDecoder(),
          toError,
          streamFault,
        },
        signal,
      ),
    probe: (signal) => probe({ name, url: `${baseUrl}/models`, apiKey, fetch }, signal),
  };
}

function createClient(baseUrl: string, apiKey: string | undefined, fetch: typeof globalThis.fetch): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    // the rest of the environment that the SDK would read on its own
    organization: null,
    project: null,
    logLevel: 'off',
    maxRetries: 0,
    timeout: noTimeoutMs,
    ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
    fetch: async (url, init) => boundErrorBody(await fetch(url, init)),
  });
}

/** The answer's headers. What fails here without an answer or a broken connection could not be sent at all. */
async function open(
  client: OpenAI,
  provider: string,
  { body, headers }: { body: WireRequest; headers: Record<string, string> },
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await client.chat.completions.create(body, { signal, headers }).asResponse();
  } catch (error) {
    throw error instanceof OpenAI.APIError ? error : unsendable(provider, error);
  }
}

type ProbeTarget = {
  name: string;
  url: string;
  apiKey: string | undefined;
  fetch: typeof globalThis.fetch;
};

async function probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbedModel[]> {
  const response = await ask(target, signal);
  const { status } = response;
  const isRefused = status === 401 || status === 403;
  const text = response.ok ? await readText(response, maxProbeBytes).catch(() => '') : '';
  if (!response.ok) response.body?.cancel().catch(ignore);
  signal.throwIfAborted();
  if (isRefused) throw statusFault(target.name, { status, headers: response.headers });
  return toProbedModels(parseObject(text));
}

async function ask({ name, url, apiKey, fetch }: ProbeTarget, signal: AbortSignal): Promise<Response> {
  const headers = probeHeaders(name, apiKey);
  try {
    return await fetch(url, { headers, signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : toConnectionFault(name, error);
  }
}

function probeHeaders(name: string, apiKey: string | undefined): Headers {
  const headers = new Headers({ accept: 'application/json' });
  try {
    if (apiKey !== undefined) headers.set('authorization', `Bearer ${apiKey}`);
    return headers;
  } catch (error) {
    throw unsendable(name, error);
  }
}

function toProbedModels(body: object | undefined): ProbedModel[] {
  const data = (body as { data?: unknown } | undefined)?.data;
  if (!Array.isArray(data)) return [];
  return data.flatMap((entry: ListedModel | null) => {
    if (typeof entry?.id !== 'string' || entry.id === '') return [];
    const contextWindow = entry.max_model_len ?? entry.context_length;
    return [isPositive(contextWindow) ? { id: entry.id, contextWindow } : { id: entry.id }];
  });
}

/** `max_model_len` is vLLM's, `context_length` OpenRouter's. */
type ListedModel = { id?: unknown; max_model_len?: unknown; context_length?: unknown };

function isPositive(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
