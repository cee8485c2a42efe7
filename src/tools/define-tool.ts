import type { Static, TSchema } from 'typebox';
import type { PartialToolResult } from '../core/events.js';
import type { Tool, ToolContext, ToolResult } from './tool.js';

/** What a tool returns, or has so far. `details` are for programs that show it: no model sees them. */
export type AgentToolResult<Details = unknown> = {
  content: ToolResult['content'];
  details?: Details;
};

export type ToolUpdate<Details = unknown> = (partialResult: AgentToolResult<Details>) => void;

/** The arguments that a schema describes: one of TypeBox, old or new, or a JSON Schema written `as const`. */
export type ArgumentsOf<Schema> = Schema extends { static: infer Arguments }
  ? Arguments
  : object extends Schema
    ? Record<string, unknown>
    : Schema extends TSchema
      ? Static<Schema>
      : Record<string, unknown>;

/** What a tool is and does. Throwing is how it fails: the model is told the error's message. */
export interface ToolWork<Schema extends object = object, Details = unknown> {
  name: string;
  /** for people */
  label?: string;
  /** for the model */
  description: string;
  /** JSON Schema of an object; calls whose arguments do not fit never get to `execute` */
  parameters: Schema;
  execute(
    toolCallId: string,
    params: ArgumentsOf<Schema>,
    signal: AbortSignal,
    onUpdate: ToolUpdate<Details>,
    context: ToolContext,
  ): Promise<AgentToolResult<Details> | string> | AgentToolResult<Details> | string;
}

/** A tool as agents take it without `defineTool`; it runs beside no other. */
export interface AgentTool<Schema extends object = object, Details = unknown>
  extends ToolWork<Schema, Details> {
  isParallel?: undefined;
}

export type ToolSettings = {
  /** may run beside other calls of the same turn; default: false */
  isParallel?: boolean;
  /** callers who hold one of these may use the tool; absent: everybody may */
  roles?: readonly string[];
  /** milliseconds that a call may take without an update; absent: the agent's or the service's own limit */
  timeoutMs?: number;
};

/** Makes a tool that agents and the service take alike. */
export function defineTool<const Schema extends object, Details = unknown>(
  definition: ToolWork<Schema, Details> & ToolSettings,
): Tool & { readonly label: string } {
  const { name, label = name, description, parameters, isParallel = false, roles, timeoutMs } = definition;
  return {
    name,
    label,
    description,
    parameters: parameters as Record<string, unknown>,
    isParallel,
    ...(roles === undefined ? {} : { roles }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    async execute(args, context, signal) {
      const onUpdate = (partialResult: AgentToolResult<Details>) =>
        context.onProgress({ message: describe(partialResult), partialResult });
      const result = await definition.execute(
        context.callId,
        args as ArgumentsOf<Schema>,
        signal,
        onUpdate,
        context,
      );
      // anything else goes to the loop as it is: that says what is wrong with it
      if (typeof result === 'string') return { content: [{ type: 'text', text: result }], isError: false };
      return result as ToolResult;
    },
  };
}

/** The last line says best how far a tool is. */
function describe({ content }: PartialToolResult): string {
  const texts = content.flatMap((block) => (block.type === 'text' ? block.text : []));
  return texts.join('\n').trimEnd().split('\n').at(-1)?.slice(-maxMessageChars) ?? '';
}

const maxMessageChars = 500;
