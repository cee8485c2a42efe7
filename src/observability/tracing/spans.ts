import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { TraceContext } from '../../core/trace.js';

type SpanOptions = {
  kind?: 'internal' | 'client';
  attributes: Attributes;
  /** default: what is active */
  parent?: Context;
  /** whether other services are told of the trace by what is asked of them in its context */
  isPassedOn?: boolean;
};

/** A span of our own. Whatever is done in its context has it as the parent. */
export interface OpenSpan {
  readonly context: Context;
  /** for other services; undefined when nothing in this process makes spans */
  readonly trace: TraceContext | undefined;
  set(attributes: Attributes): void;
  /** Only the first end counts. `errorType` says that it failed, and how. */
  end(errorType?: string): void;
}

/** What our own spans are told by. */
export const scopeName = 'paf-core-agent';

const kinds = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT };

/** Holds what must not outlive a run. */
const openSpansKey = createContextKey('paf-core-agent open spans');
const passedOnKey = createContextKey('paf-core-agent passed on');

/** Whether what is asked of others in this context may tell them of its trace. */
export const isPassedOn = (given: Context): boolean => given.getValue(passedOnKey) === true;

/** The error type of what its caller stopped. That is no failure: the status stays unset, so that error rates leave it out. */
export const cancelled = 'cancelled';

/** A context in which spans are known to the set, which can end those that nobody else did. */
export function collectSpans(parent: Context, spans: Set<OpenSpan>): Context {
  return parent.setValue(openSpansKey, spans);
}

/** The active context, whose spans may outlive its run from here on: what they stand for ends by itself. */
export const uncollected = (): Context => context.active().deleteValue(openSpansKey);

export function startSpan(
  name: string,
  { kind = 'internal', attributes, parent = context.active(), isPassedOn = false }: SpanOptions,
): OpenSpan {
  // asked for each time: whoever embeds this may register their provider late
  const span = trace.getTracer(scopeName).startSpan(name, { kind: kinds[kind], attributes }, parent);
  const siblings = parent.getValue(openSpansKey) as Set<OpenSpan> | undefined;
  let isEnded = false;
  const open: OpenSpan = {
    context: trace.setSpan(isPassedOn ? parent.setValue(passedOnKey, true) : parent, span),
    trace: toTraceContext(span.spanContext()),
    set: (more) => void span.setAttributes(more),
    end(errorType) {
      if (isEnded) return;
      isEnded = true;
      siblings?.delete(open);
      if (errorType !== undefined) {
        span.setAttribute('error.type', errorType);
        if (errorType !== cancelled) span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
  siblings?.add(open);
  return open;
}

/** The headers of W3C Trace Context for a span; undefined for one that nobody keeps. */
export function toTraceContext(span: SpanContext | undefined): TraceContext | undefined {
  if (!span || !isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const tracestate = span.traceState?.serialize();
  return { traceparent: `00-${span.traceId}-${span.spanId}-${flags}`, ...(tracestate && { tracestate }) };
}

/** Where to go on: in the active span, and where there is none in that of another process. */
export function contextOf(given: TraceContext | undefined): Context {
  if (!given || trace.getActiveSpan()) return context.active();
  const [, traceId = '', spanId = '', flags = ''] = given.traceparent.split('-');
  const { tracestate } = given;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate && { traceState: createTraceState(tracestate) }),
  });
}

/** An error by its kind only: its text may quote what was said. */
export function errorTypeOf(error: unknown): string {
  const { type, name } = error as { type?: unknown; name?: unknown };
  if (typeof type === 'string') return type;
  return typeof name === 'string' ? name : typeof error;
}

/** Calls `next` of an iterator in this context, which generators do not keep from one step to the other. */
export function inContext<T, R>(
  iterator: AsyncIterator<T, R>,
  current: () => Context,
): Pick<AsyncIterator<T, R, undefined>, 'next'> {
  const next = () => iterator.next();
  return { next: () => context.with(current(), next) };
}

/** The ids of the active span, for log lines. */
export function logFields(): { trace_id?: string; span_id?: string } {
  const span = trace.getSpanContext(context.active());
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
}
