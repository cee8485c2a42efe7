import { status } from '@grpc/grpc-js';
import type { TaskEventInput } from '../workers/generated/paf/worker/v1/TaskEvent.js';
import type { TaskStatusInput } from '../workers/generated/paf/worker/v1/TaskStatus.js';
import { toStruct } from '../workers/struct.js';
import { maxResultBytes, memory } from './limits.js';
import type { ReadRequest } from './read-request.js';
import { CallRefusal, stopping } from './refusal.js';
import { runInThread, type TaskOutcome } from './run-in-thread.js';
import type { TaskStep } from './tasks/task.js';

/** Gets the events of one task; the one with `result` or `error` is the last. */
export type TaskReader = (event: TaskEventInput) => void;

export type TaskEnd = {
  taskId: string;
  taskType: string;
  state: TaskState;
  ms: number;
  code?: string;
  cause?: unknown;
};

/** The tasks that run, and for some minutes those that did. */
export interface Tasks {
  /**
   * Starts a task or attaches to it. Returns how to leave it: when its last reader leaves, it stops. Throws a CallRefusal
   * when it cannot be accepted.
   */
  follow(request: ReadRequest, reader: TaskReader): () => void;
  /** Undefined for a task that is not known. */
  statusOf(taskId: string): TaskStatusInput | undefined;
  readonly runningCount: number;
  /** Takes no more tasks; resolves when all have ended, which those that still run after `timeoutMs` do in an error. */
  drain(timeoutMs: number): Promise<void>;
}

type TaskState = 'TASK_STATE_RUNNING' | 'TASK_STATE_COMPLETED' | 'TASK_STATE_FAILED' | 'TASK_STATE_CANCELLED';
type Stop = 'left' | 'timeout' | 'shutdown';

type Task = {
  id: string;
  type: string;
  fingerprint: string;
  state: TaskState;
  fraction: number;
  startedAt: number;
  endedAt: number | undefined;
  error: string | undefined;
  /** what later callers are told; undefined while it runs and when it was stopped */
  last: TaskEventInput | undefined;
  bytes: number;
  readers: Set<TaskReader>;
  controller: AbortController;
};

export function createTasks(maxTasks: number, onEnd: (end: TaskEnd) => void): Tasks {
  const tasks = new Map<string, Task>();
  const running = new Set<Promise<void>>();
  let isDraining = false;

  async function run(task: Task, request: ReadRequest): Promise<void> {
    const timer = setTimeout(() => stop(task, 'timeout'), request.timeoutMs);
    const outcome = await runInThread(request, (step) => tellStep(task, step), task.controller.signal).catch(
      (reason: Stop) => reason,
    );
    clearTimeout(timer);
    end(task, outcome);
  }

  function end(task: Task, outcome: TaskOutcome | Stop): void {
    task.endedAt = Date.now();
    const { state, event, bytes, cause } = toEnd(task, outcome);
    task.state = state;
    task.error = event?.error?.message ?? event?.result?.error;
    if (state === 'TASK_STATE_COMPLETED') task.fraction = 1;
    // a task that may go better another time can be started again
    if (event && !event.error?.retryable) {
      task.last = event;
      task.bytes = bytes;
    }
    if (event) tell(task, event);
    task.readers.clear();
    forget();
    const code = event?.error?.code;
    const ms = task.endedAt - task.startedAt;
    onEnd({ taskId: task.id, taskType: task.type, state, ms, ...(code ? { code } : {}), cause });
  }

  /** Drops finished tasks, oldest first, that are too old or too many. */
  function forget(): void {
    const ended = [...tasks.values()].filter((task) => task.endedAt !== undefined);
    let bytes = ended.reduce((sum, task) => sum + task.bytes, 0);
    let count = ended.length;
    for (const task of ended.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))) {
      const isOld = Date.now() - (task.endedAt ?? 0) > memory.ms;
      if (!isOld && count <= memory.tasks && bytes <= memory.bytes) return;
      tasks.delete(task.id);
      bytes -= task.bytes;
      count -= 1;
    }
  }

  function start(request: ReadRequest): Task {
    if (isDraining) throw new CallRefusal(status.UNAVAILABLE, stopping);
    if (running.size >= maxTasks) {
      throw new CallRefusal(status.RESOURCE_EXHAUSTED, `The worker is full: ${maxTasks} tasks are running.`);
    }
    const task: Task = {
      id: request.taskId,
      type: request.taskType,
      fingerprint: request.fingerprint,
      state: 'TASK_STATE_RUNNING',
      fraction: 0,
      startedAt: Date.now(),
      endedAt: undefined,
      error: undefined,
      last: undefined,
      bytes: 0,
      readers: new Set(),
      controller: new AbortController(),
    };
    tasks.set(task.id, task);
    const done: Promise<void> = run(task, request).finally(() => running.delete(done));
    running.add(done);
    return task;
  }

  function stop(task: Task, reason: Stop): void {
    task.controller.abort(reason);
  }

  function leave(task: Task, reader: TaskReader): void {
    const isLast = task.readers.delete(reader) && task.readers.size === 0;
    if (isLast && task.state === 'TASK_STATE_RUNNING') stop(task, 'left');
  }

  return {
    follow(request, reader) {
      forget();
      const known = tasks.get(request.taskId);
      if (known && known.fingerprint !== request.fingerprint) {
        throw new CallRefusal(
          status.ALREADY_EXISTS,
          'task_id belongs to another task, with another type or payload.',
        );
      }
      const isStopping = known?.controller.signal.aborted === true;
      if (known && !isStopping && (known.endedAt === undefined || known.last)) {
        reader({ taskId: known.id, accepted: { attached: true } });
        if (known.last) reader(known.last);
        else known.readers.add(reader);
        return () => leave(known, reader);
      }
      const task = start(request);
      task.readers.add(reader);
      reader({ taskId: task.id, accepted: { attached: false } });
      return () => leave(task, reader);
    },
    statusOf(taskId) {
      forget();
      const task = tasks.get(taskId);
      return task && toStatus(task);
    },
    get runningCount() {
      return running.size;
    },
    async drain(timeoutMs) {
      isDraining = true;
      const timer = setTimeout(() => {
        for (const task of tasks.values()) if (task.endedAt === undefined) stop(task, 'shutdown');
      }, timeoutMs);
      await Promise.all(running);
      clearTimeout(timer);
    },
  };
}

