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
  deps: ExecuteDeps,
  request: AgentRequest,
  { show = (stream) => stream, ...options }: ExecuteOptions,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, AgentResult> {
  yield { type: 'phase-start', phase: 'execute' };
  const { stream, end } = startExecution(deps, request, options, signal);
  const result = yield* show(stream);
  yield end(result);
  return result;
}

/**
 * The same in two parts, for the plain answer: the loop's own stream, as a generator around it would cost every token, and
 * what is to be yielded after it.
 */
export function startExecution(
  { router, limits }: ExecuteDeps,
  request: AgentRequest,
  { step, isAnswer }: Omit<ExecuteOptions, 'show'>,
  signal: AbortSignal,
): { stream: Execution; end(result: AgentResult): PipelineEvent } {
  const startedMs = performance.now();
  return {
    stream: runAgent(router, limits, request, signal),
    end(result) {
      if (isAnswer) request.steering?.close();
      return phaseEnd('execute', describeExecution(result, step), startedMs);
    },
  };
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
