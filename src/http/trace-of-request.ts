import type { IncomingHttpHeaders } from 'node:http';
import type { TraceContext } from '../core/trace.js';

/** version, trace, parent and flags; neither of the ids may be all zeros. */
const wellFormed = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const shortPrintable = /^[\x20-\x7e]{1,512}$/;

/** The trace that a request is a part of; headers that are malformed count as absent, as the standard has it. */
export function traceOf({ traceparent, tracestate }: IncomingHttpHeaders): TraceContext | undefined {
  if (typeof traceparent !== 'string' || !wellFormed.test(traceparent)) return undefined;
  const hasState = typeof tracestate === 'string' && shortPrintable.test(tracestate);
  return { traceparent, ...(hasState && { tracestate }) };
}
