import { describe, expect, test } from 'vitest';
import type { Attempt } from '../../src/core/events.ts';
import { createBudget } from '../../src/llm/budget.ts';
import { countMessagesTokens, countTokens } from '../../src/llm/tokens.ts';
import {
  broken,
  end,
  modelOf,
  noLimits,
  outcomesOf,
  question,
  route,
  scripted,
  text,
  thought,
} from './route.ts';

const price = { input: 2, output: 8 };
const model = modelOf('a', { price });

function attempt(inputTokens: number, outputTokens: number, costUsd?: number): Attempt {
  return {
    provider: 'a',
    model: 'a-model',
    outcome: 'ok',
    usage: { inputTokens, outputTokens, cachedTokens: 0, reasoningTokens: 0, estimated: false },
    durationMs: 1,
    ...(costUsd === undefined ? {} : { costUsd }),
  };
}

describe('what is left', () => {
  test('without a cap there is always enough, and nothing is counted for it', () => {
    const budget = createBudget(noLimits);
    budget.book(attempt(1e9, 1e9, 1e9));
    const count = () => {
      throw new Error('counted');
    };
    expect(budget.affordableTokens([model], count)).toBe(Number.POSITIVE_INFINITY);
  });

  test('tokens: input and output of all calls, and the input of the next one', () => {
    const budget = createBudget({ ...noLimits, maxTokens: 1000 });
    expect(budget.affordableTokens([model], () => 100)).toBe(900);
    budget.book(attempt(200, 300));
    budget.book(attempt(50, 50));
    expect(budget.affordableTokens([model], () => 100)).toBe(300);
    expect(budget.affordableTokens([model], () => 400)).toBe(0);
    expect(budget.affordableTokens([model], () => 500)).toBeLessThan(1);
  });

  test('dollars: by the dearest of the models; one without a price costs nothing', () => {
    const budget = createBudget({ ...noLimits, maxCostUsd: 0.01 });
    const dear = modelOf('b', { price: { input: 20, output: 80 } });
    expect(budget.affordableTokens([model], () => 1000)).toBe(1000);
    expect(budget.affordableTokens([model, dear], () => 100)).toBe(100);
    expect(budget.affordableTokens([modelOf('c')], () => 1000)).toBe(Number.POSITIVE_INFINITY);
    budget.book(attempt(1, 1, 0.0075));
    budget.book(attempt(1, 1));
    expect(budget.affordableTokens([model], () => 250)).toBe(250);
  });

  test('both caps: the one that leaves less', () => {
    const budget = createBudget({ maxCostUsd: 0.01, maxTokens: 700 });
    expect(budget.affordableTokens([model], () => 100)).toBe(600);
    budget.book(attempt(10, 10, 0.009));
    expect(budget.affordableTokens([model], () => 100)).toBe(100);
  });
});

describe('in the router', () => {
  const input = countMessagesTokens([question], []);

  test('a call gets no more tokens than are left, whatever was asked for', async () => {
    for (const maxTokens of [500, undefined]) {
      const budget = createBudget({ ...noLimits, maxTokens: 200 });
      const provider = scripted('a', [text('Hi'), end]);
      await route([provider], { budget, ...(maxTokens === undefined ? {} : { maxTokens }) });
      expect(provider.calls[0]?.maxTokens).toBe(200 - input);
      expect(budget.affordableTokens([model], () => 0)).toBe(200 - 110);
    }
  });

  test('what failed attempts used is no longer there for the next one', async () => {
    const thinking = 'I think about it at length. '.repeat(5);
    const budget = createBudget({ ...noLimits, maxTokens: 200 });
    const provider = scripted('a', [thought(thinking), broken()], [text('Hi'), end]);
    const seen = await route([provider], { budget, maxTokens: 500 });
    expect(outcomesOf(seen)).toEqual(['a error', 'a ok']);
    const spent = input + countTokens(thinking);
    expect(provider.calls.map(({ maxTokens }) => maxTokens)).toEqual([200 - input, 200 - spent - input]);
  });

  test('a continuation is reserved with the text that it goes on from, and by its own model’s price', async () => {
    const said = 'Hello there, my very good friend,';
    const budget = createBudget({ ...noLimits, maxCostUsd: 0.005 });
    const provider = scripted('a', [text(said), broken()], [text(' hello.'), end]);
    const seen = await route([provider], { budget, candidates: [model], maxTokens: 10_000 });
    const spent = (input * price.input + countTokens(said) * price.output) / 1e6;
    expect(seen.attempts[0]?.costUsd).toBeCloseTo(spent, 12);
    const [, second] = provider.calls;
    const left = 0.005 - spent - (countMessagesTokens(second?.messages ?? [], []) * price.input) / 1e6;
    expect(second?.maxTokens).toBe(Math.floor((left * 1e6) / price.output));
  });
});
