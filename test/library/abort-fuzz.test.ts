import { expect, test } from 'vitest';
import type { LlmEvent } from '../../src/core/events.ts';
import {
  Agent,
  type AgentEvent,
  defineTool,
  getModel,
  type LlmMessage,
  type StreamFn,
  type UserMessage,
} from '../../src/index.ts';
import { createMessageBuilder } from '../../src/library/message-builder.ts';
import { providerProblems } from '../helpers/strict-providers.ts';

type Part = Exclude<LlmEvent, { type: 'end' }>;

const model = getModel('openai', 'gpt-4o-mini');
/** The text of each answer, and the ids of its calls: a model may give one id twice. */
const answers = [
  { text: 'I look.', calls: ['c0', 'c1', 'c0'] },
  { text: '', calls: ['c0'] },
  { text: 'Done now.', calls: [] },
];

function partsOf({ text, calls }: { text: string; calls: string[] }, turn: number): Part[] {
  const words = text.split(/(?<= )/).map((word): Part => ({ type: 'text-delta', text: word }));
  const asked = calls.flatMap((id, index): Part[] => {
    const [name, argumentsText] = ['look', JSON.stringify({ turn, index })];
    return [
      { type: 'tool-call-start', id, name },
      { type: 'tool-call-delta', id, text: argumentsText.slice(0, 5) },
      { type: 'tool-call-end', id, name, argumentsText },
    ];
  });
  return [{ type: 'reasoning-delta', text: 'Hm.' }, ...words, ...asked];
}

/** A model that gives the answers one after the other, and says what strict providers would have refused. */
function startModel() {
  const problems: string[] = [];
  let turn = 0;
  const streamFn: StreamFn = async function* (asked, { messages, tools }, options) {
    problems.push(...providerProblems(messages, tools));
    const answer = answers[turn] ?? { text: 'Yes.', calls: [] };
    const parts = partsOf(answer, turn);
    turn += 1;
    const builder = createMessageBuilder(asked);
    yield { type: 'start', partial: builder.partial };
    for (const part of parts) {
      if (options?.signal?.aborted) {
        yield { type: 'error', reason: 'aborted', error: { ...builder.partial, stopReason: 'aborted' } };
        return;
      }
      yield* builder.take(part);
    }
    yield* builder.end();
    const reason = answer.calls.length > 0 ? 'toolUse' : 'stop';
    yield { type: 'done', reason, message: { ...builder.partial, stopReason: reason } };
  };
  return { problems, streamFn };
}

const lookTool = (isParallel: boolean) =>
  defineTool({
    name: 'look',
    description: '',
    parameters: { type: 'object' },
    isParallel,
    async execute() {
      await new Promise((resolve) => setImmediate(resolve));
      return 'Seen.';
    },
  });

/** How many of each kind were begun and not ended. */
function openOf(events: AgentEvent[]): Record<string, number> {
  const open: Record<string, number> = {};
  for (const { type } of events) {
    const [, kind = '', step] = /^(\w+)_(start|update|end)$/.exec(type) ?? [];
    const change = { start: 1, update: 0, end: -1 }[step ?? ''] ?? 0;
    open[kind] = (open[kind] ?? 0) + change;
  }
  return open;
}

/** Aborts at the event of this number, and says something at that moment. False: the run had ended before. */
async function abortAt(at: number, isParallel: boolean, say: 'steer' | 'followUp'): Promise<boolean> {
  const { problems, streamFn } = startModel();
  const agent = new Agent({ streamFn, initialState: { model, tools: [lookTool(isParallel)] } });
  const said: UserMessage = { role: 'user', content: 'By the way', timestamp: 1 };
  const events: AgentEvent[] = [];
  agent.subscribe((event) => {
    if (events.push(event) !== at + 1) return;
    agent[say](said);
    agent.abort();
  });
  await agent.prompt('Go');
  if (events.length <= at) return false;
  expect(Object.values(openOf(events)).every((count) => count === 0)).toBe(true);
  expect(events.at(-1)?.type).toBe('agent_end');
  expect(agent.state.pendingToolCalls.size).toBe(0);

  await agent.prompt('Next');
  expect(problems).toEqual([]);
  expect(agent.state.error).toBeUndefined();
  expect(agent.state.messages.filter((message) => message === said)).toHaveLength(1);
  const added = events.flatMap((event): LlmMessage[] =>
    event.type === 'agent_end' ? (event.messages as LlmMessage[]) : [],
  );
  expect(added).toEqual(agent.state.messages);
  return true;
}

test.each([
  [false, 'steer'],
  [false, 'followUp'],
  [true, 'steer'],
  [true, 'followUp'],
] as const)(
  'whichever event a run is aborted at, nothing is lost: side by side %j, %s',
  async (isParallel, say) => {
    let at = 0;
    while (await abortAt(at, isParallel, say)) at += 1;
    expect(at).toBeGreaterThan(40);
  },
);
