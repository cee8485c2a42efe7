import { propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import type { TraceContext } from '../../core/trace.js';
import type { CallFollower } from '../../llm/followed-call.js';
import type { Run } from '../../runs/run.js';
import type { RunObserver } from '../../runs/runs.js';
import type { McpCallFollower } from '../../tools/mcp/mcp-server.js';
import type { Tool } from '../../tools/tool.js';
import { type OpenSpan, toTraceContext } from './spans.js';
import { type ModelServer, traceCalls } from './trace-calls.js';
import { traceRuns } from './trace-runs.js';
import { portOf, traceMcpCalls, traceTools } from './trace-tools.js';

/** Spans for what the service does, wrapped around it from outside. Where they go is up to who set OpenTelemetry up. */
export interface Tracing {
  /** Wraps an observer of runs. */
  readonly aroundRuns: (inner: RunObserver) => RunObserver;
  readonly followCall: CallFollower;
  readonly followMcpCall: McpCallFollower;
  readonly wrapTools: (tools: Tool[]) => Tool[];
  /** The trace of the active span, whose ids log lines have already. */
  activeTrace(): TraceContext | undefined;
  /** The trace that a request's headers name. */
  traceIn(headers: Readonly<Record<string, unknown>>): TraceContext | undefined;
  /** Names the active span after the route that was found for its request. */
  nameRequest(method: string, route: string): void;
  /** Links the active span to a run that another request started. */
  linkTo(run: Run): void;
}

type TracingOptions = {
  /** whether spans hold what was said */
  isContentCaptured: boolean;
  /** where the providers are; `isVendor`: where their vendors have them */
  providers: readonly { name: string; address: string; isVendor: boolean }[];
};

/** Uses what is registered with the API of OpenTelemetry; nothing is recorded where nothing is. */
export function createTracing({ isContentCaptured, providers }: TracingOptions): Tracing {
  const spans = new WeakMap<Run, OpenSpan>();
  const servers = new Map(providers.map((provider) => [provider.name, toServer(provider)]));
  return {
    aroundRuns: (inner) => traceRuns(inner, (run, span) => spans.set(run, span)),
    followCall: traceCalls(servers, isContentCaptured),
    followMcpCall: traceMcpCalls(),
    wrapTools: traceTools(isContentCaptured),
    activeTrace: () => toTraceContext(trace.getActiveSpan()?.spanContext()),
    traceIn: (headers) => toTraceContext(trace.getSpanContext(propagation.extract(ROOT_CONTEXT, headers))),
    nameRequest(method, route) {
      trace.getActiveSpan()?.updateName(`${method} ${route}`).setAttribute('http.route', route);
    },
    linkTo(run) {
      const linked = spans.get(run);
      const target = linked && trace.getSpanContext(linked.context);
      const active = trace.getActiveSpan();
      if (!active || !target) return;
      const isItsOwn = run.options.trace?.traceparent.includes(active.spanContext().spanId);
      if (!isItsOwn) active.addLink({ context: target });
    },
  };
}

function toServer({ address, isVendor }: TracingOptions['providers'][number]): ModelServer {
  const url = new URL(address);
  return { host: url.hostname, port: portOf(url), isPassedOn: !isVendor };
}
