import Anthropic from '@anthropic-ai/sdk';
import type { MessageCreateParamsStreaming as WireRequest } from '@anthropic-ai/sdk/resources/messages';
import { createFetch, pinTo } from '../outgoing/fetch.js';
import { requestIdHeader, streamAnswer } from './answer-stream.js';
import { streamFault, toError } from './anthropic-errors.js';
import { createMessageDecoder } from './anthropic-events.js';
import { toRequest } from './anthropic-request.js';
import type { LlmProvider, ProbedModel } from './provider.js';
import { unsendable } from './provider-errors.js';
import { boundErrorBody, noTimeoutMs, parseObject, readText } from './transport.js';

export type AnthropicProviderOptions = {
  /** how the provider is configured and named to callers */
  name: string;
  /** without /v1; default: Anthropic's own */
  baseUrl?: string | undefined;
  apiKey: string;
  fetch?: typeof globalThis.fetch | undefined;
};

/** The API's later versions know of no temperature, not even for the models that take one. */
const versionWithTemperature = '2023-06-01';
const ownBaseUrl = 'https://api.anthropic.com';
const maxProbeBytes = 4 * 1024 * 1024;

/** Anthropic's Messages API, and servers that speak its wire. */
export function createAnthropicProvider(options: AnthropicProviderOptions): LlmProvider {
  const { name } = options;
  const client = createClient(options);

  return {
    name,
    stream: (request, signal) =>
      streamAnswer(
        {
          provider: name,
          open: (connection) => {
            const headers = requestIdHeader(request.requestId);
            return open(client, name, { body: toRequest(request), headers }, connection);
          },
          decoder: createMessageDecoder(),
          toError,
          streamFault,
        },
        signal,
      ),
    probe: (signal) => probe(client, name, signal),
  };
}

function createClient(options: AnthropicProviderOptions): Anthropic {
  const apiKey = options.apiKey.trim();
  const baseUrl = options.baseUrl?.trim() || ownBaseUrl;
  const fetch = pinTo(baseUrl, options.fetch ?? createFetch());
  return new Anthropic({
    // the SDK adds /v1 itself, other clients of the same setting do not
    baseURL: baseUrl.replace(/\/+$/, '').replace(/\/v1$/, ''),
    apiKey,
    // the SDK sends it as a bearer token, gateways may know the older header only
    defaultHeaders: { 'x-api-key': apiKey },
    openTelemetry: false,
    logLevel: 'off',
    maxRetries: 0,
    timeout: noTimeoutMs,
    fetch: async (url, init) => boundErrorBody(await fetch(url, init)),
  });
}

/** The answer's headers. What fails here without an answer or a broken connection could not be sent at all. */
async function open(
  client: Anthropic,
  provider: string,
  { body, headers }: { body: WireRequest; headers: Record<string, string> },
  signal: AbortSignal,
): Promise<Response> {
  const version = 'temperature' in body ? { 'anthropic-version': versionWithTemperature } : {};
  try {
    return await client.messages.create(body, { signal, headers: { ...headers, ...version } }).asResponse();
  } catch (error) {
    throw error instanceof Anthropic.APIError ? error : unsendable(provider, error);
  }
}

async function probe(client: Anthropic, provider: string, signal: AbortSignal): Promise<ProbedModel[]> {
  try {
    const response = await client.get('/v1/models', { query: { limit: 1000 }, signal }).asResponse();
    const text = await readText(response, maxProbeBytes).catch(() => '');
    signal.throwIfAborted();
    return toProbedModels(parseObject(text));
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof Anthropic.APIError)) throw unsendable(provider, error);
    const { status } = error;
    if (typeof status === 'number' && status !== 401 && status !== 403) return [];
    throw toError(error, provider);
  }
}

type ListedModel = { id?: unknown; max_input_tokens?: unknown };

function toProbedModels(body: object | undefined): ProbedModel[] {
  const data = (body as { data?: unknown } | undefined)?.data;
  if (!Array.isArray(data)) return [];
  return data.flatMap((entry: ListedModel | null) => {
    if (typeof entry?.id !== 'string' || entry.id === '') return [];
    const contextWindow = entry.max_input_tokens;
    const isKnown = Number.isSafeInteger(contextWindow) && (contextWindow as number) > 0;
    return [isKnown ? { id: entry.id, contextWindow: contextWindow as number } : { id: entry.id }];
  });
}
