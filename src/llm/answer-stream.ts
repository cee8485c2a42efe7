import type { Fault } from '../core/errors.js';
import type { LlmEvent } from '../core/events.js';
import { brokenOff, garbled } from './provider-errors.js';
import { contentType, ignore, parseObject, readText } from './transport.js';

/** Why a stream cannot go on: `error` is the provider's own object, `garbage` what is not the protocol. */
export type StreamFailure = { kind: 'error'; error: unknown } | { kind: 'garbage'; cause: unknown };

/**
 * Turns the bytes of one answer into events, synchronously. `failure` is set once the stream cannot go on (what came
 * before it is still returned); `isDone` once it said that nothing follows.
 */
export interface AnswerDecoder {
  feed(bytes: Uint8Array): LlmEvent[];
  /** takes a whole, not streamed answer */
  feedWhole(body: object): LlmEvent[];
  /** The closing events, to be called once: `end` comes last. Only when `isFinished`. */
  close(): LlmEvent[];
  /** whether a finish reason was seen */
  readonly isFinished: boolean;
  readonly isDone: boolean;
  readonly failure: StreamFailure | undefined;
}

/** What differs between the protocols that answer over HTTP with server-sent events. */
export type AnswerCall = {
  provider: string;
  /** asks, and resolves to the answer's headers */
  open(signal: AbortSignal): Promise<Response>;
  decoder: AnswerDecoder;
  toError(error: unknown, provider: string): Fault;
  streamFault(failure: StreamFailure, provider: string): Fault;
};

const maxWholeBytes = 16 * 1024 * 1024;
/** how long usage and the end mark may take once the answer is finished */
const afterFinishMs = 3_000;
/** how long a finished body may take to end before its connection is given up */
const drainMs = 250;

/** One answer as the port wants it: see `LlmProvider.stream`. */
export async function* streamAnswer(
  call: AnswerCall,
  signal: AbortSignal,
): AsyncGenerator<LlmEvent, void, undefined> {
  const { provider, decoder } = call;
  signal.throwIfAborted();
  const connection = new AbortController();
  let reader: Reader | undefined;
  let afterFinish: NodeJS.Timeout | undefined;
  let isComplete = false;
  const tearDown = () => {
    connection.abort();
    reader?.cancel().catch(ignore);
  };
  signal.addEventListener('abort', tearDown, { once: true });
  try {
    const response = await call.open(connection.signal);
    if (contentType(response) === 'application/json') {
      for (const event of await readWhole(response, call)) yield event;
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
      if (decoder.failure) throw call.streamFault(decoder.failure, provider);
      if (decoder.isFinished) afterFinish = endSoon(reader, afterFinish);
    }
    if (!decoder.isFinished) throw brokenOff(provider);
    isComplete = true;
    void drain(reader);
    for (const event of decoder.close()) yield event;
  } catch (error) {
    throw signal.aborted ? signal.reason : call.toError(error, provider);
  } finally {
    clearTimeout(afterFinish);
    signal.removeEventListener('abort', tearDown);
    if (!isComplete) tearDown();
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** Servers label their streams in many ways; only what is surely a page is turned down before it is read. */
function readerOf(response: Response, provider: string): Reader {
  if (!response.body || contentType(response) === 'text/html') throw garbled(provider, undefined);
  return response.body.getReader();
}

/** A connection that breaks after the finish reason has lost nothing of the answer. */
async function read(reader: Reader, decoder: AnswerDecoder) {
  try {
    return await reader.read();
  } catch (error) {
    if (decoder.isFinished) return { done: true as const, value: undefined };
    throw error;
  }
}

function endSoon(reader: Reader, timer: NodeJS.Timeout | undefined): NodeJS.Timeout {
  return timer ?? setTimeout(() => reader.cancel().catch(ignore), afterFinishMs);
}

/** Reads on for a moment after the end mark, since only a body that was read to its end leaves the connection usable. */
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
async function readWhole(response: Response, { provider, decoder, streamFault }: AnswerCall) {
  const body = parseObject(await readText(response, maxWholeBytes));
  if (!body) throw garbled(provider, undefined);
  const events = decoder.feedWhole(body);
  if (decoder.failure) throw streamFault(decoder.failure, provider);
  if (!decoder.isFinished) throw brokenOff(provider);
  return [...events, ...decoder.close()];
}

/** The header in which a provider is told the id of the request that a call is for. */
export const requestIdHeader = (requestId: string | undefined): Record<string, string> =>
  requestId === undefined ? {} : { 'X-Request-Id': requestId };
