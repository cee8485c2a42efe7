import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import type { Model } from '../../src/llm/provider.ts';
import { countMessagesTokens } from '../../src/llm/tokens.ts';
import type { ChatRequest } from '../../src/pipeline/chat-request.ts';
import { makePlan, type PlanDeps } from '../../src/pipeline/plan.ts';
import { understandRequest } from '../../src/pipeline/understanding.ts';
import { toToolDefinition } from '../../src/tools/registry.ts';
import { type Tool, textResult } from '../../src/tools/tool.ts';

const clock: Tool = {
  name: 'clock',
  description: 'Tells the time. '.repeat(40),
  parameters: { type: 'object' },
  isParallel: true,
  execute: async () => textResult('noon'),
};
const clockTokens = countMessagesTokens([], [toToolDefinition(clock)]);

type ModelParts = Partial<Omit<Model, 'accepts'>> & { accepts?: Partial<Model['accepts']> };

function modelOf(provider: string, { accepts, ...parts }: ModelParts = {}): Model {
  return {
    id: `${provider}-model`,
    provider,
    name: provider,
    description: '',
    contextWindow: 100_000,
    maxOutput: 8192,
    accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false, ...accepts },
    ...parts,
  };
}

function plan(models: Model[], input: Partial<ChatRequest> = {}) {
  const request: ChatRequest = {
    message: 'Tell me about rivers.',
    files: [],
    images: [],
    history: [],
    memoryLimit: 10,
    model: undefined,
    provider: undefined,
    effort: 'quick',
    temperature: 0.1,
    maxTokens: undefined,
    maxCostUsd: undefined,
    contextWindow: undefined,
    tools: [clock],
    responseFormat: { type: 'text' },
    mayRevise: false,
    ...input,
  };
  const deps: PlanDeps = {
    catalog: {
      models: () => models,
      find: (id) => models.find((model) => model.id === id),
      addDiscovered: () => {},
      defaultModel: () => models[0],
      forEffort: (provider) => models.find((model) => model.provider === provider),
    },
    providers: models.map((model) => model.provider),
    isUsable: () => true,
    llmMaxTokens: undefined,
  };
  return makePlan(deps, request, understandRequest(request));
}

const idsOf = (candidates: Model[]) => candidates.map((model) => model.id);

test('a fallback has room for system prompt, tools, message and a short answer', () => {
  const message = 'word '.repeat(5000);
  const { inputTokens } = plan([modelOf('a')], { message });
  const fallbacksOf = (contextWindow: number, accepts = {}) =>
    idsOf(plan([modelOf('a'), modelOf('b', { contextWindow, accepts })], { message }).candidates).slice(1);
  expect(fallbacksOf(inputTokens + 256)).toEqual(['b-model']);
  expect(fallbacksOf(inputTokens + 255)).toEqual([]);
  expect(fallbacksOf(inputTokens + 256 - clockTokens, { tools: false })).toEqual(['b-model']);
  expect(fallbacksOf(inputTokens + 255 - clockTokens, { tools: false })).toEqual([]);
});

test('the size counts history, names of files and images', () => {
  const input: Partial<ChatRequest> = {
    files: [{ name: 'a-long-name-'.repeat(20), text: 'text '.repeat(100), lineStart: 1, lineEnd: 1 }],
    history: Array.from({ length: 5 }, () => ({ role: 'user', content: 'hello there' })),
    images: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }],
  };
  const { inputTokens } = plan([modelOf('a')], input);
  const fallbacksOf = (contextWindow: number) =>
    idsOf(plan([modelOf('a'), modelOf('b', { contextWindow })], input).candidates).slice(1);
  expect(fallbacksOf(inputTokens + 256)).toEqual(['b-model']);
  expect(fallbacksOf(inputTokens + 255)).toEqual([]);
});

test('a request that the caller wants cut to a small window keeps its fallbacks', () => {
  const models = [modelOf('a'), modelOf('b', { contextWindow: 8192 })];
  const files = [{ name: 'a.txt', text: 'some words\n'.repeat(20_000), lineStart: 1, lineEnd: 20_001 }];
  expect(idsOf(plan(models, { files }).candidates)).toEqual(['a-model']);
  expect(idsOf(plan(models, { files, contextWindow: 8192 }).candidates)).toEqual(['a-model', 'b-model']);
});

test('tools and temperature are for all candidates, whatever the first one takes', () => {
  const plain = modelOf('a', { accepts: { tools: false, temperature: false } });
  expect(plan([plain, modelOf('b')])).toMatchObject({ tools: [clock], temperature: 0.1 });
  expect(plan([plain])).toMatchObject({ tools: [], temperature: 0.1 });
  const small = { contextWindow: 256 };
  expect(plan([plain, modelOf('b')], small)).toMatchObject({ tools: [clock], leftOut: [] });
});

test('tools that do not fit are left out, and the plan says so', () => {
  const { tools, leftOut, reasons, maxTokens, inputTokens, strategy } = plan([modelOf('a')], {
    message: 'What is 6*7?',
    contextWindow: 256,
  });
  expect({ tools, leftOut, strategy }).toEqual({
    tools: [],
    leftOut: ['the tools clock'],
    strategy: 'direct',
  });
  expect(reasons).toContain('left out to fit 256 tokens: the tools clock');
  expect(maxTokens).toBe(256 - inputTokens);
  expect(maxTokens).toBeGreaterThanOrEqual(64);
});

test('files whose names fill the window are refused, never asked with no output', () => {
  const files = Array.from({ length: 20 }, () => ({
    name: '漢字x'.repeat(300),
    text: 'text',
    lineStart: 1,
    lineEnd: 1,
  }));
  expect(() => plan([modelOf('a', { contextWindow: 8192 })], { files })).toThrow(Fault);
});
