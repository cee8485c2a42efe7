import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { hold } from '../../scripts/fake-llm/reply.ts';
import {
  Agent,
  type AgentEvent,
  type AgentMessage,
  type AgentTool,
  type AssistantMessage,
  agentLoop,
  agentLoopContinue,
  createMessageQueue,
  type ImageContent,
  type StreamOptions,
  type ThinkingLevel,
  type UserMessage,
} from '../../src/index.ts';
import { followedAgent, useFakeModel } from '../helpers/agent.ts';

const user = (content: string): UserMessage => ({ role: 'user', content, timestamp: 1 });
const pixel: ImageContent = { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' };
const pixelPart = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
const rolesOf = (messages: AgentMessage[]) => messages.map(({ role }) => role);

const lookTool: AgentTool = {
  name: 'look',
  label: 'Look',
  description: 'Takes a picture',
  parameters: { type: 'object' },
  execute: () => ({ content: [{ type: 'text', text: 'Here.' }, pixel] }),
};
const lookCall = { toolCalls: [{ id: 'c1', name: 'look', arguments: '{}' }] };

describe('options', () => {
  test('transformContext shapes what the model is sent, and not what is kept', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'One.' }, { text: 'Two.' });
    const seen: number[] = [];
    const { agent } = followedAgent(
      way,
      {},
      {
        async transformContext(messages, signal) {
          expect(signal).toBeInstanceOf(AbortSignal);
          seen.push(messages.length);
          return messages.slice(-1);
        },
      },
    );
    await agent.prompt('First');
    await agent.prompt('Second');
    expect(seen).toEqual([1, 3]);
    expect(way.fake.requests[1]?.body.messages).toEqual([{ role: 'user', content: 'Second' }]);
    expect(agent.state.messages).toHaveLength(4);
  });

  test('a hook that throws fails the run with its message', async () => {
    const way = await useFakeModel();
    const { agent } = followedAgent(
      way,
      {},
      {
        convertToLlm() {
          throw new Error('no converter');
        },
      },
    );
    await agent.prompt('Hi');
    expect(agent.state.error).toBe('no converter');
    expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'error', errorMessage: 'no converter' });
  });

  test('attachments of a user message become content', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Seen.' });
    const { agent } = followedAgent(way);
    const attachments = [
      { type: 'image', fileName: 'a.png', mimeType: 'image/png', content: pixel.data },
      { type: 'document', fileName: 'b.txt', mimeType: 'text/plain', content: 'Yg==', extractedText: 'b' },
    ];
    await agent.prompt({ ...user('Look'), attachments } as UserMessage);
    expect(way.fake.requests[0]?.body.messages).toEqual([
      {
        role: 'user',
        content: [{ type: 'text', text: 'Look' }, pixelPart, { type: 'text', text: '[b.txt]\nb' }],
      },
    ]);
  });

  test.each([
    ['one-at-a-time', [['A'], ['B']]],
    ['all', [['A', 'B']]],
  ] as const)('queueMode %s', async (queueMode, turns) => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Go.' }, ...turns.map(() => ({ text: 'Heard.' })));
    const { agent } = followedAgent(way, {}, { queueMode });
    const unsubscribe = agent.subscribe((event) => {
      if (event.type !== 'message_start' || event.message.role !== 'assistant') return;
      agent.queueMessage(user('A'));
      agent.queueMessage(user('B'));
      unsubscribe();
    });
    await agent.prompt('Start');
    const sent = way.fake.requests.slice(1).map(({ body }) => {
      const last = body.messages.findLastIndex(({ role }) => role === 'assistant');
      return body.messages.slice(last + 1).map(({ content }) => content);
    });
    expect(sent).toEqual(turns);
  });

  test('getApiKey is asked before each call', async () => {
    const way = await useFakeModel();
    way.fake.script(lookCall, { text: 'Done.' });
    const getApiKey = vi.fn(async (provider: string) => `${provider}-${getApiKey.mock.calls.length}`);
    const { agent } = followedAgent(way, { tools: [lookTool] }, { getApiKey });
    await agent.prompt('Go');
    expect(agent.state.error).toBeUndefined();
    expect(way.fake.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer openai-1',
      'Bearer openai-2',
    ]);
  });

  test('limits end a run, and agent_end says which', async () => {
    const way = await useFakeModel();
    way.fake.script(lookCall);
    const { agent, events } = followedAgent(way, { tools: [lookTool] }, { maxTurns: 1 });
    await agent.prompt('Go');
    expect(events.at(-1)).toMatchObject({ type: 'agent_end', exitReason: 'max_turns' });
    expect(agent.state.messages.at(-1)).toMatchObject({
      role: 'toolResult',
      isError: true,
      content: [{ type: 'text', text: 'Not run: the limit of 1 turns was reached.' }],
    });
  });

  test('streamFn gets the model, the context and the options', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hi.' });
    const seen: unknown[] = [];
    const { agent } = followedAgent(
      way,
      { systemPrompt: 'Be kind.', thinkingLevel: 'high', tools: [lookTool] },
      {
        temperature: 0.1,
        maxTokens: 9,
        async streamFn(model, context, options) {
          seen.push(model.id, context.systemPrompt, context.messages.length, context.tools?.[0]?.name);
          const { signal, ...rest } = options as StreamOptions;
          seen.push(rest, signal?.aborted);
          return way.router.stream(model, context, options);
        },
      },
    );
    await agent.prompt('Hi');
    expect(seen).toEqual([
      'fake-model',
      'Be kind.',
      1,
      'look',
      { reasoning: 'high', temperature: 0.1, maxTokens: 9 },
      false,
    ]);
  });
});

