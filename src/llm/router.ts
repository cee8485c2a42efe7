import { DeadlineReached, delay } from '../core/abort.js';
import { Fault } from '../core/errors.js';
import type { Attempt, AttemptOutcome, LlmEvent } from '../core/events.js';
import { type Message, noUsage, type Usage } from '../core/message.js';
import type { Breakers } from './breaker.js';
import { type Budget, holdFor } from './budget.js';
import { continueWith } from './continuation.js';
import type { CallFollower } from './followed-call.js';
import type { LlmProvider, LlmRequest, Model, ToolDefinition } from './provider.js';
import type { Seam } from './seam.js';
import { countMessagesTokens, countTokens } from './tokens.js';
import { withoutImages } from './without-images.js';

/** A request before a model is chosen for it. */
export type RoutedRequest = Omit<LlmRequest, 'model'> & {
  /** models that may answer, best first */
  candidates: Model[];
  /** epoch milliseconds after which no retry may start */
  deadlineAt: number;
  budget: Budget;
  /** the call is not made when the account behind the budget pays for less output; absent: 1 */
  leastTokens?: number;
};

export type RoutedEvent = LlmEvent | { type: 'attempt-end'; attempt: Attempt };

export interface Router {
  /**
   * One logical call. While nothing was streamed, a failed call is made again or goes to the next candidate; afterwards
   * the next call is asked to continue the text so far, and only what is new of it is yielded. Yields an `attempt-end`
   * for every call made. Returns the model that finished the answer. Throws the last Fault when it cannot be answered or
   * continued, or the abort reason.
   */
  stream(request: RoutedRequest, signal: AbortSignal): AsyncGenerator<RoutedEvent, Model>;
}

export type RouterOptions = {
  providers: LlmProvider[];
  breakers: Breakers;
  /** milliseconds that a provider may be silent before its first token or between two */
  requestTimeoutMs: number;
  random?: () => number;
  onCall?: (provider: string, outcome: 'ok' | Fault) => void;
  follow?: CallFollower | undefined;
};

/** Long texts are counted by samples, and other models' tokens differ from those that are counted. */
const countMargin = 1.03;
const maxCallsPerProvider = 3;
const maxCalls = 6;
const firstBackoffMs = 100;
const maxBackoffMs = 1000;
/** A provider that asks for a longer pause than this is passed over while another one is left. */
const patienceMs = 5000;

/** Characters after which a call is cut, thinking included: far beyond what models write, but a broken one may never end. */
const maxOutputChars = 16 * 1024 * 1024;

/** What a logical call has come to, over all its attempts. */
type Progress = {
  /** the answer so far, as it was yielded */
  text: string;
  hasToolCall: boolean;
  calls: number;
  callsOf: Map<string, number>;
  /** providers that refused the request or the key: they are not asked again */
  refused: Set<string>;
  /** the candidate that is asked */
  index: number;
  /** how the last call that was made failed */
  fault: Fault | undefined;
};

/** One call: what it used, and how it ended. */
type Call = { model: Model; attempt: Attempt | undefined };

const refusals = [400, 401, 403, 422];

