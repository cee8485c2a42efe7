import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { DeadlineReached, raceAbort } from '../core/abort.js';
import type { Caller } from '../core/caller.js';
import type { AgentEvent } from '../core/events.js';
import { type ToolCall, type ToolResultMessage, textOf } from '../core/message.js';
import type { TraceContext } from '../core/trace.js';
import type { Tool, ToolProgress, ToolResult } from '../tools/tool.js';
import { maxArgumentsChars } from './to-tool-call.js';
import { startToolClock } from './tool-clock.js';
import { failure, failureOf, toBoundedResult } from './tool-result.js';

export type ToolRun = {
  runId: string;
  requestId?: string | undefined;
  trace?: TraceContext | undefined;
  /** epoch milliseconds */
  deadlineAt?: number;
  caller: Caller;
  /** the tools offered in this run, by name */
  tools: ReadonlyMap<string, Tool>;
  /** milliseconds that a tool may be silent, unless it has a limit of its own */
  timeoutMs: number;
  /** Whether the user has said something meanwhile, so that no further call is to be started. */
  isInterrupted?: () => boolean;
};

type ToolEvent = Extract<AgentEvent, { type: `tool-${string}` | 'message-end' }>;
type Emit = (event: ToolEvent) => void;

/** Progress that waits to be told, beyond which only a call's latest is kept. */
const maxWaiting = 256;

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const validators = new WeakMap<object, ValidateFunction>();

/**
 * Runs a turn's tool calls, side by side where every tool allows it, and yields their starts and results in the
 * model's order. A call that is unknown, invalid, failed, too slow or stopped by the run's time limit becomes a result
 * with `isError`, never a throw; only a cancelled run throws.
 */
export async function* runTools(
  run: ToolRun,
  calls: ToolCall[],
  signal: AbortSignal,
): AsyncGenerator<ToolEvent, ToolResultMessage[]> {
  const waiting: ToolEvent[] = [];
  let wake = () => {};
  const emit: Emit = (event) => {
    enqueue(waiting, event);
    wake();
  };
  const isParallel = calls.every((call) => run.tools.get(call.name)?.isParallel ?? true);
  const results: ToolResultMessage[] = [];
  const batches = isParallel ? [calls] : calls.map((call) => [call]);
  for (const batch of batches) {
    if (results.length > 0 && run.isInterrupted?.()) {
      const skipped = calls.slice(results.length);
      return [...results, ...(yield* skipTools(skipped, 'Skipped due to queued user message'))];
    }
    for (const call of batch) yield startOf(call);
    const running = batch.map((call) => runOne(run, call, emit, signal));
    // every promise has an owner even when an earlier one throws first
    for (const promise of running) promise.catch(() => {});
    for (const promise of running) {
      let settled: Awaited<(typeof running)[number]> | undefined;
      const done = promise.then((value) => {
        settled = value;
      });
      // it may be rejected while whoever reads on takes their time over an event
      done.catch(() => {});
      while (settled === undefined) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (waiting.length === 0) await Promise.race([done, woken]);
        yield* waiting.splice(0);
      }
      yield settled.event;
      yield { type: 'message-end', message: settled.message };
      results.push(settled.message);
    }
  }
  return results;
}

/** Results for calls that were not run, so that no call is left without one. */
export function* skipTools(calls: ToolCall[], reason: string): Generator<ToolEvent, ToolResultMessage[]> {
  const results: ToolResultMessage[] = [];
  for (const call of calls) {
    yield startOf(call);
    const { event, message } = toEnd(call, failure(reason), 0);
    yield event;
    yield { type: 'message-end', message };
    results.push(message);
  }
  return results;
}

function startOf(call: ToolCall): ToolEvent {
  return {
    type: 'tool-start',
    id: call.id,
    name: call.name,
    arguments: call.argumentsText ?? call.arguments,
  };
}

