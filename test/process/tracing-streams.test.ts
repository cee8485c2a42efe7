import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type FakeLlm, hold, startFakeLlm } from '../../scripts/fake-llm/server.ts';
import { oddFile } from '../helpers/mcp.ts';
import { type OtlpReceiver, treeOf, useOtlpReceiver } from '../helpers/otlp-receiver.ts';
import { openStream } from '../helpers/service.ts';
import { openSocket } from '../helpers/socket.ts';
import type { ServiceProcess } from './service-process.ts';
import { ask, given, linesOf, named, startTraced, toolCall } from './traced-service.ts';

let receiver: OtlpReceiver;
let fake: FakeLlm;
let service: ServiceProcess;

beforeAll(async () => {
  receiver = await useOtlpReceiver('take', afterAll);
  fake = await startFakeLlm();
  afterAll(() => fake.close());
  const folder = mkdtempSync(join(tmpdir(), 'tracing-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const odd = { command: process.execPath, args: ['--no-warnings', oddFile, 'plain', join(folder, 'log')] };
  service = await startTraced(receiver, fake.url, { MCP_SERVERS: JSON.stringify({ odd }) }, afterAll);
  await service.waitForOutput(/MCP server connected/);
});

beforeEach(() => receiver.clear());

test('spans say what the conventions want, and nothing of what was said', async () => {
  const secrets = ['CANARY-MESSAGE', 'CANARY-ANSWER', 'CANARY-ARGUMENT', 'CANARY-FILE', 'CANARY-BAGGAGE'];
  const [message, answer, argument, file, baggage] = secrets as [string, string, string, string, string];
  fake.script(
    { toolCalls: [toolCall('odd__echo', { text: argument }), toolCall(`no_${argument}`, {})] },
    { text: `It is ${answer}.` },
  );
  const files = [{ file_name: `${file}.txt`, content: file }];
  const body = { message: `What is ${message}?`, files, max_tokens: 50, temperature: 0.5 };
  const headers = { baggage: `user=${baggage}`, 'user-agent': baggage, cookie: baggage };
  const stream = await ask(service, body, headers);
  await stream.ended;
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  for (const secret of [...secrets, 'sk-test']) expect(receiver.bytes().includes(secret)).toBe(false);
  expect(fake.requests[0]?.headers.baggage).toBeUndefined();
  expect(named(spans, 'POST /api/chat/stream')).toMatchObject({
    parentSpanId: '',
    status: 'unset',
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/api/chat/stream',
      'http.response.status_code': 200,
    },
  });
  const usage = { 'gen_ai.usage.input_tokens': expect.any(Number), 'paf.usage.estimated': false };
  expect(named(spans, 'chat fake-model').attributes).toEqual({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'fake-model',
    'gen_ai.request.stream': true,
    'gen_ai.request.max_tokens': 50,
    'gen_ai.request.temperature': 0.5,
    'gen_ai.response.finish_reasons': ['tool_calls'],
    'gen_ai.response.time_to_first_chunk': expect.any(Number),
    'gen_ai.usage.output_tokens': expect.any(Number),
    'server.address': '127.0.0.1',
    'server.port': fake.port,
    ...usage,
  });
  expect(named(spans, 'invoke_agent paf-core-agent').attributes).toEqual({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': 'paf-core-agent',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'fake-model',
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.output_tokens': expect.any(Number),
    'paf.attempts': 2,
    'paf.exit_reason': 'completed',
    'paf.outcome': 'completed',
    'paf.run.id': stream.runId,
    'paf.tenant': 'default',
    ...usage,
  });
  expect(named(spans, 'execute_tool odd__echo').attributes).toEqual({
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'odd__echo',
    'gen_ai.tool.type': 'function',
    'gen_ai.tool.call.id': 'call_odd__echo',
  });
  expect(named(spans, 'tools/call echo').attributes).toEqual({
    'mcp.method.name': 'tools/call',
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'echo',
    'network.transport': 'pipe',
  });
  expect(spans.filter(({ name }) => name.startsWith('execute_tool'))).toHaveLength(1);
});

test('usage is what the provider billed, and the first chunk is timed in seconds', async () => {
  const usage = {
    prompt_tokens: 1000,
    completion_tokens: 90,
    total_tokens: 1090,
    prompt_tokens_details: { cached_tokens: 600 },
    completion_tokens_details: { reasoning_tokens: 40 },
  };
  fake.script({ text: 'Yes.', usage, firstDelayMs: 60 });
  await (await ask(service, { message: 'Is it so?' })).ended;
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  const { attributes } = named(spans, 'chat fake-model');
  expect(attributes).toMatchObject({
    'gen_ai.usage.input_tokens': 1000,
    'gen_ai.usage.cache_read.input_tokens': 600,
    'gen_ai.usage.output_tokens': 90,
    'gen_ai.usage.reasoning.output_tokens': 40,
    'paf.usage.estimated': false,
  });
  const seconds = Number(attributes['gen_ai.response.time_to_first_chunk']);
  expect(seconds).toBeGreaterThan(0.05);
  expect(seconds).toBeLessThan(15);
});

test('an abort ends every span of the run, with what was used so far', async () => {
  fake.script({ text: 'One two three four five six.', hold: hold(3) });
  const stream = await ask(service, { message: 'Count.' });
  await stream.waitFor(({ event }) => event === 'content');
  stream.abort();
  await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  const spans = await receiver.until(({ name }) => name === 'invoke_agent paf-core-agent');
  expect(treeOf(spans)).toEqual([
    'server POST /api/chat/stream',
    '  internal invoke_agent paf-core-agent',
    '    internal upee.understand',
    '    internal upee.plan',
    '    internal upee.execute',
    '      client chat fake-model',
    '        client POST',
  ]);
  const chat = named(spans, 'chat fake-model');
  expect(chat).toMatchObject({
    // the caller may leave: that is no failure
    status: 'unset',
    attributes: { 'error.type': 'cancelled', 'paf.usage.estimated': true },
  });
  expect(chat.attributes['gen_ai.usage.output_tokens']).toBeGreaterThan(0);
  expect(named(spans, 'upee.execute').attributes).toMatchObject({ 'error.type': 'cancelled' });
  expect(named(spans, 'invoke_agent paf-core-agent')).toMatchObject({
    status: 'unset',
    attributes: { 'error.type': 'cancelled', 'paf.outcome': 'cancelled' },
  });
});

test('a run that fails, and a tool that does', async () => {
  fake.script({ toolCalls: [toolCall('odd__fail', {})] }, { fault: 'status:400' });
  await (await ask(service, { message: 'Hello.' })).ended;
  const spans = await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  for (const name of ['execute_tool odd__fail', 'tools/call fail']) {
    expect(named(spans, name)).toMatchObject({ status: 'error', attributes: { 'error.type': 'tool_error' } });
  }
  const failed = { status: 'error', attributes: { 'error.type': 'provider_rejected' } };
  expect(spans.filter(({ name }) => name === 'chat fake-model').at(-1)).toMatchObject(failed);
  expect(named(spans, 'upee.execute')).toMatchObject(failed);
  expect(named(spans, 'invoke_agent paf-core-agent')).toMatchObject(failed);
});

test('a run outlives its request in the same trace, and who follows it later is linked to it', async () => {
  const middle = hold(2);
  fake.script({ text: 'One two three four.', hold: middle });
  const stream = await ask(service, { message: 'Count.', on_disconnect: 'continue' });
  await stream.waitFor(({ event }) => event === 'content');
  stream.abort();
  await receiver.until(({ name }) => name === 'POST /api/chat/stream');
  const later = await openStream(`${service.url}/api/runs/${stream.runId}/events`);
  middle.release();
  await later.ended;
  await receiver.until(({ name }) => name === 'invoke_agent paf-core-agent');
  const spans = await receiver.until(({ name }) => name === 'GET /api/runs/:id/events');
  const run = named(spans, 'invoke_agent paf-core-agent');
  expect(run).toMatchObject({
    parentSpanId: named(spans, 'POST /api/chat/stream').spanId,
    attributes: { 'paf.outcome': 'completed' },
  });
  expect(named(spans, 'POST /api/chat/stream').links).toEqual([]);
  expect(named(spans, 'GET /api/runs/:id/events')).toMatchObject({
    parentSpanId: '',
    links: [{ traceId: run.traceId, spanId: run.spanId }],
  });
});

test('runs of a socket belong to the trace of its handshake, else to one of their own', async () => {
  for (const headers of [given.headers, {}]) {
    const client = await openSocket(service, { headers });
    client.send({ type: 'query', prompt: 'Hello.' });
    await client.until('complete');
    client.socket.close();
    await client.closed;
  }
  await receiver.until(
    ({ name, parentSpanId }) => name === 'invoke_agent paf-core-agent' && parentSpanId === '',
  );
  const runs = receiver.spans.filter(({ name }) => name === 'invoke_agent paf-core-agent');
  expect(runs.map(({ parentSpanId }) => parentSpanId).sort()).toEqual(['', given.spanId]);
  await service.waitForOutput(/("msg":"websocket"[\s\S]*){2}/);
  const lines = linesOf(service).filter(({ msg }) => msg === 'websocket');
  expect(lines.map(({ trace_id }) => trace_id)).toEqual([given.traceId, undefined]);
});

test('probes make no spans, problems name their trace, unknown routes and paths no span names', async () => {
  for (const path of ['/api/health', '/api/health/live', '/api/health/ready?x=1', '/metrics']) {
    expect((await fetch(service.url + path)).status).toBe(200);
  }
  const response = await fetch(`${service.url}/api/secret-path?token=hush`, { headers: given.headers });
  expect(await response.json()).toMatchObject({ status: 404, trace_id: given.traceId });
  const broken = await fetch(`${service.url}/api/%zz`, { headers: given.headers });
  expect(await broken.json()).toMatchObject({ status: 400, trace_id: given.traceId });
  const gone = await fetch(`${service.url}/api/runs/run_nothing`);
  const { trace_id: own } = (await gone.json()) as { trace_id: string };
  const spans = await receiver.until(({ name }) => name === 'GET /api/runs/:id');
  expect(spans.map(({ name, traceId }) => [name, traceId])).toEqual([
    ['GET', given.traceId],
    ['GET', given.traceId],
    ['GET /api/runs/:id', own],
  ]);
  for (const secret of ['secret-path', 'hush', 'run_nothing'])
    expect(receiver.bytes().includes(secret)).toBe(false);
});
