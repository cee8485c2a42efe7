import { expect, test } from 'vitest';
import { runAgent } from '../../src/agent/run-agent.ts';
import { DeadlineReached } from '../../src/core/abort.ts';
import type { AgentEvent } from '../../src/core/events.ts';
import { createBudget } from '../../src/llm/budget.ts';
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

/** A model that says something and asks for the tool. */
const router: Router = {
  async *stream() {
    yield { type: 'text-delta', text: 'Let me check.' };
    yield { type: 'tool-call-end', id: 'c1', name: 'slow', argumentsText: '{}' };
    yield { type: 'tool-call-end', id: 'c2', name: 'slow', argumentsText: '{"again":true}' };
    yield { type: 'end', finishReason: 'tool_calls' };
    return model;
  },
};

async function runUntil(reason: Error) {
  const controller = new AbortController();
  const slow: Tool = {
    name: 'slow',
    description: '',
    parameters: { type: 'object' },
    isParallel: false,
    execute: async () => {
      controller.abort(reason);
      await new Promise(() => {});
      return textResult('never');
    },
  };
  const request = {
    runId: 'run',
    caller: { tenant: 'default', subject: 'anonymous', roles: [] },
    countTokens: () => 0,
    candidates: [model],
    messages: [],
    tools: [slow],
    maxTokens: 100,
    temperature: 0.7,
    responseFormat: { type: 'text' as const },
    effort: 'standard' as const,
    budget: createBudget({ maxCostUsd: undefined, maxTokens: undefined }),
    deadlineAt: Date.now() + 60_000,
  };
  const limits = { maxTurns: 5, maxToolCalls: 5, toolTimeoutMs: 5000 };
  const events: AgentEvent[] = [];
  const steps = runAgent(router, limits, request, controller.signal);
  let step = await steps.next();
  while (!step.done) {
    events.push(step.value);
    step = await steps.next();
  }
  return { events, result: step.value };
}

test('the time limit during a tool call keeps the text once and leaves no call without a result', async () => {
  const { events, result } = await runUntil(new DeadlineReached());
  expect(result).toMatchObject({ text: 'Let me check.', finishReason: 'length', exitReason: 'deadline' });
  expect(events.map((event) => `${event.type} ${'id' in event ? event.id : ''}`)).toEqual([
    'turn-start ',
    'text-delta ',
    'message-end ',
    'tool-start c1',
    'tool-end c1',
    'message-end ',
    'tool-start c2',
    'tool-end c2',
    'message-end ',
  ]);
  expect(result.messages.map((message) => message.role)).toEqual(['assistant', 'toolResult', 'toolResult']);
});

test('a cancel during a tool call ends the run with its reason, and the next call is not started', async () => {
  await expect(runUntil(new Error('cancelled'))).rejects.toThrow('cancelled');
});
