import { type AgentLimits, type AgentRequest, type AgentResult, runAgent } from '../agent/run-agent.js';
import type { AgentEvent, Phase, PipelineEvent } from '../core/events.js';
import type { Router } from '../llm/router.js';
import { type Description, describeExecution, type StepPlace } from './describe.js';

export type ExecuteDeps = { router: Router; limits: AgentLimits };

export type Execution = AsyncGenerator<AgentEvent, AgentResult>;

type ExecuteOptions = {
  /** what of the agent's events is shown; all when absent */
  show?: (stream: Execution) => Execution;
  step?: StepPlace;
  /** the loop's text is the answer: what is said to the run from here on would not be heard */
  isAnswer?: boolean;
};

/** Runs the agent loop once, and says in the end how it went. */
export async function* execute(
  { router, limits }: ExecuteDeps,
  request: AgentRequest,
  { show = (stream) => stream, step, isAnswer }: ExecuteOptions,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, AgentResult> {
  const startedMs = performance.now();
  const result = yield* show(runAgent(router, limits, request, signal));
  if (isAnswer) request.steering?.close();
  yield phaseEnd('execute', describeExecution(result, step), startedMs);
  return result;
}

/** `startedMs` is of the performance clock. */
export function phaseEnd(phase: Phase, { content, metadata }: Description, startedMs: number): PipelineEvent {
  return { type: 'phase-end', phase, content, result: metadata, durationMs: performance.now() - startedMs };
}

export async function* withoutText(stream: Execution): Execution {
  let step = await stream.next();
  while (!step.done) {
    if (step.value.type !== 'text-delta' && step.value.type !== 'reasoning-delta') yield step.value;
    step = await stream.next();
  }
  return step.value;
}
