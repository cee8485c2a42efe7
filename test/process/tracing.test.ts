import { expect, test } from 'vitest';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { useFakeBedrock } from '../helpers/fake-bedrock.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { oddServer, startEverything } from '../helpers/mcp.ts';
import { treeOf, useOtlpReceiver } from '../helpers/otlp-receiver.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';
import { startOddWorker } from '../helpers/workers.ts';
import { startProcess } from './service-process.ts';
import {
  ask,
  given,
  isServerSpan,
  linesOf,
  named,
  startTraced,
  startWorkerProcess,
  toolCall,
  tracedEnv,
} from './traced-service.ts';

const commandOf = ({ config }: ReturnType<typeof oddServer>) =>
  config.transport === 'stdio' ? { command: config.command, args: config.args } : {};

test.runIf(hasRedis)(
  'one trace leads from the request to models, tools, MCP, workers and Redis',
  async () => {
    const receiver = await useOtlpReceiver();
    const redis = await useRedis();
    const fake = await useFakeLlm({ requireScript: true });
    const worker = await startWorkerProcess(tracedEnv(receiver.url));
    const everything = await startEverything('streamableHttp');
    const odd = oddServer('plain');
    const service = await startTraced(receiver, fake.url, {
      WORKER_AGENT_ENDPOINTS: worker.endpoint,
      WORKER_PLAINTEXT: 'true',
      MCP_SERVERS: JSON.stringify({ odd: commandOf(odd), far: { url: everything.url } }),
      MEMORY_BACKEND: 'redis',
      REDIS_URL: redis.url,
    });
    await service.waitForOutput(/"mcp_server":"odd".*MCP server connected/);
    await service.waitForOutput(/"mcp_server":"far".*MCP server connected/);
    await service.waitForOutput(/worker connected/);
    const created = await fetch(`${service.url}/api/sessions`, { method: 'POST' });
    const { id } = (await created.json()) as { id: string };
    fake.script(
      { toolCalls: [toolCall('odd__echo', { text: 'x' })] },
      { toolCalls: [toolCall('far__echo', { message: 'x' })] },
      { toolCalls: [toolCall('worker__code_metrics', { code: 'let a = 1;' })] },
      { text: 'Done.' },
    );
    await (await ask(service, { message: 'Measure it.', session_id: id }, given.headers)).ended;
    await receiver.until(({ name }) => name === 'POST /api/chat/stream');
    await receiver.until(({ kind, scope }) => kind === 'server' && /grpc/.test(scope));
    const spans = receiver.spans.filter(({ traceId }) => traceId === given.traceId);
    const tree = treeOf(spans, given.spanId);
    const isRedis = (line: string) => /client [A-Z]+$/.test(line) && !line.endsWith('POST');
    expect(tree.filter((line) => !isRedis(line))).toEqual([
      'server POST /api/chat/stream',
      '  internal invoke_agent paf-core-agent',
      '    internal upee.understand',
      '    internal upee.plan',
      '    internal upee.execute',
      '      client chat fake-model',
      '        client POST',
      '      internal execute_tool odd__echo',
      '        client tools/call echo',
      '      client chat fake-model',
      '        client POST',
      '      internal execute_tool far__echo',
      '        client tools/call echo',
      '          client POST',
      '      client chat fake-model',
      '        client POST',
      '      internal execute_tool worker__code_metrics',
      '        client grpc.paf.worker.v1.WorkerAgent/ExecuteTask',
      '          server grpc.paf.worker.v1.WorkerAgent/ExecuteTask',
      '      client chat fake-model',
      '        client POST',
      '    internal upee.evaluate',
    ]);
    // looking for the session is the request's, reading and saving it the run's
    expect(tree.filter(isRedis)).toEqual(
      expect.arrayContaining(['  client HGETALL', '    client LRANGE', '    client EVAL']),
    );
    const told = odd.notes().find((line) => line.includes('"tools/call"')) ?? '';
    const mcp = named(spans, 'tools/call echo');
    expect(JSON.parse(told).params._meta).toMatchObject({
      traceparent: `00-${given.traceId}-${mcp.spanId}-01`,
      tracestate: 'vendor=1',
    });
    // what watches the worker and the models makes no spans
    expect(new Set(receiver.spans.filter(isServerSpan).map(({ name }) => name))).toEqual(
      new Set(['POST /api/sessions', 'POST /api/chat/stream']),
    );
    const roots = receiver.spans.filter(({ parentSpanId }) => parentSpanId === '');
    expect(roots.map(({ name }) => name)).toEqual(['POST /api/sessions']);
    const services = new Set(spans.map(({ resource }) => resource['service.name']));
    expect(services).toEqual(new Set(['paf-core-agent', 'paf-core-agent-worker']));
    const runLines = linesOf(service).filter(({ run_id }) => run_id !== undefined);
    expect(new Set(runLines.map(({ trace_id }) => trace_id))).toEqual(new Set([given.traceId]));
    expect(runLines.find(({ msg }) => msg === 'run completed')).toMatchObject({
      span_id: named(spans, 'invoke_agent paf-core-agent').spanId,
    });
    expect(linesOf(worker).find(({ msg }) => msg === 'task accepted')).toMatchObject({
      trace_id: given.traceId,
    });
  },
);

