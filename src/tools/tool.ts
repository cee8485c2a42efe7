import type { Caller } from '../core/caller.js';
import type { PartialToolResult } from '../core/events.js';
import type { ImageContent, TextContent } from '../core/message.js';
import type { TraceContext } from '../core/trace.js';

export type ToolProgress = {
  progress?: number;
  total?: number;
  message: string;
  /** what there is so far, for programs that show it */
  partialResult?: PartialToolResult;
};

export type ToolResult = {
  content: (TextContent | ImageContent)[];
  isError: boolean;
  /** for programs that show the result: no model sees it */
  details?: unknown;
};

export type ToolContext = {
  runId: string;
  /** of the request that the run answers, where there is one */
  requestId?: string;
  /** for calls to other services, so that they show in the caller's trace */
  trace?: TraceContext;
  /** epoch milliseconds; when the run's own time is up */
  deadlineAt?: number;
  callId: string;
  caller: Caller;
  /** Tells those who follow the run, and shows that the tool is at work: its time limit starts anew, up to a cap. */
  onProgress: (progress: ToolProgress) => void;
};

/**
 * Something a model may call. `parameters` is a JSON Schema of an object; the loop validates against it before
 * `execute` runs. `execute` may throw: the loop turns that into a result with `isError` that the model sees. It must
 * stop soon after the signal aborts.
 */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Record<string, unknown>;
  /** false: never run beside another call of the same turn */
  readonly isParallel: boolean;
  /** callers who hold one of these may use the tool; absent: everybody may */
  readonly roles?: readonly string[];
  /** milliseconds that a call may take without a sign of progress; absent: the service's own limit */
  readonly timeoutMs?: number;
  execute(args: Record<string, unknown>, context: ToolContext, signal: AbortSignal): Promise<ToolResult>;
}

/** Text as a successful tool result. */
export function textResult(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: false };
}
