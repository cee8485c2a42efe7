import type { ToolDefinition } from '../llm/provider.js';
import type { Tool } from './tool.js';

export interface ToolRegistry {
  /** All tools, in the order of their names, so that prompts stay the same from call to call. */
  list(): Tool[];
  find(name: string): Tool | undefined;
}

export function createToolRegistry(tools: Tool[]): ToolRegistry {
  const sorted = tools.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const byName = new Map(sorted.map((tool) => [tool.name, tool]));
  return { list: () => sorted, find: (name) => byName.get(name) };
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
