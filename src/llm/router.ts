import { delay } from '../core/abort.js';
import { Fault } from '../core/errors.js';
import type { Attempt, AttemptOutcome, LlmEvent } from '../core/events.js';
import { noUsage, type Usage } from '../core/message.js';
import type { LlmProvider, LlmRequest, Model } from './provider.js';
import { countMessagesTokens, countTokens } from './tokens.js';

/** A request before a model is chosen for it. */
export type RoutedRequest = Omit<LlmRequest, 'model'> & {
  /** models that may answer, best first */
  candidates: Model[];
  /** epoch milliseconds after which no retry may start */
  deadlineAt: number;
};

export type RoutedEvent = LlmEvent | { type: 'attempt-end'; attempt: Attempt };

export interface Router {
  /**
   * One logical call: the first candidate is asked, and asked again or followed by the next one while nothing was
   * streamed. Yields the answering model's events and an `attempt-end` for every call made. Returns the model that
   * answered. Throws the last Fault when all failed, at once when tokens were already streamed, or the abort reason.
   */
  stream(request: RoutedRequest, signal: AbortSignal): AsyncGenerator<RoutedEvent, Model>;
}

export type RouterOptions = {
  providers: LlmProvider[];
  /** milliseconds that a provider may be silent before its first token or between two */
  requestTimeoutMs: number;
  random?: () => number;
  onCall?: (provider: string, outcome: 'ok' | Fault) => void;
};

const maxCallsPerProvider = 3;
const maxCalls = 6;
const firstBackoffMs = 100;
const maxBackoffMs = 1000;
/** A provider that asks for a longer pause than this is passed over while another one is left. */
const patienceMs = 5000;

type AttemptState = { hasStarted: boolean; attempt: Attempt | undefined };

export function createRouter(options: RouterOptions): Router {
  const providers = new Map(options.providers.map((provider) => [provider.name, provider]));
  const random = options.random ?? Math.random;

  async function* call(
    model: Model,
    request: RoutedRequest,
    state: AttemptState,
    signal: AbortSignal,
  ): AsyncGenerator<LlmEvent, void> {
    const provider = providers.get(model.provider);
    if (!provider)
      throw new Fault('provider_unavailable', `The provider ${model.provider} is not configured.`);
    const startedMs = performance.now();
    const watchdog = startWatchdog(options.requestTimeoutMs, model);
    const { candidates: _, deadlineAt: __, ...rest } = request;
    let output = '';
    let firstTokenMs: number | undefined;
    let usage: Usage | undefined;
    let fault: Fault | undefined;
    let outcome: AttemptOutcome = 'cancelled';
    try {
      const stream = provider.stream({ ...rest, model }, AbortSignal.any([signal, watchdog.signal]));
      for await (const event of stream) {
        watchdog.touch();
        if (event.type === 'end') {
          usage = event.usage;
          outcome = 'ok';
        } else {
          if (firstTokenMs === undefined) {
            firstTokenMs = performance.now() - startedMs;
            state.hasStarted = true;
          }
          if (
            event.type === 'text-delta' ||
            event.type === 'reasoning-delta' ||
            event.type === 'tool-call-delta'
          ) {
            output += event.text;
          }
        }
        yield event;
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      fault = watchdog.signal.aborted
        ? (watchdog.signal.reason as Fault)
        : asProviderFault(error, model.provider);
      outcome = outcomeOf(fault);
      throw fault;
    } finally {
      watchdog.stop();
      if (outcome === 'ok') options.onCall?.(model.provider, 'ok');
      else if (fault) options.onCall?.(model.provider, fault);
      const isBilled = outcome === 'ok' || firstTokenMs !== undefined || outcome === 'cancelled';
      const booked = usage ?? (isBilled ? estimate(request, output) : noUsage);
      const costUsd = costOf(model, booked);
      state.attempt = {
        provider: model.provider,
        model: model.id,
        outcome,
        usage: booked,
        ...(costUsd === undefined ? {} : { costUsd }),
        durationMs: performance.now() - startedMs,
        ...(firstTokenMs === undefined ? {} : { firstTokenMs }),
        ...(fault === undefined ? {} : { errorType: fault.type }),
      };
    }
  }

  async function* stream(request: RoutedRequest, signal: AbortSignal): AsyncGenerator<RoutedEvent, Model> {
    let calls = 0;
    let last: Fault | undefined;
    const callsOf = new Map<string, number>();
    const refused = new Set<string>();
    for (const [index, model] of request.candidates.entries()) {
      if (refused.has(model.provider)) continue;
      const hasNext = request.candidates.slice(index + 1).some((other) => !refused.has(other.provider));
      for (let tries = 1; calls < maxCalls; tries += 1) {
        const callsOfProvider = (callsOf.get(model.provider) ?? 0) + 1;
        if (callsOfProvider > maxCallsPerProvider) break;
        callsOf.set(model.provider, callsOfProvider);
        calls += 1;
        const state: AttemptState = { hasStarted: false, attempt: undefined };
        try {
          yield* call(model, request, state, signal);
          if (state.attempt) yield { type: 'attempt-end', attempt: state.attempt };
          return model;
        } catch (error) {
          if (state.attempt) yield { type: 'attempt-end', attempt: state.attempt };
          if (signal.aborted || !(error instanceof Fault)) throw error;
          last = error;
          if (state.hasStarted) throw brokenOff(error);
          if (!error.retryable) {
            if (error.upstreamStatus !== undefined) refused.add(model.provider);
            break;
          }
          if (callsOfProvider >= maxCallsPerProvider) break;
          const pauseMs = backoffMs(tries, error, random);
          if (Date.now() + pauseMs > request.deadlineAt || (hasNext && pauseMs > patienceMs)) break;
          await delay(pauseMs, signal);
        }
      }
    }
    throw last ?? new Fault('provider_unavailable', 'No model provider is available.');
  }

  return { stream };
}

function estimate(request: RoutedRequest, output: string): Usage {
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
function brokenOff(fault: Fault): Fault {
  return new Fault(fault.type, `${fault.message} The answer broke off before it was complete.`, {
    cause: fault,
    retryable: true,
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
