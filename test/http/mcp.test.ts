import { expect, test, vi } from 'vitest';
import type { ChatRequest } from '../../scripts/fake-llm/request.ts';
import type { FakeRequest } from '../../scripts/fake-llm/serve.ts';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { loadContract, send } from '../helpers/contract.ts';
import {
  everythingFile,
  freePort,
  oddServer,
  patient,
  startEverything,
  type stdioServer,
} from '../helpers/mcp.ts';
import { contentOf, jsonPost, startService, streamChat, type TestService } from '../helpers/service.ts';
import { bearer, jwtEnv } from '../helpers/tokens.ts';

type Entry = Record<string, unknown>;

const overStdio = { command: process.execPath, args: [everythingFile] };
const mcpEnv = (servers: Record<string, Entry>) => ({ MCP_SERVERS: JSON.stringify(servers) });

async function servers(service: TestService) {
  const { status, text } = await send(service, '/api/mcp/servers');
  expect(status).toBe(200);
  return (JSON.parse(text) as { servers: ({ name: string; status: string; tools: string[] } & Entry)[] })
    .servers;
}

const until = (service: TestService, name: string, status: string) =>
  vi.waitFor(async () => {
    const found = (await servers(service)).find((server) => server.name === name);
    expect(found?.status).toBe(status);
    return found;
  }, patient);

const callOf = (name: string, args: object): ScriptedReply => ({
  toolCalls: [{ id: 'call_1', name, arguments: JSON.stringify(args) }],
});

const entries = {
  stdio: async () => overStdio as Entry,
  'Streamable HTTP': async () => ({ url: (await startEverything('streamableHttp')).url }),
  'the older SSE': async () => ({ url: (await startEverything('sse')).url }),
};

