import { DeadlineReached } from '../core/abort.js';
import type { AgentEvent } from '../core/events.js';
import type {
  AssistantMessage,
  Effort,
  ExitReason,
  FinishReason,
  Message,
  ToolCall,
  ToolResultMessage,
} from '../core/message.js';
import type { Budget } from '../llm/budget.js';
import type { Model, ResponseFormat } from '../llm/provider.js';
import type { Router } from '../llm/router.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { toToolDefinition } from '../tools/registry.js';
import type { Tool } from '../tools/tool.js';
import { runTools, skipTools } from './run-tools.js';
import { type PartialTurn, streamTurn } from './stream-turn.js';

export type AgentLimits = { maxTurns: number; maxToolCalls: number; toolTimeoutMs: number };

export type AgentRequest = {
  runId: string;
  candidates: Model[];
  messages: Message[];
  tools: Tool[];
  maxTokens: number;
  temperature: number;
  responseFormat: ResponseFormat;
  effort: Effort;
  budget: Budget;
  /** epoch milliseconds */
  deadlineAt: number;
};

export type AgentResult = {
  /** what this call added to the conversation */
  messages: (AssistantMessage | ToolResultMessage)[];
  /** everything that was streamed as text, in order */
  text: string;
  finishReason: FinishReason;
  exitReason: ExitReason;
  model: Model;
};

/** The same call with the same arguments this many times ends the loop. */
const maxSameCalls = 3;

/**
 * Think → act → observe until the model answers without asking for a tool, or a limit ends it.
 * Throws the Fault of the model call that failed, or the abort reason; when the run's time is up after some text was
 * streamed, it returns that text with `exitReason: 'deadline'` instead.
 */
export async function* runAgent(
  router: Router,
  limits: AgentLimits,
  request: AgentRequest,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, AgentResult> {
  const tools = new Map(request.tools.map((tool) => [tool.name, tool]));
  const definitions = request.tools.map(toToolDefinition);
  const added: (AssistantMessage | ToolResultMessage)[] = [];
  const seen = new Map<string, number>();
  let text = '';
  let toolCallCount = 0;
  let model = request.candidates[0] as Model;
  const partial: PartialTurn = { text: '' };

  const finish = (finishReason: FinishReason, exitReason: ExitReason): AgentResult => ({
    messages: added,
    text,
    finishReason,
    exitReason,
    model,
  });

  try {
    for (let turnNumber = 1; ; turnNumber += 1) {
      signal.throwIfAborted();
      const messages = [...request.messages, ...added];
      const affordable = request.budget.affordableTokens(request.candidates, () =>
        countMessagesTokens(messages, definitions),
      );
      if (affordable < 1) return finish('length', 'budget');
      const stream = streamTurn(
        router,
        {
          candidates: request.candidates,
          messages,
          tools: definitions,
          maxTokens: Math.min(request.maxTokens, affordable),
          temperature: request.temperature,
          responseFormat: request.responseFormat,
          effort: request.effort,
          deadlineAt: request.deadlineAt,
          budget: request.budget,
        },
        partial,
        signal,
      );
      const turn = yield* text === '' ? stream : separated(stream, text);
      text = join(text, turn.text);
      partial.text = '';
      model = turn.model;
      added.push(turn.message);
      if (turn.toolCalls.length === 0) {
        const isCapped = turn.finishReason === 'length' && affordable < request.maxTokens;
        return finish(turn.finishReason, isCapped ? 'budget' : exitReasonOf(turn.finishReason));
      }

      toolCallCount += turn.toolCalls.length;
      const stop = limitReached(limits, turnNumber, toolCallCount, isLooping(seen, turn.toolCalls));
      if (stop) {
        added.push(...(yield* skipTools(turn.toolCalls, stop.reason)));
        return finish('tool_calls', stop.exitReason);
      }
      const toolRun = { runId: request.runId, tools, timeoutMs: limits.toolTimeoutMs };
      added.push(...(yield* runTools(toolRun, turn.toolCalls, signal)));
    }
  } catch (error) {
    if (!(error instanceof DeadlineReached)) throw error;
    text = join(text, partial.text);
    if (text === '') throw error;
    if (partial.text !== '')
      added.push({ role: 'assistant', content: [{ type: 'text', text: partial.text }] });
    return finish('length', 'deadline');
  }
}

/** Text of a later turn stands apart from what was said before the tools ran. */
async function* separated<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  before: string,
): AsyncGenerator<AgentEvent, T> {
  let isFirst = true;
  let step = await stream.next();
  while (!step.done) {
    if (isFirst && step.value.type === 'text-delta') {
      isFirst = false;
      const gap = gapAfter(before);
      if (gap !== '') yield { type: 'text-delta', text: gap };
    }
    yield step.value;
    step = await stream.next();
  }
  return step.value;
}

const gapAfter = (text: string) => (/\s$/.test(text) ? '' : '\n\n');
const join = (before: string, more: string) =>
  before === '' || more === '' ? before + more : before + gapAfter(before) + more;

function isLooping(seen: Map<string, number>, calls: ToolCall[]): boolean {
  let isLoop = false;
  for (const call of calls) {
    const key = JSON.stringify([call.name, call.argumentsText ?? call.arguments]);
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    if (count >= maxSameCalls) isLoop = true;
  }
  return isLoop;
}

function limitReached(limits: AgentLimits, turns: number, toolCalls: number, isLoop: boolean) {
  if (isLoop) {
    return { exitReason: 'loop', reason: 'Not run: the same call was made three times.' } as const;
  }
  if (toolCalls > limits.maxToolCalls) {
    const reason = `Not run: the limit of ${limits.maxToolCalls} tool calls was reached.`;
    return { exitReason: 'max_tool_calls', reason } as const;
  }
  if (turns >= limits.maxTurns) {
    return {
      exitReason: 'max_turns',
      reason: `Not run: the limit of ${limits.maxTurns} turns was reached.`,
    } as const;
  }
  return undefined;
}

function exitReasonOf(finishReason: FinishReason): ExitReason {
  if (finishReason === 'length' || finishReason === 'content_filter') return finishReason;
  return 'completed';
}
