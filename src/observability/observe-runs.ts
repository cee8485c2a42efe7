import type { Logger } from 'pino';
import type { Attempt, PipelineEvent } from '../core/events.js';
import type { Run, RunOutcome } from '../runs/run.js';
import type { RunObserver } from '../runs/runs.js';
import { describeError } from './logger.js';
import type { Metrics } from './metrics.js';

/** Turns what runs do into metrics, and each ended run into one log line. No text of a message enters either. */
export function observeRuns(metrics: Metrics, logger: Logger): RunObserver {
  return {
    onStart() {
      metrics.activeRuns.inc();
    },
    onEvent(_run, event: PipelineEvent) {
      if (event.type === 'phase-end') {
        metrics.phaseDuration.observe({ phase: event.phase }, event.durationMs / 1000);
      } else if (event.type === 'attempt-end') {
        countAttempt(metrics, event.attempt);
      }
    },
    onEnd(run, outcome) {
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

function logRun(logger: Logger, run: Run, outcome: RunOutcome): void {
  const line = {
    request_id: run.options.requestId,
    run_id: run.id,
    outcome: outcome.status,
    duration_ms: (run.endedAt ?? Date.now()) - run.createdAt,
    phases_ms: Object.fromEntries(
      run.phases.map((phase) => [phase.phase, Math.round(phase.durationMs * 10) / 10]),
    ),
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
