import OpenAI from 'openai';
import type { ChatCompletionCreateParamsStreaming as WireRequest } from 'openai/resources/chat/completions';
import { Agent, fetch as undiciFetch } from 'undici';
import type { LlmEvent } from '../core/events.js';
import { type ChunkDecoder, createChunkDecoder, errorOf, isErrorBody } from './openai-chunks.js';
import {
  notAStream,
  statusFault,
  streamFault,
  toConnectionFault,
  toError,
  unfinished,
  unsendable,
} from './openai-errors.js';
import { toRequest } from './openai-request.js';
import type { LlmProvider, LlmRequest, ProbedModel } from './provider.js';

export type OpenAiProviderOptions = {
  /** how the provider is configured and named to callers: openai, vllm, ollama … */
  name: string;
  /** with its path, usually ending in /v1 */
  baseUrl: string;
  apiKey?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
};

const maxErrorBytes = 64 * 1024;
const maxProbeBytes = 4 * 1024 * 1024;
const maxCompletionBytes = 16 * 1024 * 1024;
/** how long usage and [DONE] may take once the answer is finished */
const afterFinishMs = 3_000;
/** how long a finished body may take to end before its connection is given up */
const drainMs = 250;
const noTimeoutMs = 2 ** 31 - 1;

/** Chat Completions: OpenAI itself and every server that speaks its wire. */
export function createOpenAiProvider(options: OpenAiProviderOptions): LlmProvider {
  const { name } = options;
  const baseUrl = options.baseUrl.trim().replace(/\/+$/, '');
  const apiKey = options.apiKey?.trim() || undefined;
  const fetch = options.fetch ?? createFetch();
  const client = createClient(baseUrl, apiKey, fetch);

  return {
    name,
    stream: (request, signal) => stream(client, name, request, signal),
    probe: (signal) => probe({ name, url: `${baseUrl}/models`, apiKey, fetch }, signal),
  };
}

/** The caller owns every timeout, so the transport has none but the one for connecting. */
function createFetch(): typeof globalThis.fetch {
  const dispatcher = new Agent({
    connect: { timeout: 10_000 },
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });
  const request = undiciFetch as unknown as (url: unknown, init: unknown) => Promise<Response>;
  return (url, init) => request(url, { ...init, dispatcher });
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

async function* stream(
  client: OpenAI,
  provider: string,
  request: LlmRequest,
  signal: AbortSignal,
): AsyncGenerator<LlmEvent, void, undefined> {
  signal.throwIfAborted();
  const call = new AbortController();
  let reader: Reader | undefined;
  let afterFinish: NodeJS.Timeout | undefined;
  let isComplete = false;
  const tearDown = () => {
    call.abort();
    reader?.cancel().catch(ignore);
  };
  signal.addEventListener('abort', tearDown, { once: true });
  try {
    const response = await open(client, provider, toRequest(request, provider), call.signal);
    const decoder = createChunkDecoder();
    if (contentType(response) === 'application/json') {
      for (const event of await readCompletion(response, decoder, provider)) yield event;
      isComplete = true;
      return;
    }
    reader = readerOf(response, provider);
    while (!decoder.isDone) {
      const { done, value } = await read(reader, decoder);
      signal.throwIfAborted();
      if (done) break;
      for (const event of decoder.feed(value)) {
        yield event;
        if (signal.aborted) throw signal.reason;
      }
      if (decoder.failure) throw streamFault(decoder.failure, provider);
      if (decoder.isFinished) afterFinish = endSoon(reader, afterFinish);
    }
    if (!decoder.isFinished) throw unfinished(provider);
    isComplete = true;
    void drain(reader);
    for (const event of decoder.close()) yield event;
  } catch (error) {
    throw signal.aborted ? signal.reason : toError(error, provider);
  } finally {
    clearTimeout(afterFinish);
    signal.removeEventListener('abort', tearDown);
    if (!isComplete) tearDown();
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** The answer's headers. What fails here without an answer or a broken connection could not be sent at all. */
async function open(
  client: OpenAI,
  provider: string,
  body: WireRequest,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await client.chat.completions.create(body, { signal }).asResponse();
  } catch (error) {
    throw error instanceof OpenAI.APIError ? error : unsendable(provider, error);
  }
}

function contentType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Servers label their streams in many ways; only what is surely a page is turned down before it is read. */
function readerOf(response: Response, provider: string): Reader {
  if (!response.body || contentType(response) === 'text/html') throw notAStream(provider);
  return response.body.getReader();
}

/** A connection that breaks after the finish reason has lost nothing of the answer. */
async function read(reader: Reader, decoder: ChunkDecoder) {
  try {
    return await reader.read();
  } catch (error) {
    if (decoder.isFinished) return { done: true as const, value: undefined };
    throw error;
  }
}

function endSoon(reader: Reader, timer: NodeJS.Timeout | undefined): NodeJS.Timeout {
  return timer?.refresh() ?? setTimeout(() => reader.cancel().catch(ignore), afterFinishMs);
}

/** Reads on for a moment after [DONE], since only a body that was read to its end leaves the connection usable. */
async function drain(reader: Reader): Promise<void> {
  const timer = setTimeout(() => reader.cancel().catch(ignore), drainMs);
  try {
    while (!(await reader.read()).done);
  } catch {
    // the answer is complete: how its connection ends is of no interest
  } finally {
    clearTimeout(timer);
  }
}

/** The server ignored `stream: true` and sent the whole answer, or an error with status 200. */
async function readCompletion(
  response: Response,
  decoder: ChunkDecoder,
  provider: string,
): Promise<LlmEvent[]> {
  const body = parseObject(await readText(response, maxCompletionBytes));
  if (!body) throw notAStream(provider);
  if (isErrorBody(body)) throw streamFault({ kind: 'error', error: errorOf(body) }, provider);
  const events = decoder.feedCompletion(body);
  if (!decoder.isFinished) throw unfinished(provider);
  return [...events, ...decoder.close()];
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

/** The SDK reads the whole body of an error, so it is given one with an end. */
async function boundErrorBody(response: Response): Promise<Response> {
  if (response.status < 400) return response;
  const text = await readText(response, maxErrorBytes).catch(() => '');
  return new Response(text, { status: response.status, headers: response.headers });
}

/** The body's text up to a limit; the rest is not fetched. */
async function readText(response: Response, maxBytes: number): Promise<string> {
  if (!response.body) return '';
  const reader: Reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size > maxBytes) {
      reader.cancel().catch(ignore);
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function ignore(): void {}
