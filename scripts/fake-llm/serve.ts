import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReplyDefaults } from './commands.ts';
import { type Exchange, openExchange } from './exchange.ts';
import type { Fault } from './faults.ts';
import { aborted, play, playWhole } from './play.ts';
import { type Faults, faultsOf, type ScriptedReply } from './reply.ts';
import type { Step } from './timeline.ts';

/** An entry of GET /v1/models; servers add fields of their own, such as vLLM's `max_model_len`. */
export type FakeModel = { id: string; [field: string]: unknown };

/** What a protocol has of its own. Scripts, faults, holds and the record of requests are the same for all. */
export type FakeWire<Request extends { model: string }> = {
  /** the route that answers, such as `POST /v1/messages` */
  readonly route: string;
  isAuthorized(headers: IncomingHttpHeaders, apiKey: string): boolean;
  errorBody(status: number, message: string, code?: string): object;
  /** what a strict server says of a bad request, with status 400 */
  refusalOf(body: unknown, contextWindow: number, headers: IncomingHttpHeaders): object | undefined;
  /** the answer to a request that no script expects */
  replyTo(request: Request, defaults: ReplyDefaults): ScriptedReply;
  isStreamed(request: Request): boolean;
  timeline(reply: ScriptedReply, request: Request, number: number): Iterable<Step>;
  /** the same answer as one JSON body */
  whole(reply: ScriptedReply, request: Request, number: number): object;
  modelList(models: FakeModel[]): object;
};

export type FakeLlmOptions = ReplyDefaults & {
  port?: number;
  host?: string;
  /** default: one model, `fake-model` */
  models?: FakeModel[];
  /** tokens; longer prompts get 400 context_length_exceeded, and the models list says it */
  contextWindow?: number;
  /** requests without this key get 401 */
  apiKey?: string;
  /** an unscripted request is refused with 500 instead of answered */
  requireScript?: boolean;
  /** keep the recorded requests; default true */
  record?: boolean;
};

/** One request for an answer. Times are `performance.now()` milliseconds. */
export type FakeRequest<Request> = {
  readonly body: Request;
  readonly headers: IncomingHttpHeaders;
  /** `aborted`: the client closed the connection before the answer was over */
  state: 'open' | 'finished' | 'aborted';
  readonly startedAt: number;
  endedAt: number | undefined;
};

