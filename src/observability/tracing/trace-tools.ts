import { context } from '@opentelemetry/api';
import { DeadlineReached, raceAbort } from '../../core/abort.js';
import { Fault } from '../../core/errors.js';
import type { McpCallFollower } from '../../tools/mcp/mcp-server.js';
import type { Tool, ToolContext, ToolResult } from '../../tools/tool.js';
import { toText } from './capture.js';
import { cancelled, contextOf, errorTypeOf, type OpenSpan, startSpan } from './spans.js';

/** The error type of a call that was carried out and answered that it failed. */
const toolError = 'tool_error';

/** The tools with a span around each call. The same tool is always wrapped in the same one. */
export function traceTools(isContentCaptured: boolean): (tools: Tool[]) => Tool[] {
  const wrapped = new WeakMap<Tool, Tool>();
  const wrap = (tool: Tool): Tool => {
    const known = wrapped.get(tool) ?? traceTool(tool, isContentCaptured);
    wrapped.set(tool, known);
    return known;
  };
  return (tools) => tools.map(wrap);
}

function traceTool(tool: Tool, isContentCaptured: boolean): Tool {
  const { name, description, parameters, isParallel, roles, timeoutMs } = tool;
  return {
    name,
    description,
    parameters,
    isParallel,
    ...(roles && { roles }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    execute(args, given, signal) {
      const span = startSpan(`execute_tool ${name}`, {
        attributes: {
          'gen_ai.operation.name': 'execute_tool',
          'gen_ai.tool.name': name,
          'gen_ai.tool.type': 'function',
          // models make ids up, of any length
          'gen_ai.tool.call.id': given.callId.slice(0, mostIdChars),
        },
        parent: contextOf(given.trace),
        isPassedOn: true,
      });
      if (isContentCaptured) span.set({ 'gen_ai.tool.call.arguments': toText(args) });
      const own: ToolContext = span.trace ? { ...given, trace: span.trace } : given;
      const result = context.with(span.context, async () => tool.execute(args, own, signal));
      return endWith(span, result, signal, isContentCaptured);
    },
  };
}

const mostIdChars = 128;

/** A span for each call to an MCP server. */
export function traceMcpCalls(): McpCallFollower {
  return ({ tool, transport, url, trace }, call, signal) => {
    const address = url === undefined ? undefined : new URL(url);
    const span = startSpan(`tools/call ${tool}`, {
      kind: 'client',
      attributes: {
        'mcp.method.name': 'tools/call',
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': tool,
        'network.transport': transport === 'stdio' ? 'pipe' : 'tcp',
        ...(address && { 'server.address': address.hostname, 'server.port': portOf(address) }),
      },
      parent: contextOf(trace),
    });
    const result = context.with(span.context, () => call(span.trace ?? trace));
    return endWith(span, result, signal, false);
  };
}

export function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

/** The span ends with the call, or when the call is given up: one that does not heed that leaves no span open. */
async function endWith(
  span: OpenSpan,
  result: Promise<ToolResult>,
  signal: AbortSignal,
  isContentCaptured: boolean,
): Promise<ToolResult> {
  raceAbort(result, signal).then(
    (settled) => {
      if (isContentCaptured) span.set({ 'gen_ai.tool.call.result': toText(settled.content) });
      span.end(settled.isError ? toolError : undefined);
    },
    (error) => span.end(signal.aborted ? reasonOf(signal) : errorTypeOf(error)),
  );
  return result;
}

/** A tool's own time limit aborts with a sentence for the model. */
function reasonOf({ reason }: AbortSignal): string {
  if (reason instanceof Fault) return reason.type;
  return typeof reason === 'string' || reason instanceof DeadlineReached ? 'timeout' : cancelled;
}
