import type { Logger } from 'pino';
import type { Attempt, PipelineEvent } from '../core/events.js';
import type { Run, RunOutcome } from '../runs/run.js';
import type { RunObserver } from '../runs/runs.js';
import { describeError } from './logger.js';
import type { Metrics } from './metrics.js';
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

/**
 * Turns what runs do into metrics, and each model call, tool call and ended run into one log line. No text of a message
 * enters either; a tool's name that is not known is the model's text.
 */
export function observeRuns(
  metrics: Metrics,
  logger: Logger,
  isKnownTool: (name: string) => boolean,
): RunObserver {
  const toolCalls = new Map<Run, ToolCalls>();
  const logTool = (run: Run, name: string, durationMs: number, isOk: boolean) =>
    logger.info(
      {
        ...idsOf(run),
        tool: isKnownTool(name) ? name : 'unknown',
        duration_ms: rounded(durationMs),
        ok: isOk,
      },
      'tool call',
    );
  return {
    onStart(run) {
      metrics.activeRuns.inc();
      toolCalls.set(run, createToolCalls());
    },
    onEvent(run, event: PipelineEvent) {
      if (event.type === 'phase-end') {
        metrics.phaseDuration.observe({ phase: event.phase }, event.durationMs / 1000);
      } else if (event.type === 'attempt-end') {
        countAttempt(metrics, event.attempt);
        logAttempt(logger, run, event.attempt);
      } else if (event.type === 'tool-start') {
        toolCalls.get(run)?.start(event);
      } else if (event.type === 'tool-end') {
        toolCalls.get(run)?.end(event);
        logTool(run, event.name, event.durationMs, !event.isError);
      }
    },
    onEnd(run, outcome) {
      const openCalls = toolCalls.get(run)?.open() ?? [];
      toolCalls.delete(run);
      // a run that completed leaves only those that its caller is to carry out
      if (outcome.status !== 'completed') {
        const nowMs = performance.now();
        for (const call of openCalls) logTool(run, call.name, nowMs - call.startedMs, false);
      }
      metrics.activeRuns.dec();
      metrics.runs.inc({ outcome: outcome.status });
      metrics.runDuration.observe(((run.endedAt ?? Date.now()) - run.createdAt) / 1000);
      if (outcome.status !== 'completed') metrics.errors.inc({ type: outcome.fault.type });
      logRun(logger, run, outcome);
    },
    onRejected(reason) {
      metrics.rejected.inc({ reason });
    },
  };
}

function countAttempt(metrics: Metrics, attempt: Attempt): void {
  const labels = { provider: attempt.provider, model: attempt.model };
  metrics.llmRequests.inc({ ...labels, outcome: attempt.outcome });
  if (attempt.firstTokenMs !== undefined) {
    metrics.timeToFirstToken.observe(labels, attempt.firstTokenMs / 1000);
  }
  if (attempt.costUsd) metrics.llmCost.inc(labels, attempt.costUsd);
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens } = attempt.usage;
  const counts = {
    input: inputTokens,
    output: outputTokens,
    cached: cachedTokens,
    reasoning: reasoningTokens,
  };
  for (const [type, count] of Object.entries(counts)) {
    if (count > 0) metrics.llmTokens.inc({ ...labels, type }, count);
  }
}

const idsOf = (run: Run) => ({ request_id: run.options.requestId, run_id: run.id });

const rounded = (durationMs: number) => Math.round(durationMs * 10) / 10;

function logAttempt(logger: Logger, run: Run, attempt: Attempt): void {
  const { provider, model, outcome, usage, durationMs, errorType } = attempt;
  const line = {
    ...idsOf(run),
    provider,
    model,
    outcome,
    duration_ms: rounded(durationMs),
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
  };
  logger.info(errorType === undefined ? line : { ...line, error_type: errorType }, 'llm call');
}

function logRun(logger: Logger, run: Run, outcome: RunOutcome): void {
  const line = {
    ...idsOf(run),
    outcome: outcome.status,
    duration_ms: (run.endedAt ?? Date.now()) - run.createdAt,
    phases_ms: Object.fromEntries(run.phases.map((phase) => [phase.phase, rounded(phase.durationMs)])),
    input_tokens: run.usage.inputTokens,
    output_tokens: run.usage.outputTokens,
    cost_usd: run.costUsd,
    attempts: run.attempts.map(({ provider, model, outcome: result }) => `${provider}/${model}: ${result}`),
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
    };
    logger.info({ ...line, ...end }, 'run completed');
  } else {
    const level = outcome.status === 'cancelled' ? 'info' : 'warn';
    const cause =
      outcome.fault.type === 'internal_error' ? { error: describeError(outcome.fault.cause) } : {};
    logger[level]({ ...line, error_type: outcome.fault.type, ...cause }, `run ${outcome.status}`);
  }
}
