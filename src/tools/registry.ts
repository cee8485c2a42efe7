import { type Caller, mayUse } from '../core/caller.js';
import type { ToolDefinition } from '../llm/provider.js';
import type { Tool } from './tool.js';

/** Where tools come from. What it lists may change while the service runs. Must not throw. */
export interface ToolSource {
  list(): Tool[];
}

export interface ToolRegistry {
  /** The tools that the caller may use, in the order of their names, so that prompts stay the same from call to call. */
  list(caller: Caller): Tool[];
  find(name: string, caller: Caller): Tool | undefined;
}

/** Of two tools with one name, that of the earlier source counts. */
export function createToolRegistry(sources: ToolSource[]): ToolRegistry {
  function list(caller: Caller): Tool[] {
    const byName = new Map<string, Tool>();
    for (const source of sources) {
      for (const tool of source.list()) if (!byName.has(tool.name)) byName.set(tool.name, tool);
    }
    return [...byName.values()]
      .filter((tool) => mayUse(caller, tool.roles))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }
  return { list, find: (name, caller) => list(caller).find((tool) => tool.name === name) };
}

const definitions = new WeakMap<Tool, ToolDefinition>();

/** The same object each time, so that what is worked out of it (its tokens) is worked out once. */
export function toToolDefinition(tool: Tool): ToolDefinition {
  let definition = definitions.get(tool);
  if (!definition) {
    definition = { name: tool.name, description: tool.description, parameters: tool.parameters };
    definitions.set(tool, definition);
  }
  return definition;
}