describe('images', () => {
  test('of a prompt and of a tool result reach the model', async () => {
    const way = await useFakeModel();
    way.fake.script(lookCall, { text: 'A pixel.' });
    const { agent } = followedAgent(way, { tools: [lookTool] });
    await agent.prompt('What is this?', [pixel]);
    const [first, second] = way.fake.requests.map(({ body }) => body.messages);
    expect(first).toEqual([{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, pixelPart] }]);
    expect(second?.slice(2)).toEqual([
      { role: 'tool', tool_call_id: 'c1', content: 'Here.' },
      { role: 'user', content: [pixelPart] },
    ]);
  });
});

describe('thinking levels', () => {
  test.each<[ThinkingLevel, string]>([
    ['off', 'low'],
    ['minimal', 'low'],
    ['low', 'low'],
    ['medium', 'medium'],
    ['high', 'high'],
    ['xhigh', 'high'],
  ])('%s asks OpenAI for %s', async (level, effort) => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hi.' });
    const { model } = way.router;
    const { agent } = followedAgent(way, {
      model: { ...model, accepts: { ...model.accepts, reasoning: true } },
    });
    agent.setThinkingLevel(level);
    await agent.prompt('Hi');
    expect(way.fake.requests[0]?.body.reasoning_effort).toBe(effort);
  });
});

describe('state', () => {
  test('shows the answer as it grows, and the tools at work', async () => {
    const way = await useFakeModel();
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const tool: AgentTool = {
      ...lookTool,
      async execute(id, _params, _signal, onUpdate) {
        onUpdate({ content: [{ type: 'text', text: 'half' }], details: { percent: 50 } });
        started.resolve();
        await gate.promise;
        return `done ${id}`;
      },
    };
    way.fake.script({ text: 'Wait a bit.', ...lookCall }, { text: 'Done.' });
    const { agent, events } = followedAgent(way, { tools: [tool] });
    const partials: unknown[] = [];
    agent.subscribe((event) => {
      if (event.type === 'message_update') partials.push([event.message, agent.state.streamMessage]);
    });
    const running = agent.prompt('Go');
    expect(agent.state.isStreaming).toBe(true);
    await started.promise;
    await expect.poll(() => events.at(-1)?.type).toBe('tool_execution_update');
    expect([...agent.state.pendingToolCalls]).toEqual(['c1']);
    expect(events.at(-1)).toEqual({
      type: 'tool_execution_update',
      toolCallId: 'c1',
      toolName: 'look',
      args: {},
      partialResult: { content: [{ type: 'text', text: 'half' }], details: { percent: 50 } },
    });
    gate.resolve();
    await running;
    expect(agent.state.pendingToolCalls.size).toBe(0);
    for (const [told, held] of partials as [object, object][]) expect(told).toBe(held);
    const texts = (partials as [{ content: { text?: string }[] }][]).map(([{ content }]) => content[0]?.text);
    expect(texts.slice(0, 3)).toEqual(['', 'Wait', 'Wait a']);
  });

  test('the arguments of a call grow too', async () => {
    const way = await useFakeModel();
    const call = { id: 'c1', name: 'look', arguments: '{"place":"garden","more":[1,2]}', fragments: 6 };
    way.fake.script({ toolCalls: [call] }, { text: 'Done.' });
    const { agent, events } = followedAgent(way, { tools: [lookTool] });
    await agent.prompt('Go');
    const updates = events.flatMap((event) => (event.type === 'message_update' ? [event] : []));
    const args = updates.flatMap(({ message }) => {
      const [block] = message.content;
      return block?.type === 'toolCall' ? [JSON.stringify(block.arguments)] : [];
    });
    expect(args[0]).toBe('{}');
    expect(args.some((text) => /^\{"place":"\w{1,5}"\}$/.test(text))).toBe(true);
    expect(args.at(-1)).toBe('{"place":"garden","more":[1,2]}');
    expect(updates.map(({ assistantMessageEvent }) => assistantMessageEvent.type)).toContain(
      'toolcall_start',
    );
  });

  test('mutators', async () => {
    const way = await useFakeModel();
    const { agent } = followedAgent(way, { messages: [user('Old')] });
    agent.setSystemPrompt('New');
    agent.setModel({ ...way.router.model, id: 'other' });
    agent.setThinkingLevel('low');
    agent.setTools([lookTool]);
    agent.appendMessage(user('Newer'));
    expect(agent.state).toMatchObject({
      systemPrompt: 'New',
      model: { id: 'other' },
      thinkingLevel: 'low',
      tools: [lookTool],
    });
    expect(agent.state.messages).toEqual([user('Old'), user('Newer')]);
    agent.replaceMessages([user('Only')]);
    expect(agent.state.messages).toEqual([user('Only')]);
    agent.clearMessages();
    expect(agent.state.messages).toEqual([]);
  });

  test('reset stops the run and forgets everything', async () => {
    const way = await useFakeModel();
    const pause = hold(1);
    way.fake.script({ text: 'One two three.', hold: pause }, { text: 'Fresh.' });
    const { agent, events } = followedAgent(way);
    const running = agent.prompt('Count');
    await pause.reached;
    agent.queueMessage(user('Later'));
    agent.reset();
    const { length } = events;
    await running;
    expect(events).toHaveLength(length);
    expect(agent.state).toMatchObject({ messages: [], isStreaming: false, streamMessage: null });
    await agent.prompt('Again');
    expect(rolesOf(agent.state.messages)).toEqual(['user', 'assistant']);
  });

  test('clearMessageQueue forgets what waits', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hi.' });
    const { agent } = followedAgent(way);
    agent.queueMessage(user('Later'));
    agent.followUp(user('Much later'));
    agent.clearMessageQueue();
    await agent.prompt('Hi');
    expect(rolesOf(agent.state.messages)).toEqual(['user', 'assistant']);
  });

  test('subscribe returns what ends the subscription', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hi.' });
    const { agent } = followedAgent(way);
    const listener = vi.fn();
    agent.subscribe(listener)();
    await agent.prompt('Hi');
    expect(listener).not.toHaveBeenCalled();
  });
});

