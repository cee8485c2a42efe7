import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type Http2ServerResponse, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { type ConverseRequest, converseProblem } from './bedrock-request.ts';
import { asChatRequest, converseTimeline, promptTokens } from './bedrock-timeline.ts';
import { type ReplyDefaults, replyTo } from './commands.ts';
import { type Exchange, openExchange } from './exchange.ts';
import { aborted } from './play.ts';
import { type Faults, faultsOf, type Hold, type ScriptedReply } from './reply.ts';
import type { FakeRequest } from './serve.ts';
import type { Step } from './timeline.ts';

export type FakeBedrockOptions = ReplyDefaults & {
  port?: number;
  host?: string;
  /** 2: without TLS, by prior knowledge */
  httpVersion?: 1 | 2;
  /** tokens; longer prompts are refused */
  contextWindow?: number;
  /** requests that are signed with another key get 403 */
  accessKeyId?: string;
  /** an unscripted request is refused with 500 instead of answered */
  requireScript?: boolean;
};

export type FakeBedrock = {
  /** the endpoint */
  readonly url: string;
  readonly port: number;
  readonly requests: FakeRequest<ConverseRequest>[];
  /** how many connections were opened */
  readonly connections: number;
  /** how many requests went to anything but a model */
  readonly probes: number;
  /** what a request to anything but a model is answered; default 404 */
  probeStatus: number;
  /** appends to the queue of replies; each request takes the next one */
  script(...replies: ScriptedReply[]): void;
  /** the nth request, as soon as it has arrived */
  waitForRequest(number?: number, timeoutMs?: number): Promise<FakeRequest<ConverseRequest>>;
  /** the nth request whose client left early, as soon as it has; `at` is its `endedAt` */
  waitForAbort(
    number?: number,
    timeoutMs?: number,
  ): Promise<{ request: FakeRequest<ConverseRequest>; at: number }>;
  /** throws when scripted replies were not used or unscripted requests came in under `requireScript` */
  verify(): void;
  /** ends everything at once; afterwards connections are refused */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

type State = {
  options: FakeBedrockOptions;
  script: ScriptedReply[];
  requests: FakeRequest<ConverseRequest>[];
  aborts: FakeRequest<ConverseRequest>[];
  unexpected: number;
  connections: number;
  probes: number;
  probeStatus: number;
  watchers: Set<() => void>;
};

/**
 * A server that speaks Bedrock's ConverseStream, over HTTP/1.1 or HTTP/2. Faults that its protocol cannot have (crlf,
 * json, arguments-first) are passed over.
 */
export async function startFakeBedrock(options: FakeBedrockOptions = {}): Promise<FakeBedrock> {
  const state: State = {
    options,
    script: [],
    requests: [],
    aborts: [],
    unexpected: 0,
    connections: 0,
    probes: 0,
    probeStatus: 404,
    watchers: new Set(),
  };
  const host = options.host ?? '127.0.0.1';
  const { server, closeAll } = createServer(state);
  server.on('connection', () => {
    state.connections += 1;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      closeAll();
    });
  return {
    url: `http://${host}:${port}`,
    port,
    requests: state.requests,
    get connections() {
      return state.connections;
    },
    get probes() {
      return state.probes;
    },
    get probeStatus() {
      return state.probeStatus;
    },
    set probeStatus(status) {
      state.probeStatus = status;
    },
    script: (...replies) => {
      for (const reply of replies) faultsOf(reply);
      state.script.push(...replies);
    },
    waitForRequest: (number = 1, timeoutMs = 5000) =>
      until(state, () => state.requests[number - 1], `request ${number}`, timeoutMs),
    waitForAbort: async (number = 1, timeoutMs = 5000) => {
      const request = await until(state, () => state.aborts[number - 1], `abort ${number}`, timeoutMs);
      return { request, at: request.endedAt ?? Number.NaN };
    },
    verify: () => verify(state),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The parts of both HTTP versions that are used are the same. */
function createServer(state: State): { server: Server; closeAll: () => void } {
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    route(state, request, response).catch(() => response.destroy());
  };
  if (state.options.httpVersion !== 2) {
    const server = createHttp1({ keepAliveTimeout: 75_000, noDelay: true, requestTimeout: 0 }, onRequest);
    return { server, closeAll: () => server.closeAllConnections() };
  }
  const sessions = new Set<ServerHttp2Session>();
  const server = createHttp2((request, response) => {
    onRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse);
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => sessions.delete(session));
  });
  return {
    server,
    closeAll: () => {
      for (const session of sessions) session.destroy();
    },
  };
}

