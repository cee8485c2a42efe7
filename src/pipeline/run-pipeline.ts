import { type AgentLimits, type AgentRequest, type AgentResult, runAgent } from '../agent/run-agent.js';
import { DeadlineReached } from '../core/abort.js';
import { Fault } from '../core/errors.js';
import type { AgentEvent, AnswerSummary, Phase, PipelineEvent } from '../core/events.js';
import type { Message } from '../core/message.js';
import { type BudgetLimits, createBudget } from '../llm/budget.js';
import { instructToContinue } from '../llm/continuation.js';
import type { Router } from '../llm/router.js';
import type { ChatRequest } from './chat-request.js';
import { type Evaluation, evaluateAnswer } from './evaluate.js';
import { makePlan, type Plan, type PlanDeps } from './plan.js';
import { joinSeam, type Shown } from './seam.js';
import { type Understanding, understandRequest } from './understanding.js';

export type PipelineDeps = PlanDeps & {
  router: Router;
  limits: AgentLimits;
  /** times that an answer may be replaced */
  maxRevisions: number;
  /** the operator's caps on what one run may spend; the caller's own may be lower */
  runLimits: BudgetLimits;
};

export type PipelineRun = { id: string /** epoch milliseconds */; deadlineAt: number };

export type PipelineResult = { answer: string; summary: AnswerSummary };

/** Times that a cut-off answer is continued. */
const maxContinuations = 3;
/** A longer answer is not continued: something is wrong with it. */
const maxContinuedChars = 2 * 1024 * 1024;

/** An answer with how it ended and what the checks say of it. */
type Draft = { answer: string; result: AgentResult; evaluation: Evaluation };

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
  const understanding = yield* timed('understand', describeUnderstanding, () => understandRequest(request));
  const plan = yield* timed('plan', describePlan, () => makePlan(deps, request, understanding));
  const agentRequest = toAgentRequest(deps, plan, request, run);
  const pipeline = { deps, request, understanding, agentRequest, signal };

  const result = yield* execute(pipeline, agentRequest.messages);
  let draft = yield* judge(pipeline, result.text, result);
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
  };
}

type Pipeline = {
  deps: PipelineDeps;
  request: ChatRequest;
  understanding: Understanding;
  agentRequest: AgentRequest;
  signal: AbortSignal;
};

async function* timed<T extends object>(
  phase: Phase,
  describe: (result: T) => { content: string; metadata: Record<string, unknown> },
  work: () => T,
): AsyncGenerator<PipelineEvent, T> {
  const startedMs = performance.now();
  const result = work();
  const { content, metadata } = describe(result);
  yield { type: 'phase-end', phase, content, result: metadata, durationMs: performance.now() - startedMs };
  return result;
}

async function* execute(
  pipeline: Pipeline,
  messages: Message[],
  show: (stream: Execution) => Execution = (stream) => stream,
): AsyncGenerator<PipelineEvent, AgentResult> {
  const startedMs = performance.now();
  const { deps, agentRequest, signal } = pipeline;
  const result = yield* show(runAgent(deps.router, deps.limits, { ...agentRequest, messages }, signal));
  yield {
    type: 'phase-end',
    phase: 'execute',
    ...describeExecution(result),
    durationMs: performance.now() - startedMs,
  };
  return result;
}

type Execution = AsyncGenerator<AgentEvent, AgentResult>;

async function* withoutText(stream: Execution): Execution {
  let step = await stream.next();
  while (!step.done) {
    if (step.value.type !== 'text-delta' && step.value.type !== 'reasoning-delta') yield step.value;
    step = await stream.next();
  }
  return step.value;
}

