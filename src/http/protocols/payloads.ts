import type { Fault } from '../../core/errors.js';
import type { Attempt, Phase, RunEvent } from '../../core/events.js';
import type { Usage } from '../../core/message.js';

/** The wire's field names for what several encoders and routes send. */

export function toUsagePayload(usage: Usage) {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cached_tokens: usage.cachedTokens,
    reasoning_tokens: usage.reasoningTokens,
    estimated: usage.estimated,
  };
}

export function toAttemptPayload({ provider, model, outcome }: Attempt) {
  return { provider, model, outcome };
}

export function toThinkingPayload(event: { phase: Phase; content: string; result: Record<string, unknown> }) {
  return { phase: event.phase, content: event.content, metadata: event.result };
}

export function toCompletePayload(event: Extract<RunEvent, { type: 'run-complete' }>) {
  const { summary } = event;
  return {
    run_id: event.runId,
    request_id: event.requestId,
    ...(event.sessionId === undefined ? {} : { session_id: event.sessionId }),
    model: summary.model,
    provider: summary.provider,
    total_tokens: summary.usage.inputTokens + summary.usage.outputTokens,
    usage: toUsagePayload(summary.usage),
    ...(summary.costUsd === undefined ? {} : { cost_usd: summary.costUsd }),
    duration: event.durationSeconds,
    time_to_first_token: event.timeToFirstTokenSeconds,
    finish_reason: summary.finishReason,
    exit_reason: summary.exitReason,
    evaluation: summary.evaluation,
    attempts: summary.attempts.map(toAttemptPayload),
  };
}

export function toErrorPayload(event: Extract<RunEvent, { type: 'run-error' }>) {
  return {
    error: event.message,
    error_type: event.errorType,
    retryable: event.retryable,
    ...toRetryAfter(event),
    request_id: event.requestId,
    run_id: event.runId,
  };
}

/** A fault that is not the run's own, but that of who reads it or of what they asked for. */
export function toRefusalPayload(fault: Fault, requestId: string) {
  const { message, type, retryable } = fault;
  return { error: message, error_type: type, retryable, ...toRetryAfter(fault), request_id: requestId };
}

function toRetryAfter({ retryAfterSeconds }: { retryAfterSeconds?: number | undefined }) {
  return retryAfterSeconds === undefined ? {} : { retry_after: retryAfterSeconds };
}