function tell(task: Task, event: TaskEventInput): void {
  if (event.progress) task.fraction = event.progress.fraction as number;
  for (const reader of task.readers) reader(event);
}

function tellStep(task: Task, step: TaskStep): void {
  const taskId = task.id;
  if (step.type === 'progress') {
    const fraction = Math.max(task.fraction, Math.min(step.fraction, 1));
    tell(task, { taskId, progress: { fraction, message: step.message } });
  } else if (bytesOf(step.output) <= maxResultBytes) {
    tell(task, { taskId, partialOutput: { structured: toStruct(step.output) } });
  }
}

const bytesOf = (value: object) => Buffer.byteLength(JSON.stringify(value));

type End = { state: TaskState; event?: TaskEventInput; bytes: number; cause?: unknown };

function toEnd(task: Task, outcome: TaskOutcome | Stop): End {
  const taskId = task.id;
  const fail = (code: string, message: string, retryable: boolean): TaskEventInput => ({
    taskId,
    error: { code, message, retryable },
  });
  if (outcome === 'left') return { state: 'TASK_STATE_CANCELLED', bytes: 0 };
  if (outcome === 'shutdown') {
    const event = fail('SHUTTING_DOWN', 'The worker had to stop before the task was done.', true);
    return { state: 'TASK_STATE_CANCELLED', bytes: 0, event };
  }
  if (outcome === 'timeout') {
    return {
      state: 'TASK_STATE_CANCELLED',
      bytes: 0,
      event: fail('TIMEOUT', 'The task took longer than it may.', false),
    };
  }
  if (outcome.type === 'error') {
    const { code, message, cause } = outcome;
    return { state: 'TASK_STATE_FAILED', bytes: 0, event: fail(code, message, code === 'INTERNAL'), cause };
  }
  const executionTime = toDuration(Date.now() - task.startedAt);
  if (outcome.type === 'refusal') {
    const result = { taskId, success: false, error: outcome.message, executionTime };
    return { state: 'TASK_STATE_FAILED', bytes: 0, event: { taskId, result } };
  }
  const bytes = bytesOf(outcome.result);
  if (bytes > maxResultBytes) {
    const message = `The result would have ${bytes} bytes; ${maxResultBytes} are the most.`;
    return { state: 'TASK_STATE_FAILED', bytes: 0, event: fail('RESULT_TOO_LARGE', message, false) };
  }
  const result = { taskId, success: true, result: { structured: toStruct(outcome.result) }, executionTime };
  return { state: 'TASK_STATE_COMPLETED', event: { taskId, result }, bytes };
}

function toStatus(task: Task): TaskStatusInput {
  return {
    taskId: task.id,
    status: task.state,
    progress: task.fraction,
    startedAt: toDuration(task.startedAt),
    ...(task.endedAt === undefined ? {} : { completedAt: toDuration(task.endedAt) }),
    ...(task.error === undefined ? {} : { error: task.error }),
  };
}

/** Milliseconds as seconds and nanoseconds: a Duration, or a Timestamp when they count from 1970. */
const toDuration = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });
