import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AgentRuntime,
  AgentServer,
  createModelRouter,
  RedisSessionStore,
  SessionManager,
  ToolExecutor,
} from 'paf-core-agent';
import { expect, onTestFinished, test, vi } from 'vitest';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { useFolder } from '../helpers/folders.ts';
import { filesystemFile, freePort } from '../helpers/mcp.ts';
import { useEnv, useModel } from '../helpers/program.ts';
import { hasRedis, useRedis } from '../helpers/redis-server.ts';

/*
 * The examples of the PAI agent runtime's README as they stand there. Ports and addresses are those of the test, what an example
 * leaves to the reader (`modelRouter`, `sessionId`) is given before it, and the WebSocket waits until it is open.
 */

const useClock = { toolCalls: [{ id: 'c1', name: 'current_time', arguments: '{}' }] };

test('Starting the server with environment variables', async () => {
  const vllm = await useFakeLlm({ requireScript: true });
  vllm.script({ text: 'Sunny.' });
  const port = await freePort();
  useEnv({
    PAI_AGENT_PORT: String(port),
    VLLM_ENDPOINT: vllm.url,
    USE_OLLAMA: 'true',
    LLM_PROVIDER: 'vllm',
    LLM_MODEL: 'fake-model',
    LOG_LEVEL: 'silent',
  });

  const server = new AgentServer();
  await server.start();
  onTestFinished(() => server.stop());

  expect(server.port).toBe(port);
  const body = JSON.stringify({ message: 'How is the weather?' });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/api/chat`, { method: 'POST', body, headers });
  expect(await response.json()).toMatchObject({ content: 'Sunny.', provider: 'vllm' });
});

test('Programmatic usage, and the WebSocket client', async () => {
  await useModel([{ ...useClock, text: 'Let me see. ' }, { text: 'Sunny.' }]);
  const port = await freePort();

  const server = new AgentServer({ port });
  await server.start();

  onTestFinished(() => server.stop());
  let written = '';
  const process = { stdout: { write: (text: string) => (written += text) } };
  const logged: unknown[][] = [];
  const console = { log: (...values: unknown[]) => logged.push(values) };

  const ws = new WebSocket(`ws://localhost:${port}`);
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  await new Promise((resolve) => ws.addEventListener('open', resolve));

  ws.send(
    JSON.stringify({
      type: 'query',
      prompt: 'What is the weather today?',
      sessionId: 'optional-session-id',
      effort: 'standard',
    }),
  );

  ws.onmessage = (event) => {
    const msg = JSON.parse(event.data);
    switch (msg.type) {
      case 'chunk':
        process.stdout.write(msg.content);
        break;
      case 'tool_call':
        console.log('Calling tool:', msg.toolCall.name);
        break;
      case 'tool_result':
        console.log('Tool result:', msg.toolResult);
        break;
      case 'complete':
        console.log('Done!');
        finish();
        break;
    }
  };

  await finished;
  ws.close();
  expect(written.split(/\s+/)).toEqual(['Let', 'me', 'see.', 'Sunny.']);
  expect(logged).toEqual([
    ['Calling tool:', 'current_time'],
    ['Tool result:', expect.objectContaining({ id: 'c1', result: expect.stringContaining('20') })],
    ['Done!'],
  ]);
});

test('AgentRuntime', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(useClock, { text: 'It is late.' }, { text: 'Hello again!' });
  useEnv({});
  const modelRouter = createModelRouter({ apiKey: 'sk-test', baseUrl: fake.url, model: 'fake-model' });
  const sessions = new SessionManager();
  const tools = new ToolExecutor();
  const logged: { type: string; sessionId?: string }[] = [];
  const console = { log: (message: (typeof logged)[number]) => logged.push(message) };

  const runtime = new AgentRuntime({
    llm: modelRouter,
    sessionManager: sessions,
    toolExecutor: tools,
    config: {
      maxTurns: 10,
      defaultEffort: 'standard',
    },
  });

  onTestFinished(() => runtime.close());
  {
    const sessionId = 'mine';
    // Streaming query
    for await (const msg of runtime.query('Hello!', sessionId)) {
      console.log(msg);
    }
  }
  const texts = logged.filter(({ type }) => type === 'chunk');
  expect(texts.map((message) => (message as { content?: string }).content).join('')).toBe('It is late.');
  expect(logged.filter(({ type }) => type !== 'chunk')).toMatchObject([
    { type: 'tool_call', sessionId: 'mine', toolCall: { id: 'c1', name: 'current_time', arguments: {} } },
    { type: 'tool_result', sessionId: 'mine', toolResult: { id: 'c1' } },
    { type: 'complete', sessionId: 'mine' },
  ]);

  // Sync query
  const { response, sessionId } = await runtime.querySync('Hello!');
  expect(response).toBe('Hello again!');
  expect(sessionId).toMatch(/^sess_/);
});

test('SessionManager in memory', async () => {
  // In-memory (default)
  const sessions = new SessionManager();
  expect(sessions.store.backend).toBe('memory');
});

test.skipIf(!hasRedis)('SessionManager with Redis: the next process goes on', async () => {
  const redis = await useRedis();
  const fake = await useModel([{ text: 'Nice to meet you, Ada.' }, { text: 'Ada.' }]);

  // Redis-backed (distributed)
  const sessions = new SessionManager(new RedisSessionStore(redis.url));

  const runtime = new AgentRuntime({ sessionManager: sessions });
  const { sessionId } = await runtime.querySync('I am Ada.');
  await runtime.close();
  await sessions.close();

  const later = new SessionManager(new RedisSessionStore(redis.url));
  const next = new AgentRuntime({ sessionManager: later });
  onTestFinished(async () => {
    await next.close();
    await later.close();
  });
  expect(await next.querySync('Who am I?', sessionId)).toMatchObject({ response: 'Ada.', sessionId });
  expect(fake.requests[1]?.body.messages.slice(1)).toMatchObject([
    { role: 'user', content: 'I am Ada.' },
    { role: 'assistant', content: 'Nice to meet you, Ada.' },
    { role: 'user', content: 'Who am I?' },
  ]);
});

test('ToolExecutor', async () => {
  useEnv({});
  useNpx('@anthropic/mcp-filesystem', [filesystemFile, '/tmp']);
  if (!existsSync('/tmp/test.txt')) {
    writeFileSync('/tmp/test.txt', 'Read by a tool.');
    onTestFinished(() => rmSync('/tmp/test.txt'));
  }

  const tools = new ToolExecutor();
  onTestFinished(() => tools.close());

  // Register MCP server
  await tools.registerMCP('filesystem', {
    command: 'npx',
    args: ['@anthropic/mcp-filesystem'],
  });

  // Execute tool
  const result = await tools.execute('read_file', { path: '/tmp/test.txt' });

  expect(result).toMatchObject({ text: readFileSync('/tmp/test.txt', 'utf8'), isError: false });
});

/** No registry is asked: `npx` of this package starts a server that is installed here and has the same tools. */
function useNpx(name: string, args: string[]): void {
  const folder = useFolder();
  const file = join(folder, 'npx');
  const command = [process.execPath, ...args].map((part) => `'${part}'`).join(' ');
  writeFileSync(file, `#!/bin/sh\n[ "$1" = '${name}' ] && exec ${command}\nexit 9\n`);
  chmodSync(file, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
}
