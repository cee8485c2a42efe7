import { expect, test, vi } from 'vitest';
import { startChat } from '../helpers/chat.ts';
import { send } from '../helpers/contract.ts';
import { useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { patient } from '../helpers/mcp.ts';
import { jsonPost, startService } from '../helpers/service.ts';

const ask = { message: 'Say hello.', effort: 'quick' };
const withId = { 'x-request-id': 'req-1' };

test('an OpenAI provider is told the id of the request with each call', async () => {
  const call = { id: 'call_1', name: 'calculator', arguments: '{"expression":"1+1"}' };
  const { service, fake } = await startChat([{ toolCalls: [call] }, { text: 'It is two.' }]);
  expect((await send(service, '/api/chat', jsonPost(ask, withId))).status).toBe(200);
  expect(fake.requests.map(({ headers }) => headers['x-request-id'])).toEqual(['req-1', 'req-1']);
});

test('so is Anthropic', async () => {
  const fake = await useFakeAnthropic({ requireScript: true });
  fake.script({ text: 'Hello.' });
  const service = await startService({ ANTHROPIC_BASE_URL: fake.url, ANTHROPIC_API_KEY: 'sk-test' });
  expect((await send(service, '/api/chat', jsonPost(ask, withId))).status).toBe(200);
  expect(fake.requests.map(({ headers }) => headers['x-request-id'])).toEqual(['req-1']);
});

/** An MCP server with one tool, which answers with the `_meta` that it was told. */
const candidServer = `
  const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    const answers = {
      initialize: () => ({
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'candid', version: '1' },
      }),
      'tools/list': () => ({ tools: [{ name: 'tell', inputSchema: { type: 'object' } }] }),
      'tools/call': () => ({ content: [{ type: 'text', text: JSON.stringify(params._meta) }] }),
    };
    if (answers[method]) send({ id, result: answers[method]() });
  });
`;

test('an MCP server is told it beside the token for progress', async () => {
  const { service, fake } = await startChat(
    [{ toolCalls: [{ id: 'call_1', name: 'candid__tell', arguments: '{}' }] }, { text: 'It said so.' }],
    { MCP_SERVERS: JSON.stringify({ candid: { command: process.execPath, args: ['-e', candidServer] } }) },
  );
  await vi.waitFor(() => expect(service.services.mcp.list()).toHaveLength(1), patient);
  expect((await send(service, '/api/chat', jsonPost(ask, withId))).status).toBe(200);
  const [, second] = fake.requests.map(
    ({ body }) => body as { messages: { role: string; content: string }[] },
  );
  const told = second?.messages.find(({ role }) => role === 'tool')?.content ?? '';
  expect(JSON.parse(told)).toEqual({ 'paf/request_id': 'req-1', progressToken: expect.anything() });
});
