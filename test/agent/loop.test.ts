import { expect, test } from 'vitest';
import { type AgentLimits, type AgentRequest, runAgent } from '../../src/agent/run-agent.ts';
import type { AgentEvent, LlmEvent } from '../../src/core/events.ts';
import { type Message, textOf, type UserMessage } from '../../src/core/message.ts';
import { createMessageQueue } from '../../src/core/message-queue.ts';
import type { Model } from '../../src/llm/provider.ts';
import type { Router } from '../../src/llm/router.ts';
import { type Tool, textResult } from '../../src/tools/tool.ts';

const model: Model = {
  id: 'm',
  provider: 'p',
  name: 'm',
  description: '',
  contextWindow: 8000,
  maxOutput: 1000,
  accepts: { images: false, tools: true, jsonSchema: false, temperature: true, reasoning: false },
};

const says = (text: string): LlmEvent[] => [
  { type: 'text-delta', text },
  { type: 'end', finishReason: 'stop' },
];
const calls = (...ids: string[]): LlmEvent[] => [
  ...ids.flatMap((id, index): LlmEvent[] => [
    { type: 'tool-call-start', id, name: 'echo' },
    { type: 'tool-call-end', id, name: 'echo', argumentsText: JSON.stringify({ index }) },
  ]),
  { type: 'end', finishReason: 'tool_calls' },
];

/** A model that gives these answers in turn, and what it was sent. */
function scripted(...turns: LlmEvent[][]) {
  const sent: Message[][] = [];
  const router: Router = {
    async *stream({ messages }) {
      sent.push([...messages]);
      const turn = turns[sent.length - 1];
      if (!turn) throw new Error('no turn is left');
      yield* turn;
      return model;
    },
  };
  return { router, sent };
}

const echo: Tool = {
  name: 'echo',
  description: '',
  parameters: { type: 'object' },
  isParallel: true,
  execute: async (args) => textResult(JSON.stringify(args)),
};

async function run(router: Router, more: Partial<AgentRequest> = {}, limits: Partial<AgentLimits> = {}) {
  const request: AgentRequest = {
    runId: 'run',
    caller: { tenant: 't', subject: 's', roles: [] },
    candidates: [model],
    messages: [{ role: 'user', content: 'Go' }],
    tools: [echo],
    maxTokens: 100,
    responseFormat: { type: 'text' },
    effort: 'standard',
    budget: { affordableTokens: () => Number.POSITIVE_INFINITY, book() {} },
    countTokens: () => 0,
    deadlineAt: Date.now() + 60_000,
    ...more,
  };
  const bounds = { maxTurns: 5, maxToolCalls: 50, toolTimeoutMs: 5000, ...limits };
  const events: AgentEvent[] = [];
  const steps = runAgent(router, bounds, request, new AbortController().signal);
  let step = await steps.next();
  while (!step.done) {
    events.push(step.value);
    step = await steps.next();
  }
  return { events, result: step.value };
}

const user = (content: string): UserMessage => ({ role: 'user', content });
const outline = (messages: Message[]) =>
  messages.map((message) => `${message.role}: ${textOf(message.content) || 'calls'}`);

test('ids that a model gives twice, in one turn or in two, are made different', async () => {
  const { router, sent } = scripted(calls('c', 'c'), calls('c'), says('Done.'));
  await run(router);
  const last = sent.at(-1) ?? [];
  const asked = last.flatMap((message) =>
    message.role === 'assistant'
      ? message.content.flatMap((block) => (block.type === 'toolCall' ? block.id : []))
      : [],
  );
  const answered = last.flatMap((message) => (message.role === 'toolResult' ? message.toolCallId : []));
  expect(asked).toEqual(['c', 'c_2', 'c_3']);
  expect(answered).toEqual(asked);
});

test('the hooks make what the model is sent, before each call', async () => {
  const { router, sent } = scripted(calls('a'), says('Done.'));
  const { result } = await run(router, {
    hooks: {
      transformContext: async (messages) => [user('Remember.'), ...messages],
      convertToLlm: (messages) => messages.filter(({ role }) => role !== 'toolResult'),
    },
  });
  expect(sent.map(outline)).toEqual([
    ['user: Remember.', 'user: Go'],
    ['user: Remember.', 'user: Go', 'assistant: calls'],
  ]);
  expect(outline(result.messages)).toEqual([
    'assistant: calls',
    'toolResult: {"index":0}',
    'assistant: Done.',
  ]);
});

test('what waits enters at the start, and steering goes before what is for later', async () => {
  const { router, sent } = scripted(says('One.'), says('Two.'), says('Three.'));
  const steering = createMessageQueue();
  const followUp = createMessageQueue();
  steering.push(user('First'));
  followUp.push(user('Last'));
  const stream: Router = {
    async *stream(request, signal) {
      if (sent.length === 0) steering.push(user('Second'));
      return yield* router.stream(request, signal);
    },
  };
  const { result, events } = await run(stream, { steering, followUp });
  expect(outline(result.messages)).toEqual([
    'user: First',
    'assistant: One.',
    'user: Second',
    'assistant: Two.',
    'user: Last',
    'assistant: Three.',
  ]);
  expect(result.text).toBe('One.\n\nTwo.\n\nThree.');
  expect(events.filter(({ type }) => type === 'turn-start')).toHaveLength(3);
});

test('what waits does not go beyond the limit of turns', async () => {
  const { router } = scripted(says('One.'), says('Two.'));
  const followUp = createMessageQueue();
  for (let count = 0; count < 3; count += 1) followUp.push(user('More'));
  followUp.mode = 'one-at-a-time';
  const { result } = await run(router, { followUp }, { maxTurns: 2 });
  expect(result).toMatchObject({ text: 'One.\n\nTwo.', exitReason: 'completed' });
  expect(followUp.size).toBe(2);
});

test('the parts of tool calls are told of only when they are asked for', async () => {
  const types = async (isPerMessage: boolean) => {
    const { router } = scripted(calls('a'), says('Done.'));
    return (await run(router, { isPerMessage })).events.map(({ type }) => type);
  };
  expect(await types(true)).toContain('tool-call-start');
  expect(await types(false)).not.toContain('tool-call-start');
});
