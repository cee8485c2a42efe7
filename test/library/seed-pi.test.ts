import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type FakeAnthropic, startFakeAnthropic } from '../../scripts/fake-llm/anthropic.ts';
import { type FakeLlm, startFakeLlm } from '../../scripts/fake-llm/server.ts';
import {
  Agent,
  type AgentLoopConfig,
  type AgentLoopContext,
  type AgentMessage,
  type AgentTool,
  agentLoop,
  agentLoopContinue,
  getModel,
  streamProxy,
  streamSimple,
} from '../../src/index.ts';
import { rootOf } from '../helpers/fake-anthropic.ts';
import { startService } from '../helpers/service.ts';

/*
 * The examples of the pi agent core's README as they stand there; what an example leaves to the reader (`ui`, `myTool`,
 * `base64ImageData`) is given before it.
 */

declare module '../../src/library/custom-messages.ts' {
  interface CustomAgentMessages {
    artifact: { role: 'artifact'; code: string; language: string; timestamp: number };
    notification: { role: 'notification'; text: string; timestamp: number };
    hookMessage: { role: 'hookMessage'; content: string; timestamp: number };
  }
}

let openai: FakeLlm;
let anthropic: FakeAnthropic;
let written: string;
let logged: unknown[][];

// the environment is read at the first call of this file, and then no more
beforeAll(async () => {
  openai = await startFakeLlm({ requireScript: true });
  anthropic = await startFakeAnthropic({ requireScript: true });
  vi.stubEnv('OPENAI_API_KEY', 'sk-test');
  vi.stubEnv('OPENAI_BASE_URL', openai.url);
  vi.stubEnv('ANTHROPIC_API_KEY', 'sk-ant-test');
  vi.stubEnv('ANTHROPIC_BASE_URL', rootOf(anthropic));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([openai.close(), anthropic.close()]);
});

