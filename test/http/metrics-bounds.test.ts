import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { patient } from '../helpers/mcp.ts';
import { scrape, seriesCount, seriesOf } from '../helpers/metrics.ts';
import { fakeModelEnv, jsonPost, startService, type TestService } from '../helpers/service.ts';
import { bearer, jwtEnv } from '../helpers/tokens.ts';

const randomName = () => randomBytes(8).toString('hex');
const randomNames = (count: number) => Array.from({ length: count }, randomName);
const ask = { message: 'Say hello.', effort: 'quick' };

/** One after the other in each of ten lines. */
async function inLines<T>(items: T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const lines = Array.from({ length: 10 }, async () => {
    for (let item = items.pop(); item !== undefined; item = items.pop()) await work(item);
  });
  await Promise.all(lines);
}

async function countSeries(service: TestService): Promise<number> {
  // a scrape is counted after it, and so is seen by the next one only
  await scrape(service);
  return seriesCount(await scrape(service));
}

test('10,000 models, providers and tools that callers make up add no series', async () => {
  const service = await startService({ LOG_LEVEL: 'silent' });
  const probe = async (name: string) => {
    const body = { ...ask, model: name, provider: name, tools: [name] };
    expect((await send(service, '/api/chat', jsonPost(body, { 'x-request-id': name }))).status).toBe(400);
  };
  await probe(randomName());
  const before = await countSeries(service);
  await inLines(randomNames(10_000), probe);
  expect(await countSeries(service)).toBe(before);
}, 60_000);

test('10,000 tenants add no series', async () => {
  const service = await startService({ ...jwtEnv, LOG_LEVEL: 'silent' });
  const as = (tenant: string) => ({ headers: bearer({ tenant, subject: `user-${tenant}` }) });
  const probe = async (tenant: string) =>
    expect((await send(service, '/api/chat/models', as(tenant))).status).toBe(200);
  await probe(randomName());
  const before = await countSeries(service);
  await inLines(randomNames(10_000), probe);
  expect(await countSeries(service)).toBe(before);
}, 60_000);

test('models that a provider lists add series up to 200 and no more; those of the catalogue keep theirs', async () => {
  const fake = await useFakeLlm();
  const names = randomNames(300);
  fake.models = names.map((id) => ({ id }));
  const service = await startService({ ...fakeModelEnv(fake.url), LOG_LEVEL: 'silent' });
  const chat = async (model: string) => {
    expect((await send(service, '/api/chat', jsonPost({ ...ask, model }))).status).toBe(200);
  };
  const known = service.services.catalog
    .models()
    .map(({ id }) => id)
    .filter((id) => !names.includes(id));
  expect(known).toContain('fake-model');
  await inLines(names.slice(0, 220), chat);
  for (const model of ['gpt-6-luna', 'fake-model']) await chat(model);
  const before = await countSeries(service);
  await inLines(names.slice(220), chat);
  const families = await scrape(service);
  expect(seriesCount(families)).toBe(before);
  const requests = seriesOf(families, 'paf_llm_requests_total');
  const shown = Object.keys(requests).filter((key) => names.some((name) => key.includes(name)));
  expect(shown).toHaveLength(200 - known.length);
  expect(requests).toMatchObject({
    'openai fake-model ok': 1,
    'openai gpt-6-luna ok': 1,
    'openai other ok': 300 - shown.length,
  });
}, 60_000);

/** An MCP server that has other tools each time it is asked. */
const fickleServer = `
  let round = 0;
  const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === 'initialize') {
      const capabilities = { tools: { listChanged: true } };
      const { protocolVersion } = params;
      send({ id, result: { protocolVersion, capabilities, serverInfo: { name: 'fickle', version: '1' } } });
    } else if (method === 'tools/list') {
      round += 1;
      const names = Array.from({ length: 100 }, (_, index) => 'tool_' + round + '_' + index);
      send({ id, result: { tools: names.map((name) => ({ name, inputSchema: { type: 'object' } })) } });
    } else if (method === 'tools/call') {
      send({ id, result: { content: [{ type: 'text', text: 'done' }] } });
      if (params.name.endsWith('_99')) send({ method: 'notifications/tools/list_changed' });
    } else if (id !== undefined) {
      send({ id, error: { code: -32601, message: 'unknown' } });
    }
  });
`;

test('the tools of an MCP server that has ever new ones, and those that a model makes up, add no more than 200', async () => {
  const callsOf = (names: string[]): ScriptedReply => ({
    toolCalls: names.map((name, index) => ({ id: `call_${index}`, name, arguments: '{}' })),
  });
  const { fake, service } = await startChat([], {
    MCP_SERVERS: JSON.stringify({ fickle: { command: process.execPath, args: ['-e', fickleServer] } }),
    MAX_TOOL_CALLS: '1000',
    LOG_LEVEL: 'silent',
  });
  const offered = () =>
    service.services.mcp
      .list()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('fickle__'));
  async function callAll(round: number): Promise<void> {
    await vi.waitFor(() => expect(offered()).toContain(`fickle__tool_${round}_0`), patient);
    fake.script(callsOf([...offered(), ...randomNames(100)]), { text: 'Done.' });
    expect((await send(service, '/api/chat', jsonPost(ask))).status).toBe(200);
  }
  for (let round = 1; round <= 3; round += 1) await callAll(round);
  const before = await countSeries(service);
  for (let round = 4; round <= 5; round += 1) await callAll(round);
  const families = await scrape(service);
  expect(seriesCount(families)).toBe(before);
  const calls = seriesOf(families, 'paf_tool_calls_total');
  const own = Object.keys(calls).filter((key) => key.startsWith('fickle__'));
  expect(own.length).toBeLessThan(200);
  expect(own.length).toBeGreaterThan(180);
  expect(calls).toMatchObject({ 'unknown error': 500, 'other ok': 500 - own.length });
  expect(seriesOf(families, 'paf_tool_duration_seconds_count')).toMatchObject({ unknown: 500 });
}, 60_000);

test('an HTTP method that nobody uses is one of the others', async () => {
  const service = await startService();
  for (const method of ['PROPFIND', 'LOCK', 'SEARCH']) await send(service, '/api/health', { method });
  const requests = Object.keys(seriesOf(await scrape(service), 'http_request_duration_seconds_count'));
  expect(requests.filter((key) => !key.startsWith('GET'))).toEqual(['other unmatched 405']);
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

test.skipIf(!hasPromtool)(
  'promtool has nothing against the metrics (skipped where it is not installed)',
  async () => {
    const { service, fake } = await startChat([]);
    fake.script(
      { toolCalls: [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' }] },
      {
        text: 'Two.',
      },
    );
    await send(service, '/api/chat', jsonPost(ask));
    await send(service, '/api/sessions', jsonPost({}));
    const { text } = await send(service, '/metrics');
    expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('');
  },
);
