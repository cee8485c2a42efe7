import { type AgentTool, defineTool, type ToolWork } from '../tools/define-tool.js';
import type { Tool } from '../tools/tool.js';

const defined = new WeakMap<AgentTool, Tool>();

/** The same tool each time, so that its schema is compiled once. */
export function toTool(tool: AgentTool | Tool): Tool {
  if (isTool(tool)) return tool;
  let made = defined.get(tool);
  if (!made) {
    made = defineTool(tool as ToolWork);
    defined.set(tool, made);
  }
  return made;
}

/** Only a tool that was made for the loop says whether it may run beside others. */
function isTool(tool: AgentTool | Tool): tool is Tool {
  return tool.isParallel !== undefined;
}
