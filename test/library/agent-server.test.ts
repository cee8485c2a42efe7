import { AgentServer, createModelRouter, defineTool, SessionManager, ToolExecutor } from 'paf-core-agent';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/server.ts';
import type { AgentServerOptions } from '../../src/library/agent-server.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { useEnv, useModel } from '../helpers/program.ts';
import { jsonPost, openStream } from '../helpers/service.ts';

async function startServer(options: AgentServerOptions = {}): Promise<AgentServer> {
  const server = new AgentServer({ port: 0, host: '127.0.0.1', ...options });
  await server.start();
  onTestFinished(() => server.stop());
  return server;
}

const ask = (server: AgentServer, body: object) =>
  fetch(`${server.url}/api/chat`, jsonPost(body)).then((response) => response.json());

type Frame = { type: string; sessionId?: string; content?: string; error?: string };

/** Asks over a WebSocket and collects what comes up to the last frame. */
async function askOverSocket(url: string, query: object): Promise<Frame[]> {
  const socket = new WebSocket(url.replace('http', 'ws'));
  const frames: Frame[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error(`no socket at ${url}`));
    socket.onopen = () => socket.send(JSON.stringify({ type: 'query', ...query }));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data) as Frame;
      frames.push(frame);
      if (frame.type === 'complete' || frame.type === 'error') resolve();
    };
  });
  socket.close();
  return frames;
}

const textOf = (frames: Frame[]) => frames.map(({ content = '' }) => content).join('');

test('serves the whole HTTP API, and WebSockets at /api/ws and at /', async () => {
  await useModel([{ text: 'By HTTP.' }, { text: 'By socket.' }, { text: 'By the root.' }]);
  const server = await startServer();
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  expect(server.port).toBeGreaterThan(0);
  expect((await fetch(`${server.url}/api/health/ready`)).status).toBe(200);
  expect((await fetch(`${server.url}/openapi.json`)).status).toBe(200);
  expect((await fetch(`${server.url}/`)).status).toBe(426);
  const stream = await openStream(`${server.url}/api/chat/stream`, jsonPost({ message: 'Hello!' }));
  expect((await stream.ended).map(({ event }) => event)).toEqual(['content', 'content', 'complete', 'done']);
  expect(textOf(await askOverSocket(`${server.url}/api/ws`, { prompt: 'Hello!' }))).toBe('By socket.');
  expect(textOf(await askOverSocket(`${server.url}/`, { prompt: 'Hello!' }))).toBe('By the root.');
  expect(textOf(await askOverSocket(server.url, { prompt: ' ' }))).toBe('');
});

test('the environment is read at start, and its mistakes are exceptions that name the variable', async () => {
  useEnv({ MAX_TURNS: '-1', DEFAULT_EFFORT: 'heroic' });
  const server = new AgentServer({ port: 0 });
  await expect(server.start()).rejects.toThrow(/DEFAULT_EFFORT must[\s\S]*MAX_TURNS must/);
  expect(() => server.port).toThrow('This AgentServer is not started.');
  await server.stop();
  await useModel([{ text: 'Better.' }]);
  await server.start();
  onTestFinished(() => server.stop());
  expect(await ask(server, { message: 'Hello!' })).toMatchObject({ content: 'Better.' });
});

test('a port in use is told of, and nothing is left behind', async () => {
  await useModel([]);
  const first = await startServer();
  const second = new AgentServer({ port: first.port, host: '127.0.0.1' });
  const { port } = first;
  await expect(second.start()).rejects.toThrow(`The port ${port} is in use.`);
  await Promise.all([first.stop(), first.stop()]);
  await second.start();
  expect(second.port).toBe(port);
  await expect(second.start()).rejects.toThrow('This AgentServer is started already.');
  await second.stop();
  await second.stop();
  await expect(fetch(`http://127.0.0.1:${port}/api/health`)).rejects.toThrow();
});

test('with parts of its own: models, sessions, tools and config', async () => {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script({ toolCalls: [{ id: 'c1', name: 'my_tool', arguments: '{}' }] }, { text: 'Done.' });
  useEnv({ LOG_LEVEL: 'silent', OPENAI_API_KEY: 'sk-other', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' });
  const tools = new ToolExecutor();
  const execute = vi.fn(() => 'Mine.');
  tools.register(defineTool({ name: 'my_tool', description: '', parameters: { type: 'object' }, execute }));
  const sessions = new SessionManager();
  const server = await startServer({
    llm: createModelRouter({ apiKey: 'sk-test', baseUrl: fake.url, model: 'fake-model' }),
    sessionManager: sessions,
    toolExecutor: tools,
    config: { systemPrompt: 'You are Bob.' },
  });
  const frames = await askOverSocket(server.url, { prompt: 'Use it.', sessionId: 'mine' });
  expect(frames.map(({ type }) => type)).toEqual(['tool_call', 'tool_result', 'chunk', 'complete']);
  expect(execute).toHaveBeenCalledOnce();
  expect(fake.requests[0]?.body.messages[0]?.content).toMatch(/^You are Bob\./);
  const owner = { tenant: 'default', subject: 'anonymous' };
  const { entries } = await sessions.read(owner, 'mine', AbortSignal.timeout(1000));
  expect(entries).toHaveLength(4);
});

test('stop lets a live run finish within DRAIN_TIMEOUT, and what comes then is refused', async () => {
  const held = hold(1);
  await useModel([{ text: 'To the end.', hold: held }]);
  const server = await startServer();
  const stream = await openStream(`${server.url}/api/chat/stream`, jsonPost({ message: 'Hello!' }));
  await stream.waitFor(({ event }) => event === 'content');
  const stopped = server.stop();
  const refused = await fetch(`${server.url}/api/chat`, jsonPost({ message: 'Too late.' }));
  expect(refused.status).toBe(503);
  held.release();
  expect((await stream.ended).at(-2)).toMatchObject({ event: 'complete' });
  await stopped;
});
