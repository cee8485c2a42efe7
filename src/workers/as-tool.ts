import { createHash } from 'node:crypto';
import { checkSchema, isRecord, type RunBounded } from '../tools/check-schema.js';
import type { Tool, ToolContext, ToolResult } from '../tools/tool.js';
import { WorkerFailure } from './failures.js';
import type { Capability } from './generated/paf/worker/v1/Capability.js';
import type { TaskEvent } from './generated/paf/worker/v1/TaskEvent.js';
import { failure, toContent, toResult } from './to-result.js';
import type { WorkerCapability } from './worker.js';

const toolPrefix = 'worker__';

export type RunTask = (
  taskType: string,
  payload: Record<string, unknown>,
  context: ToolContext,
  signal: AbortSignal,
) => Promise<ToolResult>;

export type ToolMaker = (given: Capability) => { capability: WorkerCapability; tool: Tool | undefined };

/** What the strictest provider takes. */
const mostDescriptionChars = 1_024;
const mostVersionChars = 100;
const mostTools = 500;
/** The tool waits a little longer than the task may take, so that it is the task whose end is told. */
const graceMs = 1_000;

/** Makes tools of capabilities: the same object each time as long as a capability stays the same. */
export function createToolMaker(runTask: RunTask, timeoutMs: number, runBounded: RunBounded): ToolMaker {
  const known = new Map<string, ReturnType<ToolMaker>>();
  return (given) => {
    const { taskType, description, payloadSchema, version } = given;
    const digest = createHash('sha256')
      .update(JSON.stringify([taskType, description, payloadSchema, version]))
      .digest('hex');
    let made = known.get(digest);
    if (made) return made;
    const problem = (reason: string) => ({ capability: toCapability(given, reason), tool: undefined });
    const checked = checkSchema(parseJson(payloadSchema), runBounded);
    if (!/^[a-z0-9_]{1,48}$/.test(taskType)) {
      made = problem('its task_type is not made of 1 to 48 lower case letters, digits and _');
    } else if ('problem' in checked) made = problem(checked.problem);
    else {
      const tool: Tool = {
        name: toolPrefix + taskType,
        description: shorten(description, mostDescriptionChars),
        parameters: checked.schema,
        isParallel: true,
        timeoutMs: timeoutMs + graceMs,
        execute: (args, context, signal) => runTask(taskType, args, context, signal),
      };
      made = { capability: toCapability(given, undefined), tool };
    }
    // workers that come with ever new descriptions must not fill the memory
    if (known.size >= mostTools) known.clear();
    known.set(digest, made);
    return made;
  };
}

function toCapability(
  { taskType, description, version }: Capability,
  problem: string | undefined,
): WorkerCapability {
  return {
    taskType: taskType.slice(0, 64),
    description: shorten(description, mostDescriptionChars),
    version: version.slice(0, mostVersionChars),
    tool: problem === undefined ? toolPrefix + taskType : undefined,
    problem,
  };
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

const shorten = (text: string, most: number) =>
  text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;

const mostEvents = 100_000;
const mostPartialChars = 16 * 1024 * 1024;
const mostShownChars = 64 * 1024;
const mostMessageChars = 1_000;
/** A run's log has room for so much: after the first ones, progress is told now and then. */
const firstProgress = 250;
const progressMs = 100;

/** Reads what a worker says of a task until its result, which is the last thing that counts. */
export async function readEvents(
  events: AsyncIterable<TaskEvent>,
  context: ToolContext,
): Promise<ToolResult> {
  let count = 0;
  let partialChars = 0;
  let toldCount = 0;
  let toldMs = 0;
  for await (const { event, progress, partialOutput, result, error } of events) {
    count += 1;
    if (count > mostEvents) throw new WorkerFailure('oversized', `sent more than ${mostEvents} events`);
    if (event === 'progress' && progress) {
      const now = performance.now();
      if (toldCount >= firstProgress && now - toldMs < progressMs) continue;
      toldCount += 1;
      toldMs = now;
      const fraction = Math.min(Math.max(progress.fraction, 0), 1) || 0;
      context.onProgress({
        progress: fraction,
        total: 1,
        message: progress.message.slice(0, mostMessageChars),
      });
    } else if (event === 'partialOutput' && partialOutput) {
      const { content } = toContent(partialOutput);
      const texts = content.flatMap((block) => (block.type === 'text' ? block.text : []));
      partialChars += texts.reduce((sum, { length }) => sum + length, 0);
      if (partialChars > mostPartialChars)
        throw new WorkerFailure('oversized', 'sent too much partial output');
      const shown = texts.map((text) => ({ type: 'text' as const, text: shorten(text, mostShownChars) }));
      context.onProgress({ message: 'Part of the result is there', partialResult: { content: shown } });
    } else if (event === 'result' && result) return toResult(result);
    else if (event === 'error' && error) {
      const reason = error.message.slice(0, mostMessageChars) || 'the worker did not say why';
      return failure(`The task failed: ${reason}`);
    }
  }
  throw new WorkerFailure('broken', 'ended the call without a result');
}
