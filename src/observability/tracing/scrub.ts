import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { scopeName } from './spans.js';

type SpanExporter = NodeSDKConfiguration['traceExporter'];
type FinishedSpan = Parameters<SpanExporter['export']>[0][number];

/**
 * The attributes that leave the process. Instrumentations note more than anybody should keep: whole addresses with their
 * queries, who the client is, what an error said.
 */
const kept = new Set([
  'error.type',
  'exception.type',
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'network.protocol.version',
  'network.transport',
  'rpc.method',
  'rpc.service',
  'rpc.system',
  'rpc.grpc.status_code',
  'server.address',
  'server.port',
  'url.scheme',
]);
/** Of our own spans more is kept: what is on them was chosen. Libraries make spans too, maybe with what was said. */
const ownPrefixes = ['db.', 'gen_ai.', 'mcp.', 'paf.'];

const isKept = (name: string, isOwn: boolean) =>
  kept.has(name) || (isOwn && ownPrefixes.some((prefix) => name.startsWith(prefix)));

/** Why spans cannot be exported, by the error's kind: its text may quote the other side. */
export type Trouble = { error: string; code?: unknown };

/**
 * An exporter that sends on only what spans may hold, and tells of its troubles: once when they begin and once when
 * they are over, which belongs to no request.
 */
export function createScrubbingExporter(
  inner: SpanExporter,
  onTrouble: (trouble: Trouble | undefined) => void,
): SpanExporter {
  let isInTrouble = false;
  return {
    export(spans, done) {
      for (const span of spans) scrub(span);
      inner.export(spans, (result) => {
        // 0 is success
        const trouble = result.code === 0 ? undefined : toTrouble(result.error);
        const hasFailed = trouble !== undefined;
        if (hasFailed !== isInTrouble) context.with(ROOT_CONTEXT, () => onTrouble(trouble));
        isInTrouble = hasFailed;
        done(result);
      });
    },
    shutdown: () => inner.shutdown(),
    forceFlush: async () => inner.forceFlush?.(),
  };
}

function toTrouble({ name = 'Error', code }: { name?: string; code?: unknown } = {}): Trouble {
  return { error: name, ...(code !== undefined && { code }) };
}

/** Nobody else has the span any more, so it is changed in place. */
function scrub(span: FinishedSpan): void {
  const isOwn = span.instrumentationScope.name === scopeName;
  for (const { attributes } of [span, ...span.events, ...span.links]) keepAllowed(attributes, isOwn);
  delete span.status.message;
}

function keepAllowed(attributes: Record<string, unknown> | undefined, isOwn: boolean): void {
  for (const name of Object.keys(attributes ?? {})) if (!isKept(name, isOwn)) delete attributes?.[name];
}
