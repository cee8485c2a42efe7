import { describe, expect, test } from 'vitest';
import { hold } from '../../scripts/fake-llm/reply.ts';
import { type AgentTool, type AssistantMessage, defineTool, type UserMessage } from '../../src/index.ts';
import { followedAgent, outline, useFakeModel } from '../helpers/agent.ts';

const user = (content: string): UserMessage => ({ role: 'user', content, timestamp: 1 });
const answer = [
  'turn_start',
  'message_start user',
  'message_end user',
  'message_start assistant',
  'message_update assistant',
  'message_end assistant',
];

function echoTool(name: string, work: () => Promise<void> | void = () => {}): AgentTool {
  return {
    name,
    label: name,
    description: 'Says it again',
    parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    async execute(_id, params) {
      await work();
      return { content: [{ type: 'text', text: `echo ${String(params.text)}` }], details: params };
    },
  };
}

const call = (id: string, name: string, text: string) => ({ id, name, arguments: JSON.stringify({ text }) });
const stateOf = (message: unknown) => message as AssistantMessage;

describe('the order of events', () => {
  test('of an answer', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'Hello there.' });
    const { agent, events } = followedAgent(way, { systemPrompt: 'Be kind.' });
    await agent.prompt('Hi');
    expect(outline(events)).toEqual(['agent_start', ...answer, 'turn_end assistant', 'agent_end']);
    expect(agent.state).toMatchObject({ isStreaming: false, streamMessage: null });
    expect(agent.state.error).toBeUndefined();
    const [first, second] = agent.state.messages;
    expect(first).toMatchObject({ role: 'user', content: [{ type: 'text', text: 'Hi' }] });
    expect(second).toMatchObject({
      role: 'assistant',
      content: [{ type: 'text', text: 'Hello there.' }],
      provider: 'openai',
      model: 'fake-model',
      stopReason: 'stop',
    });
    expect(stateOf(second).usage.output).toBeGreaterThan(0);
    expect(events.at(-1)).toEqual({
      type: 'agent_end',
      messages: agent.state.messages,
      exitReason: 'completed',
    });
    expect(way.fake.requests[0]?.body.messages).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
    ]);
  });

  test('of an answer that needs a tool', async () => {
    const way = await useFakeModel();
    way.fake.script({ text: 'I look.', toolCalls: [call('c1', 'echo', 'a')] }, { text: 'Done.' });
    const { agent, events } = followedAgent(way, { tools: [echoTool('echo')] });
    await agent.prompt('Go');
    expect(outline(events)).toEqual([
      'agent_start',
      ...answer,
      'tool_execution_start c1',
      'tool_execution_end c1',
      'message_start toolResult',
      'message_end toolResult',
      'turn_end assistant',
      'turn_start',
      'message_start assistant',
      'message_update assistant',
      'message_end assistant',
      'turn_end assistant',
      'agent_end',
    ]);
    expect(events.find((event) => event.type === 'tool_execution_start')).toMatchObject({
      toolName: 'echo',
      args: { text: 'a' },
    });
    expect(events.find((event) => event.type === 'tool_execution_end')).toEqual({
      type: 'tool_execution_end',
      toolCallId: 'c1',
      toolName: 'echo',
      result: { content: [{ type: 'text', text: 'echo a' }], details: { text: 'a' } },
      isError: false,
    });
    const turnEnd = events.find((event) => event.type === 'turn_end');
    expect(turnEnd).toMatchObject({
      message: { stopReason: 'toolUse' },
      toolResults: [{ toolCallId: 'c1' }],
    });
  });

  test('of tools side by side, whose results come in the order of the calls', async () => {
    const way = await useFakeModel();
    const gate = Promise.withResolvers<void>();
    const slow = defineTool({ ...echoTool('slow', () => gate.promise), isParallel: true });
    const fast = defineTool({ ...echoTool('fast', () => gate.resolve()), isParallel: true });
    way.fake.script({ toolCalls: [call('c1', 'slow', 'a'), call('c2', 'fast', 'b')] }, { text: 'Done.' });
    const { agent, events } = followedAgent(way, { tools: [slow, fast] });
    await agent.prompt('Go');
    expect(outline(events).filter((line) => /tool/.test(line))).toEqual([
      'tool_execution_start c1',
      'tool_execution_start c2',
      'tool_execution_end c1',
      'message_start toolResult',
      'message_end toolResult',
      'tool_execution_end c2',
      'message_start toolResult',
      'message_end toolResult',
    ]);
  });

  test('of a message that is queued while a tool runs: the other calls are skipped', async () => {
    const way = await useFakeModel();
    way.fake.script(
      { toolCalls: [call('c1', 'echo', 'a'), call('c2', 'echo', 'b')] },
      { text: 'As you say.' },
    );
    const { agent, events } = followedAgent(way, {
      tools: [echoTool('echo', () => agent.queueMessage(user('Stop that.')))],
    });
    await agent.prompt('Go');
    expect(outline(events).slice(outline(events).indexOf('tool_execution_start c1'))).toEqual([
      'tool_execution_start c1',
      'tool_execution_end c1',
      'message_start toolResult',
      'message_end toolResult',
      'tool_execution_start c2',
      'tool_execution_end c2',
      'message_start toolResult',
      'message_end toolResult',
      'turn_end assistant',
      ...answer,
      'turn_end assistant',
      'agent_end',
    ]);
    expect(agent.state.messages[3]).toMatchObject({
      role: 'toolResult',
      toolCallId: 'c2',
      isError: true,
      content: [{ type: 'text', text: 'Skipped due to queued user message' }],
    });
    expect(way.fake.requests[1]?.body.messages.at(-1)).toEqual({ role: 'user', content: 'Stop that.' });
  });

  test('of a message for later, which enters when the model is done', async () => {
    const way = await useFakeModel();
    way.fake.script({ toolCalls: [call('c1', 'echo', 'a')] }, { text: 'Done.' }, { text: 'And that.' });
    const { agent, events } = followedAgent(way, {
      tools: [echoTool('echo', () => agent.followUp(user('And then?')))],
    });
    await agent.prompt('Go');
    expect(outline(events).filter((line) => /turn|user/.test(line))).toEqual([
      'turn_start',
      'message_start user',
      'message_end user',
      'turn_end assistant',
      'turn_start',
      'turn_end assistant',
      'turn_start',
      'message_start user',
      'message_end user',
      'turn_end assistant',
    ]);
    expect(agent.state.messages.map((message) => message.role)).toEqual([
      'user',
      'assistant',
      'toolResult',
      'assistant',
      'user',
      'assistant',
    ]);
  });

  test('of an abort in the middle of the text, after which the conversation goes on', async () => {
    const way = await useFakeModel();
    const pause = hold(2);
    way.fake.script({ text: 'One two three four.', hold: pause }, { text: 'Fine.' });
    const { agent, events } = followedAgent(way);
    const running = agent.prompt('Count');
    await pause.reached;
    await expect
      .poll(() => agent.state.streamMessage)
      .toMatchObject({
        content: [{ type: 'text', text: 'One two' }],
      });
    agent.abort();
    await running;
    expect(outline(events)).toEqual(['agent_start', ...answer, 'turn_end assistant', 'agent_end']);
    expect(agent.state.messages.at(-1)).toMatchObject({
      stopReason: 'aborted',
      errorMessage: 'The run was aborted.',
      content: [{ type: 'text', text: 'One two' }],
    });
    expect(agent.state).toMatchObject({ isStreaming: false, error: 'The run was aborted.' });
    await agent.prompt('Go on');
    expect(agent.state.error).toBeUndefined();
    expect(way.fake.requests[1]?.body.messages).toEqual([
      { role: 'user', content: 'Count' },
      { role: 'assistant', content: 'One two' },
      { role: 'user', content: 'Go on' },
    ]);
  });

  test('of an abort in the middle of a tool: every call has its result', async () => {
    const way = await useFakeModel();
    way.fake.script({ toolCalls: [call('c1', 'echo', 'a'), call('c2', 'echo', 'b')] }, { text: 'Fine.' });
    const { agent, events } = followedAgent(way, {
      tools: [
        echoTool('echo', async () => {
          agent.abort();
          await new Promise(() => {});
        }),
      ],
    });
    await agent.prompt('Go');
    expect(outline(events).slice(outline(events).indexOf('tool_execution_start c1'))).toEqual([
      'tool_execution_start c1',
      'tool_execution_end c1',
      'message_start toolResult',
      'message_end toolResult',
      'tool_execution_start c2',
      'tool_execution_end c2',
      'message_start toolResult',
      'message_end toolResult',
      'turn_end assistant',
      'turn_start',
      'message_start assistant',
      'message_end assistant',
      'turn_end assistant',
      'agent_end',
    ]);
    expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'aborted', content: [] });
    expect(agent.state.pendingToolCalls.size).toBe(0);
    await agent.prompt('Go on');
    expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'stop' });
  });

  test('of a failure', async () => {
    const way = await useFakeModel();
    way.fake.script({ fault: 'status:400' });
    const { agent, events } = followedAgent(way);
    await agent.prompt('Hi');
    expect(outline(events)).toEqual([
      'agent_start',
      'turn_start',
      'message_start user',
      'message_end user',
      'message_start assistant',
      'message_end assistant',
      'turn_end assistant',
      'agent_end',
    ]);
    const last = stateOf(agent.state.messages.at(-1));
    expect(last).toMatchObject({ stopReason: 'error', content: [] });
    expect(last.errorMessage).toMatch(/openai/);
    expect(agent.state.error).toBe(last.errorMessage);
    way.fake.script({ text: 'Better.' });
    await agent.prompt('Again');
    expect(agent.state.messages.at(-1)).toMatchObject({ stopReason: 'stop' });
  });
});
