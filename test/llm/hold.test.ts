import { expect, test } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import type { Attempt } from '../../src/core/events.ts';
import { createBreakers } from '../../src/llm/breaker.ts';
import { createBudget, type HoldNeed } from '../../src/llm/budget.ts';
import { createRouter, type RoutedRequest } from '../../src/llm/router.ts';
import { countMessagesTokens } from '../../src/llm/tokens.ts';
import {
  broken,
  end,
  failed,
  modelOf,
  noLimits,
  outcomesOf,
  question,
  route,
  scripted,
  text,
} from './route.ts';

const usedUp = () => new Fault('quota_exceeded', 'Used up.');

/** A budget whose account answers the calls so: with the output that it gives, or a fault. */
function charged(...answers: (number | Fault)[]) {
  const needs: HoldNeed[] = [];
  const settled: (Attempt | undefined)[] = [];
  const budget = createBudget(noLimits, {
    async hold(need) {
      const answer = answers[needs.push(need) - 1] ?? need.outputTokens;
      if (answer instanceof Fault) throw answer;
      return { outputTokens: answer, settle: (attempt) => void settled.push(attempt) };
    },
  });
  return { budget, needs, settled };
}

test('each call is held for by its input and its most output, and settled by what it used', async () => {
  const { budget, needs, settled } = charged(300);
  const provider = scripted('a', [broken()], [text('Hello.'), end]);
  const { attempts } = await route([provider], { budget, maxTokens: 500 });
  const inputTokens = countMessagesTokens([question], []);
  expect(needs.map(({ model: _, ...need }) => need)).toEqual([
    { inputTokens, outputTokens: 500, leastTokens: 1 },
    { inputTokens, outputTokens: 500, leastTokens: 1 },
  ]);
  expect(provider.calls.map(({ maxTokens }) => maxTokens)).toEqual([300, 500]);
  expect(settled).toEqual(attempts);
  expect(settled.map((attempt) => attempt?.usage.inputTokens)).toEqual([0, 100]);
});

test('it is known whether the last call was given less than it asked for', async () => {
  const { budget } = charged(300);
  const once = () => route([scripted('a', [text('Hello.'), end])], { budget, maxTokens: 500 });
  expect(budget.isCut).toBe(false);
  await once();
  expect(budget.isCut).toBe(true);
  await once();
  expect(budget.isCut).toBe(false);
});

test('a call that is not paid for is not made, and says nothing of its provider', async () => {
  const provider = scripted('a', [text('Hello.'), end]);
  const breakers = createBreakers(['a'], 20);
  for (let time = 0; time < 9; time += 1) {
    const { error, attempts } = await route([provider], { budget: charged(usedUp()).budget }, { breakers });
    expect(error).toMatchObject({ type: 'quota_exceeded' });
    expect(attempts).toEqual([]);
  }
  expect(breakers.state('a')).toBe('closed');
  expect((await route([provider], charged(), { breakers })).text).toBe('Hello.');
});

test('a trial call that is not paid for leaves the trial to the next one', async () => {
  const breakers = createBreakers(['a'], 20);
  for (let time = 0; time < 5; time += 1) (await breakers.enter('a'))(failed());
  await expect.poll(() => breakers.state('a'), { interval: 5 }).toBe('half_open');
  await route([scripted('a')], { budget: charged(usedUp()).budget }, { breakers });
  expect((await route([scripted('a', [text('Hello.'), end])], charged(), { breakers })).text).toBe('Hello.');
});

test('another candidate may be cheap enough', async () => {
  const { budget, settled } = charged(usedUp());
  const providers = [scripted('a'), scripted('b', [text('Hello.'), end])];
  const routed = await route(providers, { budget });
  expect(outcomesOf(routed)).toEqual(['b ok']);
  expect(settled).toHaveLength(1);
});

test('an answer that broke off and cannot be paid on is broken off', async () => {
  const { budget, settled } = charged(400, usedUp());
  const routed = await route([scripted('a', [text('Half an '), failed()])], { budget });
  expect(routed.text).toBe('Half an ');
  expect(routed.error).toMatchObject({ type: 'provider_error', retryable: true });
  expect((routed.error as Fault).message).toContain('broke off');
  expect(settled).toHaveLength(1);
});

test('nobody else is asked when the account cannot be', async () => {
  const { budget, needs } = charged(new Fault('limits_unavailable', 'Away.'));
  const routed = await route([scripted('a'), scripted('b')], { budget });
  expect(routed.error).toMatchObject({ type: 'limits_unavailable' });
  expect(needs).toHaveLength(1);
});

test('what an answer took that nobody reads to its end is settled', async () => {
  const { budget, settled } = charged();
  const router = createRouter({
    providers: [scripted('a', [text('One'), text(' two'), end])],
    breakers: createBreakers(['a']),
    requestTimeoutMs: 1000,
  });
  const request: RoutedRequest = {
    candidates: [modelOf('a')],
    messages: [question],
    tools: [],
    responseFormat: { type: 'text' },
    effort: 'standard',
    deadlineAt: Date.now() + 1000,
    budget,
  };
  const stream = router.stream(request, new AbortController().signal);
  expect((await stream.next()).value).toEqual(text('One'));
  await stream.return(undefined as never);
  expect(settled.map((attempt) => attempt?.outcome)).toEqual(['cancelled']);
});

test('without an account nothing is waited for', async () => {
  expect(createBudget(noLimits).hold).toBeUndefined();
});