function verify({ script, unexpected }: State): void {
  if (script.length > 0) throw new Error(`fake Bedrock: ${script.length} scripted replies were not used`);
  if (unexpected > 0) throw new Error(`fake Bedrock: ${unexpected} requests had no scripted reply`);
}

function until<T>(state: State, find: () => T | undefined, what: string, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      state.watchers.delete(check);
    };
    const check = () => {
      const found = find();
      if (found === undefined) return;
      stop();
      resolve(found);
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`fake Bedrock: no ${what} within ${timeoutMs} ms`));
    }, timeoutMs);
    state.watchers.add(check);
    check();
  });
}

function notify(state: State): void {
  for (const check of [...state.watchers]) check();
}

async function route(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('x-amzn-requestid', `fake-${state.requests.length + 1}`);
  const model = /^\/model\/([^/]+)\/converse-stream$/.exec(request.url ?? '')?.[1];
  if (request.method !== 'POST' || model === undefined) {
    state.probes += 1;
    return sendError(response, state.probeStatus, 'unknown operation', 'UnknownOperationException');
  }
  return answerRequest(state, decodeURIComponent(model), request, response);
}

async function answerRequest(
  state: State,
  model: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = parseJson(await readBody(request));
  const record: FakeRequest<ConverseRequest> = {
    body: { ...(body as ConverseRequest), model },
    headers: request.headers,
    state: 'open',
    startedAt: performance.now(),
    endedAt: undefined,
  };
  const exchange = (isHttp2(response) ? openHttp2Exchange : openExchange)(response, (isAborted) => {
    record.state = isAborted ? 'aborted' : 'finished';
    record.endedAt = performance.now();
    if (isAborted) state.aborts.push(record);
    notify(state);
  });
  state.requests.push(record);
  notify(state);
  const refusal = refusalOf(state.options, record);
  if (refusal) return sendError(response, ...refusal);
  try {
    await answer(nextReply(state, record.body), record.body, exchange);
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
  }
}

type OverHttp2 = ServerResponse & Pick<Http2ServerResponse, 'stream'>;

function isHttp2(response: ServerResponse): response is OverHttp2 {
  return 'stream' in response;
}

/** HTTP/2 calls finished also a response that the client cut short; its stream knows better. */
function openHttp2Exchange(response: ServerResponse, onEnd: (isAborted: boolean) => void): Exchange {
  const gone = new AbortController();
  const { stream } = response as OverHttp2;
  const exchange = openExchange(response, () => {});
  let isOurs = false;
  response.once('close', () => {
    const isAborted = stream.aborted && !isOurs;
    if (isAborted) gone.abort();
    onEnd(isAborted);
  });
  return {
    response,
    signal: gone.signal,
    destroy(how) {
      isOurs = true;
      exchange.destroy(how);
    },
  };
}

type Refusal = [status: number, message: string, type: string];

function refusalOf(options: FakeBedrockOptions, record: FakeRequest<ConverseRequest>): Refusal | undefined {
  const signer = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/[\w-]+\/bedrock\/aws4_request, /.exec(
    record.headers.authorization ?? '',
  )?.[1];
  if (signer === undefined) {
    return [403, 'Missing Authentication Token', 'MissingAuthenticationTokenException'];
  }
  if (options.accessKeyId !== undefined && signer !== options.accessKeyId) {
    return [403, 'The security token included in the request is invalid.', 'UnrecognizedClientException'];
  }
  const problem = converseProblem(record.body);
  if (problem !== undefined) return [400, problem, 'ValidationException'];
  if (promptTokens(record.body) <= (options.contextWindow ?? Number.POSITIVE_INFINITY)) return undefined;
  return [400, 'Input is too long for requested model.', 'ValidationException'];
}