export function createRouter(options: RouterOptions): Router {
  const providers = new Map(options.providers.map((provider) => [provider.name, provider]));
  const random = options.random ?? Math.random;

  async function* stream(request: RoutedRequest, signal: AbortSignal): AsyncGenerator<RoutedEvent, Model> {
    const progress = startProgress();
    for (;;) {
      const model = request.candidates[progress.index];
      if (!model) throw new Fault('provider_unavailable', 'No model provider is available.');
      const call: Call = { model, attempt: undefined };
      try {
        yield* ask(call, request, progress, signal);
        yield* booked(call, request);
        return model;
      } catch (error) {
        yield* booked(call, request);
        if (signal.aborted) throw stoppedBy(error, progress);
        if (!(error instanceof Fault)) throw error;
        // a breaker that opened meanwhile tells less than what opened it
        if (call.attempt || !progress.fault) progress.fault = error;
        const step = nextStep(call, request, progress, error, random);
        if (!step) throw failureOf(progress, progress.fault);
        progress.index = step.index;
        if (step.pauseMs > 0) await delay(step.pauseMs, signal);
      }
    }
  }

  /** Makes one call and yields what is new of its answer. */
  async function* ask(
    call: Call,
    request: RoutedRequest,
    progress: Progress,
    signal: AbortSignal,
  ): AsyncGenerator<LlmEvent, void> {
    const { model } = call;
    const provider = providers.get(model.provider);
    if (!provider)
      throw new Fault('provider_unavailable', `The provider ${model.provider} is not configured.`);
    const { llmRequest, seam } = toLlmRequest(model, request, progress);
    const leave = await options.breakers.enter(model.provider);
    const hold = request.budget.hold && (await holdFor(request, llmRequest, leave, signal));
    progress.calls += 1;
    progress.callsOf.set(model.provider, callsOf(progress, model) + 1);
    const watchdog = startWatchdog(options.requestTimeoutMs, model);
    const record = startRecord(call, llmRequest);
    const followed = options.follow?.(llmRequest);
    const start = () => provider.stream(llmRequest, AbortSignal.any([signal, watchdog.signal]));
    try {
      for await (const event of followed?.open(start) ?? start()) {
        watchdog.touch();
        followed?.onEvent(event);
        // others need not wait for the end of the answer by which a provider shows that it is well again
        if (record.take(event) && options.breakers.state(model.provider) !== 'closed') leave('ok');
        if (event.type === 'text-delta') {
          const text = seam ? seam.push(event.text) : event.text;
          if (seam?.isRestart) throw startedOver(model);
          progress.text += text;
          if (text !== '') yield text.length === event.text.length ? event : { type: 'text-delta', text };
        } else {
          if (seam && (event.type === 'end' || event.type === 'tool-call-start'))
            yield* flush(seam, model, progress);
          if (event.type === 'tool-call-start') progress.hasToolCall = true;
          yield event;
        }
        if (record.outputLength() > maxOutputChars) {
          yield { type: 'end', finishReason: 'length' };
          break;
        }
      }
      record.end('ok');
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const fault = watchdog.signal.aborted
        ? (watchdog.signal.reason as Fault)
        : asProviderFault(error, model.provider);
      record.end(fault);
      throw fault;
    } finally {
      watchdog.stop();
      const outcome = record.settle();
      if (call.attempt) followed?.end(call.attempt);
      hold?.settle(call.attempt);
      leave(outcome);
      if (outcome) options.onCall?.(model.provider, outcome);
    }
  }

  return { stream };
}

function startProgress(): Progress {
  return {
    text: '',
    hasToolCall: false,
    calls: 0,
    callsOf: new Map(),
    refused: new Set(),
    index: 0,
    fault: undefined,
  };
}

const callsOf = (progress: Progress, model: Model) => progress.callsOf.get(model.provider) ?? 0;

function* booked({ attempt }: Call, { budget }: RoutedRequest): Generator<RoutedEvent> {
  if (!attempt) return;
  budget.book(attempt);
  yield { type: 'attempt-end', attempt };
}

function* flush(seam: Seam, model: Model, progress: Progress): Generator<LlmEvent> {
  const text = seam.end();
  if (seam.isRestart) throw startedOver(model);
  progress.text += text;
  if (text !== '') yield { type: 'text-delta', text };
}