export type Fake<Request> = {
  /** the base URL, ending in /v1 */
  readonly url: string;
  readonly port: number;
  readonly requests: FakeRequest<Request>[];
  /** how many times GET /v1/models was asked */
  readonly modelRequests: number;
  /** what GET /v1/models lists, and the fault it has; both may be changed at any time */
  models: FakeModel[];
  modelsFault: Fault | string | undefined;
  /** appends to the queue of replies; each request takes the next one */
  script(...replies: ScriptedReply[]): void;
  /** the nth request, as soon as it has arrived */
  waitForRequest(number?: number, timeoutMs?: number): Promise<FakeRequest<Request>>;
  /** the nth request whose client left early, as soon as it has; `at` is its `endedAt` */
  waitForAbort(number?: number, timeoutMs?: number): Promise<{ request: FakeRequest<Request>; at: number }>;
  /** throws when scripted replies were not used or unscripted requests came in under `requireScript` */
  verify(): void;
  /** ends everything at once; afterwards connections are refused */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

type State<Request extends { model: string }> = {
  wire: FakeWire<Request>;
  options: FakeLlmOptions;
  script: ScriptedReply[];
  requests: FakeRequest<Request>[];
  aborts: FakeRequest<Request>[];
  unexpected: number;
  modelRequests: number;
  completions: number;
  models: FakeModel[];
  modelsFault: Fault | string | undefined;
  watchers: Set<() => void>;
};

export async function startFake<Request extends { model: string }>(
  wire: FakeWire<Request>,
  options: FakeLlmOptions,
): Promise<Fake<Request>> {
  const { contextWindow } = options;
  const model = { id: 'fake-model', ...(contextWindow !== undefined && { max_model_len: contextWindow }) };
  const state: State<Request> = {
    wire,
    options,
    script: [],
    requests: [],
    aborts: [],
    unexpected: 0,
    modelRequests: 0,
    completions: 0,
    models: options.models ?? [model],
    modelsFault: undefined,
    watchers: new Set(),
  };
  const host = options.host ?? '127.0.0.1';
  // Idle connections are kept longer than any client's own limit, so that no request meets a closing one.
  const server = createServer(
    { keepAliveTimeout: 75_000, noDelay: true, requestTimeout: 0 },
    (request, response) => {
      route(state, request, response).catch(() => response.destroy());
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `http://${host}:${port}/v1`,
    port,
    requests: state.requests,
    get modelRequests() {
      return state.modelRequests;
    },
    get models() {
      return state.models;
    },
    set models(models) {
      state.models = models;
    },
    get modelsFault() {
      return state.modelsFault;
    },
    set modelsFault(fault) {
      state.modelsFault = fault;
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

type Watched = Pick<State<never>, 'watchers'>;
type Tally = Pick<State<never>, 'script' | 'unexpected'>;

function verify({ script, unexpected }: Tally): void {
  if (script.length > 0) throw new Error(`fake LLM: ${script.length} scripted replies were not used`);
  if (unexpected > 0) throw new Error(`fake LLM: ${unexpected} requests had no scripted reply`);
}

function until<T>(state: Watched, find: () => T | undefined, what: string, timeoutMs: number): Promise<T> {
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
      reject(new Error(`fake LLM: no ${what} within ${timeoutMs} ms`));
    }, timeoutMs);
    state.watchers.add(check);
    check();
  });
}

function notify(state: Watched): void {
  for (const check of [...state.watchers]) check();
}

async function route<R extends { model: string }>(
  state: State<R>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { wire, options } = state;
  const { pathname } = new URL(request.url ?? '/', 'http://fake');
  response.setHeader('x-request-id', `req_fake_${state.completions + state.modelRequests + 1}`);
  const key = `${request.method} ${pathname}`;
  if (options.apiKey !== undefined && !wire.isAuthorized(request.headers, options.apiKey)) {
    return sendJson(response, 401, wire.errorBody(401, 'Incorrect API key provided.'));
  }
  if (key === wire.route) return answerRequest(state, request, response);
  if (key === 'GET /v1/models') return listModels(state, response);
  sendJson(response, 404, wire.errorBody(404, `Invalid URL (${key})`, 'unknown_url'));
}

async function listModels<R extends { model: string }>(
  state: State<R>,
  response: ServerResponse,
): Promise<void> {
  state.modelRequests += 1;
  const fault = state.modelsFault;
  const exchange = openExchange(response, () => {});
  if (await failBeforeHeaders(state.wire, faultsOf(fault === undefined ? {} : { fault }), exchange)) return;
  sendJson(response, 200, state.wire.modelList(state.models));
}

async function answerRequest<R extends { model: string }>(
  state: State<R>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = parseJson(await readBody(request));
  const record: FakeRequest<R> = {
    body: body as R,
    headers: request.headers,
    state: 'open',
    startedAt: performance.now(),
    endedAt: undefined,
  };
  const exchange = openExchange(response, (isAborted) => {
    record.state = isAborted ? 'aborted' : 'finished';
    record.endedAt = performance.now();
    if (isAborted && state.options.record !== false) state.aborts.push(record);
    notify(state);
  });
  if (state.options.record !== false) state.requests.push(record);
  notify(state);
  const contextWindow = state.options.contextWindow ?? Number.POSITIVE_INFINITY;
  const refusal = state.wire.refusalOf(body, contextWindow, request.headers);
  if (refusal) return sendJson(response, 400, refusal);
  try {
    await answer(state, nextReply(state, record.body), record.body, exchange);
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
  }
}

function nextReply<R extends { model: string }>(state: State<R>, request: R): ScriptedReply {
  const { wire, options } = state;
  const scripted = state.script.shift();
  if (scripted) return scripted;
  if (options.requireScript) {
    state.unexpected += 1;
    return {
      fault: { type: 'status', status: 500, body: wire.errorBody(500, 'no scripted reply is left') },
    };
  }
  try {
    return wire.replyTo(request, options);
  } catch (error) {
    return { fault: { type: 'status', status: 400, body: wire.errorBody(400, (error as Error).message) } };
  }
}

async function answer<R extends { model: string }>(
  state: State<R>,
  reply: ScriptedReply,
  request: R,
  exchange: Exchange,
): Promise<void> {
  state.completions += 1;
  const { wire, completions: number } = state;
  const faults = faultsOf(reply);
  if (await failBeforeHeaders(wire, faults, exchange)) return;
  if (!wire.isStreamed(request) || faults.json) {
    const error = wire.errorBody(500, 'The server failed.');
    return playWhole({ completion: wire.whole(reply, request, number), error }, reply, exchange);
  }
  exchange.response.writeHead(200, {
    'content-type': faults['content-type']?.value ?? 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  exchange.response.flushHeaders();
  await play(wire.timeline(reply, request, number), faults, exchange);
}

async function failBeforeHeaders(
  wire: Pick<FakeWire<never>, 'errorBody'>,
  faults: Faults,
  exchange: Exchange,
): Promise<boolean> {
  const { status } = faults;
  if (faults.reset) exchange.destroy('reset');
  else if (faults.hang) await aborted(exchange.signal);
  else if (status) {
    const { retryAfter } = status;
    if (retryAfter !== undefined) exchange.response.setHeader('retry-after', String(retryAfter));
    const body =
      status.body ?? wire.errorBody(status.status, `The fake model was told to answer ${status.status}.`);
    if (typeof body === 'string')
      exchange.response.writeHead(status.status, { 'content-type': 'text/html' }).end(body);
    else sendJson(exchange.response, status.status, body);
  } else return false;
  return true;
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
    return undefined;
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
