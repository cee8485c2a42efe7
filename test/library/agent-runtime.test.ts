import { AgentRuntime, defineTool, JsonlSessionStore, SessionManager, ToolExecutor } from 'paf-core-agent';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { AgentRuntimeOptions } from '../../src/library/agent-runtime.ts';
import { refusedUrl } from '../helpers/fake-llm.ts';
import { useFolder } from '../helpers/folders.ts';
import { filesystemFile } from '../helpers/mcp.ts';
import { collect, useEnv, useModel } from '../helpers/program.ts';

const owner = { tenant: 'default', subject: 'anonymous' };
const hello = { text: 'Hello to you, whoever you are.' };

function useRuntime(options: AgentRuntimeOptions = {}): AgentRuntime {
  const runtime = new AgentRuntime(options);
  onTestFinished(() => runtime.close());
  return runtime;
}

const saidIn = async (sessions: SessionManager, id: string) => {
  const { entries } = await sessions.read(owner, id, AbortSignal.timeout(1000));
  return entries.flatMap((entry) => (entry.type === 'message' ? [entry.message] : []));
};

test('a query goes through the four phases, which take no time worth a word', async () => {
  await useModel([hello, hello]);
  const runtime = useRuntime();
  await runtime.querySync('Hello!');
  const startedMs = performance.now();
  const messages = await collect(runtime.query('Hello!', undefined, { show_thinking: true }));
  const wholeMs = performance.now() - startedMs;
  const phases = messages.flatMap((message) => (message.type === 'thinking' ? [message.phase] : []));
  expect(phases).toEqual(['understand', 'plan', 'execute', 'evaluate']);
  expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
  const last = messages.at(-1);
  expect(last).toMatchObject({ type: 'complete', model: 'fake-model', exit_reason: 'completed' });
  expect(new Set(messages.map(({ sessionId, runId }) => `${sessionId} ${runId}`)).size).toBe(1);
  // the model, its HTTP and the phases, on a machine that does other things too
  expect(wholeMs).toBeLessThan(500);
});

test('leaving the loop ends the call to the model within 250 ms, and the session goes on from there', async () => {
  const held = hold(3);
  const fake = await useModel([{ ...hello, hold: held }, { text: 'Yes.' }]);
  const sessions = new SessionManager();
  const runtime = useRuntime({ sessionManager: sessions });
  let said = '';
  let startedMs = 0;
  for await (const message of runtime.query('Hello!', 'mine')) {
    if (message.type === 'chunk') said += message.content;
    startedMs = performance.now();
    if (said.includes('to')) break;
  }
  expect((await fake.waitForAbort()).at - startedMs).toBeLessThan(250);
  expect(performance.now() - startedMs).toBeLessThan(250);
  expect(await saidIn(sessions, 'mine')).toMatchObject([
    { role: 'user', content: 'Hello!' },
    { role: 'assistant', content: [{ type: 'text', text: expect.stringMatching(/^Hello to/) }] },
  ]);
  expect((await runtime.querySync('Are you there?', 'mine')).response).toBe('Yes.');
  expect(fake.requests[1]?.body.messages.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'user',
  ]);
});

test('return ends a query that waits for its next message', async () => {
  const fake = await useModel([{ ...hello, hold: hold(0) }]);
  const query = useRuntime().query('Hello!');
  const next = query.next();
  await fake.waitForRequest();
  const startedMs = performance.now();
  await query.return();
  expect((await fake.waitForAbort()).at - startedMs).toBeLessThan(250);
  expect((await next).value).toMatchObject({ type: 'error', error_type: 'cancelled' });
  expect(await query.next()).toEqual({ done: true, value: undefined });
});

test('a signal ends a query with an error as its last message', async () => {
  const fake = await useModel([{ ...hello, hold: hold(2) }]);
  const controller = new AbortController();
  const query = useRuntime().query('Hello!', 'mine', { signal: controller.signal });
  expect((await query.next()).value).toMatchObject({ type: 'chunk', sessionId: 'mine' });
  const startedMs = performance.now();
  controller.abort();
  const rest = await collect(query);
  expect((await fake.waitForAbort()).at - startedMs).toBeLessThan(250);
  expect(rest.at(-1)).toMatchObject({ type: 'error', error: 'The query was cancelled.', sessionId: 'mine' });
});

