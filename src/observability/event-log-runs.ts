import { TextEncoder } from 'node:util';
import type { Attempt, PipelineEvent } from '../core/events.js';
import { type Message, textOf, type Usage } from '../core/message.js';
import type { Run, RunOutcome } from '../runs/run.js';
import type { RunObserver } from '../runs/runs.js';
import type { EventLog, EventRow } from './event-log.js';
import { createToolCalls, type OpenToolCall, type ToolCalls } from './tool-calls.js';

export type EventLogRuns = {
  log: Pick<EventLog, 'add'>;
  /** whether texts are kept, and not only how long they are */
  keepsContent: boolean;
  /** a model may call a tool by any text as its name */
  isKnownTool(name: string): boolean;
};

/** What is known of a run while it is under way. */
type Followed = { count: number; caller: Record<string, unknown>; calls: ToolCalls };

/** The most that is kept of one text, in bytes. */
const mostTextBytes = 64 * 1024;

/**
 * Tells an event log of every run: its start, phases, model and tool calls, and its end. The ids of a run's events count
 * from 1 without a gap, so one that is missing was dropped.
 */
export function recordRuns({ log, keepsContent, isKnownTool }: EventLogRuns): RunObserver {
  const runs = new Map<Run, Followed>();
  const encoder = new TextEncoder();

  function add(run: Run, type: EventRow['type'], columns: Partial<EventRow>, data: object = {}): void {
    const followed = runs.get(run);
    if (!followed) return;
    followed.count += 1;
    const { name = null, durationMs = null, ok = null } = columns;
    log.add({
      id: `${run.id}.${followed.count}`,
      at: new Date().toISOString(),
      runId: run.id,
      type,
      name,
      durationMs: durationMs === null ? null : Math.round(durationMs * 1000) / 1000,
      ok,
      data: JSON.stringify({ ...followed.caller, ...data }),
    });
  }

  /** A text's length, and the text itself where that is wanted. */
  function told(what: string, text: string): object {
    const length = { [`${what}_chars`]: text.length };
    if (!keepsContent) return length;
    const { read } = encoder.encodeInto(text, new Uint8Array(Math.min(text.length * 3, mostTextBytes)));
    return { ...length, [what]: text.slice(0, read) };
  }

  function addToolCall(
    run: Run,
    call: OpenToolCall,
    end: Partial<EventRow>,
    outcome: string,
    result = '',
  ): void {
    const { name, arguments: given } = call;
    const shown = keepsContent || isKnownTool(name) ? name : 'unknown';
    const text = typeof given === 'string' ? given : JSON.stringify(given);
    add(
      run,
      'tool_call',
      { ...end, name: shown },
      { outcome, ...told('arguments', text), ...told('result', result) },
    );
  }

  return {
    onStart(run, { message }) {
      const { owner, requestId, sessionId } = run.options;
      const { tenant, subject } = owner;
      const caller = { request_id: requestId, tenant, subject, session_id: sessionId };
      runs.set(run, { count: 0, caller, calls: createToolCalls() });
      add(run, 'run_start', {}, message === undefined ? {} : told('message', message));
    },
    onEvent(run, event: PipelineEvent) {
      switch (event.type) {
        case 'phase-end':
          return add(run, 'phase', { name: event.phase, durationMs: event.durationMs, ok: true });
        case 'attempt-end':
          return add(run, 'llm_call', columnsOf(event.attempt), dataOf(event.attempt));
        case 'message-end':
          // of the user's there are only those that came while the run was under way
          if (event.message.role === 'user')
            add(run, 'steering', {}, told('message', contentOf(event.message)));
          return;
        case 'tool-start':
          return runs.get(run)?.calls.start(event);
        case 'tool-end': {
          const call = runs.get(run)?.calls.end(event);
          const { durationMs, isError, result } = event;
          if (call) addToolCall(run, call, { durationMs, ok: !isError }, isError ? 'error' : 'ok', result);
          return;
        }
        default:
          return;
      }
    },
    onEnd(run, outcome) {
      const endedMs = performance.now();
      for (const call of runs.get(run)?.calls.open() ?? []) {
        // a model that was asked alone leaves its calls to the caller
        if (outcome.status === 'completed') addToolCall(run, call, {}, 'returned');
        else addToolCall(run, call, { durationMs: endedMs - call.startedMs, ok: false }, 'stopped');
      }
      if (outcome.status === 'failed')
        add(run, 'error', { name: outcome.fault.type, ok: false }, retryOf(outcome));
      const durationMs = (run.endedAt ?? Date.now()) - run.createdAt;
      const columns = { name: outcome.status, durationMs, ok: outcome.status === 'completed' };
      add(run, 'run_end', columns, { ...endOf(run, outcome), ...told('answer', answerOf(run, outcome)) });
      runs.delete(run);
    },
    onRejected() {},
  };
}

const contentOf = ({ content }: Extract<Message, { role: 'user' }>) => textOf(content);

function columnsOf({ provider, model, durationMs, outcome }: Attempt): Partial<EventRow> {
  return { name: `${provider}/${model}`, durationMs, ok: outcome === 'ok' };
}

function dataOf({ outcome, usage, costUsd, firstTokenMs, errorType }: Attempt) {
  return {
    outcome,
    ...tokensOf(usage),
    cost_usd: costUsd,
    time_to_first_token_ms: firstTokenMs === undefined ? undefined : Math.round(firstTokenMs * 1000) / 1000,
    error_type: errorType,
  };
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

type Failure = Exclude<RunOutcome, { status: 'completed' }>;

function retryOf({ fault }: Failure) {
  return { retryable: fault.retryable, upstream_status: fault.upstreamStatus };
}

function endOf(run: Run, outcome: RunOutcome) {
  const spent = { ...tokensOf(run.usage), cost_usd: run.costUsd, llm_calls: run.attempts.length };
  if (outcome.status !== 'completed') return { ...spent, error_type: outcome.fault.type };
  const { provider, model, exitReason, finishReason, evaluation } = outcome.complete.summary;
  return {
    ...spent,
    provider,
    model,
    exit_reason: exitReason,
    finish_reason: finishReason,
    score: evaluation.score,
  };
}

/** What was shown of the answer; for a run that broke off it is still in the run's log. */
function answerOf({ log }: Run, outcome: RunOutcome): string {
  if (outcome.status === 'completed') return outcome.answer;
  const reader = log.open(log.firstSeq - 1, { onReadable() {}, onDropped() {} });
  const entries = reader.take(Number.POSITIVE_INFINITY);
  reader.close();
  let text = '';
  for (const { event } of entries) {
    if (event.type === 'revision-start') text = '';
    else if (event.type === 'text-delta') text += event.text;
  }
  return text;
}