test('CAPTURE_CONTENT puts what was said on spans, bounded', async () => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm({ requireScript: true });
  const odd = oddServer('plain');
  const service = await startTraced(receiver, fake.url, {
    MCP_SERVERS: JSON.stringify({ odd: commandOf(odd) }),
    CAPTURE_CONTENT: 'true',
  });
  await service.waitForOutput(/MCP server connected/);
  fake.script(
    { toolCalls: [toolCall('odd__echo', { text: 'ARGUMENT' })] },
    { chunks: Array(4000).fill('ANSWER ') },
  );
  const message = `Say it. ${'QUESTION '.repeat(4000)}`;
  await (await ask(service, { message })).ended;
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  const [first, last] = spans
    .filter(({ name }) => name === 'chat fake-model')
    .map(({ attributes }) => attributes);
  const input = String(first?.['gen_ai.input.messages']);
  expect(JSON.parse(input).at(-1)).toMatchObject({ role: 'user', parts: [{ type: 'text' }] });
  expect(input).toContain('QUESTION QUESTION');
  expect(input.length).toBeLessThanOrEqual(16 * 1024);
  expect(JSON.parse(String(first?.['gen_ai.output.messages']))).toEqual([
    {
      role: 'assistant',
      parts: [
        { type: 'tool_call', id: 'call_odd__echo', name: 'odd__echo', arguments: '{"text":"ARGUMENT"}' },
      ],
      finish_reason: 'tool_calls',
    },
  ]);
  const output = String(last?.['gen_ai.output.messages']);
  expect(JSON.parse(output)[0].parts[0].content).toContain('ANSWER ANSWER');
  expect(output.length).toBeLessThanOrEqual(16 * 1024);
  expect(named(spans, 'execute_tool odd__echo').attributes).toMatchObject({
    'gen_ai.tool.call.arguments': '{"text":"ARGUMENT"}',
    'gen_ai.tool.call.result': '[{"type":"text","text":"Echo: ARGUMENT"}]',
  });
});