test('a signal ends querySync with its reason', async () => {
  const fake = await useModel([{ ...hello, hold: hold(2) }]);
  const controller = new AbortController();
  const reason = new Error('Enough');
  const answer = useRuntime().querySync('Hello!', undefined, { signal: controller.signal });
  await fake.waitForRequest();
  controller.abort(reason);
  await expect(answer).rejects.toBe(reason);
  await fake.waitForAbort();
});

test('nothing happens before a query is read', async () => {
  const fake = await useModel([]);
  useRuntime().query('Hello!');
  expect(fake.requests).toEqual([]);
});

test('close ends what is under way', async () => {
  const fake = await useModel([{ ...hello, hold: hold(2) }]);
  const runtime = useRuntime();
  const query = runtime.query('Hello!');
  await query.next();
  const [rest] = await Promise.all([collect(query), runtime.close()]);
  await fake.waitForAbort();
  expect(rest.at(-1)).toMatchObject({ type: 'error', error_type: 'shutting_down' });
});

test('one writer a session: a second query is told so', async () => {
  const held = hold(1);
  await useModel([{ ...hello, hold: held }]);
  const runtime = useRuntime();
  const first = runtime.query('Hello!', 'mine');
  await first.next();
  expect(await collect(runtime.query('Me too!', 'mine'))).toMatchObject([
    { type: 'error', sessionId: 'mine', error_type: 'conflict', retryable: true },
  ]);
  await expect(runtime.querySync('Me too!', 'mine')).rejects.toMatchObject({ type: 'conflict' });
  held.release();
  expect((await collect(first)).at(-1)).toMatchObject({ type: 'complete' });
});

test('bad input is the last message of a query, and what querySync rejects with', async () => {
  await useModel([]);
  const runtime = useRuntime();
  const errorOf = async (prompt: unknown, sessionId?: unknown, options?: object) => {
    const messages = await collect(runtime.query(prompt as string, sessionId as string, options));
    expect(messages).toMatchObject([{ type: 'error', error_type: 'invalid_request', retryable: false }]);
    const [message] = messages;
    return message?.type === 'error' ? message.error : undefined;
  };
  expect(await errorOf(' ')).toBe('prompt must not be blank.');
  expect(await errorOf(undefined)).toMatch(/^prompt is required/);
  expect(await errorOf('Hi', 7)).toMatch(/^sessionId must be/);
  expect(await errorOf('Hi', 's', { temprature: 1 })).toMatch(/^temprature is not a known field/);
  expect(await errorOf('Hi', 's', { model: 'gpt-99' })).toMatch(/^model is not available; there is: /);
  expect(await errorOf('Hi', 's', { history: [] })).toBe('history must not come together with sessionId.');
  await expect(runtime.querySync('')).rejects.toThrow('prompt must not be blank.');
});

test('a wrong setting is told of by the first query, and the next one reads it again', async () => {
  await useModel([hello], { MAX_TURNS: '-1' });
  const runtime = useRuntime();
  expect(await collect(runtime.query('Hello!', 'mine'))).toMatchObject([
    { type: 'error', sessionId: 'mine', error: expect.stringMatching(/^MAX_TURNS must/) },
  ]);
  await expect(runtime.querySync('Hello!')).rejects.toThrow(/^MAX_TURNS must/);
  vi.stubEnv('MAX_TURNS', '3');
  expect((await runtime.querySync('Hello!')).response).toBe(hello.text);
});

test('a provider that cannot be reached is an error', async () => {
  useEnv({ OPENAI_BASE_URL: await refusedUrl(), OPENAI_API_KEY: 'sk-test', LLM_MODEL: 'fake-model' });
  const runtime = useRuntime();
  expect((await collect(runtime.query('Hello!'))).at(-1)).toMatchObject({
    type: 'error',
    error_type: 'provider_unavailable',
  });
  await expect(runtime.querySync('Hello!')).rejects.toMatchObject({ type: 'provider_unavailable' });
});