beforeEach(() => {
  openai.requests.length = 0;
  written = '';
  logged = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
  vi.spyOn(console, 'log').mockImplementation((...values) => {
    logged.push(values);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  openai.verify();
  anthropic.verify();
});

const gpt = () => getModel('openai', 'gpt-4o-mini');
const myTool: AgentTool = {
  name: 'my_tool',
  label: 'Mine',
  description: 'Does it',
  parameters: { type: 'object' },
  execute: async () => ({ content: [{ type: 'text', text: 'done' }], details: {} }),
};
const useMyTool = { toolCalls: [{ id: 'c1', name: 'my_tool', arguments: '{}' }] };

test('Quick Start', async () => {
  anthropic.script({ reasoning: 'Hm.', toolCalls: [], text: 'Hello to you.' });

  const agent = new Agent({
    initialState: {
      systemPrompt: 'You are a helpful assistant.',
      model: getModel('anthropic', 'claude-sonnet-4-20250514'),
      thinkingLevel: 'medium',
      tools: [],
    },
  });

  // Subscribe to events for reactive UI updates
  agent.subscribe((event) => {
    switch (event.type) {
      case 'message_start':
        console.log(`${event.message.role} message started`);
        break;
      case 'message_update':
        // Only emitted for assistant messages during streaming
        // event.message is partial - may have incomplete content
        for (const block of event.message.content) {
          if (block.type === 'text') process.stdout.write(block.text);
        }
        break;
      case 'message_end':
        console.log(`${event.message.role} message complete`);
        break;
      case 'tool_execution_start':
        console.log(`Calling ${event.toolName}...`);
        break;
      case 'tool_execution_end':
        console.log(`Result:`, event.result.content);
        break;
    }
  });

  await agent.prompt('Hello, world!');
  console.log(agent.state.messages);

  // the model is older than the catalogue, and refuses the newer way to ask for thinking
  expect(anthropic.requests[0]?.body).toMatchObject({
    model: 'claude-sonnet-4-20250514',
    thinking: { type: 'enabled', budget_tokens: 4096 },
  });
  expect(logged.slice(0, -1)).toEqual([
    ['user message started'],
    ['user message complete'],
    ['assistant message started'],
    ['assistant message complete'],
  ]);
  expect(written).toMatch(/HelloHello toHello to you\./);
  expect(logged.at(-1)).toEqual([agent.state.messages]);
  expect(agent.state.messages.at(-1)).toMatchObject({
    content: [
      { type: 'thinking', thinking: 'Hm.' },
      { type: 'text', text: 'Hello to you.' },
    ],
  });
});

test("Constraints: a prompt of a type of one's own", async () => {
  openai.script({ text: 'Hi.' }, { text: 'Noted.' });
  const agent = new Agent({
    initialState: { model: gpt() },
    // But convertToLlm must handle this:
    convertToLlm: (messages) =>
      messages.map((m) => {
        if (m.role === 'hookMessage') {
          return { role: 'user', content: m.content, timestamp: m.timestamp };
        }
        return m;
      }),
  });

  // OK: Standard user message
  await agent.prompt('Hello');

  // OK: Custom type that converts to user message
  await agent.prompt({ role: 'hookMessage', content: 'System notification', timestamp: Date.now() });

  expect(openai.requests[1]?.body.messages).toEqual([
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Hi.' },
    { role: 'user', content: 'System notification' },
  ]);
  expect(agent.state.messages[2]).toMatchObject({ role: 'hookMessage' });
});

test('Message Events: a message that is queued while a tool runs', async () => {
  openai.script(useMyTool, { text: 'As you wish.' });
  const interruptMessage = { role: 'user' as const, content: 'Stop.', timestamp: 1 };
  const seen: string[] = [];
  const agent = new Agent({ initialState: { model: gpt(), tools: [myTool] } });
  agent.subscribe((event) => {
    if (event.type === 'tool_execution_start') {
      // During tool execution, a message is queued
      agent.queueMessage(interruptMessage);
    }
    if ('message' in event) seen.push(`${event.type} ${event.message.role}`);
  });
  await agent.prompt('Go');
  const start = seen.indexOf('turn_end assistant') + 1;
  expect(seen.slice(start, start + 3)).toEqual([
    'message_start user',
    'message_end user',
    'message_start assistant',
  ]);
});

test('Handling Partial Messages in Reactive UIs', async () => {
  openai.script({ text: 'One two.' });
  const agent = new Agent({ initialState: { model: gpt() } });
  const tempId = 'temp';
  const messages = new Map<string, { role: string; content: unknown }>();
  const rendered: unknown[] = [];
  const renderPartialMessage = (message: AgentMessage) => rendered.push(message);
  const ui = {
    addMessage: ({ id, ...message }: { id: string; role: string; content: unknown }) =>
      messages.set(id, message),
    updateMessage: (id: string, content: unknown) => messages.set(id, { role: 'assistant', content }),
    finalizeMessage: (id: string, message: { role: string; content: unknown }) => messages.set(id, message),
  };

  agent.subscribe((event) => {
    switch (event.type) {
      case 'message_start':
        if (event.message.role === 'assistant') {
          // Create placeholder in UI
          ui.addMessage({ id: tempId, role: 'assistant', content: [] });
        }
        break;
      case 'message_update':
        // Replace placeholder content with partial content
        // This is only emitted for assistant messages
        ui.updateMessage(tempId, event.message.content);
        break;
      case 'message_end':
        if (event.message.role === 'assistant') {
          // Finalize with complete message
          ui.finalizeMessage(tempId, event.message);
        }
        break;
    }
  });
  agent.subscribe(() => {
    // In a render loop or reactive binding
    if (agent.state.isStreaming && agent.state.streamMessage) {
      renderPartialMessage(agent.state.streamMessage);
    }
  });

  await agent.prompt('Count');
  expect(messages.get('temp')).toBe(agent.state.messages[1]);
  expect(rendered.at(-1)).toMatchObject({ content: [{ type: 'text', text: 'One two.' }] });
});

test('Custom Message Types', async () => {
  openai.script({ text: 'Nice.' }, { text: 'Nothing seen.' });
  // AgentMessage now includes your custom types
  const msg: AgentMessage = { role: 'artifact', code: '...', language: 'typescript', timestamp: Date.now() };
  const note: AgentMessage = { role: 'notification', text: 'Saved.', timestamp: 1 };

  const agent = new Agent({
    convertToLlm: (messages) => {
      return messages
        .filter((m) => m.role !== 'notification') // Filter out UI-only messages
        .map((m) => {
          if (m.role === 'artifact') {
            // Convert to user message so LLM sees the artifact
            return { role: 'user', content: `[Artifact: ${m.language}]\n${m.code}`, timestamp: m.timestamp };
          }
          return m;
        });
    },
  });

  agent.setModel(gpt());
  agent.appendMessage(note);
  await agent.prompt(msg);
  expect(openai.requests[0]?.body.messages).toEqual([
    { role: 'user', content: '[Artifact: typescript]\n...' },
  ]);
  expect(agent.state.messages.map(({ role }) => role)).toEqual(['notification', 'artifact', 'assistant']);

  const plain = new Agent({ initialState: { model: gpt(), messages: [note, msg] } });
  await plain.prompt('What do you see?');
  expect(openai.requests[1]?.body.messages).toEqual([{ role: 'user', content: 'What do you see?' }]);
});

test('Message Queue', async () => {
  openai.script({ text: 'I begin.' }, { text: 'I focus.' });
  const agent = new Agent({ initialState: { model: gpt() } });
  const unsubscribe = agent.subscribe((event) => {
    if (event.type !== 'message_update') return;
    unsubscribe();
    agent.setQueueMode('one-at-a-time');

    // Queue while agent is streaming
    agent.queueMessage({
      role: 'user',
      content: 'Stop what you are doing and focus on this instead.',
      timestamp: Date.now(),
    });
  });
  await agent.prompt('Begin');
  expect(openai.requests[1]?.body.messages.at(-1)).toEqual({
    role: 'user',
    content: 'Stop what you are doing and focus on this instead.',
  });
});

test('Images', async () => {
  openai.script({ text: 'A pixel.' });
  const base64ImageData = 'iVBORw0KGgo=';
  const agent = new Agent({ initialState: { model: gpt() } });
  await agent.prompt('What is in this image?', [
    { type: 'image', data: base64ImageData, mimeType: 'image/jpeg' },
  ]);
  expect(openai.requests[0]?.body.messages).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is in this image?' },
        { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,iVBORw0KGgo=' } },
      ],
    },
  ]);
});