test('a provider that fails, and the one that answers in its place', async () => {
  const receiver = await useOtlpReceiver();
  const broken = await useFakeLlm({ models: [{ id: 'first' }], fault: 'status:500', requireScript: false });
  const fake = await useFakeLlm({ models: [{ id: 'second' }] });
  const service = await startTraced(receiver, broken.url, {
    LLM_MODEL: 'first',
    LLM_PROVIDER: 'openai',
    VLLM_ENDPOINT: fake.url,
  });
  await (await ask(service, { message: 'Hello.' })).ended;
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  const chats = spans.filter(({ name }) => name.startsWith('chat '));
  expect(chats.at(0)).toMatchObject({
    name: 'chat first',
    status: 'error',
    statusMessage: '',
    attributes: { 'error.type': 'provider_error', 'gen_ai.provider.name': 'openai' },
  });
  expect(chats.at(0)?.attributes).not.toHaveProperty('gen_ai.usage.input_tokens');
  expect(chats.at(-1)).toMatchObject({
    name: 'chat second',
    status: 'unset',
    attributes: { 'gen_ai.provider.name': 'vllm', 'server.port': fake.port },
  });
  const execute = named(spans, 'upee.execute');
  expect(new Set(chats.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([execute.spanId]));
  expect(named(spans, 'invoke_agent paf-core-agent').status).toBe('unset');
});

test('every vendor gets one span a call, and one header at most', async () => {
  const receiver = await useOtlpReceiver();
  const [anthropic, bedrock] = [await useFakeAnthropic(), await useFakeBedrock()];
  const service = await startProcess({
    ...tracedEnv(receiver.url),
    ANTHROPIC_API_KEY: 'sk-anthropic',
    ANTHROPIC_BASE_URL: rootOf(anthropic),
    // the SDK would make spans of its own, with all that is said
    ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE: 'content',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock.url,
    AWS_ACCESS_KEY_ID: 'AKIAFAKE',
    AWS_SECRET_ACCESS_KEY: 'fake-secret',
  });
  for (const provider of ['anthropic', 'bedrock']) {
    await (await ask(service, { message: 'Say CANARY.', provider })).ended;
  }
  const isAnswered = () => receiver.spans.filter(({ name }) => name === 'POST /api/chat/stream').length === 2;
  const spans = await receiver.until(isAnswered);
  const chats = spans.filter(({ name }) => name.startsWith('chat '));
  expect(
    chats.map(({ attributes }) => [attributes['gen_ai.provider.name'], attributes['server.port']]),
  ).toEqual([
    ['anthropic', anthropic.port],
    ['aws.bedrock', bedrock.port],
  ]);
  const client = named(spans, 'POST');
  expect(anthropic.requests[0]?.headers.traceparent).toBe(`00-${client.traceId}-${client.spanId}-01`);
  expect(new Set(spans.map(({ scope }) => scope))).toEqual(
    new Set([
      'paf-core-agent',
      '@opentelemetry/instrumentation-http',
      '@opentelemetry/instrumentation-undici',
    ]),
  );
  expect(receiver.bytes().includes('CANARY')).toBe(false);
});

test('calls to MCP servers and workers end their spans however they end', async () => {
  const receiver = await useOtlpReceiver();
  const fake = await useFakeLlm();
  const worker = await startOddWorker();
  const service = await startTraced(receiver, fake.url, {
    MCP_SERVERS: JSON.stringify({ odd: commandOf(oddServer('plain')) }),
    WORKER_AGENT_ENDPOINTS: worker.endpoint,
    WORKER_PLAINTEXT: 'true',
  });
  await service.waitForOutput(/MCP server connected/);
  await service.waitForOutput(/worker connected/);
  const grpc = 'grpc.paf.worker.v1.WorkerAgent/ExecuteTask';
  const cases: [tool: string, isAborted: boolean, span: string, errorType: string | undefined][] = [
    ['odd__hang', true, 'tools/call hang', 'cancelled'],
    ['odd__crash', false, 'tools/call crash', 'tool_error'],
    ['worker__stall', true, grpc, undefined],
    ['worker__invalid', false, grpc, undefined],
    ['worker__after_result', false, grpc, undefined],
  ];
  for (const [tool, isAborted, name, errorType] of cases) {
    receiver.clear();
    const stream = await ask(service, { message: `Do it.\n/tool ${tool} {}` });
    if (isAborted) {
      await stream.waitFor(({ event }) => event === 'tool_call');
      stream.abort();
    } else await stream.ended;
    await receiver.until((span) => span.name === name);
    await receiver.until((span) => span.name === 'invoke_agent paf-core-agent');
    const spans = await receiver.until((span) => span.name === 'POST /api/chat/stream');
    expect(() => treeOf(spans)).not.toThrow();
    const ended = named(spans, name);
    expect(ended.parentSpanId).toBe(named(spans, `execute_tool ${tool}`).spanId);
    if (errorType) expect(ended.attributes['error.type']).toBe(errorType);
  }
});
