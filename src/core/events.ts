import type { ErrorType } from './errors.js';
import type {
  ExitReason,
  FinishReason,
  ImageContent,
  Message,
  TextContent,
  ThinkingSeal,
  Usage,
} from './message.js';

export const phases = ['understand', 'plan', 'execute', 'evaluate'] as const;
export type Phase = (typeof phases)[number];

/** A seal ends a stretch of thinking and comes without text. */
export type ReasoningDelta = { type: 'reasoning-delta'; text: string } & ThinkingSeal;

/** What a provider's stream consists of. It ends with exactly one `end`, or throws a Fault, or the abort reason. */
export type LlmEvent =
  | { type: 'text-delta'; text: string }
  | ReasoningDelta
  | { type: 'tool-call-start'; id: string; name: string }
  | { type: 'tool-call-delta'; id: string; text: string }
  | { type: 'tool-call-end'; id: string; name: string; argumentsText: string }
  | { type: 'end'; finishReason: FinishReason; usage?: Usage };

/** How one call to a model ended. */
export const attemptOutcomes = ['ok', 'cancelled', 'error', 'timeout', 'rejected', 'unavailable'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

export type Attempt = {
  provider: string;
  model: string;
  outcome: AttemptOutcome;
  usage: Usage;
  /** US dollars; absent when the catalogue has no price */
  costUsd?: number;
  durationMs: number;
  /** milliseconds from the call to its first token; absent when none came */
  firstTokenMs?: number;
  errorType?: ErrorType;
};

/** What a tool has so far, for programs that show it. */
export type PartialToolResult = { content: (TextContent | ImageContent)[]; details?: unknown };

/** What the agent loop yields. `Custom` are messages of the program around it, which no model sees as they are. */
export type AgentEvent<Custom = never> =
  | AgentLifecycleEvent<Custom>
  | { type: 'text-delta'; text: string }
  | ReasoningDelta
  | { type: 'tool-start'; id: string; name: string; arguments: unknown }
  | {
      type: 'tool-progress';
      id: string;
      name: string;
      progress?: number;
      total?: number;
      message: string;
      partialResult?: PartialToolResult;
    }
  | { type: 'tool-end'; id: string; name: string; result: string; isError: boolean; durationMs: number }
  | { type: 'attempt-end'; attempt: Attempt };

/** How the conversation grows, for those who keep or show it whole. The parts of tool calls come only when asked for. */
export type AgentLifecycleEvent<Custom = never> =
  | { type: 'turn-start' }
  | { type: 'message-end'; message: Message | Custom }
  | { type: 'tool-call-start'; id: string; name: string }
  | { type: 'tool-call-delta'; id: string; text: string };

export type CheckResult = { name: string; passed: boolean; detail: string };
export type EvaluationSummary = {
  score: number;
  passed: boolean;
  checks: CheckResult[];
  revisions: number;
};

/** How the answer of a run came about. */
export type AnswerSummary = {
  provider: string;
  model: string;
  finishReason: FinishReason;
  exitReason: ExitReason;
  evaluation: EvaluationSummary;
};

/** The end of a run that was answered. */
export type RunSummary = AnswerSummary & {
  usage: Usage;
  /** US dollars; absent when the catalogue has no price */
  costUsd?: number;
  attempts: Attempt[];
};

/** What the four phases yield: the agent's events, each phase's result, and revisions of the answer. */
export type PipelineEvent =
  | AgentEvent
  | { type: 'phase-start'; phase: Phase }
  | { type: 'phase-end'; phase: Phase; content: string; result: Record<string, unknown>; durationMs: number }
  | { type: 'revision-start'; revision: number; reason: string };

/** What enters a run's log. Exactly one `run-complete` or `run-error`, then `run-done`. */
export type RunEvent =
  | { type: 'text-delta'; text: string; revision: number }
  | Exclude<PipelineEvent, AgentLifecycleEvent | { type: 'text-delta' | 'attempt-end' | 'phase-start' }>
  | {
      type: 'run-complete';
      runId: string;
      requestId: string;
      sessionId?: string;
      summary: RunSummary;
      /** seconds since the run was accepted */
      durationSeconds: number;
      /** seconds until the first token was logged; null when there was none */
      timeToFirstTokenSeconds: number | null;
    }
  | {
      type: 'run-error';
      runId: string;
      requestId: string;
      errorType: ErrorType;
      message: string;
      retryable: boolean;
      /** after which a retry makes sense, when the source of the error said so */
      retryAfterSeconds?: number;
    }
  | { type: 'run-done' };
