import type { AgentRequest, AgentResult } from '../agent/run-agent.js';
import { DeadlineReached } from '../core/abort.js';
import type { Caller } from '../core/caller.js';
import { Fault } from '../core/errors.js';
import type { AnswerSummary, PipelineEvent } from '../core/events.js';
import type { ExitReason, Message } from '../core/message.js';
import type { MessageQueue } from '../core/message-queue.js';
import type { TraceContext } from '../core/trace.js';
import { type Budget, createBudget, type SpendingAccount } from '../llm/budget.js';
import { instructToContinue } from '../llm/continuation.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { toToolDefinition } from '../tools/registry.js';
import type { ChatRequest } from './chat-request.js';
import { isRepetitionAsked } from './checks/repetition.js';
import type { Compaction } from './compaction.js';
import { windowOf } from './context.js';
import { describeEvaluation, describeUnderstanding } from './describe.js';
import type { Evaluation } from './evaluate.js';
import { evaluateDraft } from './evaluate-draft.js';
import { type Execution, execute, phaseEnd, startExecution, withoutText } from './execute.js';
import { fitResults } from './fit-results.js';
import type { Judge } from './judge.js';
import { type Plan, spendingLimits } from './plan.js';
import { type PlanRunDeps, planRun, writePlannedSteps } from './plan-run.js';
import { runSteps, type StepsResult } from './run-steps.js';
import { joinSeam, type Shown } from './seam.js';
import { type Understanding, understandRequest } from './understanding.js';

export type PipelineDeps = PlanRunDeps & {
  judge: Judge;
  /** times that an answer may be replaced */
  maxRevisions: number;
  /** whom a run of this tenant is charged to; absent: nobody */
  accountOf?: ((tenant: string, deadlineAt: number) => SpendingAccount) | undefined;
};

export type PipelineRun = {
  id: string;
  requestId?: string;
  trace?: TraceContext | undefined;
  /** epoch milliseconds */
  deadlineAt: number;
  caller: Caller;
  /** what the caller says while the run is under way */
  steering?: MessageQueue;
};

export type PipelineResult = { answer: string; summary: AnswerSummary; compaction?: Compaction };

/** Times that a cut-off answer is continued. */
const maxContinuations = 3;
/** A longer answer is not continued: something is wrong with it. */
const maxContinuedChars = 2 * 1024 * 1024;

/** An answer with how it ended and what the checks say of it. */
type Draft = {
  answer: string;
  result: AgentResult;
  /** what led to it: what tools were asked and said, and what the caller said meanwhile */
  turns: Message[];
  evaluation: Evaluation;
};

/**
 * Understand → plan → execute ⇄ evaluate for one request. Yields what happens and returns the answer.
 * Throws a Fault when there is no whole answer to return, or the signal's reason when that aborted.
 */
