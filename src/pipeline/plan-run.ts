import type { PipelineEvent } from '../core/events.js';
import type { Budget } from '../llm/budget.js';
import type { Model } from '../llm/provider.js';
import type { Router } from '../llm/router.js';
import type { ChatRequest } from './chat-request.js';
import { type Compacted, compact } from './compact.js';
import { describeCompaction, describeMissingSteps, describePlan, describeSteps } from './describe.js';
import { phaseEnd } from './execute.js';
import { type Decision, decide, finishPlan, type Plan, type PlanDeps } from './plan.js';
import { mostSteps, type Step, writeSteps } from './planner.js';
import type { Understanding } from './understanding.js';

export type PlanRunDeps = PlanDeps & {
  router: Router;
  /** the model that summarises older messages when this provider answers; undefined: it has none that could */
  summaryModel: (provider: string) => Model | undefined;
  /** the longest wait for a model that only helps with an answer */
  sideCallTimeoutMs: number;
};

/** What a run may still spend on models that help with its answer. */
type Means = { budget: Budget /** epoch milliseconds */; deadlineAt: number };

/** Decides how to answer; older messages of a long conversation are summarised for it. */
export async function* planRun(
  deps: PlanRunDeps,
  request: ChatRequest,
  understanding: Understanding,
  means: Means,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, Plan> {
  yield { type: 'phase-start', phase: 'plan' };
  const startedMs = performance.now();
  const decision = decide(deps, request, understanding);
  const decidedMs = performance.now();
  const compacted = yield* summarize(deps, decision, request, means, signal);
  const summarizedMs = performance.now();
  const plan = finishPlan(decision, compacted);
  // the time of the summary is its own
  yield phaseEnd('plan', describePlan(plan), startedMs + (summarizedMs - decidedMs));
  if (compacted) {
    const { content, metadata } = describeCompaction(plan, compacted);
    const durationMs = summarizedMs - decidedMs;
    yield { type: 'phase-end', phase: 'plan', content, result: metadata, durationMs };
  }
  return plan;
}

async function* summarize(
  { router, summaryModel, sideCallTimeoutMs: timeoutMs }: PlanRunDeps,
  { compaction, candidates }: Decision,
  { history }: ChatRequest,
  means: Means,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, Compacted | undefined> {
  if (!compaction) return undefined;
  const model = candidates[0] && summaryModel(candidates[0].provider);
  return yield* compact({ router, model, timeoutMs, ...means }, history, compaction, signal);
}

/** The steps of a plan for which a model writes some; none when it wrote none, and then the run goes on without. */
export async function* writePlannedSteps(
  { router, limits, sideCallTimeoutMs: timeoutMs }: PlanRunDeps,
  plan: Plan,
  request: ChatRequest,
  means: Means,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, Step[]> {
  const { planner } = plan;
  if (!planner) return [];
  yield { type: 'phase-start', phase: 'plan' };
  const startedMs = performance.now();
  const call = {
    router,
    planner,
    request,
    mostSteps: Math.min(mostSteps, limits.maxTurns),
    timeoutMs,
    ...means,
  };
  const written = yield* writeSteps(call, signal);
  const steps = 'steps' in written ? written.steps : [];
  const description =
    'steps' in written ? describeSteps(plan, steps) : describeMissingSteps(plan, written.failure);
  yield phaseEnd('plan', description, startedMs);
  return steps;
}
