import type { Fault } from '../../core/errors.js';
import type { RunEvent } from '../../core/events.js';
import type { Run } from '../../runs/run.js';
import type { LogEntry } from '../../runs/run-log.js';
import { toCompletePayload, toErrorPayload, toRefusalPayload, toThinkingPayload } from './payloads.js';

/** One event of a run as a message of a socket; undefined for the mark at the log's end, which has none. */
export function toFrame(entry: LogEntry, run: Run): string | undefined {
  return JSON.stringify(toRunMessage(entry, run));
}

/** The same before it is a text, for programs that follow a run without a socket. */
export function toRunMessage({ seq, at, event }: LogEntry, { id: runId, options }: Run) {
  const { sessionId } = options;
  if (event.type === 'run-done') return undefined;
  const [type, fields] = toWire(event);
  return { type, sessionId, runId, seq, ...fields, timestamp: at };
}

/** What a request named, so that its sender knows which one was refused. */
export type Named = { sessionId?: string; runId?: string };

/** A request was refused, or a run can be followed no further. */
export function toErrorFrame(fault: Fault, requestId: string, named: Named): string {
  return JSON.stringify({
    type: 'error',
    ...named,
    ...toRefusalPayload(fault, requestId),
    errors: fault.problems?.slice(0, 20),
  });
}

export function toClearedFrame(sessionId: string): string {
  return JSON.stringify({ type: 'cleared', sessionId });
}

function toWire(event: Exclude<RunEvent, { type: 'run-done' }>): [type: string, fields: object] {
  switch (event.type) {
    case 'text-delta':
      return ['chunk', { content: event.text, revision: event.revision }];
    case 'phase-end':
      return ['thinking', toThinkingPayload(event)];
    case 'reasoning-delta':
      return ['reasoning', { content: event.text }];
    case 'tool-start':
      return ['tool_call', { toolCall: { id: event.id, name: event.name, arguments: event.arguments } }];
    case 'tool-progress': {
      const { type: _, ...toolProgress } = event;
      return ['tool_progress', { toolProgress }];
    }
    case 'tool-end':
      return ['tool_result', { toolResult: toToolResult(event) }];
    case 'revision-start':
      return ['revision', { revision: event.revision, reason: event.reason }];
    case 'run-complete': {
      const { run_id: _run, session_id: _session, ...facts } = toCompletePayload(event);
      return ['complete', facts];
    }
    case 'run-error': {
      const { run_id: _run, ...facts } = toErrorPayload(event);
      return ['error', facts];
    }
    default:
      return event satisfies never;
  }
}

function toToolResult({ id, name, result, isError, durationMs }: Extract<RunEvent, { type: 'tool-end' }>) {
  return { id, name, result, is_error: isError, duration_ms: Math.round(durationMs) };
}
