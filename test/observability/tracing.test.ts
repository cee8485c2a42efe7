import { context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { AgentRuntime, createModelRouter } from '../../src/index.ts';
import { createServices, createTracingOf } from '../../src/services.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv, streamChat, type TestService } from '../helpers/service.ts';

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];
type Span = Parameters<SpanProcessor['onEnd']>[0];

/** What a program that embeds the service does: it has an OpenTelemetry of its own. */
const started: string[] = [];
const ended: Span[] = [];
const counter: SpanProcessor = {
  onStart: (span) => void started.push(span.name),
  onEnd: (span) => void ended.push(span),
  forceFlush: async () => {},
  shutdown: async () => {},
};
const sdk = new NodeSDK({
  spanProcessors: [counter],
  instrumentations: [new UndiciInstrumentation({ requireParentforSpans: true })],
  autoDetectResources: false,
  metricReaders: [],
  logRecordProcessors: [],
});

beforeAll(() => sdk.start());
afterAll(() => sdk.shutdown());

/** A tool that does not heed its signal, and never answers. */
const deafTool: Tool = {
  name: 'deaf',
  description: 'Never answers.',
  parameters: { type: 'object' },
  isParallel: true,
  execute: () => new Promise(() => {}),
};

async function startTraced(env: Record<string, string>): Promise<TestService> {
  const { config } = loadConfig({ HOST: '127.0.0.1', PORT: '0', ENABLE_TRACING: 'true', ...env });
  const tracing = await createTracingOf(config);
  const services = createServices(config, pino({ level: 'silent' }), {
    tracing,
    tools: { list: () => [deafTool] },
  });
  const app = await createApp(services);
  await app.listen({ port: 0, host: '127.0.0.1' });
  await services.start();
  const close = async () => {
    app.server.closeAllConnections();
    await app.close();
    await services.close();
  };
  onTestFinished(close);
  const { port } = app.server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, services, logs: [], close };
}

test('whatever callers, models and tools do, every span ends, and below its run', async () => {
  const fake = await useFakeLlm();
  const service = await startTraced({ ...fakeModelEnv(fake.url), TOOL_TIMEOUT: '0.2', REQUEST_TIMEOUT: '1' });
  const messages = [
    '/tokens 40 /delay 5',
    '/tokens 40 /delay 5 /fault cut:10',
    '/fault status:503',
    '/fault stall:3',
    '/tool deaf {}',
    '/tool calculator {"expression":"1+1"}',
    '/tool nothing {}',
    '/wait 300',
  ];
  const chaos = Array.from({ length: 48 }, async (_, index) => {
    const message = messages[index % messages.length];
    const stream = await streamChat(service, { message });
    // a third stays to the end, the others leave at some time or other
    if (index % 3 === 0) return stream.ended.then(() => {});
    await new Promise((resolve) => setTimeout(resolve, (index * 37) % 400));
    stream.abort();
  });
  await Promise.all(chaos);
  await service.services.runs.drain(10_000);
  const runs = ended.filter(({ name }) => name === 'invoke_agent paf-core-agent');
  expect(runs).toHaveLength(48);
  expect(ended.map(({ name }) => name).sort()).toEqual(started.toSorted());
  const ids = new Set(ended.map((span) => span.spanContext().spanId));
  const lost = ended.filter(
    ({ name, parentSpanContext: parent }) => !name.startsWith('invoke') && !ids.has(parent?.spanId ?? ''),
  );
  expect(lost.map(({ name }) => name)).toEqual([]);
  const outcomes = new Set(runs.map(({ attributes }) => attributes['paf.outcome']));
  expect(outcomes).toEqual(new Set(['completed', 'failed', 'cancelled']));
  const deaf = ended.filter(({ name }) => name === 'execute_tool deaf');
  expect(deaf.length).toBeGreaterThan(0);
  for (const { attributes } of deaf) expect(attributes['error.type']).toMatch(/^(timeout|cancelled)$/);
  // a model may call anything, which must not name a span
  expect(started.filter((name) => name.includes('nothing'))).toEqual([]);
}, 30_000);

test('a run goes on with the trace in which its program asks for it', async () => {
  const fake = await useFakeLlm();
  const service = await startTraced(fakeModelEnv(fake.url));
  const before = ended.length;
  const parent = trace.getTracer('program').startSpan('program', {}, ROOT_CONTEXT);
  const { traceId, spanId } = parent.spanContext();
  const stream = await streamChat(
    service,
    { message: 'Hello.' },
    { traceparent: `00-${traceId}-${spanId}-01` },
  );
  await stream.ended;
  parent.end();
  const run = ended.slice(before).find(({ name }) => name.startsWith('invoke_agent'));
  expect(run?.parentSpanContext).toMatchObject({ traceId, spanId, isRemote: true });
  expect(run?.status.code).toBe(SpanStatusCode.UNSET);
});

test('a program that asks from within a span of its own has the run below it', async () => {
  const fake = await useFakeLlm();
  vi.stubEnv('ENABLE_TRACING', 'true');
  onTestFinished(() => void vi.unstubAllEnvs());
  const llm = createModelRouter({ apiKey: 'sk-test', baseUrl: fake.url, model: 'fake-model' });
  const runtime = new AgentRuntime({ llm });
  onTestFinished(() => runtime.close());
  const parent = trace.getTracer('program').startSpan('program', {}, ROOT_CONTEXT);
  const { traceId, spanId } = parent.spanContext();
  const answer = await context.with(trace.setSpan(ROOT_CONTEXT, parent), () => runtime.querySync('Hi.'));
  parent.end();
  expect(answer).toBeDefined();
  const of = ended.filter((span) => span.spanContext().traceId === traceId);
  expect(of.find(({ name }) => name.startsWith('invoke_agent'))?.parentSpanContext).toMatchObject({ spanId });
  expect(of.map(({ name }) => name)).toContain('chat fake-model');
});