async function* judge(
  pipeline: Pipeline,
  answer: string,
  result: AgentResult,
): AsyncGenerator<PipelineEvent, Draft> {
  const { request, understanding } = pipeline;
  const evaluation = yield* timed('evaluate', describeEvaluation, () =>
    evaluateAnswer({
      answer,
      finishReason: result.finishReason,
      constraints: understanding.constraints,
      responseFormat: request.responseFormat,
    }),
  );
  return { answer, result, evaluation };
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
  const { messages, seam } = instructToContinue(pipeline.agentRequest.messages, draft.answer);
  const shown: Shown = { text: '' };
  try {
    const result = yield* execute(pipeline, messages, (stream) => joinSeam(stream, seam, shown));
    if (shown.text === '') return undefined;
    return yield* judge(pipeline, draft.answer + shown.text, result);
  } catch (error) {
    if (shown.text !== '' || isCancelled(pipeline, error)) throw error;
    if (!pipeline.signal.aborted) return undefined;
    return { ...draft, result: { ...draft.result, finishReason: 'length', exitReason: 'deadline' } };
  }
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

/** Replaces an answer that fails its checks by a better one. A candidate is judged before it is shown. */
async function* reviseDraft(
  pipeline: Pipeline,
  first: Draft,
): AsyncGenerator<PipelineEvent, { draft: Draft; revisions: number }> {
  let draft = first;
  let revisions = 0;
  for (let count = 0; count < pipeline.deps.maxRevisions; count += 1) {
    const { repair } = draft.evaluation;
    if (repair?.kind !== 'revise' || draft.result.exitReason !== 'completed') break;
    const candidate = yield* tryRevision(pipeline, draft, repair.feedback);
    if (!candidate) break;
    if (candidate.evaluation.score > draft.evaluation.score) {
      revisions += 1;
      yield { type: 'revision-start', revision: revisions, reason: repair.reason };
      yield { type: 'text-delta', text: candidate.answer };
      draft = candidate;
    }
  }
  return { draft, revisions };
}

/** A revision that fails costs nothing but itself: the answer that is there stays. */
async function* tryRevision(
  pipeline: Pipeline,
  draft: Draft,
  feedback: string,
): AsyncGenerator<PipelineEvent, Draft | undefined> {
  const messages: Message[] = [...pipeline.agentRequest.messages];
  if (draft.answer !== '')
    messages.push({ role: 'assistant', content: [{ type: 'text', text: draft.answer }] });
  messages.push({ role: 'user', content: feedback });
  try {
    const result = yield* execute(pipeline, messages, withoutText);
    return yield* judge(pipeline, result.text, result);
  } catch (error) {
    if (draft.answer === '' || isCancelled(pipeline, error)) throw error;
    return undefined;
  }
}

function toAgentRequest(
  { runLimits }: PipelineDeps,
  plan: Plan,
  request: ChatRequest,
  run: PipelineRun,
): AgentRequest {
  return {
    runId: run.id,
    candidates: plan.candidates,
    messages: plan.messages,
    tools: plan.tools,
    maxTokens: plan.maxTokens,
    temperature: plan.temperature,
    responseFormat: request.responseFormat,
    effort: request.effort,
    budget: createBudget({
      maxCostUsd: lowest(runLimits.maxCostUsd, request.maxCostUsd),
      maxTokens: runLimits.maxTokens,
    }),
    deadlineAt: run.deadlineAt,
  };
}

function lowest(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? (left ?? right) : Math.min(left, right);
}

function describeUnderstanding(understanding: Understanding) {
  const { intent, complexity, language, questions, constraints, tokens } = understanding;
  const parts = [
    `A ${complexity} request (${intent}) in ${language}, ${tokens.total} tokens with its context`,
  ];
  if (questions.length > 0) parts.push(`${questions.length} question(s)`);
  if (constraints.length > 0) parts.push(`${constraints.length} constraint(s)`);
  return { content: `${parts.join(', ')}.`, metadata: { ...understanding } };
}

function describePlan(plan: Plan) {
  const [model, ...fallbacks] = plan.candidates.map((candidate) => candidate.id);
  return {
    content: `Strategy ${plan.strategy} with ${model}: ${plan.reasons.join('; ')}.`,
    metadata: {
      strategy: plan.strategy,
      reasons: plan.reasons,
      model,
      fallbacks,
      max_tokens: plan.maxTokens,
      input_tokens: plan.inputTokens,
      tools: plan.tools.map((tool) => tool.name),
      left_out: plan.leftOut,
    },
  };
}

function describeExecution(result: AgentResult) {
  const turns = result.messages.filter((message) => message.role === 'assistant').length;
  const toolCalls = result.messages.filter((message) => message.role === 'toolResult').length;
  const metadata = {
    model: result.model.id,
    turns,
    tool_calls: toolCalls,
    finish_reason: result.finishReason,
    exit_reason: result.exitReason,
  };
  const content = `${result.model.id} answered in ${turns} turn(s) with ${toolCalls} tool call(s).`;
  return { content, result: metadata };
}

function describeEvaluation(evaluation: Evaluation) {
  const { score, passed, checks } = evaluation;
  const failed = checks.filter((check) => !check.passed).map((check) => check.name);
  const content = passed
    ? `All ${checks.length} checks passed.`
    : `${failed.length} of ${checks.length} checks failed: ${failed.join(', ')}.`;
  return { content, metadata: { score, passed, checks } };
}