/** The request as this model gets it: the whole question, or the rest of an answer that broke off. */
function toLlmRequest(model: Model, request: RoutedRequest, progress: Progress) {
  const { candidates: _, deadlineAt: __, leastTokens: ___, budget, ...given } = request;
  const rest = model.accepts.images ? given : { ...given, messages: withoutImages(given.messages) };
  const { messages, seam } =
    progress.text === ''
      ? { messages: rest.messages, seam: undefined }
      : continueWith(model, rest.messages, progress.text);
  const llmRequest: LlmRequest = { ...rest, model, messages };
  // the rest of a JSON value is none itself
  if (messages !== rest.messages) llmRequest.responseFormat = { type: 'text' };
  const asked = (rest.maxTokens ?? Number.POSITIVE_INFINITY) - countTokens(progress.text);
  const affordable = budget.affordableTokens([model], () => countMessagesTokens(messages, rest.tools));
  const limit = Math.min(asked, affordable, roomFor(model, messages, rest.tools));
  if (limit < Number.POSITIVE_INFINITY) llmRequest.maxTokens = Math.max(1, Math.min(limit, model.maxOutput));
  return { llmRequest, seam };
}

/** The output tokens that a model's window has room for. Throws when there is none. */
function roomFor(model: Model, messages: Message[], tools: ToolDefinition[]): number {
  const input = countMessagesTokens(messages, model.accepts.tools ? tools : []);
  const room = model.contextWindow - Math.ceil(input * countMargin);
  if (room >= 1) return room;
  throw new Fault('invalid_request', `The conversation no longer fits the context window of ${model.id}.`);
}

/** Which candidate is asked next after a failed call, and after which pause; undefined when it is over. */
function nextStep(
  call: Call,
  request: RoutedRequest,
  progress: Progress,
  fault: Fault,
  random: () => number,
) {
  if (refusals.includes(fault.upstreamStatus ?? 0)) progress.refused.add(call.model.provider);
  if (progress.hasToolCall || progress.calls >= maxCalls || fault.type === 'limits_unavailable')
    return undefined;
  const mayAsk = (model: Model) =>
    !progress.refused.has(model.provider) &&
    callsOf(progress, model) < maxCallsPerProvider &&
    canAfford(model, request, progress);
  const other = request.candidates.findIndex((model, index) => index > progress.index && mayAsk(model));
  const pauseMs = backoffMs(callsOf(progress, call.model), fault, random);
  const isInTime = Date.now() + pauseMs <= request.deadlineAt;
  const canRepeat = call.attempt !== undefined && fault.retryable && isInTime && mayAsk(call.model);
  const isOtherBetter = !canRepeat || pauseMs > patienceMs || (progress.text !== '' && !isTransport(fault));
  if (isOtherBetter && other >= 0) return { index: other, pauseMs: 0 };
  return canRepeat ? { index: progress.index, pauseMs } : undefined;
}

function canAfford(model: Model, { budget, messages, tools }: RoutedRequest, progress: Progress): boolean {
  const input = () => countMessagesTokens(messages, tools) + countTokens(progress.text);
  return budget.affordableTokens([model], input) >= 1;
}

/** An answer that broke off and was not continued in time is lost, not merely cut at the run's time limit. */
function stoppedBy(reason: unknown, progress: Progress): unknown {
  const isLost = reason instanceof DeadlineReached && progress.fault && progress.text !== '';
  return isLost && progress.fault ? failureOf(progress, progress.fault) : reason;
}

/** The connection failed, not the model: the same provider may well go on. */
function isTransport({ type, upstreamStatus }: Fault): boolean {
  return (type === 'provider_error' || type === 'provider_timeout') && upstreamStatus === undefined;
}