test('Proxy Usage', async () => {
  openai.script({ text: 'By proxy.' });
  const service = await startService({ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: openai.url });
  // a browser's fetch knows where its page came from
  const { fetch } = globalThis;
  const headers: unknown[] = [];
  vi.spyOn(globalThis, 'fetch').mockImplementation((path, init) => {
    headers.push(new Headers(init?.headers).get('authorization'));
    return fetch(new URL(String(path), service.url), init);
  });

  const agent = new Agent({
    streamFn: (model, context, options) =>
      streamProxy('/api/agent', model, context, options, { Authorization: 'Bearer ...' }),
  });

  agent.setModel(gpt());
  await agent.prompt('Hello');
  expect(agent.state.messages.at(-1)).toMatchObject({ content: [{ type: 'text', text: 'By proxy.' }] });
  expect(headers).toEqual(['Bearer ...']);
});

test('Low-Level API', async () => {
  openai.script({ text: 'Hi.' }, { text: 'Recovered.' });

  const context: AgentLoopContext = {
    systemPrompt: 'You are helpful.',
    messages: [],
    tools: [myTool],
  };

  const config: AgentLoopConfig = {
    model: getModel('openai', 'gpt-4o-mini'),
    convertToLlm: (msgs) => msgs.filter((m) => ['user', 'assistant', 'toolResult'].includes(m.role)),
  };

  const userMessage = { role: 'user', content: 'Hello', timestamp: Date.now() };

  for await (const event of agentLoop(userMessage, context, config, undefined, streamSimple)) {
    console.log(event.type);
  }

  const [first] = [logged.flat()];
  expect(first?.filter((type) => type !== 'message_update')).toEqual([
    'agent_start',
    'turn_start',
    'message_start',
    'message_end',
    'message_start',
    'message_end',
    'turn_end',
    'agent_end',
  ]);
  logged = [];
  context.messages.push({ role: 'user', content: 'Again', timestamp: 1 });

  // Continue from existing context (e.g., after overflow recovery)
  // Last message in context must convert to 'user' or 'toolResult'
  for await (const event of agentLoopContinue(context, config, undefined, streamSimple)) {
    console.log(event.type);
  }

  expect(logged.flat().filter((type) => type !== 'message_update')).toEqual([
    'agent_start',
    'turn_start',
    'message_start',
    'message_end',
    'turn_end',
    'agent_end',
  ]);
  expect(openai.requests.map(({ body }) => body.tools?.length)).toEqual([1, 1]);
});
