import { DeadlineReached, raceAbort } from '../core/abort.js';
import type { Caller } from '../core/caller.js';
import { Fault } from '../core/errors.js';
import type { AgentEvent } from '../core/events.js';
import {
  type AssistantMessage,
  type Effort,
  type ExitReason,
  type FinishReason,
  isMessage,
  type Message,
  type ToolCall,
} from '../core/message.js';
import type { MessageQueue } from '../core/message-queue.js';
import type { TraceContext } from '../core/trace.js';
import type { Budget } from '../llm/budget.js';
import type { Model, ResponseFormat, ToolDefinition } from '../llm/provider.js';
import type { Router } from '../llm/router.js';
import { toToolDefinition } from '../tools/registry.js';
import type { Tool } from '../tools/tool.js';
import { runTools, skipTools } from './run-tools.js';
import { type PartialTurn, streamTurn, type Turn } from './stream-turn.js';

export type AgentLimits = { maxTurns: number; maxToolCalls: number; toolTimeoutMs: number };

/** What a program around the loop does with the conversation before each call to a model. */
export type ContextHooks<Custom = never> = {
  /** Prunes, sums up or adds. What it returns is for this call only. */
  transformContext?: (messages: (Message | Custom)[], signal: AbortSignal) => Promise<(Message | Custom)[]>;
  /** Default: leaves out what no model understands. */
  convertToLlm?: (messages: (Message | Custom)[]) => Message[] | Promise<Message[]>;
};

export type AgentRequest<Custom = never> = {
  runId: string;
  /** of the request that the run answers, for tools that pass it on */
  requestId?: string | undefined;
  trace?: TraceContext | undefined;
  caller: Caller;
  candidates: Model[];
  messages: (Message | Custom)[];
  tools: Tool[];
  maxTokens: number;
  temperature?: number | undefined;
  responseFormat: ResponseFormat;
  effort: Effort;
  /** the message asks for something to be repeated: only an excess of it counts as a loop of the model */
  isRepetitionAsked?: boolean | undefined;
  budget: Budget;
  /** only called when the budget has a cap */
  countTokens: (messages: Message[], tools: ToolDefinition[]) => number;
  /** epoch milliseconds */
  deadlineAt: number;
  /** said while the model or its tools are at work: enters before the next call, and calls not yet started are skipped */
  steering?: MessageQueue<Message | Custom> | undefined;
  /** said for later: enters when the model would otherwise be done */
  followUp?: MessageQueue<Message | Custom> | undefined;
  hooks?: ContextHooks<Custom> | undefined;
  /**
   * Each message is shown apart: yields the parts of tool calls as they come, and no gap between the texts of two turns.
   */
  isPerMessage?: boolean | undefined;
};

