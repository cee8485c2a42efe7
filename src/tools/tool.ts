import type { ImageContent, TextContent } from '../core/message.js';

export type ToolProgress = { progress?: number; total?: number; message: string };

export type ToolResult = { content: (TextContent | ImageContent)[]; isError: boolean };

export type ToolContext = { runId: string; callId: string; onProgress: (progress: ToolProgress) => void };

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
  execute(args: Record<string, unknown>, context: ToolContext, signal: AbortSignal): Promise<ToolResult>;
}

/** Text as a successful tool result. */
export function textResult(text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: false };
}
