import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import { refusedUrl, useFakeLlm } from '../helpers/fake-llm.ts';
import { oddServer } from '../helpers/mcp.ts';
import { treeOf, useGrpcReceiver, useOtlpReceiver } from '../helpers/otlp-receiver.ts';
import { contentOf, fakeModelEnv } from '../helpers/service.ts';
import { startProcess } from './service-process.ts';
import { ask, linesOf, startTraced, startWorkerProcess } from './traced-service.ts';

const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const traceparent = `00-${parent.traceId}-${parent.spanId}-01`;

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracing-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A process that notes the address of every module that it loads. */
function noteModules() {
  const folder = temporaryFolder();
  const list = join(folder, 'modules');
  const hook = join(folder, 'hook.mjs');
  writeFileSync(list, '');
  writeFileSync(
    hook,
    `import { appendFileSync } from 'node:fs';
    import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(list)}, url + '\\n'); return next(url, context); } });`,
  );
  const loaded = () => readFileSync(list, 'utf8').split('\n');
  return {
    env: { NODE_OPTIONS: `--import=${pathToFileURL(hook)}` },
    // the API alone comes with the SDKs of vendors, and does nothing by itself
    telemetry: () =>
      loaded().filter((url) => /@opentelemetry\/(?!api\/)|in-the-middle|observability\/tracing/.test(url)),
  };
}

test("off: nothing of it is loaded, and a caller's own trace is carried on all the same", async () => {
  const modules = noteModules();
  const fake = await useFakeLlm();
  const worker = await startWorkerProcess(modules.env);
  const odd = oddServer('plain');
  const { command, args } = odd.config as { command: string; args: string[] };
  const service = await startProcess({
    ...fakeModelEnv(fake.url),
    ...modules.env,
    MCP_SERVERS: JSON.stringify({ odd: { command, args } }),
    WORKER_AGENT_ENDPOINTS: worker.endpoint,
    WORKER_PLAINTEXT: 'true',
  });
  await service.waitForOutput(/MCP server connected/);
  await service.waitForOutput(/worker connected/);
  const message = `Do it.\n/tool odd__echo {"text":"x"}`;
  const stream = await ask(service, { message }, { traceparent, tracestate: 'vendor=1' });
  await stream.ended;
  const work = `Do it.\n/tool worker__code_metrics {"code":"let a = 1;"}`;
  await (await ask(service, { message: work }, { traceparent })).ended;
  await worker.waitForOutput(new RegExp(`"trace":"${traceparent}"`));
  const told = odd.notes().find((line) => line.includes('"tools/call"')) ?? '';
  expect(JSON.parse(told).params._meta).toMatchObject({ traceparent, tracestate: 'vendor=1' });
  const problem = await fetch(`${service.url}/api/nothing`, { headers: { traceparent } });
  expect(await problem.json()).toMatchObject({ trace_id: parent.traceId });
  const broken = await fetch(`${service.url}/api/%zz`, { headers: { traceparent } });
  expect(await broken.json()).toMatchObject({ status: 400, trace_id: parent.traceId });
  await service.waitForOutput(new RegExp(`"trace_id":"${parent.traceId}".*"status_code":400`));
  const bare = await fetch(`${service.url}/api/nothing`);
  expect(await bare.json()).not.toHaveProperty('trace_id');
  const lines = linesOf(service).filter(({ run_id }) => run_id === stream.runId);
  expect(lines.map(({ msg }) => msg)).toEqual([
    'llm call',
    'tool call',
    'llm call',
    'run completed',
    'request',
  ]);
  for (const line of lines) expect(line).toMatchObject({ trace_id: parent.traceId });
  expect(modules.telemetry()).toEqual([]);
});

test.each<[string, Record<string, string>]>([
  ['ENABLE_TRACING=false', { ENABLE_TRACING: 'false', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }],
  ['OTEL_SDK_DISABLED=true', { ENABLE_TRACING: 'true', OTEL_SDK_DISABLED: 'true' }],
])('%s is off too', async (_name, env) => {
  const modules = noteModules();
  await startProcess({ ...modules.env, ...env });
  expect(modules.telemetry()).toEqual([]);
});

test('the list of loaded modules shows it when it is on', async () => {
  const modules = noteModules();
  await startProcess({
    ...modules.env,
    ENABLE_TRACING: 'true',
    OTEL_EXPORTER_OTLP_ENDPOINT: await refusedUrl(),
  });
  expect(modules.telemetry().length).toBeGreaterThan(100);
});

test.each([
  ['http/json', useOtlpReceiver],
  ['grpc', useGrpcReceiver],
])('spans go out by %s, under the name and the attributes that are set', async (protocol, useReceiver) => {
  const receiver = await useReceiver();
  const fake = await useFakeLlm();
  const service = await startTraced(receiver, fake.url, {
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=hush',
    OTEL_SERVICE_NAME: 'chat',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=other',
  });
  await (await ask(service, { message: 'Hello.' })).ended;
  const [span] = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  expect(span?.resource).toMatchObject({
    'service.name': 'chat',
    'deployment.environment.name': 'test',
    'service.version': expect.any(String),
  });
  expect(JSON.stringify(span?.resource)).not.toMatch(/command|owner|hush/);
  if (protocol !== 'grpc') expect(receiver.headers[0]).toMatchObject({ 'x-key': 'hush' });
  expect(service.stdout()).not.toContain('hush');
});