export type AgentResult<Custom = never> = {
  /** what this call added to the conversation */
  messages: (Message | Custom)[];
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
 * streamed, it returns that text with `exitReason: 'deadline'` instead, and with `budget` when the next call is beyond
 * what the tenant may spend today.
 */
export async function* runAgent<Custom = never>(
  router: Router,
  limits: AgentLimits,
  request: AgentRequest<Custom>,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent<Custom>, AgentResult<Custom>> {
  const tools = new Map(request.tools.map((tool) => [tool.name, tool]));
  const { runId, requestId, trace, deadlineAt, caller, steering } = request;
  const isInterrupted = () => (steering?.size ?? 0) > 0;
  const timeoutMs = limits.toolTimeoutMs;
  const toolRun = { runId, requestId, trace, deadlineAt, caller, tools, timeoutMs, isInterrupted };
  const added: (Message | Custom)[] = [];
  const state: LoopState = { text: '', partial: { text: '' }, callIds: callIdsOf(request.messages) };
  const seen = new Map<string, number>();
  let waiting: (Message | Custom)[] = [];
  let toolCallCount = 0;
  let model = request.candidates[0] as Model;

  const finish = (finishReason: FinishReason, exitReason: ExitReason): AgentResult<Custom> => ({
    messages: added,
    text: state.text,
    finishReason,
    exitReason,
    model,
  });

  try {
    for (let turnNumber = 1; ; turnNumber += 1) {
      signal.throwIfAborted();
      yield { type: 'turn-start' };
      if (waiting.length === 0) waiting = steering?.take() ?? [];
      for (const message of waiting.splice(0)) {
        added.push(message);
        yield { type: 'message-end', message };
      }
      const messages = await contextOf(request, [...request.messages, ...added], signal);
      const begun = startTurn(router, request, messages, state, signal);
      if (!begun) return finish('length', 'budget');
      const turn = yield* begun.stream;
      state.text = join(state.text, turn.text);
      state.partial.text = '';
      model = turn.model;
      added.push(turn.message);
      yield { type: 'message-end', message: turn.message };
      if (turn.isRepeating) return finish('stop', 'repetition');
      if (turn.toolCalls.length === 0) {
        const isCapped = begun.isCapped || request.budget.isCut;
        if (isCapped && turn.finishReason === 'length') return finish('length', 'budget');
        // what an aborted run would take from the queues would be lost
        if (turnNumber < limits.maxTurns && !signal.aborted) waiting = nextMessages(request);
        if (waiting.length > 0) continue;
        return finish(turn.finishReason, exitReasonOf(turn.finishReason));
      }

      toolCallCount += turn.toolCalls.length;
      const stop = limitReached(limits, turnNumber, toolCallCount, isLooping(seen, turn.toolCalls));
      if (stop) {
        added.push(...(yield* skipTools(turn.toolCalls, stop.reason)));
        return finish('tool_calls', stop.exitReason);
      }
      added.push(...(yield* runTools(toolRun, turn.toolCalls, signal)));
    }
  } catch (error) {
    if (isQuotaUsedUp(error) && state.text !== '') return finish('length', 'budget');
    if (!(error instanceof DeadlineReached)) throw error;
    const { text } = state.partial;
    state.text = join(state.text, text);
    if (state.text === '') throw error;
    if (text !== '') {
      const message: AssistantMessage = { role: 'assistant', content: [{ type: 'text', text }] };
      added.push(message);
      yield { type: 'message-end', message };
    }
    return finish('length', 'deadline');
  }
}

/** The call was not made, for want of what the tenant may spend today. */
const isQuotaUsedUp = (error: unknown) => error instanceof Fault && error.type === 'quota_exceeded';

/** Calls that the conversation has already: a model may use their ids again. */
function callIdsOf(messages: readonly unknown[]): Set<string> {
  const answers = messages.filter((message) => isMessage(message) && message.role === 'assistant');
  const blocks = (answers as AssistantMessage[]).flatMap(({ content }) => content);
  return new Set(blocks.flatMap((block) => (block.type === 'toolCall' ? [block.id] : [])));
}

type LoopState = {
  /** everything that was streamed as text, in order */
  text: string;
  partial: PartialTurn;
  callIds: Set<string>;
};

/** What the model is sent: the conversation as the hooks leave it. */
async function contextOf<Custom>(
  { hooks }: AgentRequest<Custom>,
  conversation: (Message | Custom)[],
  signal: AbortSignal,
): Promise<Message[]> {
  const messages = hooks?.transformContext
    ? await raceAbort(hooks.transformContext(conversation, signal), signal)
    : conversation;
  if (!hooks?.convertToLlm) return messages.filter((message) => isMessage(message));
  return raceAbort(Promise.resolve(hooks.convertToLlm(messages)), signal);
}

/**
 * One call to a model within the budget, which may cap its answer. Undefined: not even its input is affordable. Gives the
 * stream itself away: a generator around it would cost every token.
 */
function startTurn<Custom>(
  router: Router,
  request: AgentRequest<Custom>,
  messages: Message[],
  state: LoopState,
  signal: AbortSignal,
): { stream: AsyncGenerator<AgentEvent, Turn>; isCapped: boolean } | undefined {
  const { candidates, budget, maxTokens } = request;
  const tools = request.tools.map(toToolDefinition);
  const affordable = budget.affordableTokens(candidates, () => request.countTokens(messages, tools));
  if (affordable < 1) return undefined;
  const stream = streamTurn(
    router,
    {
      candidates,
      messages,
      tools,
      maxTokens: Math.min(maxTokens, affordable),
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
      responseFormat: request.responseFormat,
      effort: request.effort,
      isRepetitionAsked: request.isRepetitionAsked,
      hasCallParts: request.isPerMessage,
      callIds: state.callIds,
      deadlineAt: request.deadlineAt,
      budget,
      requestId: request.requestId,
    },
    state.partial,
    signal,
  );
  const isApart = request.isPerMessage || state.text === '';
  return { stream: isApart ? stream : separated(stream, state.text), isCapped: affordable < maxTokens };
}

/** What the model hears when it would otherwise be done. */
function nextMessages<Custom>({ steering, followUp }: AgentRequest<Custom>): (Message | Custom)[] {
  const messages = steering?.take() ?? [];
  return messages.length > 0 ? messages : (followUp?.take() ?? []);
}

/** Text of a later turn stands apart from what was said before the tools ran. */
async function* separated<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  before: string,
): AsyncGenerator<AgentEvent, T> {
  let isFirst = true;
  try {
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
  } finally {
    await stream.return(undefined as never);
  }
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
