import type { OtlpReceiver, ReceivedSpan } from '../helpers/otlp-receiver.ts';
import { fakeModelEnv, openStream, type SseStream } from '../helpers/service.ts';
import { type ServiceProcess, spawnBuilt, startProcess } from './service-process.ts';

/** Spans are sent at once, so that nobody waits for them. */
export const tracedEnv = (url: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_BSP_SCHEDULE_DELAY: '20',
});

/** The built service as a process that sends its spans to the receiver and asks the fake model. */
export const startTraced = (
  receiver: Pick<OtlpReceiver, 'url'>,
  llmUrl: string,
  env: Record<string, string> = {},
  atEnd?: (close: () => void) => void,
): Promise<ServiceProcess> =>
  startProcess({ ...fakeModelEnv(llmUrl), ...tracedEnv(receiver.url), ...env }, atEnd);

/** The built worker as a process; resolves with its address once it serves. */
export async function startWorkerProcess(env: Record<string, string>) {
  const worker = spawnBuilt('worker-main', {
    HOST: '127.0.0.1',
    WORKER_PORT: '0',
    WORKER_PLAINTEXT: 'true',
    ...env,
  });
  await worker.waitForOutput(/worker ready on /);
  const endpoint = /worker ready on (\S+)/.exec(worker.stdout())?.[1] ?? '';
  return { ...worker, endpoint };
}

export function ask(
  { url }: Pick<ServiceProcess, 'url'>,
  body: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<SseStream> {
  return openStream(`${url}/api/chat/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

export const isServerSpan = ({ kind, scope }: ReceivedSpan) =>
  kind === 'server' && scope === '@opentelemetry/instrumentation-http';

/** The lines that a process logged, parsed. */
export const linesOf = ({ stdout }: Pick<ServiceProcess, 'stdout'>): Record<string, unknown>[] =>
  stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** The span of a caller. */
export const given = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' },
};

export const named = (spans: ReceivedSpan[], name: string) => {
  const found = spans.find((span) => span.name === name);
  if (!found) throw new Error(`no ${name} in ${spans.map((span) => span.name).join(', ')}`);
  return found;
};

export const toolCall = (name: string, args: object) => ({
  id: `call_${name}`,
  name,
  arguments: JSON.stringify(args),
});