test('a sampler leaves traces out; their ids are still told to others and to the log', async () => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm();
  const odd = oddServer('plain');
  const { command, args } = odd.config as { command: string; args: string[] };
  const service = await startTraced(receiver, fake.url, {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
    MCP_SERVERS: JSON.stringify({ odd: { command, args } }),
  });
  await service.waitForOutput(/MCP server connected/);
  const message = `Do it.\n/tool odd__echo {"text":"x"}`;
  await (await ask(service, { message })).ended;
  await (await ask(service, { message: 'Hello.' }, { traceparent })).ended;
  await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(new Set([parent.traceId]));
  const told = odd.notes().find((line) => line.includes('"tools/call"')) ?? '';
  const { traceparent: own } = JSON.parse(told).params._meta;
  expect(own).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(linesOf(service).find(({ msg }) => msg === 'run completed')).toMatchObject({
    trace_id: own.split('-')[1],
  });
});

test('X-Ray: its ids, and the header of a load balancer as the parent', async () => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm();
  const service = await startTraced(receiver, fake.url, { TRACING: 'xray' });
  const startedSeconds = Math.floor(Date.now() / 1000);
  const rootId = '1-67891233-abcdef012345678912345678';
  const headers: Record<string, string>[] = [
    {},
    { 'x-amzn-trace-id': `Root=${rootId};Parent=53995c3f42cd8ad8;Sampled=1` },
    { 'x-amzn-trace-id': `Self=1-67891234-12456789abcdef012345678;Root=${rootId}` },
    { traceparent },
  ];
  const parents: string[] = [];
  for (const [index, each] of headers.entries()) {
    await (await ask(service, { message: `Hello ${index}.` }, each)).ended;
    const spans = await receiver.until(
      () => receiver.spans.filter(({ name }) => name === 'POST /api/chat/stream').length > index,
    );
    parents.push(spans.filter(({ name }) => name === 'POST /api/chat/stream').at(-1)?.parentSpanId ?? '');
  }
  expect(parents).toEqual(['', '53995c3f42cd8ad8', '2345678912345678', parent.spanId]);
  const traces = [...new Set(receiver.spans.map(({ traceId }) => traceId))];
  expect(traces.slice(1)).toEqual(['67891233abcdef012345678912345678', parent.traceId]);
  const own = Number.parseInt(traces[0]?.slice(0, 8) ?? '', 16);
  expect(own - startedSeconds).toBeGreaterThanOrEqual(0);
  expect(own - startedSeconds).toBeLessThan(20);
  expect(fake.requests[1]?.headers['x-amzn-trace-id']).toMatch(
    new RegExp(`^Root=${rootId};Parent=[0-9a-f]{16};Sampled=1$`),
  );
  expect(fake.requests[1]?.headers.traceparent).toContain('67891233abcdef012345678912345678');
});

test.each([
  ['down', { code: 'ECONNREFUSED' }],
  ['hang', {}],
  ['refuse', { code: 400 }],
] as const)('a collector that is in the state %s hurts nobody', async (state, reason) => {
  const url = state === 'down' ? (await refusedUrl()).replace('/v1', '') : (await useOtlpReceiver(state)).url;
  const fake = await useFakeLlm();
  const service = await startTraced({ url }, fake.url, { OTEL_EXPORTER_OTLP_TIMEOUT: '300' });
  for (let count = 0; count < 5; count++) {
    const events = await (await ask(service, { message: `/say CANARY ${count}` })).ended;
    expect(contentOf(events)).toBe(`CANARY ${count}`);
  }
  await service.waitForOutput(/spans cannot be exported/);
  await (await ask(service, { message: 'Hello.' })).ended;
  const startedMs = performance.now();
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(4000);
  expect(service.stderr()).toBe('');
  const warnings = linesOf(service).filter(({ msg }) => String(msg).startsWith('spans '));
  expect(warnings).toEqual([
    {
      level: 'warn',
      time: expect.any(String),
      service: 'paf-core-agent',
      error: expect.any(String),
      ...reason,
      msg: 'spans cannot be exported; this is said once',
    },
  ]);
  expect(service.stdout()).not.toContain('CANARY');
});

test('a process that stops ends its runs, and sends what was not sent yet', async () => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm({ requireScript: true });
  fake.script({ text: 'One two three four.', hold: hold(2) });
  const service = await startTraced(receiver, fake.url, {
    OTEL_BSP_SCHEDULE_DELAY: '60000',
    DRAIN_TIMEOUT: '0.1',
  });
  const stream = await ask(service, { message: 'Count.' });
  await stream.waitFor(({ event }) => event === 'content');
  expect(receiver.spans).toEqual([]);
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  expect(treeOf(receiver.spans)).toEqual([
    'server POST /api/chat/stream',
    '  internal invoke_agent paf-core-agent',
    '    internal upee.understand',
    '    internal upee.plan',
    '    internal upee.execute',
    '      client chat fake-model',
    '        client POST',
  ]);
  const run = receiver.spans.find(({ name }) => name.startsWith('invoke_agent'));
  expect(run).toMatchObject({ status: 'error', attributes: { 'error.type': 'shutting_down' } });
});