/** A tool that tells of its progress faster than it is heard must not fill the memory. */
function enqueue(waiting: ToolEvent[], event: ToolEvent): void {
  if (waiting.length >= maxWaiting && event.type === 'tool-progress') {
    const last = waiting.findLastIndex((other) => other.type === event.type && other.id === event.id);
    if (last >= 0) waiting.splice(last, 1);
  }
  waiting.push(event);
}

async function runOne(run: ToolRun, call: ToolCall, emit: Emit, signal: AbortSignal) {
  const startedMs = performance.now();
  const result = await resultOf(run, call, emit, signal);
  return toEnd(call, result, performance.now() - startedMs);
}

async function resultOf(run: ToolRun, call: ToolCall, emit: Emit, signal: AbortSignal): Promise<ToolResult> {
  if (signal.aborted) return stopped(signal);
  const tool = run.tools.get(call.name);
  if (!tool) {
    const names = [...run.tools.keys()].join(', ') || 'none';
    return failure(`There is no tool named "${call.name}". Tools: ${names}.`);
  }
  const problem = argumentsProblem(call) ?? validate(tool, call.arguments);
  if (problem) return failure(problem);
  const clock = startToolClock(tool.timeoutMs ?? run.timeoutMs);
  const both = AbortSignal.any([signal, clock.signal]);
  let isOver = false;
  const onProgress = (progress: ToolProgress) => {
    if (isOver) return;
    clock.touch();
    emit({ ...progress, type: 'tool-progress', id: call.id, name: call.name });
  };
  const { runId, requestId, trace, deadlineAt, caller } = run;
  const context = {
    runId,
    ...(requestId !== undefined && { requestId }),
    ...(trace !== undefined && { trace }),
    ...(deadlineAt !== undefined && { deadlineAt }),
    callId: call.id,
    caller,
    onProgress,
  };
  try {
    // what a tool does to its arguments must not change the conversation
    const execution = tool.execute(structuredClone(call.arguments), context, both);
    return toBoundedResult(await raceAbort(Promise.resolve(execution), both));
  } catch (error) {
    if (signal.aborted) return stopped(signal);
    if (clock.signal.aborted) return failure(clock.signal.reason);
    return failureOf(error);
  } finally {
    isOver = true;
    clock.stop();
  }
}

/** At the run's time limit what was said stays, so its calls need results; a cancelled run is over at once. */
function stopped({ reason }: AbortSignal): ToolResult {
  if (reason instanceof DeadlineReached) return failure('Stopped: the time limit of the run was reached.');
  throw reason;
}

function argumentsProblem({ argumentsText }: ToolCall): string | undefined {
  if (argumentsText === undefined) return undefined;
  if (argumentsText.length <= maxArgumentsChars) return 'The arguments are not a JSON object.';
  return `The arguments are too long: at most ${maxArgumentsChars} characters are taken.`;
}

function validate(tool: Tool, args: Record<string, unknown>): string | undefined {
  let check = validators.get(tool.parameters);
  if (!check) {
    try {
      check = ajv.compile(tool.parameters);
    } catch {
      return `The tool ${tool.name} cannot be used: its parameters are no JSON Schema.`;
    }
    validators.set(tool.parameters, check);
  }
  if (check(args)) return undefined;
  return `The arguments do not fit: ${ajv.errorsText(check.errors?.slice(0, maxErrors), { dataVar: 'arguments' })}.`;
}

const maxErrors = 20;

function toEnd(call: ToolCall, result: ToolResult, durationMs: number) {
  const message: ToolResultMessage = {
    role: 'toolResult',
    toolCallId: call.id,
    toolName: call.name,
    content: result.content,
    ...(result.details === undefined ? {} : { details: result.details }),
    isError: result.isError,
  };
  const event: ToolEvent = {
    type: 'tool-end',
    id: call.id,
    name: call.name,
    result: textOf(result.content),
    isError: result.isError,
    durationMs,
  };
  return { message, event };
}
