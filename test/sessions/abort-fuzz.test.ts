import { expect, onTestFinished, test } from 'vitest';
import { anonymous } from '../../src/auth/authenticator.ts';
import { loadConfig } from '../../src/config.ts';
import { Fault } from '../../src/core/errors.ts';
import type { LlmEvent } from '../../src/core/events.ts';
import type { AssistantMessage, Message } from '../../src/core/message.ts';
import { startRun } from '../../src/http/start-run.ts';
import { createBreakers } from '../../src/llm/breaker.ts';
import type { LlmProvider, LlmRequest } from '../../src/llm/provider.ts';
import { createRouter } from '../../src/llm/router.ts';
import type { Run } from '../../src/runs/run.ts';
import { createServices, type Services } from '../../src/services.ts';
import { historyOf, messagesOf } from '../../src/sessions/history.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { providerProblems } from '../helpers/strict-providers.ts';

const seeds = 1_000;
const runsPerSeed = 3;
/** More steps than a run has, so that some runs are not cut short. */
const mostSteps = 40;

/** One answer of the scripted model. */
type Reply = {
  texts: string[];
  calls: { id: string; name: string; argumentsText: string }[];
  breaksOff: boolean;
};

/** What a seed decides; the same seed, the same decisions. */
function createDice(seed: number) {
  let state = seed + 1;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  const oneOf = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  return {
    below,
    oneOf,
    list: <T>(most: number, make: () => T) => Array.from({ length: below(most + 1) }, make),
  };
}
type Dice = ReturnType<typeof createDice>;

const ids = ['call_1', 'call_1', 'call.2', 'ü 3', `toolu_${'x'.repeat(60)}`];
const argumentTexts = ['{}', '{"text":"hi"}', '{"text":', '[1]', ''];
const texts = ['One ', 'two', ' ', '\n\n', 'three.'];

function rollReplies(dice: Dice): Reply[] {
  const withCalls = dice.list(2, () => ({
    texts: dice.list(2, () => dice.oneOf(texts)),
    calls: [0, ...dice.list(2, () => 0)].map(() => ({
      id: dice.oneOf(ids),
      name: dice.oneOf(['echo', 'fail', 'serial', 'unknown']),
      argumentsText: dice.oneOf(argumentTexts),
    })),
    breaksOff: false,
  }));
  const last = { texts: dice.list(3, () => dice.oneOf(texts)), calls: [], breaksOff: dice.below(25) === 0 };
  return [...withCalls, last];
}

const tool = (name: string, isParallel: boolean, execute: Tool['execute']): Tool => ({
  name,
  description: name,
  parameters: { type: 'object' },
  isParallel,
  execute,
});

const tools = [
  tool('echo', true, async (args) => ({
    content: [{ type: 'text', text: JSON.stringify(args) }],
    isError: false,
  })),
  tool('fail', true, async () => {
    throw new Error('broken');
  }),
  tool('serial', false, async () => ({ content: [], isError: false })),
];

/** A service whose model does as it is told, and which counts every step of a run. */
function createWorld() {
  const { config } = loadConfig({ LOG_LEVEL: 'silent', OPENAI_API_KEY: 'sk-test', LLM_MODEL: 'scripted' });
  const services: Services = createServices(config);
  onTestFinished(() => services.close());
  services.tools.list = () => tools;
  const world = { services, replies: [] as Reply[], step: () => {}, problems: [] as string[] };
  const provider: LlmProvider = {
    name: 'openai',
    probe: async () => [],
    async *stream(request: LlmRequest, signal: AbortSignal): AsyncGenerator<LlmEvent> {
      const problems = providerProblems(request.messages, request.tools);
      // within a run the model gets its own ids back
      world.problems.push(...problems.filter((problem) => !problem.includes('the id of a call must have')));
      const reply = world.replies.shift() ?? { texts: ['The end.'], calls: [], breaksOff: false };
      for (const event of eventsOf(reply)) {
        world.step();
        signal.throwIfAborted();
        yield event;
      }
      // not to be tried again: a retry would wait
      if (reply.breaksOff) throw new Fault('provider_rejected', 'No.');
      yield { type: 'end', finishReason: reply.calls.length > 0 ? 'tool_calls' : 'stop' };
    },
  };
  services.pipeline.router = createRouter({
    providers: [provider],
    breakers: createBreakers(['openai']),
    requestTimeoutMs: 10_000,
  });
  return world;
}