test.each(Object.entries(entries))('a run uses the tools of a real server over %s', async (_, start) => {
  const replies = [
    callOf('every__echo', { message: 'over the wire' }),
    { text: 'It said so.' },
    callOf('every__trigger-long-running-operation', { duration: 0.2, steps: 2 }),
    { text: 'It took a while.' },
  ];
  const { service, fake } = await startChat(replies, mcpEnv({ every: await start() }));
  await until(service, 'every', 'connected');

  const first = await streamChat(service, { message: 'Echo something.', tools: ['every__echo'] });
  const events = await first.ended;
  const [call, result] = events.filter(({ event }) => event.startsWith('tool_'));
  expect(call).toMatchObject({ event: 'tool_call', data: { name: 'every__echo' } });
  expect(result).toMatchObject({ event: 'tool_result', data: { name: 'every__echo', is_error: false } });
  expect(JSON.stringify(result?.data)).toContain('Echo: over the wire');
  expect(contentOf(events)).toBe('It said so.');

  const second = await (await streamChat(service, { message: 'Take your time.' })).ended;
  const progress = second.filter(({ event }) => event === 'tool_progress');
  expect(progress.map(({ data }) => [data.progress, data.total])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  expect(second.find(({ event }) => event === 'tool_result')?.data.is_error).toBe(false);
  fake.verify();
});

test('the demo model uses an MCP tool', async () => {
  const service = await startService(mcpEnv({ every: overStdio }));
  await until(service, 'every', 'connected');
  const stream = await streamChat(service, { message: '/tool every__get-sum {"a": 2, "b": 40}' });
  const events = await stream.ended;
  const result = events.find(({ event }) => event === 'tool_result');
  expect(JSON.stringify(result?.data)).toContain('The sum of 2 and 40 is 42.');
});

test('GET /api/mcp/servers is as documented and names what each server offers', async () => {
  const odd = oddServer('plain');
  const { command, args } = odd.config as ReturnType<typeof stdioServer> & {
    command: string;
    args: string[];
  };
  const service = await startService(
    mcpEnv({ odd: { command, args }, dead: { command: '/no/such/command' } }),
  );
  await until(service, 'odd', 'connected');
  await until(service, 'dead', 'unavailable');
  const contract = await loadContract(service);
  contract.check('listMcpServers', await send(service, '/api/mcp/servers'));
  expect(await servers(service)).toMatchObject([
    {
      name: 'odd',
      transport: 'stdio',
      status: 'connected',
      tools: expect.arrayContaining(['odd__echo']),
      dropped: [],
      resources: ['file:///a.txt', 'file:///b.txt'],
      prompts: [],
    },
    {
      name: 'dead',
      status: 'unavailable',
      error: 'its command cannot be started (ENOENT)',
      tools: [],
    },
  ]);
  const status = JSON.parse((await send(service, '/api/chat/status')).text);
  expect(status.features.tools).toContain('odd__echo');
});

test('a dead server shows in health and metrics, and costs nothing but its tools', async () => {
  const port = await freePort();
  const startedMs = performance.now();
  const service = await startService(
    mcpEnv({
      dead: { url: `http://127.0.0.1:${port}/mcp` },
      mute: { command: process.execPath, args: ['-e', 'setInterval(() => {}, 1e3)'] },
    }),
  );
  // the mute one is given 10 s to answer, which the start does not wait for
  expect(performance.now() - startedMs).toBeLessThan(5000);
  await until(service, 'dead', 'unavailable');
  const health = await send(service, '/api/health');
  expect(health.status).toBe(200);
  expect(JSON.parse(health.text)).toMatchObject({
    status: 'degraded',
    services: {
      demo: { status: 'healthy' },
      'mcp:dead': {
        status: 'unhealthy',
        error: 'The MCP server is not available: nothing listens at its address.',
      },
      'mcp:mute': { status: 'unknown', error: null },
    },
  });
  (await loadContract(service)).check('getHealth', health);
  expect((await send(service, '/api/health/ready')).status).toBe(200);
  const { text } = await send(service, '/metrics');
  expect(text.split('\n').filter((line) => line.startsWith('paf_mcp_servers'))).toEqual([
    'paf_mcp_servers{server="dead",status="unavailable"} 1',
    'paf_mcp_servers{server="mute",status="connecting"} 1',
  ]);
  expect(contentOf(await (await streamChat(service, { message: 'Say hello.' })).ended)).not.toBe('');
});

test('no log line holds what a server was sent or said', async () => {
  const env = {
    ...mcpEnv({ every: { ...overStdio, env: { TOKEN: `\${${'SECRET_TOKEN'}}` } } }),
    SECRET_TOKEN: 't0p-secret',
  };
  const service = await startService(env);
  await until(service, 'every', 'connected');
  await (await streamChat(service, { message: '/tool every__echo {"message": "hush-hush"}' })).ended;
  const lines = service.logs.filter(({ mcp_server: server }) => server === 'every');
  expect(lines).toMatchObject([{ msg: 'MCP server connected', transport: 'stdio', tools: 13, dropped: 0 }]);
  expect(JSON.stringify(service.logs)).not.toMatch(/t0p-secret|hush-hush/);
});

test('the tools of a server with roles are there for callers with one of them only', async () => {
  const replies = [
    callOf('every__echo', { message: 'hi' }),
    { text: 'It said so.' },
    { text: 'Nothing to call.' },
  ];
  const { service, fake } = await startChat(replies, {
    ...jwtEnv,
    ...mcpEnv({ every: { ...overStdio, roles: ['admin', 'ops'] } }),
  });
  const ops = bearer({ tenant: 'acme', subject: 'olga', roles: ['ops'] });
  const dev = bearer({ tenant: 'acme', subject: 'dan', roles: ['dev', '*', 'operations'] });
  const toolsFor = async (headers: Record<string, string>) => {
    const { features } = JSON.parse((await send(service, '/api/chat/status', { headers })).text);
    return features.tools as string[];
  };
  await vi.waitFor(async () => expect(await toolsFor(ops)).toContain('every__echo'), patient);
  expect((await toolsFor(dev)).filter((name) => name.startsWith('every__'))).toEqual([]);
  expect(await toolsFor(dev)).toContain('calculator');

  const ask = (headers: Record<string, string>, more: object = {}) =>
    send(service, '/api/chat', jsonPost({ message: 'Echo something.', ...more }, headers));
  expect((await ask(ops)).status).toBe(200);
  expect(offered(fake.requests[0])).toContain('every__echo');
  expect((await ask(dev)).status).toBe(200);
  expect(offered(fake.requests.at(-1)).filter((name) => name.startsWith('every__'))).toEqual([]);

  // named, it is a tool that is not there, as if it had never been
  const named = await ask(dev, { tools: ['every__echo'] });
  expect(named.status).toBe(400);
  const unknown = await ask(dev, { tools: ['every__none'] });
  expect(JSON.parse(named.text).errors).toEqual(JSON.parse(unknown.text).errors);
  expect(named.text).not.toMatch(/every__/);

  const serversFor = async (headers: Record<string, string>) =>
    JSON.parse((await send(service, '/api/mcp/servers', { headers })).text).servers;
  expect(await serversFor(ops)).toMatchObject([{ name: 'every', status: 'connected' }]);
  expect(await serversFor(dev)).toEqual([]);
  fake.verify();
});

const offered = (request: FakeRequest<ChatRequest> | undefined) =>
  (request?.body.tools ?? []).map((tool) => tool.function.name);
