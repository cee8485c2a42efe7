import { DeadlineReached } from '../core/abort.js';
import { Fault, toFault } from '../core/errors.js';
import type { AnswerSummary, Attempt, Phase, PipelineEvent, RunEvent } from '../core/events.js';
import { addUsage, noUsage, type Usage } from '../core/message.js';
import { createMessageQueue } from '../core/message-queue.js';
import type { TraceContext } from '../core/trace.js';
import type { RunLog } from './run-log.js';

/** Whom a run belongs to. Nobody else may know that it exists. */
export type Owner = { tenant: string; subject: string };

export const runStatuses = ['running', 'completed', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof runStatuses)[number];

export type PhaseRecord = {
  phase: Phase;
  content: string;
  result: Record<string, unknown>;
  durationMs: number;
};

export type RunOutcome =
  | {
      status: 'completed';
      answer: string;
      complete: Extract<RunEvent, { type: 'run-complete' }>;
    }
  | { status: 'failed' | 'cancelled'; fault: Fault };

export type RunOptions = {
  id: string;
  requestId: string;
  trace?: TraceContext | undefined;
  owner: Owner;
  log: RunLog;
  showThinking: boolean;
  onDisconnect: 'cancel' | 'continue';
  sessionId?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  timeoutMs: number;
};

/**
 * One run's life: it owns the abort signal, the deadline, the log and the record of what happened.
 * It always ends with exactly one `run-complete` or `run-error`, followed by `run-done`.
 */
export class Run {
  readonly createdAt = Date.now();
  readonly deadlineAt: number;
  readonly phases: PhaseRecord[] = [];
  readonly attempts: Attempt[] = [];
  readonly ended: Promise<RunOutcome>;
  /** what the caller says while the run is under way: the model hears it before its next call */
  readonly steering = createMessageQueue();
  status: RunStatus = 'running';
  usage: Usage = noUsage;
  endedAt: number | undefined;

  private readonly controller = new AbortController();
  private readonly deadlineTimer: NodeJS.Timeout;
  private readonly startedMs = performance.now();
  private firstTokenMs: number | undefined;
  private revision = 0;
  private readerCount = 0;
  private resolveEnded: (outcome: RunOutcome) => void = () => {};

  constructor(readonly options: RunOptions) {
    this.deadlineAt = this.createdAt + options.timeoutMs;
    this.deadlineTimer = setTimeout(() => this.controller.abort(new DeadlineReached()), options.timeoutMs);
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
  }

  get id(): string {
    return this.options.id;
  }

  get log(): RunLog {
    return this.options.log;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Takes one event of the pipeline: into the log what was asked for, into the record the rest. */
  accept(event: PipelineEvent): void {
    switch (event.type) {
      case 'text-delta':
        this.firstTokenMs ??= performance.now() - this.startedMs;
        this.log.append({ type: 'text-delta', text: event.text, revision: this.revision });
        return;
      case 'reasoning-delta':
        if (this.options.showThinking) this.log.append(event);
        return;
      case 'attempt-end':
        this.attempts.push(event.attempt);
        this.usage = addUsage(this.usage, event.attempt.usage);
        return;
      case 'phase-end':
        this.phases.push({
          phase: event.phase,
          content: event.content,
          result: event.result,
          durationMs: event.durationMs,
        });
        if (this.options.showThinking) this.log.append(event);
        return;
      case 'revision-start':
        this.revision = event.revision;
        this.log.append(event);
        return;
      case 'tool-start':
      case 'tool-end':
        this.log.append(event);
        return;
      case 'tool-progress': {
        const { partialResult: _, ...progress } = event;
        this.log.append(progress);
        return;
      }
      case 'phase-start':
      case 'turn-start':
      case 'message-end':
      case 'tool-call-start':
      case 'tool-call-delta':
        return;
      default:
        event satisfies never;
    }
  }

  /** milliseconds until the first text; undefined while there is none */
  get timeToFirstTokenMs(): number | undefined {
    return this.firstTokenMs;
  }

  /** US dollars spent so far; undefined when no call had a price. */
  get costUsd(): number | undefined {
    const costs = this.attempts.flatMap((attempt) => attempt.costUsd ?? []);
    return costs.length === 0 ? undefined : costs.reduce((sum, cost) => sum + cost, 0);
  }

  complete(answer: string, summary: AnswerSummary): RunOutcome {
    const costUsd = this.costUsd;
    const complete = {
      type: 'run-complete',
      runId: this.id,
      requestId: this.options.requestId,
      ...(this.options.sessionId === undefined ? {} : { sessionId: this.options.sessionId }),
      summary: {
        ...summary,
        usage: this.usage,
        attempts: this.attempts,
        ...(costUsd === undefined ? {} : { costUsd }),
      },
      durationSeconds: (performance.now() - this.startedMs) / 1000,
      timeToFirstTokenSeconds: this.firstTokenMs === undefined ? null : this.firstTokenMs / 1000,
    } as const;
    return this.end(complete, { status: 'completed', answer, complete });
  }

  fail(error: unknown): RunOutcome {
    const isOwn = error instanceof Fault && this.signal.reason instanceof DeadlineReached;
    const fault = this.signal.aborted && !isOwn ? abortFault(this.signal.reason) : toFault(error);
    const { retryAfterSeconds } = fault;
    const event = {
      type: 'run-error',
      runId: this.id,
      requestId: this.options.requestId,
      errorType: fault.type,
      message: fault.message,
      retryable: fault.retryable,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    } as const;
    return this.end(event, { status: fault.type === 'cancelled' ? 'cancelled' : 'failed', fault });
  }

  private end(last: RunEvent, outcome: RunOutcome): RunOutcome {
    clearTimeout(this.deadlineTimer);
    this.status = outcome.status;
    this.endedAt = Date.now();
    this.log.append(last);
    this.log.append({ type: 'run-done' });
    this.resolveEnded(outcome);
    return outcome;
  }

  /** Stops the run; it ends in an error of the fault's type. Does nothing once it has ended. */
  cancel(fault = new Fault('cancelled', 'The run was cancelled.')): void {
    if (this.status === 'running') this.controller.abort(fault);
  }

  /** Says something to the model while it is at work; it hears it before its next call. False: it has answered. */
  steer(content: string): boolean {
    return this.status === 'running' && this.steering.push({ role: 'user', content });
  }

  /** Counts a reader in. The returned function counts it out once; the last one to leave may cancel the run. */
  attach(): () => void {
    this.readerCount += 1;
    let isAttached = true;
    return () => {
      if (!isAttached) return;
      isAttached = false;
      this.readerCount -= 1;
      if (this.readerCount === 0 && this.options.onDisconnect === 'cancel') {
        this.cancel(new Fault('cancelled', 'The run was cancelled because its last reader left.'));
      }
    };
  }
}

function abortFault(reason: unknown): Fault {
  if (reason instanceof DeadlineReached) {
    return new Fault('provider_timeout', 'No answer came within the time limit of the run.');
  }
  return reason instanceof Fault ? reason : new Fault('cancelled', 'The run was cancelled.');
}