/** Watches one call for its attempt: first token, usage and end. */
function startRecord(call: Call, request: LlmRequest) {
  const { model } = call;
  const startedMs = performance.now();
  let output = '';
  let firstTokenMs: number | undefined;
  let usage: Usage | undefined;
  let outcome: 'ok' | Fault | undefined;
  return {
    /** Says whether this was the first token. */
    take(event: LlmEvent): boolean {
      if (event.type === 'end') {
        usage = event.usage;
        return false;
      }
      if ('text' in event) output += event.text;
      if (firstTokenMs !== undefined) return false;
      firstTokenMs = performance.now() - startedMs;
      return true;
    },
    outputLength: () => output.length,
    end(result: 'ok' | Fault): void {
      outcome = result;
    },
    /** Notes the attempt; how it ended, or undefined when it was aborted. */
    settle(): 'ok' | Fault | undefined {
      const fault = outcome instanceof Fault ? outcome : undefined;
      const isBilled = fault === undefined || firstTokenMs !== undefined;
      const used = usage ?? (isBilled ? estimate(request, output) : noUsage);
      const costUsd = costOf(model, used);
      call.attempt = {
        provider: model.provider,
        model: model.id,
        outcome: fault ? outcomeOf(fault) : outcome === 'ok' ? 'ok' : 'cancelled',
        usage: used,
        ...(costUsd === undefined ? {} : { costUsd }),
        durationMs: performance.now() - startedMs,
        ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
        ...(fault === undefined ? {} : { errorType: fault.type }),
      };
      return outcome;
    },
  };
}

function startedOver({ provider }: Model): Fault {
  const message = `The provider ${provider} started its answer over.`;
  return new Fault('provider_error', message, { upstreamStatus: 200 });
}

function estimate(request: LlmRequest, output: string): Usage {
  return {
    inputTokens: countMessagesTokens(request.messages, request.tools),
    outputTokens: countTokens(output),
    cachedTokens: 0,
    reasoningTokens: 0,
    estimated: true,
  };
}

function costOf(model: Model, usage: Usage): number | undefined {
  if (!model.price) return undefined;
  const { input, cachedInput = input, output } = model.price;
  const fresh = usage.inputTokens - usage.cachedTokens;
  return (fresh * input + usage.cachedTokens * cachedInput + usage.outputTokens * output) / 1_000_000;
}

function backoffMs(tries: number, fault: Fault, random: () => number): number {
  const ceilingMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** (tries - 1));
  const jittered = ceilingMs * (0.5 + random() / 2);
  return Math.max(jittered, fault.retryAfterMs ?? 0);
}

/** What was shown cannot be taken back, so the run says that the answer is incomplete. */
function failureOf(progress: Progress, fault: Fault): Fault {
  if (progress.text === '' && !progress.hasToolCall) return fault;
  const { retryAfterMs } = fault;
  return new Fault(fault.type, `${fault.message} The answer broke off before it was complete.`, {
    cause: fault,
    retryable: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function asProviderFault(error: unknown, provider: string): Fault {
  if (error instanceof Fault) return error;
  return new Fault('provider_error', `The provider ${provider} failed in an unexpected way.`, {
    cause: error,
  });
}

function outcomeOf(fault: Fault): AttemptOutcome {
  if (fault.type === 'provider_timeout') return 'timeout';
  if (fault.type === 'provider_unavailable') return 'unavailable';
  if (fault.type === 'provider_rejected') return 'rejected';
  return 'error';
}

type Watchdog = { signal: AbortSignal; touch(): void; stop(): void };

/** Aborts when `touch` was not called for too long. A touch only notes the time, so it costs next to nothing. */
function startWatchdog(timeoutMs: number, model: Model): Watchdog {
  const controller = new AbortController();
  const firstMs = model.firstTokenTimeout === undefined ? timeoutMs : model.firstTokenTimeout * 1000;
  let lastMs = performance.now();
  let limitMs = firstMs;
  const check = () => {
    const silentMs = performance.now() - lastMs;
    if (silentMs < limitMs) {
      timer = setTimeout(check, limitMs - silentMs);
      return;
    }
    const seconds = limitMs / 1000;
    const text = `The provider ${model.provider} sent nothing for ${seconds} seconds.`;
    controller.abort(new Fault('provider_timeout', text));
  };
  let timer = setTimeout(check, firstMs);
  return {
    signal: controller.signal,
    touch() {
      lastMs = performance.now();
      if (limitMs === timeoutMs) return;
      limitMs = timeoutMs;
      clearTimeout(timer);
      timer = setTimeout(check, limitMs);
    },
    stop: () => clearTimeout(timer),
  };
}
