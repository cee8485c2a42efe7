import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { onTestFinished, vi } from 'vitest';

const protoFile = fileURLToPath(new URL('../fixtures/otlp/trace.proto', import.meta.url));
const requestType = protobuf.loadSync(protoFile).lookupType('otlp.ExportTraceServiceRequest');

export type ReceivedSpan = {
  traceId: string;
  spanId: string;
  /** empty: a root */
  parentSpanId: string;
  name: string;
  kind: 'internal' | 'server' | 'client' | 'other';
  status: 'unset' | 'ok' | 'error';
  statusMessage: string;
  attributes: Record<string, unknown>;
  events: { name: string; attributes: Record<string, unknown> }[];
  links: { traceId: string; spanId: string }[];
  scope: string;
  resource: Record<string, unknown>;
};

export type OtlpReceiver = {
  /** for OTEL_EXPORTER_OTLP_ENDPOINT */
  url: string;
  spans: ReceivedSpan[];
  /** everything that came, undecoded */
  bytes(): Buffer;
  headers: IncomingMessage['headers'][];
  /** forgets what came so far */
  clear(): void;
  /** resolves with all spans once one that fits is there */
  until(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan[]>;
};

type Answer = 'take' | 'hang' | 'refuse';

/** A collector that decodes what it is sent, by HTTP as protobuf or JSON. */
export async function useOtlpReceiver(
  answer: Answer = 'take',
  atEnd: (close: () => void) => void = onTestFinished,
): Promise<OtlpReceiver> {
  const receiver = createReceiver();
  const server = createServer((request, response) => void take(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    receiver.headers.push(request.headers);
    if (answer === 'hang') return;
    if (answer === 'refuse') return void response.writeHead(400).end();
    if (request.url !== '/v1/traces') return void response.writeHead(404).end();
    const isJson = request.headers['content-type'] === 'application/json';
    receiver.take(plain, isJson);
    response.setHeader('content-type', request.headers['content-type'] ?? '');
    response.end(isJson ? '{}' : '');
  }

  return { ...receiver, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** The same by gRPC. */
export async function useGrpcReceiver(): Promise<OtlpReceiver> {
  const receiver = createReceiver();
  const server = new Server();
  const asIs = (bytes: Buffer) => bytes;
  server.addService(
    {
      export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      export: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
        receiver.take(call.request, false);
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    const onBound = (error: Error | null, taken: number) => (error ? reject(error) : resolve(taken));
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), onBound);
  });
  onTestFinished(() => server.forceShutdown());
  return { ...receiver, url: `http://127.0.0.1:${port}` };
}

function createReceiver() {
  const spans: ReceivedSpan[] = [];
  const chunks: Buffer[] = [];
  const headers: IncomingMessage['headers'][] = [];
  return {
    spans,
    headers,
    bytes: () => Buffer.concat(chunks),
    clear(): void {
      spans.length = 0;
      chunks.length = 0;
    },
    take(body: Buffer, isJson: boolean): void {
      chunks.push(body);
      spans.push(...toSpans(isJson ? JSON.parse(body.toString()) : decode(body), isJson));
    },
    until: (fits: (span: ReceivedSpan) => boolean) =>
      vi.waitFor(
        () => {
          if (spans.some(fits)) return spans;
          throw new Error(`no such span in ${JSON.stringify(spans.map(({ name }) => name))}`);
        },
        { timeout: 15_000, interval: 10 },
      ),
  };
}

type Value = {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string | number;
  doubleValue?: number;
  arrayValue?: { values?: Value[] };
};
type Attributes = { key: string; value: Value }[];
type WireSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind?: number;
  status?: { code?: number; message?: string };
  attributes?: Attributes;
  events?: { name: string; attributes?: Attributes }[];
  links?: { traceId: string; spanId: string }[];
};
type WireRequest = {
  resourceSpans?: {
    resource?: { attributes?: Attributes };
    scopeSpans?: { scope?: { name?: string }; spans?: WireSpan[] }[];
  }[];
};

const decode = (body: Buffer) =>
  requestType.toObject(requestType.decode(body), { longs: String, bytes: String }) as WireRequest;

/** Ids are hexadecimal in JSON, and here base64 of the bytes in protobuf. */
function toSpans(request: WireRequest, isJson: boolean): ReceivedSpan[] {
  const toId = (id = '') => (isJson ? id : Buffer.from(id, 'base64').toString('hex'));
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope, spans = [] }) =>
      spans.map((span) => ({
        traceId: toId(span.traceId),
        spanId: toId(span.spanId),
        parentSpanId: toId(span.parentSpanId),
        name: span.name,
        kind: (['other', 'internal', 'server', 'client'] as const)[span.kind ?? 0] ?? 'other',
        status: (['unset', 'ok', 'error'] as const)[span.status?.code ?? 0] ?? 'unset',
        statusMessage: span.status?.message ?? '',
        attributes: toRecord(span.attributes),
        events: (span.events ?? []).map((event) => ({
          name: event.name,
          attributes: toRecord(event.attributes),
        })),
        links: (span.links ?? []).map((link) => ({
          traceId: toId(link.traceId),
          spanId: toId(link.spanId),
        })),
        scope: scope?.name ?? '',
        resource: toRecord(resource?.attributes),
      })),
    ),
  );
}

const toRecord = (attributes: Attributes = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, toValue(value)]));

function toValue(value: Value): unknown {
  if (value.arrayValue) return (value.arrayValue.values ?? []).map(toValue);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}

/** The spans of one trace as indented lines, siblings in the order in which they ended. Throws when a parent is missing. */
export function treeOf(spans: readonly ReceivedSpan[], remoteParent = ''): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const lost = spans.filter((span) => span.parentSpanId !== remoteParent && !ids.has(span.parentSpanId));
  if (lost.length > 0) throw new Error(`without a parent: ${lost.map(({ name }) => name).join(', ')}`);
  const below = (parent: string, depth: number): string[] =>
    spans
      .filter((span) => span.parentSpanId === parent)
      .flatMap((span) => [
        `${'  '.repeat(depth)}${span.kind} ${span.name}`,
        ...below(span.spanId, depth + 1),
      ]);
  return below(remoteParent, 0);
}
