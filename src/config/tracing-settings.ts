import { boolean, fraction, InvalidValue, type Kind, line, oneOf, rootUrl, secretText } from './kinds.js';
import type { SettingValues } from './settings.js';

const otlpProtocols = ['http/protobuf', 'http/json', 'grpc'] as const;

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** OpenTelemetry adds a path of its own. */
const collectorUrl: Kind<string> = {
  parse(text) {
    const url = rootUrl.parse(text);
    if (!url.endsWith('/v1/traces')) return url;
    throw new InvalidValue(
      'not end with /v1/traces: that is added (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes it)',
    );
  },
};

/** Settings of traces. Those that begin with OTEL_ are OpenTelemetry's own, which knows more of them. */
export const tracingSettings = {
  isTracingEnabled: {
    env: 'ENABLE_TRACING',
    kind: boolean,
    group: 'tracing',
    about:
      'Sends traces by OTLP; unless set, when one of the two endpoints is. true: to localhost:4318 without one. ' +
      'false: not at all.',
  },
  traceKind: {
    env: 'TRACING',
    kind: oneOf(['otlp', 'xray'] as const),
    default: 'otlp',
    group: 'tracing',
    about:
      'xray: ids and headers are those of AWS X-Ray, for a collector beside the service that sends its spans there.',
  },
  otlpEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    kind: collectorUrl,
    group: 'tracing',
    about: 'The collector that takes traces, such as http://collector:4318; /v1/traces is added for HTTP.',
  },
  otlpTracesEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    kind: rootUrl,
    group: 'tracing',
    about: 'The same for traces alone, as it is.',
  },
  otlpProtocol: {
    env: 'OTEL_EXPORTER_OTLP_PROTOCOL',
    kind: oneOf(otlpProtocols),
    default: 'http/protobuf',
    group: 'tracing',
    about: `How the collector is spoken to: ${otlpProtocols.join(', ')}.`,
  },
  otlpHeaders: {
    env: 'OTEL_EXPORTER_OTLP_HEADERS',
    kind: secretText,
    group: 'tracing',
    about: 'Headers for the collector: name=value, comma-separated. Often a key.',
  },
  serviceName: {
    env: 'OTEL_SERVICE_NAME',
    kind: line,
    group: 'tracing',
    about: 'The name of the service in traces; unless set, paf-core-agent or paf-core-agent-worker.',
  },
  resourceAttributes: {
    env: 'OTEL_RESOURCE_ATTRIBUTES',
    kind: line,
    group: 'tracing',
    about: 'What else is said of the service: name=value, comma-separated.',
  },
  traceSampler: {
    env: 'OTEL_TRACES_SAMPLER',
    kind: oneOf(samplers),
    default: 'parentbased_always_on',
    group: 'tracing',
    about: `Which traces are kept: ${samplers.join(', ')}.`,
  },
  traceSamplerArg: {
    env: 'OTEL_TRACES_SAMPLER_ARG',
    kind: fraction(0),
    group: 'tracing',
    about: 'The share of traces, from 0 to 1, that a traceidratio sampler keeps; unless set, all.',
  },
  isSdkDisabled: {
    env: 'OTEL_SDK_DISABLED',
    kind: boolean,
    default: 'false',
    group: 'tracing',
    about: 'true: no traces, whatever else is set.',
  },
} as const;

export type TracingSetting = keyof typeof tracingSettings;

/** How traces leave the process. OpenTelemetry reads the rest in the environment. */
export type TracingConfig = {
  kind: 'otlp' | 'xray';
  protocol: (typeof otlpProtocols)[number];
  /** a secret */
  headers: string | undefined;
  /** whether the environment names the service */
  isNamed: boolean;
};

export const tracingSettingNames = Object.keys(tracingSettings) as TracingSetting[];

/** Undefined: no traces are made. */
export function tracingOf(
  values: Pick<SettingValues, TracingSetting>,
  warnings: string[],
): TracingConfig | undefined {
  const { isTracingEnabled, otlpEndpoint, otlpTracesEndpoint, serviceName, resourceAttributes } = values;
  const hasEndpoint = otlpEndpoint !== undefined || otlpTracesEndpoint !== undefined;
  if (values.traceKind === 'xray' && isTracingEnabled === undefined && !hasEndpoint) {
    warnings.push('TRACING is xray, but no traces are made without OTEL_EXPORTER_OTLP_ENDPOINT');
  }
  if (values.isSdkDisabled || !(isTracingEnabled ?? hasEndpoint)) return undefined;
  return {
    kind: values.traceKind,
    protocol: values.otlpProtocol,
    headers: values.otlpHeaders,
    isNamed: serviceName !== undefined || /(^|,)\s*service\.name=/.test(resourceAttributes ?? ''),
  };
}

export function withoutTracingSettings<Values extends object>(values: Values): Omit<Values, TracingSetting> {
  const names: readonly string[] = tracingSettingNames;
  const kept = Object.entries(values).filter(([name]) => !names.includes(name));
  return Object.fromEntries(kept) as Omit<Values, TracingSetting>;
}
