import { createRequire } from 'node:module';
import type { TextMapPropagator } from '@opentelemetry/api';
import { CompositePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import {
  defaultResource,
  envDetector,
  hostDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { traceRedis } from './redis.js';
import { createScrubbingExporter } from './scrub.js';
import { isPassedOn, logFields } from './spans.js';

export type SdkOptions = {
  kind: 'otlp' | 'xray';
  protocol: 'grpc' | 'http/json' | 'http/protobuf';
  /** undefined: OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say it */
  serviceName: string | undefined;
  version: string;
  warn(fields: Record<string, unknown>, message: string): void;
};

export interface StartedSdk {
  /** Sends what was not sent yet, unless that takes too long. Does not throw. */
  shutdown(): Promise<void>;
  /** the ids of the active span, for log lines */
  logFields(): object;
}

const shutdownTimeoutMs = 2_000;

/** Probes and scrapes come every few seconds and say nothing. */
const quietPaths = /^\/(metrics|api\/health)(?:[/?]|$)/;

/** Calls that a worker's callers make all the time. */
const quietMethods = ['Check', 'Watch', 'List', 'ListCapabilities', 'ServerReflectionInfo'];

/**
 * Starts OpenTelemetry for this process by its own variables. Must be done before the modules are loaded that it patches,
 * which are the app and the services.
 */
export async function startSdk({
  kind,
  protocol,
  serviceName,
  version,
  warn,
}: SdkOptions): Promise<StartedSdk> {
  const exporter = createScrubbingExporter(await createExporter(protocol), (trouble) =>
    trouble === undefined
      ? warn({}, 'spans are exported again')
      : warn(trouble, 'spans cannot be exported; this is said once'),
  );
  const sdk = new NodeSDK({
    traceExporter: exporter,
    textMapPropagator: guarded(await createPropagator(kind)),
    ...(kind === 'xray' && { idGenerator: (await import('./xray.js')).xrayIds }),
    ...(serviceName !== undefined && { serviceName }),
    resource: defaultResource().merge(resourceFromAttributes({ 'service.version': version })),
    resourceDetectors: [envDetector, hostDetector, serviceInstanceIdDetector],
    instrumentations: createInstrumentations(),
    // metrics and logs have their own ways out
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  loadPatched();
  traceRedis();
  return {
    logFields,
    async shutdown() {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, shutdownTimeoutMs);
      await Promise.race([sdk.shutdown().catch(() => {}), timeout.promise]);
      clearTimeout(timer);
    },
  };
}

type SpanExporter = NodeSDKConfiguration['traceExporter'];

/** Only the one that is used is loaded. */
async function createExporter(protocol: SdkOptions['protocol']): Promise<SpanExporter> {
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
    default:
      return protocol satisfies never;
  }
}

/** Baggage of strangers goes nowhere. Of two headers that name a parent, X-Ray's counts where it is wanted. */
async function createPropagator(kind: SdkOptions['kind']): Promise<TextMapPropagator> {
  const w3c = new W3CTraceContextPropagator();
  if (kind === 'otlp') return w3c;
  const { createXrayPropagator } = await import('./xray.js');
  return new CompositePropagator({ propagators: [w3c, createXrayPropagator()] });
}

/** Nobody is told of our traces unless that is wanted: hosts of files and of keys are strangers. */
const guarded = (inner: TextMapPropagator): TextMapPropagator => ({
  fields: () => inner.fields(),
  extract: (context, carrier, getter) => inner.extract(context, carrier, getter),
  inject(context, carrier, setter) {
    if (isPassedOn(context)) inner.inject(context, carrier, setter);
  },
});

function createInstrumentations() {
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: ({ url = '' }) => quietPaths.test(url),
      disableOutgoingRequestInstrumentation: true,
    }),
    // probes and the pings of MCP servers belong to no trace
    new UndiciInstrumentation({ requireParentforSpans: true }),
    new GrpcInstrumentation({ ignoreGrpcMethods: quietMethods }),
  ];
}

/**
 * What is patched when it is required. ES modules would pass by that, but they get the same objects, and these are
 * patched from then on.
 */
function loadPatched(): void {
  const require = createRequire(import.meta.url);
  for (const name of ['node:http', '@grpc/grpc-js']) require(name);
}