export async function* runPipeline(
  deps: PipelineDeps,
  request: ChatRequest,
  run: PipelineRun,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, PipelineResult, undefined> {
  yield { type: 'phase-start', phase: 'understand' };
  const startedMs = performance.now();
  const understanding = understandRequest(request);
  yield phaseEnd('understand', describeUnderstanding(understanding), startedMs);
  const account = deps.accountOf?.(run.caller.tenant, run.deadlineAt);
  const budget = createBudget(spendingLimits(deps, request), account);
  const means = { budget, deadlineAt: run.deadlineAt };
  const plan = yield* planRun(deps, request, understanding, means, signal);
  const steps = yield* writePlannedSteps(deps, plan, request, means, signal);
  const planned = toAgentRequest(plan, request, run, budget);
  let executed: StepsResult;
  if (steps.length > 0) executed = yield* runSteps(deps, planned, steps, plan.notesRoom, signal);
  else {
    yield { type: 'phase-start', phase: 'execute' };
    const { stream, end } = startExecution(deps, planned, { isAnswer: true }, signal);
    executed = { result: yield* stream, request: planned };
    yield end(executed.result);
  }
  const { result, request: agentRequest } = executed;
  const pipeline = { deps, request, understanding, agentRequest, signal };

  let draft = yield* judge(pipeline, result.text, result, []);
  draft = yield* continueDraft(pipeline, draft);
  let revisions = 0;
  if (request.mayRevise) ({ draft, revisions } = yield* reviseDraft(pipeline, draft));

  const { score, passed, checks } = draft.evaluation;
  return {
    answer: draft.answer,
    summary: {
      provider: draft.result.model.provider,
      model: draft.result.model.id,
      finishReason: draft.result.finishReason,
      exitReason: draft.result.exitReason,
      evaluation: { score, passed, checks, revisions },
    },
    ...(plan.compaction && {
      compaction: { summary: plan.compaction.summary, covered: plan.compaction.covered },
    }),
  };
}

type Pipeline = {
  deps: PipelineDeps;
  request: ChatRequest;
  understanding: Understanding;
  agentRequest: AgentRequest;
  signal: AbortSignal;
};

async function* judge(
  pipeline: Pipeline,
  answer: string,
  result: AgentResult,
  earlier: readonly Message[],
): AsyncGenerator<PipelineEvent, Draft> {
  yield { type: 'phase-start', phase: 'evaluate' };
  const startedMs = performance.now();
  const { deps, request, understanding, agentRequest, signal } = pipeline;
  const { runId: id, messages, budget, deadlineAt } = agentRequest;
  const run = { id, request, understanding, messages, budget, deadlineAt };
  const turns = [...earlier, ...withoutAnswer(result.messages)];
  const evaluation = yield* evaluateDraft(deps.judge, run, { answer, result, turns }, signal);
  yield phaseEnd('evaluate', describeEvaluation(evaluation), startedMs);
  return { answer, result, turns, evaluation };
}

/** What a loop added to the conversation but its texts, which the answer consists of. */
function withoutAnswer(messages: readonly Message[]): Message[] {
  return messages.flatMap((message): Message[] => {
    if (message.role !== 'assistant') return [message];
    if (!message.content.some(({ type }) => type === 'toolCall')) return [];
    return [{ ...message, content: message.content.filter(({ type }) => type !== 'text') }];
  });
}

/** Goes on with an answer that was cut off, as more content of the same answer. */
async function* continueDraft(pipeline: Pipeline, first: Draft): AsyncGenerator<PipelineEvent, Draft> {
  let draft = first;
  for (let count = 0; count < maxContinuations && mayContinue(pipeline, draft); count += 1) {
    const longer = yield* tryContinuation(pipeline, draft);
    if (!longer) break;
    draft = longer;
  }
  return draft;
}

/** Nothing new, or a failure before anything new was shown, leaves the answer as it is. */
async function* tryContinuation(
  pipeline: Pipeline,
  draft: Draft,
): AsyncGenerator<PipelineEvent, Draft | undefined> {
  const before = [...pipeline.agentRequest.messages, ...draft.turns];
  const { messages, seam } = instructToContinue(before, draft.answer);
  const shown: Shown = { text: '' };
  try {
    const show = (stream: Execution) => joinSeam(stream, seam, shown);
    const result = yield* executeAgain(pipeline, draft, messages, show);
    if (shown.text === '') return undefined;
    return yield* judge(pipeline, draft.answer + shown.text, result, draft.turns);
  } catch (error) {
    if (shown.text !== '' || isCancelled(pipeline, error)) throw error;
    if (!pipeline.signal.aborted) return undefined;
    return { ...draft, result: { ...draft.result, finishReason: 'length', exitReason: 'deadline' } };
  }
}

/** Goes on with what the draft left of the turns and the tool calls. */
function executeAgain(
  { deps, agentRequest, signal }: Pipeline,
  { turns }: Draft,
  messages: Message[],
  show: (stream: Execution) => Execution,
) {
  const { router, limits } = deps;
  const count = (wanted: Message['role']) => turns.filter(({ role }) => role === wanted).length;
  const maxTurns = Math.max(1, limits.maxTurns - count('assistant') - 1);
  const maxToolCalls = limits.maxToolCalls - count('toolResult');
  const left = { router, limits: { ...limits, maxTurns, maxToolCalls } };
  return execute(left, { ...agentRequest, messages }, { show }, signal);
}

/** Whether the run must end with this error: it was cancelled, or the fault is our own. */
function isCancelled({ signal }: Pipeline, error: unknown): boolean {
  if (signal.aborted) return !(signal.reason instanceof DeadlineReached);
  return !(error instanceof Fault);
}

function mayContinue(pipeline: Pipeline, draft: Draft): boolean {
  const { length } = draft.answer;
  if (draft.evaluation.repair?.kind !== 'continue' || length === 0 || length > maxContinuedChars)
    return false;
  const { finishReason, exitReason } = draft.result;
  if (exitReason !== 'completed' && exitReason !== 'length') return false;
  const isCallersLimit = pipeline.request.maxTokens !== undefined && finishReason === 'length';
  return !isCallersLimit;
}

/** Ends of an answer after which another one may be better. */
const revisable: ReadonlySet<ExitReason> = new Set(['completed', 'repetition']);

/** Replaces an answer that fails its checks by a better one. A candidate is judged before it is shown. */
async function* reviseDraft(
  pipeline: Pipeline,
  first: Draft,
): AsyncGenerator<PipelineEvent, { draft: Draft; revisions: number }> {
  let draft = first;
  let revisions = 0;
  for (let count = 0; count < pipeline.deps.maxRevisions; count += 1) {
    const { repair } = draft.evaluation;
    if (repair?.kind !== 'revise' || !revisable.has(draft.result.exitReason)) break;
    const candidate = yield* tryRevision(pipeline, draft, repair.feedback);
    if (!candidate) break;
    if (isBetter(candidate, draft)) {
      revisions += 1;
      yield { type: 'revision-start', revision: revisions, reason: repair.reason };
      yield { type: 'text-delta', text: candidate.answer };
      draft = candidate;
    }
  }
  return { draft, revisions };
}

/** An answer that was stopped halfway takes the place of none but an empty one. */
function isBetter(candidate: Draft, draft: Draft): boolean {
  const isWhole = candidate.result.exitReason === 'completed' || draft.answer === '';
  return isWhole && candidate.evaluation.score > draft.evaluation.score;
}

/** A revision that fails costs nothing but itself: the answer that is there stays. */
async function* tryRevision(
  pipeline: Pipeline,
  draft: Draft,
  feedback: string,
): AsyncGenerator<PipelineEvent, Draft | undefined> {
  const messages: Message[] = [...pipeline.agentRequest.messages, ...draft.turns];
  if (draft.answer !== '')
    messages.push({ role: 'assistant', content: [{ type: 'text', text: draft.answer }] });
  messages.push({ role: 'user', content: feedback });
  try {
    const result = yield* executeAgain(pipeline, draft, messages, withoutText);
    return yield* judge(pipeline, result.text, result, draft.turns);
  } catch (error) {
    if (draft.answer === '' || isCancelled(pipeline, error)) throw error;
    return undefined;
  }
}

function toAgentRequest(plan: Plan, request: ChatRequest, run: PipelineRun, budget: Budget): AgentRequest {
  const { window, outputReserve } = plan.budgets;
  const tools = plan.tools.map(toToolDefinition);
  // what was given may fill all but the reserve, so results take their room from that
  const room = window - Math.ceil(outputReserve / 2);
  return {
    runId: run.id,
    ...(run.requestId === undefined ? {} : { requestId: run.requestId }),
    trace: run.trace,
    caller: run.caller,
    ...(run.steering === undefined ? {} : { steering: run.steering }),
    // so that no later call goes beyond the caller's window either
    candidates: plan.candidates.map((model) => ({ ...model, contextWindow: windowOf(model, request) })),
    messages: plan.messages,
    tools: plan.tools,
    maxTokens: plan.budgets.maxTokens,
    temperature: plan.temperature,
    responseFormat: request.responseFormat,
    effort: request.effort,
    isRepetitionAsked: isRepetitionAsked(request.message),
    budget,
    countTokens: countMessagesTokens,
    hooks: { transformContext: async (messages) => fitResults(messages, tools, room) },
    deadlineAt: run.deadlineAt,
  };
}