describe('one run at a time', () => {
  test('a prompt while one runs is refused, and waitForIdle waits', async () => {
    const way = await useFakeModel();
    const pause = hold(1);
    way.fake.script({ text: 'One two.', hold: pause });
    const { agent } = followedAgent(way);
    const running = agent.prompt('Hi');
    await expect(agent.prompt('Me too')).rejects.toThrow(
      'The agent is at work: queue the message, or wait until it is idle.',
    );
    let isIdle = false;
    const idle = agent.waitForIdle().then(() => {
      isIdle = true;
    });
    await pause.reached;
    expect(isIdle).toBe(false);
    pause.release();
    await idle;
    expect(agent.state.isStreaming).toBe(false);
    await running;
    await agent.waitForIdle();
  });

  test('a listener that throws harms neither the run nor the others', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hi.' });
    const { agent } = followedAgent(way);
    agent.subscribe(() => {
      throw new Error('bad listener');
    });
    const good = vi.fn();
    agent.subscribe(good);
    await expect(agent.prompt('Hi')).rejects.toThrow('bad listener');
    expect(good.mock.lastCall?.[0]).toMatchObject({ type: 'agent_end', exitReason: 'completed' });
    expect(rolesOf(agent.state.messages)).toEqual(['user', 'assistant']);
  });
});

describe('continue', () => {
  test('answers to the last message', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Yes.' });
    const { agent, events } = followedAgent(way, { messages: [user('Are you there?')] });
    await agent.continue();
    expect(rolesOf(agent.state.messages)).toEqual(['user', 'assistant']);
    expect(events[2]).toMatchObject({ type: 'message_start', message: { role: 'assistant' } });
  });

  test('needs something to answer to', async () => {
    const way = await useFakeModel();
    const { agent } = followedAgent(way);
    await expect(agent.continue()).rejects.toThrow(
      'There is nothing to continue: the conversation has no message.',
    );
    way.fake.script({ text: 'Hi.' });
    await agent.prompt('Hi');
    await expect(agent.continue()).rejects.toThrow(
      "There is nothing to continue: the last message is the assistant's.",
    );
    expect(agent.state.isStreaming).toBe(false);
  });

  test('a prompt in the role of the assistant fails at the model', async () => {
    const way = await useFakeModel();
    const { agent } = followedAgent(way);
    await agent.prompt({
      role: 'assistant',
      content: [{ type: 'text', text: 'I say' }],
      provider: 'openai',
      model: 'm',
      usage: {
        input: 0,
        output: 0,
        cacheRead: 0,
        cacheWrite: 0,
        totalTokens: 0,
        cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, total: 0 },
      },
      stopReason: 'stop',
      timestamp: 1,
    });
    expect(agent.state.error).toBe(
      "The last message must be the user's or a tool's result, not the assistant's.",
    );
  });
});

