import type { AgentRequest, AgentResult } from '../agent/run-agent.js';
import type { PipelineEvent } from '../core/events.js';
import type { Message } from '../core/message.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { type ExecuteDeps, execute, withoutText } from './execute.js';
import type { Step } from './planner.js';
import { shorten } from './shorten.js';

/** What the last step answered, and the request that led to it, which a continuation or a revision builds on. */
export type StepsResult = { result: AgentResult; request: AgentRequest };

type Done = { prompt: Message; text: string };

/**
 * Works through steps one by one; each sees what the earlier ones found, in at most `notesRoom` tokens. Only the last one's
 * text is the answer and is shown. Turns and tool calls are limited over all steps together, and every step that is still
 * to come keeps a turn.
 */
export async function* runSteps(
  { router, limits }: ExecuteDeps,
  base: AgentRequest,
  steps: readonly Step[],
  notesRoom: number,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, StepsResult> {
  const done: Done[] = [];
  let turns = limits.maxTurns;
  let toolCalls = limits.maxToolCalls;
  for (const [index, step] of steps.entries()) {
    const isLast = index === steps.length - 1;
    const prompt: Message = { role: 'user', content: promptFor(step, index + 1, steps.length) };
    const request: AgentRequest = {
      ...base,
      messages: [...base.messages, ...toNotes(done, notesRoom - countMessagesTokens([prompt], [])), prompt],
      tools: toolCalls > 0 ? base.tools : [],
      responseFormat: isLast ? base.responseFormat : { type: 'text' },
    };
    const result = yield* execute(
      {
        router,
        limits: { ...limits, maxTurns: turns - (steps.length - 1 - index), maxToolCalls: toolCalls },
      },
      request,
      {
        step: { step: index + 1, of: steps.length, title: step.title },
        ...(isLast ? { isAnswer: true } : { show: withoutText }),
      },
      signal,
    );
    if (isLast) return { result, request };
    // nothing of the answer was shown yet, so the run has failed
    if (result.exitReason === 'deadline') throw signal.reason;
    turns -= result.messages.filter(({ role }) => role === 'assistant').length;
    toolCalls -= result.messages.filter(({ role }) => role === 'toolResult').length;
    done.push({ prompt, text: result.text });
  }
  throw new Error('There are no steps to run.');
}

const notYet =
  'Do only this step. What you write now is for your own use in the later steps and is shown to nobody; the requirements ' +
  'for the answer count for the last step.';
const atLast =
  'This is the last step: give the whole answer to the request now. Nothing of the earlier steps was shown, so take over ' +
  'from them what belongs in the answer.';

function promptFor({ title, instruction }: Step, number: number, count: number): string {
  return `Step ${number} of ${count}: ${title}\n\n${instruction}\n\n${number === count ? atLast : notYet}`;
}

/** The earlier steps with their results, which lose their middles when they do not fit. */
function toNotes(done: readonly Done[], room: number): Message[] {
  const toMessages = (most: number) =>
    done.flatMap(({ prompt, text }): Message[] => {
      const shown = shorten(text, most) || '(nothing was found)';
      return [prompt, { role: 'assistant', content: [{ type: 'text', text: shown }] }];
    });
  const whole = toMessages(Number.POSITIVE_INFINITY);
  if (countMessagesTokens(whole, []) <= room) return whole;
  const prompts = countMessagesTokens(
    done.map(({ prompt }) => prompt),
    [],
  );
  return toMessages(Math.max(0, Math.floor((room - prompts) / done.length) - perNote));
}

/** Tokens around each result. */
const perNote = 16;
