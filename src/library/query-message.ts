import type { ErrorType } from '../core/errors.js';
import type { EvaluationSummary, Phase } from '../core/events.js';
import type { ExitReason, FinishReason } from '../core/message.js';

/** Where a message belongs: its session and its run, and its place among the run's messages, from 1. */
type Placed = { sessionId: string; runId: string; seq: number /** epoch seconds */; timestamp: number };

type Complete = {
  type: 'complete';
  request_id: string;
  model: string;
  provider: string;
  total_tokens: number;
  usage: {
    input_tokens: number;
    output_tokens: number;
    cached_tokens: number;
    reasoning_tokens: number;
    estimated: boolean;
  };
  /** US dollars; absent when the catalogue has no price */
  cost_usd?: number;
  /** seconds */
  duration: number;
  time_to_first_token: number | null;
  finish_reason: FinishReason;
  exit_reason: ExitReason;
  evaluation: EvaluationSummary;
  attempts: { provider: string; model: string; outcome: string }[];
};

/** What a query tells of, as the service's WebSocket does. The last one is `complete` or `error`. */
export type QueryMessage =
  | (Placed &
      (
        | { type: 'chunk'; content: string; revision: number }
        | { type: 'tool_call'; toolCall: { id: string; name: string; arguments: unknown } }
        | {
            type: 'tool_progress';
            toolProgress: { id: string; name: string; message: string; progress?: number; total?: number };
          }
        | {
            type: 'tool_result';
            toolResult: { id: string; name: string; result: string; is_error: boolean; duration_ms: number };
          }
        | { type: 'thinking'; phase: Phase; content: string; metadata: Record<string, unknown> }
        | { type: 'reasoning'; content: string }
        | { type: 'revision'; revision: number; reason: string }
        | Complete
      ))
  | (Partial<Placed> & {
      /** places are absent where no run was started */
      type: 'error';
      error: string;
      error_type: ErrorType;
      retryable: boolean;
      /** seconds after which a retry makes sense */
      retry_after?: number;
    });
