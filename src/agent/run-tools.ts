import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { DeadlineReached, raceAbort } from '../core/abort.js';
import type { AgentEvent } from '../core/events.js';
import { type ToolCall, type ToolResultMessage, textOf } from '../core/message.js';
import type { Tool, ToolResult } from '../tools/tool.js';

export type ToolRun = {
  runId: string;
  /** the tools offered in this run, by name */
  tools: ReadonlyMap<string, Tool>;
  timeoutMs: number;
};

/** A result's text longer than this keeps its head and its tail. */
const maxResultChars = 64 * 1024;

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const validators = new WeakMap<Tool, ValidateFunction>();

/**
 * Runs a turn's tool calls, side by side where every tool allows it, and yields their starts and results in the
 * model's order. A call that is unknown, invalid, failed, too slow or stopped by the run's time limit becomes a result
 * with `isError`, never a throw; only a cancelled run throws.
 */
export async function* runTools(
  run: ToolRun,
  calls: ToolCall[],
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, ToolResultMessage[]> {
  const waiting: AgentEvent[] = [];
  let wake = () => {};
  const emit = (event: AgentEvent) => {
    waiting.push(event);
    wake();
  };
  const isParallel = calls.every((call) => run.tools.get(call.name)?.isParallel ?? true);
  const results: ToolResultMessage[] = [];
  const batches = isParallel ? [calls] : calls.map((call) => [call]);
  for (const batch of batches) {
    for (const call of batch) yield startOf(call);
    const running = batch.map((call) => runOne(run, call, emit, signal));
    // every promise has an owner even when an earlier one throws first
    for (const promise of running) promise.catch(() => {});
    for (const promise of running) {
      let settled: Awaited<(typeof running)[number]> | undefined;
      const done = promise.then((value) => {
        settled = value;
      });
      while (settled === undefined) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (waiting.length === 0) await Promise.race([done, woken]);
        yield* waiting.splice(0);
      }
      yield settled.event;
      results.push(settled.message);
    }
  }
  return results;
}

/** Results for calls that were not run, so that no call is left without one. */
export function* skipTools(calls: ToolCall[], reason: string): Generator<AgentEvent, ToolResultMessage[]> {
  const results: ToolResultMessage[] = [];
  for (const call of calls) {
    yield startOf(call);
    const { event, message } = toEnd(call, failure(reason), 0);
    yield event;
    results.push(message);
  }
  return results;
}

function startOf(call: ToolCall): AgentEvent {
  return {
    type: 'tool-start',
    id: call.id,
    name: call.name,
    arguments: call.argumentsText ?? call.arguments,
  };
}

async function runOne(run: ToolRun, call: ToolCall, emit: (event: AgentEvent) => void, signal: AbortSignal) {
  const startedMs = performance.now();
  const result = await resultOf(run, call, emit, signal);
  return toEnd(call, result, performance.now() - startedMs);
}

async function resultOf(
  run: ToolRun,
  call: ToolCall,
  emit: (event: AgentEvent) => void,
  signal: AbortSignal,
): Promise<ToolResult> {
  if (signal.aborted) return stopped(signal);
  const tool = run.tools.get(call.name);
  if (!tool) {
    const names = [...run.tools.keys()].join(', ') || 'none';
    return failure(`There is no tool named "${call.name}". Tools: ${names}.`);
  }
  if (call.argumentsText !== undefined) return failure('The arguments are not a JSON object.');
  const problem = validate(tool, call.arguments);
  if (problem) return failure(problem);
  const timeout = AbortSignal.timeout(run.timeoutMs);
  const both = AbortSignal.any([signal, timeout]);
  const context = {
    runId: run.runId,
    callId: call.id,
    onProgress: (progress: { progress?: number; total?: number; message: string }) =>
      emit({ type: 'tool-progress', id: call.id, name: call.name, ...progress }),
  };
  try {
    return await raceAbort(tool.execute(call.arguments, context, both), both);
  } catch (error) {
    if (signal.aborted) return stopped(signal);
    if (timeout.aborted) return failure(`The tool did not answer within ${run.timeoutMs / 1000} seconds.`);
    return failure(error instanceof Error ? error.message : String(error));
  }
}

/** At the run's time limit what was said stays, so its calls need results; a cancelled run is over at once. */
function stopped({ reason }: AbortSignal): ToolResult {
  if (reason instanceof DeadlineReached) return failure('Stopped: the time limit of the run was reached.');
  throw reason;
}

function validate(tool: Tool, args: Record<string, unknown>): string | undefined {
  let check = validators.get(tool);
  if (!check) {
    check = ajv.compile(tool.parameters);
    validators.set(tool, check);
  }
  if (check(args)) return undefined;
  return `The arguments do not fit: ${ajv.errorsText(check.errors, { dataVar: 'arguments' })}.`;
}

function failure(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

function toEnd(call: ToolCall, result: ToolResult, durationMs: number) {
  const content = result.content.map((block) =>
    block.type === 'text' ? { type: 'text' as const, text: shorten(block.text) } : block,
  );
  const message: ToolResultMessage = {
    role: 'toolResult',
    toolCallId: call.id,
    toolName: call.name,
    content,
    isError: result.isError,
  };
  const event: AgentEvent = {
    type: 'tool-end',
    id: call.id,
    name: call.name,
    result: textOf(content),
    isError: result.isError,
    durationMs,
  };
  return { message, event };
}

function shorten(text: string): string {
  if (text.length <= maxResultChars) return text;
  const half = maxResultChars / 2;
  const left = text.length - maxResultChars;
  return `${text.slice(0, half)}\n[… ${left} characters left out …]\n${text.slice(-half)}`;
}