function nextReply(state: State, request: ConverseRequest): ScriptedReply {
  const scripted = state.script.shift();
  if (scripted) return scripted;
  if (state.options.requireScript) {
    state.unexpected += 1;
    return { fault: { type: 'status', status: 500 } };
  }
  try {
    return replyTo(asChatRequest(request), state.options);
  } catch (error) {
    return { fault: { type: 'status', status: 400, body: { message: (error as Error).message } } };
  }
}

async function answer(reply: ScriptedReply, request: ConverseRequest, exchange: Exchange): Promise<void> {
  const faults = faultsOf(reply);
  if (await failBeforeHeaders(faults, exchange)) return;
  const { response } = exchange;
  response.writeHead(200, {
    'content-type': faults['content-type']?.value ?? 'application/vnd.amazon.eventstream',
  });
  response.flushHeaders();
  await play(converseTimeline(reply, request), faults, exchange);
}

async function failBeforeHeaders({ reset, hang, status }: Faults, exchange: Exchange): Promise<boolean> {
  if (reset) exchange.destroy('reset');
  else if (hang) await aborted(exchange.signal);
  else if (status) {
    const { response } = exchange;
    const body = status.body ?? {};
    if (status.retryAfter !== undefined) response.setHeader('retry-after', String(status.retryAfter));
    if (typeof body === 'string') {
      response.writeHead(status.status, { 'content-type': 'text/html' }).end(body);
    } else {
      const { __type: type, message } = body as { __type?: string; message?: string };
      sendError(response, status.status, message ?? 'The fake was told to fail.', type);
    }
  } else return false;
  return true;
}

/** Carries out the steps on a response. Rejects with the signal's reason when the client leaves. */
async function play(steps: Iterable<Step>, faults: Faults, exchange: Exchange): Promise<void> {
  const { response, signal } = exchange;
  for (const step of steps) {
    if (step.type === 'send') await send(Buffer.from(step.frame, 'latin1'), faults, exchange);
    else if (step.type === 'wait') await wait(step.ms, undefined, { signal });
    else if (step.type === 'stall') await aborted(signal);
    else if (step.type === 'hold') await waitForRelease(step.hold, signal);
    else {
      // what was sent is given the time to be read
      await wait(10, undefined, { signal });
      return exchange.destroy('close');
    }
  }
  response.end();
}

async function waitForRelease(hold: Hold, signal: AbortSignal): Promise<void> {
  hold.arrive();
  await Promise.race([hold.released, aborted(signal)]);
}

async function send(frame: Buffer, faults: Faults, { response, signal }: Exchange): Promise<void> {
  const isSplit = faults['one-byte'] || faults['split-utf8'];
  for (const piece of faults['one-byte'] ? singly(frame) : faults['split-utf8'] ? halves(frame) : [frame]) {
    if (!response.write(piece)) await drained(response, signal);
    if (isSplit) await nextTurn(undefined, { signal });
  }
}

function* singly(bytes: Buffer): Generator<Buffer> {
  for (let position = 0; position < bytes.length; position += 1) {
    yield bytes.subarray(position, position + 1);
  }
}

/** in two, within a character where there is one of several bytes */
function halves(bytes: Buffer): Buffer[] {
  const inCharacter = bytes.findIndex(
    (byte, position) => position > 12 && position < bytes.length - 4 && (byte & 0xc0) === 0x80,
  );
  const cut = inCharacter === -1 ? Math.floor(bytes.length / 2) : inCharacter;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  const drain = Promise.withResolvers<void>();
  response.once('drain', drain.resolve);
  await Promise.race([drain.promise, aborted(signal)]).finally(() => response.off('drain', drain.resolve));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

const errorTypes: Record<number, string> = {
  400: 'ValidationException',
  401: 'UnrecognizedClientException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  408: 'ModelTimeoutException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  500: 'InternalServerException',
  503: 'ServiceUnavailableException',
};

function sendError(response: ServerResponse, status: number, message: string, type?: string): void {
  const name = type ?? errorTypes[status];
  response
    .writeHead(status, {
      'content-type': 'application/json',
      ...(name !== undefined && { 'x-amzn-errortype': `${name}:http://internal.amazon.com/coral/` }),
    })
    .end(JSON.stringify({ message }));
}
