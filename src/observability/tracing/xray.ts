import { randomBytes } from 'node:crypto';
import type { Context, TextMapGetter, TextMapPropagator } from '@opentelemetry/api';
import { AWSXRAY_TRACE_ID_HEADER, AWSXRayPropagator } from '@opentelemetry/propagator-aws-xray';

/**
 * Ids as X-Ray takes them: a trace's begins with the time at which it began, in seconds.
 * @see https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
 */
export const xrayIds = {
  generateTraceId: () =>
    Math.floor(Date.now() / 1000)
      .toString(16)
      .padStart(8, '0') + randomBytes(12).toString('hex'),
  generateSpanId: () => randomBytes(8).toString('hex'),
};

/**
 * The header of X-Ray. A load balancer of AWS that begins a trace names neither a parent nor a decision, which the
 * library then takes for no header at all; here the trace is gone on with, under a parent made of the trace's own id.
 */
export function createXrayPropagator(): TextMapPropagator {
  const inner = new AWSXRayPropagator();
  return {
    fields: () => inner.fields(),
    inject: (context, carrier, setter) => inner.inject(context, carrier, setter),
    extract(context: Context, carrier: unknown, getter: TextMapGetter) {
      const whole: TextMapGetter = {
        keys: (headers) => getter.keys(headers),
        get: (headers, name) => {
          const given = getter.get(headers, name);
          const header = Array.isArray(given) ? given[0] : given;
          if (header === undefined || name.toLowerCase() !== AWSXRAY_TRACE_ID_HEADER) return given;
          return completed(header);
        },
      };
      return inner.extract(context, carrier, whole);
    },
  };
}

function completed(header: string): string {
  const root = /Root=1-[0-9a-f]{8}-[0-9a-f]{8}([0-9a-f]{16})/.exec(header);
  if (!root) return header;
  const parent = /Parent=/.test(header) ? '' : `;Parent=${root[1]}`;
  const sampled = /Sampled=[01]/.test(header) ? '' : ';Sampled=1';
  return `${header.replace(/;?\s*Sampled=[^;]*/, (text) => (sampled ? '' : text))}${parent}${sampled}`;
}
