/** Where a request belongs in its caller's distributed trace: the headers of W3C Trace Context, as they came. */
export type TraceContext = { traceparent: string; tracestate?: string };
