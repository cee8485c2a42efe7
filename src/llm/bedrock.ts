import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { BedrockRuntimeClient, BedrockRuntimeClientConfig } from '@aws-sdk/client-bedrock-runtime';
import { raceAbort } from '../core/abort.js';
import type { ProxyOptions } from '../outgoing/fetch.js';
import { streamAnswer } from './answer-stream.js';
import { statusOf, streamFault, toError, toOpeningFault } from './bedrock-errors.js';
import { createEventDecoder } from './bedrock-events.js';
import { toRequest } from './bedrock-request.js';
import type { LlmProvider, LlmRequest, ProbedModel } from './provider.js';

export type BedrockProviderOptions = {
  /** how the provider is named to callers */
  name: string;
  region: string;
  /** absent: AWS's own, or what the environment of the AWS SDK says */
  endpoint?: string | undefined;
  /** absent: the default chain of the AWS SDK, asked at the first call */
  credentials?: BedrockCredentials | undefined;
  /** HTTP/1.1 keeps its connections; over HTTP/2 the SDK opens one for each answer. Default 1 */
  httpVersion?: 1 | 2 | undefined;
  /** for HTTP/1.1, on Node.js 24 and newer */
  proxies?: ProxyOptions | undefined;
};
export type BedrockCredentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
};

type Sdk = typeof import('@aws-sdk/client-bedrock-runtime');
type Connection = { sdk: Sdk; client: BedrockRuntimeClient };
type Connect = () => Promise<Connection>;

const maxErrorBytes = 64 * 1024;
const connectTimeoutMs = 10_000;

/** Amazon Bedrock's ConverseStream. */
export function createBedrockProvider(options: BedrockProviderOptions): LlmProvider {
  const { name } = options;
  let connection: Promise<Connection> | undefined;
  const connect = () => {
    connection ??= openConnection(options);
    return connection;
  };
  return {
    name,
    stream: (request, signal) =>
      streamAnswer(
        {
          provider: name,
          open: (call) => open(connect, name, request, call),
          decoder: createEventDecoder(),
          toError,
          streamFault,
        },
        signal,
      ),
    probe: (signal) => probe(connect, name, signal),
  };
}

/** The SDK takes a moment and some 25 MB to load, so it is not loaded before it is needed. */
async function openConnection(options: BedrockProviderOptions): Promise<Connection> {
  const [sdk, handlers] = await Promise.all([
    import('@aws-sdk/client-bedrock-runtime'),
    import('@smithy/node-http-handler'),
  ]);
  const { httpsProxy, httpProxy, noProxy } = options.proxies ?? {};
  const agent = {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    proxyEnv: { HTTPS_PROXY: httpsProxy ?? httpProxy, HTTP_PROXY: httpProxy, NO_PROXY: noProxy },
  };
  const requestHandler =
    options.httpVersion === 2
      ? new handlers.NodeHttp2Handler()
      : new handlers.NodeHttpHandler({
          connectionTimeout: connectTimeoutMs,
          httpAgent: agent,
          httpsAgent: agent,
        });
  return { sdk, client: new sdk.BedrockRuntimeClient({ ...toClientConfig(options), requestHandler }) };
}

function toClientConfig({ region, endpoint, credentials }: BedrockProviderOptions) {
  return {
    region,
    maxAttempts: 1,
    retryMode: 'standard',
    defaultsMode: 'standard',
    streamCollector: collectErrorBody,
    eventStreamSerdeProvider: () => bodyAsIs,
    ...(endpoint === undefined ? {} : { endpoint: endpoint.trim().replace(/\/+$/, '') }),
    // keys that were given win over a token in the environment
    ...(credentials === undefined ? {} : { credentials, authSchemePreference: ['sigv4'] }),
  } satisfies BedrockRuntimeClientConfig;
}

/** Hands the body over untouched: the SDK's own decoder takes a dozen promises for each delta, and frames of 4 GB. */
const bodyAsIs = {
  async *deserialize<T>(body: unknown): AsyncGenerator<T> {
    yield body as T;
  },
  serialize(): never {
    throw new Error('requests are not streamed');
  },
};

/** The SDK reads the whole body of an error, so it is given one with an end. */
async function collectErrorBody(body: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxErrorBytes) break;
    }
  } catch {
    // the status says enough
  }
  return Buffer.concat(chunks).subarray(0, maxErrorBytes);
}

/** The answer's headers. Credentials are found on the way, which knows no abort of its own. */
async function open(
  connect: Connect,
  provider: string,
  request: LlmRequest,
  signal: AbortSignal,
): Promise<Response> {
  try {
    const { sdk, client } = await connect();
    const command = new sdk.ConverseStreamCommand(toRequest(request));
    const answer = await raceAbort(client.send(command, { abortSignal: signal }), signal);
    const body = Readable.toWeb(await bodyOf(answer.stream));
    return new Response(body as ReadableStream<Uint8Array>);
  } catch (error) {
    throw toOpeningFault(error, provider);
  }
}

async function bodyOf(stream: unknown): Promise<Readable> {
  for await (const body of stream as AsyncIterable<Readable>) return body;
  throw new Error('an answer without a body');
}

/**
 * Takes the road of a call, so that credentials and endpoint are found as a call finds them, but asks only for the
 * root of the endpoint: that costs nothing and needs no permission. AWS answers it with 404.
 */
async function probe(connect: Connect, provider: string, signal: AbortSignal): Promise<ProbedModel[]> {
  signal.throwIfAborted();
  const { sdk, client } = await connect();
  const command = new sdk.ConverseStreamCommand({ modelId: 'probe', messages: [] });
  command.middlewareStack.add((next) => (args) => next({ ...args, request: knock(args.request) }), {
    step: 'finalizeRequest',
    priority: 'low',
  });
  try {
    const answer = await raceAbort(client.send(command, { abortSignal: signal }), signal);
    (await bodyOf(answer.stream)).destroy();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const status = statusOf(error);
    if (status === undefined || status === 401 || status === 403) throw toOpeningFault(error, provider);
  }
  return [];
}

type SignedRequest = { headers: Record<string, string> };

function knock(request: unknown) {
  const headers = Object.entries((request as SignedRequest).headers);
  return Object.assign(request as SignedRequest, {
    method: 'GET',
    path: '/',
    headers: Object.fromEntries(headers.filter(([name]) => name === 'host' || name === ':authority')),
    body: undefined,
  });
}
