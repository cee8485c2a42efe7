import type { Logger } from 'pino';
import type { Attempt, PipelineEvent } from '../core/events.js';
import type { Usage } from '../core/message.js';
import { traceIdOf } from '../core/trace.js';
import type { Run, RunOutcome } from '../runs/run.js';
import type { RunObserver } from '../runs/runs.js';
import { genAiProvider } from './gen-ai.js';
import { describeError, shortened } from './logger.js';
import type { Metrics } from './metrics.js';
import { type PhaseEnd, phaseFields } from './phase-fields.js';
import { createToolCalls, type ToolCalls } from './tool-calls.js';

/** Tells several observers of the same runs. */
export function joinObservers(observers: RunObserver[]): RunObserver {
  return {
    onStart(run, start) {
      for (const observer of observers) observer.onStart(run, start);
    },
    onEvent(run, event) {
      for (const observer of observers) observer.onEvent(run, event);
    },
    onEnd(run, outcome) {
      for (const observer of observers) observer.onEnd(run, outcome);
    },
    onRejected(reason) {
      for (const observer of observers) observer.onRejected(reason);
    },
  };
}

/** The name in logs and metrics of tools that do not exist: models call them by any text. */
export const unknownTool = 'unknown';

type ToolOutcome = 'ok' | 'error' | 'stopped';

/** What is known of a run's tools while it is under way. */
type Followed = { open: ToolCalls; count: number };

/**
 * Turns what runs do into metrics, and each model call, tool call and ended run into one log line. No text of a message
 * enters either; a tool's name that is not known is the model's text.
 */
export function observeRuns(
  metrics: Metrics,
  logger: Logger,
  isKnownTool: (name: string) => boolean,
): RunObserver {
  const runs = new Map<Run, Followed>();

  function toolEnded(run: Run, name: string, durationMs: number, outcome: ToolOutcome): void {
    const tool = isKnownTool(name) ? name : unknownTool;
    const label = metrics.values.tool.of(tool);
    metrics.toolCalls.inc({ tool: label, outcome });
    metrics.toolDuration.observe({ tool: label }, durationMs / 1000);
    const fields = { tool, duration_ms: rounded(durationMs), ok: outcome === 'ok', outcome };
    logger.info({ ...idsOf(run), ...fields }, 'tool call');
  }

  return {
    onStart(run) {
      metrics.activeRuns.inc();
      runs.set(run, { open: createToolCalls(), count: 0 });
    },
    onEvent(run, event: PipelineEvent) {
      if (event.type === 'phase-end') {
        metrics.phaseDuration.observe({ phase: event.phase }, event.durationMs / 1000);
        if (logger.isLevelEnabled('debug')) logPhase(logger, run, event);
      } else if (event.type === 'attempt-end') {
        countAttempt(metrics, event.attempt);
        logAttempt(logger, run, event.attempt);
      } else if (event.type === 'tool-start') {
        const followed = runs.get(run);
        if (!followed) return;
        followed.open.start(event);
        followed.count += 1;
      } else if (event.type === 'tool-end') {
        runs.get(run)?.open.end(event);
        toolEnded(run, event.name, event.durationMs, event.isError ? 'error' : 'ok');
      }
    },
    onEnd(run, outcome) {
      const { open, count } = runs.get(run) ?? { open: createToolCalls(), count: 0 };
      runs.delete(run);
      // a run that completed leaves only those that its caller is to carry out
      if (outcome.status !== 'completed') {
        const nowMs = performance.now();
        for (const call of open.open()) toolEnded(run, call.name, nowMs - call.startedMs, 'stopped');
      }
      metrics.activeRuns.dec();
      metrics.runs.inc({ outcome: outcome.status });
      metrics.runDuration.observe(((run.endedAt ?? Date.now()) - run.createdAt) / 1000);
      if (outcome.status !== 'completed') metrics.errors.inc({ type: outcome.fault.type });
      logRun(logger, run, outcome, count);
    },
    onRejected(reason) {
      metrics.rejected.inc({ reason });
    },
  };
}

