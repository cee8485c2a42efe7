/** Where a request belongs in its caller's distributed trace: the headers of W3C Trace Context, as they came. */
export type TraceContext = { traceparent: string; tracestate?: string };

/** The id of the trace, which its headers have at one place. */
export function traceIdOf(trace: TraceContext | undefined): string | undefined {
  return trace?.traceparent.split('-')[1];
}