test('the config: system prompt, effort and turns', async () => {
  const call = { toolCalls: [{ id: 'c1', name: 'current_time', arguments: '{}' }] };
  const fake = await useModel([call], { MAX_TURNS: '7' });
  const runtime = useRuntime({
    config: { systemPrompt: 'You are Bob.', maxTurns: 1, defaultEffort: 'quick' },
  });
  const messages = await collect(runtime.query('What time is it?'));
  expect(messages.at(-1)).toMatchObject({ type: 'complete', exit_reason: 'max_turns' });
  const body = fake.requests[0]?.body;
  expect(body?.messages[0]).toMatchObject({
    role: 'system',
    content: expect.stringMatching(/^You are Bob\.(?![\s\S]*careful assistant)/),
  });
  const wrong = useRuntime({ config: { maxTurns: 0 } });
  await expect(wrong.querySync('Hi')).rejects.toThrow('config.maxTurns must be a whole number from 1');
});

test('tools of the program and of its MCP servers, which the first query waits for', async () => {
  const folder = useFolder();
  const toolCalls = [
    { id: 'c1', name: 'double', arguments: '{"n":21}' },
    { id: 'c2', name: 'files__list_allowed_directories', arguments: '{}' },
  ];
  const fake = await useModel([{ toolCalls }, { text: '42 in there.' }]);
  const tools = new ToolExecutor();
  tools.register(
    defineTool({
      name: 'double',
      description: 'Doubles a number.',
      parameters: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
      execute: (_id, { n }) => String(Number(n) * 2),
    }),
  );
  const runtime = useRuntime({
    toolExecutor: tools,
    config: { mcpServers: [{ name: 'files', command: process.execPath, args: [filesystemFile, folder] }] },
  });
  const messages = await collect(runtime.query('Double 21 and say which folders you may read.'));
  const results = messages.flatMap((message) => (message.type === 'tool_result' ? [message.toolResult] : []));
  expect(results).toMatchObject([
    { id: 'c1', result: '42', is_error: false },
    { id: 'c2', result: `Allowed directories:\n${folder}`, is_error: false },
  ]);
  const offered = fake.requests[0]?.body.tools?.map((tool) => tool.function.name) ?? [];
  expect(offered).toEqual(
    expect.arrayContaining(['calculator', 'current_time', 'double', 'files__read_file']),
  );
});

test('an MCP server that cannot be used costs its own tools only; a wrong one is told of', async () => {
  await useModel([hello]);
  const runtime = useRuntime({ config: { mcpServers: [{ name: 'gone', command: 'no-such-program' }] } });
  expect((await runtime.querySync('Hello!')).response).toBe(hello.text);
  const wrong = useRuntime({ config: { mcpServers: [{ name: 'a__b', command: 'x' }] } });
  await expect(wrong.querySync('Hi')).rejects.toThrow("MCP server: a server's name must");
});

test('a session in files is there for the next runtime, and a query that fails leaves it as it was', async () => {
  const folder = useFolder();
  const fake = await useModel([{ text: 'Hello, Ada.' }, { fault: 'status:400' }, { text: 'Ada.' }]);
  const open = () => {
    const sessions = new SessionManager(new JsonlSessionStore(folder));
    return { sessions, runtime: useRuntime({ sessionManager: sessions }) };
  };
  const first = open();
  await first.runtime.querySync('I am Ada.', 'mine');
  await expect(first.runtime.querySync('Hm?', 'mine')).rejects.toThrow();
  await first.sessions.close();
  const second = open();
  onTestFinished(() => second.sessions.close());
  expect((await second.runtime.querySync('Who am I?', 'mine')).response).toBe('Ada.');
  expect(
    fake.requests
      .at(-1)
      ?.body.messages.slice(1)
      .map(({ content }) => content),
  ).toEqual(['I am Ada.', 'Hello, Ada.', 'Who am I?']);
});