function countAttempt(metrics: Metrics, attempt: Attempt): void {
  const { provider, usage } = attempt;
  const model = metrics.values.model.of(attempt.model);
  const labels = { provider, model };
  metrics.llmRequests.inc({ ...labels, outcome: attempt.outcome });
  if (attempt.firstTokenMs !== undefined) {
    metrics.timeToFirstToken.observe(labels, attempt.firstTokenMs / 1000);
  }
  if (attempt.costUsd) metrics.llmCost.inc(labels, attempt.costUsd);
  const counts = {
    input: usage.inputTokens,
    output: usage.outputTokens,
    cached: usage.cachedTokens,
    reasoning: usage.reasoningTokens,
  };
  for (const [type, count] of Object.entries(counts)) {
    if (count > 0) metrics.llmTokens.inc({ ...labels, type }, count);
  }
  observeGenAi(metrics, attempt, model);
}

function observeGenAi(metrics: Metrics, attempt: Attempt, model: string): void {
  const { outcome, errorType, usage } = attempt;
  const labels = {
    gen_ai_operation_name: 'chat',
    gen_ai_provider_name: genAiProvider(attempt.provider),
    gen_ai_request_model: model,
  };
  const failure = outcome === 'ok' ? {} : { error_type: errorType ?? outcome };
  metrics.genAiDuration.observe({ ...labels, ...failure }, attempt.durationMs / 1000);
  // the conventions want what is billed, and nothing where that is not known
  if (usage.estimated || usage.inputTokens + usage.outputTokens === 0) return;
  metrics.genAiTokens.observe({ ...labels, gen_ai_token_type: 'input' }, usage.inputTokens);
  metrics.genAiTokens.observe({ ...labels, gen_ai_token_type: 'output' }, usage.outputTokens);
}

function idsOf({ id, options: { requestId, trace } }: Run) {
  const traceId = traceIdOf(trace);
  return { request_id: requestId, run_id: id, ...(traceId !== undefined && { trace_id: traceId }) };
}

const rounded = (durationMs: number) => Math.round(durationMs * 10) / 10;
const roundedIfAny = (durationMs: number | undefined) =>
  durationMs === undefined ? undefined : rounded(durationMs);

function logAttempt(logger: Logger, run: Run, attempt: Attempt): void {
  const { provider, model, outcome, usage, durationMs, errorType } = attempt;
  const line = {
    ...idsOf(run),
    provider,
    model,
    outcome,
    duration_ms: rounded(durationMs),
    time_to_first_token_ms: roundedIfAny(attempt.firstTokenMs),
    ...tokensOf(usage),
    cost_usd: attempt.costUsd,
    error_type: errorType,
  };
  logger.info(line, 'llm call');
}

function logPhase(logger: Logger, run: Run, event: PhaseEnd): void {
  const { phase, durationMs } = event;
  const line = { ...idsOf(run), phase, duration_ms: rounded(durationMs), ...phaseFields(event) };
  logger.debug(line, 'phase');
}

function tokensOf({ inputTokens, outputTokens, cachedTokens, reasoningTokens, estimated }: Usage) {
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cached_tokens: cachedTokens,
    reasoning_tokens: reasoningTokens,
    estimated,
  };
}

function logRun(logger: Logger, run: Run, outcome: RunOutcome, toolCalls: number): void {
  const { owner, sessionId } = run.options;
  const last = run.attempts.at(-1);
  const line = {
    ...idsOf(run),
    tenant: shortened(owner.tenant),
    subject: shortened(owner.subject),
    session_id: sessionId === undefined ? undefined : shortened(sessionId),
    outcome: outcome.status,
    duration_ms: (run.endedAt ?? Date.now()) - run.createdAt,
    time_to_first_token_ms: roundedIfAny(run.timeToFirstTokenMs),
    phases_ms: Object.fromEntries(run.phases.map((phase) => [phase.phase, rounded(phase.durationMs)])),
    provider: last?.provider,
    model: last?.model,
    ...tokensOf(run.usage),
    cost_usd: run.costUsd,
    attempts: run.attempts.map(({ provider, model, outcome: result }) => `${provider}/${model}: ${result}`),
    tool_calls: toolCalls,
    events: run.log.lastSeq,
  };
  if (outcome.status === 'completed') {
    const { model, provider, exitReason, finishReason, evaluation } = outcome.complete.summary;
    const end = {
      model,
      provider,
      exit_reason: exitReason,
      finish_reason: finishReason,
      score: evaluation.score,
      revisions: evaluation.revisions,
    };
    logger.info({ ...line, ...end }, 'run completed');
  } else {
    const level = outcome.status === 'cancelled' ? 'info' : 'warn';
    const cause =
      outcome.fault.type === 'internal_error' ? { error: describeError(outcome.fault.cause) } : {};
    logger[level]({ ...line, error_type: outcome.fault.type, ...cause }, `run ${outcome.status}`);
  }
}