function* eventsOf({ texts: parts, calls }: Reply): Generator<LlmEvent> {
  for (const text of parts) yield { type: 'text-delta', text };
  for (const { id, name, argumentsText } of calls) {
    yield { type: 'tool-call-start', id, name };
    yield { type: 'tool-call-end', id, name, argumentsText };
  }
}

async function runOnce(
  world: ReturnType<typeof createWorld>,
  sessionId: string,
  abortAt: number,
): Promise<Run> {
  let steps = 0;
  let run: Run | undefined;
  world.step = () => {
    steps += 1;
    if (steps === abortAt) run?.cancel();
  };
  const body = { message: 'Go on.', session_id: sessionId };
  const call = { caller: anonymous, requestId: 'fuzz', body, idempotencyKey: undefined, isStream: true };
  run = await startRun(world.services, call, new AbortController().signal);
  const accept = run.accept.bind(run);
  run.accept = (event) => {
    accept(event);
    world.step();
  };
  await run.ended;
  return run;
}

/** Calls without their own result right after, in what is stored. */
function orphansOf(messages: Message[]): string[] {
  return messages.flatMap((message, index) => {
    const calls = message.role === 'assistant' ? callsOf(message) : [];
    const after = messages.slice(index + 1, index + 1 + calls.length);
    return calls
      .filter((id, at) => after[at]?.role !== 'toolResult' || after[at].toolCallId !== id)
      .map((id) => `${id} of message ${index}`);
  });
}

const callsOf = ({ content }: AssistantMessage) =>
  content.flatMap((block) => (block.type === 'toolCall' ? [block.id] : []));

test(`whatever is aborted when, strict providers take the history: ${seeds} seeds`, {
  timeout: 120_000,
}, async () => {
  const world = createWorld();
  const { sessions } = world.services;
  const { signal } = new AbortController();
  const seen = { completed: 0, cancelled: 0, failed: 0, interrupted: 0 };
  for (let seed = 0; seed < seeds; seed += 1) {
    const dice = createDice(seed);
    const { id } = await sessions.create(anonymous, {}, signal);
    for (let count = 0; count < runsPerSeed; count += 1) {
      world.replies = rollReplies(dice);
      const isLast = count === runsPerSeed - 1;
      const run = await runOnce(world, id, isLast ? 0 : 1 + ((seed + count * 17) % mostSteps));
      if (run.status !== 'running') seen[run.status] += 1;
      const { entries } = await sessions.read(anonymous, id, signal);
      const messages = messagesOf(entries);
      seen.interrupted += messages.filter(({ isInterrupted }) => isInterrupted).length;
      expect(orphansOf(messages.map(({ message }) => message as Message)), `seed ${seed}`).toEqual([]);
      const next: Message[] = [
        ...historyOf(entries).map(({ message }) => message),
        { role: 'user', content: 'Next.' },
      ];
      expect(providerProblems(next), `seed ${seed}, run ${count}: ${JSON.stringify(next)}`).toEqual([]);
      expect(sessions.isProcessing(anonymous, id)).toBe(false);
    }
    expect(world.problems, `seed ${seed}`).toEqual([]);
    await sessions.delete(anonymous, id, signal);
  }
  // the abort struck often, at every kind of place
  expect(seen.cancelled).toBeGreaterThan(seeds / 3);
  expect(seen.completed).toBeGreaterThan(seeds / 2);
  expect(seen.failed).toBeGreaterThan(seeds / 100);
  expect(seen.interrupted).toBeGreaterThan(seeds / 3);
});