describe('the low-level loop', () => {
  test('gives its messages as its result, and takes queues of its own', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'One.' }, { text: 'Two.' });
    const followUp = createMessageQueue<AgentMessage>();
    followUp.push(user('More'));
    const context = { systemPrompt: '', messages: [user('Old')], tools: [] };
    const stream = agentLoop(
      user('New'),
      context,
      { model: way.router.model, followUp },
      undefined,
      way.router.stream,
    );
    const added = await stream.result();
    expect(rolesOf(added)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(context.messages).toHaveLength(1);
    expect(way.fake.requests[1]?.body.messages).toHaveLength(4);
  });

  test('stops the call to the model when its reader leaves', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'One two three.', hold: hold(1) });
    const context = { systemPrompt: '', messages: [user('Hi')] };
    const config = { model: way.router.model };
    for await (const event of agentLoopContinue(context, config, undefined, way.router.stream)) {
      if (event.type === 'message_update') break;
    }
    await way.fake.waitForAbort();
  });

  test('ends as aborted when the signal has fired already', async () => {
    const way = await useFakeModel();
    const events: AgentEvent[] = [];
    const context = { systemPrompt: '', messages: [] };
    const config = { model: way.router.model };
    for await (const event of agentLoop(user('Hi'), context, config, AbortSignal.abort(), way.router.stream))
      events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      'agent_start',
      'turn_start',
      'message_start',
      'message_end',
      'message_start',
      'message_end',
      'turn_end',
      'agent_end',
    ]);
  });
});

test('an agent without a key says which setting is missing', async () => {
  vi.stubEnv('ANTHROPIC_API_KEY', undefined);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const { getModel } = await import('../../src/index.ts');
  const agent = new Agent({ initialState: { model: getModel('anthropic', 'claude-sonnet-5') } });
  await agent.prompt('Hi');
  expect(agent.state.error).toBe(
    'The provider anthropic is not configured: set ANTHROPIC_API_KEY, or give an apiKey.',
  );
});

test('what waits when a run is aborted is not lost: it enters the next one', async () => {
  const way = await useFakeModel();
  way.fake.script({ text: 'One.' }, { text: 'Two.' }, { text: 'Three.' });
  const { agent } = followedAgent(way);
  agent.followUp(user('Later'));
  const unsubscribe = agent.subscribe((event) => {
    if (event.type !== 'message_end' || event.message.role !== 'assistant') return;
    unsubscribe();
    agent.abort();
  });
  await agent.prompt('First');
  expect(rolesOf(agent.state.messages)).toEqual(['user', 'assistant']);
  await agent.prompt('Second');
  expect(way.fake.requests.at(-1)?.body.messages.at(-1)).toEqual({ role: 'user', content: 'Later' });
});

test('a stream function is told when nobody reads on', async () => {
  const way = await useFakeModel();
  way.fake.script({ text: 'One two three.' });
  let hasEnded = false;
  const events = agentLoop(
    user('Count'),
    { systemPrompt: '', messages: [] },
    { model: way.router.model },
    undefined,
    async function* (...request) {
      try {
        yield* way.router.stream(...request);
      } finally {
        hasEnded = true;
      }
    },
  );
  for await (const { type } of events) if (type === 'message_update') break;
  expect(hasEnded).toBe(true);
});

test('an aborted answer says what it used', async () => {
  const way = await useFakeModel();
  way.fake.script({ text: 'One two three four.', hold: hold(2) });
  const { agent } = followedAgent(way);
  agent.subscribe((event) => {
    if (event.type === 'message_update') agent.abort();
  });
  await agent.prompt('Count');
  const answer = agent.state.messages.at(-1) as AssistantMessage;
  expect(answer).toMatchObject({ stopReason: 'aborted', errorMessage: 'The run was aborted.' });
  expect(answer.usage.input).toBeGreaterThan(0);
  expect(answer.usage.output).toBeGreaterThan(0);
});

test('an abort ends the wait for a key that never comes', async () => {
  const way = await useFakeModel();
  const asked = Promise.withResolvers<void>();
  const getApiKey = () => {
    asked.resolve();
    return new Promise<string>(() => {});
  };
  const { agent } = followedAgent(way, {}, { getApiKey });
  const run = agent.prompt('Hi');
  await asked.promise;
  agent.abort();
  await run;
  expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'aborted' });
});
