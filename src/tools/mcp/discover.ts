import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { checkSchema, isRecord, type RunBounded } from '../check-schema.js';
import type { Tool, ToolContext, ToolResult } from '../tool.js';
import { anything } from './connection.js';
import type { DroppedTool, Listing } from './mcp-server.js';
import { toolNameOf } from './tool-name.js';

export type Execute = (
  tool: string,
  args: Record<string, unknown>,
  context: ToolContext,
  signal: AbortSignal,
) => Promise<ToolResult>;

export type Discovery = {
  server: string;
  /** who may use the tools; undefined: everybody */
  roles: readonly string[] | undefined;
  execute: Execute;
  runBounded: RunBounded;
  /** what the last look found: a tool that did not change stays the same object */
  last: Listing;
};

/** Of one kind and one server; what comes after is left out. */
const mostItems = 1_000;
const mostPages = 200;
const pageTimeoutMs = 10_000;
/** What the strictest provider takes. */
const mostDescriptionChars = 1_024;
const mostToolNameChars = 256;
const mostNameChars = 1_000;

/** What the server offers now: its tools in the order of their names, its resources and its prompts. */
export async function discover(client: Client, discovery: Discovery, signal: AbortSignal): Promise<Listing> {
  const capabilities = client.getServerCapabilities() ?? {};
  const given = capabilities.tools ? await listAll(client, 'tools/list', 'tools', signal) : [];
  const tools = await toTools(given, discovery, signal);
  // these are shown only, so that a server that fails to list them is as useful as before
  const show = async (isOffered: boolean, method: string, key: string, field: string) => {
    const items = isOffered ? await listAll(client, method, key, signal).catch(() => []) : [];
    return items.flatMap((item) => (isRecord(item) ? shortened(item[field]) : [])).toSorted();
  };
  return {
    ...tools,
    resources: await show(Boolean(capabilities.resources), 'resources/list', 'resources', 'uri'),
    prompts: await show(Boolean(capabilities.prompts), 'prompts/list', 'prompts', 'name'),
  };
}

async function listAll(client: Client, method: string, key: string, signal: AbortSignal): Promise<unknown[]> {
  const items: unknown[] = [];
  const cursors = new Set<unknown>();
  let cursor: unknown;
  do {
    cursors.add(cursor);
    const params = cursor === undefined ? {} : { cursor };
    const page = await client.request({ method, params }, anything, { timeout: pageTimeoutMs, signal });
    if (!isRecord(page)) break;
    if (Array.isArray(page[key])) items.push(...page[key].slice(0, mostItems));
    cursor = page.nextCursor;
  } while (
    typeof cursor === 'string' &&
    !cursors.has(cursor) &&
    items.length < mostItems &&
    cursors.size < mostPages
  );
  return items.slice(0, mostItems);
}

async function toTools(
  given: unknown[],
  discovery: Discovery,
  signal: AbortSignal,
): Promise<{ tools: Tool[]; dropped: DroppedTool[] }> {
  const { last } = discovery;
  const known = new Map(last.tools.map((tool) => [tool.name, tool]));
  const refused = new Map(last.dropped.map((drop) => [digests.get(drop), drop]));
  const tools = new Map<string, Tool>();
  const dropped: DroppedTool[] = [];
  for (const one of given) {
    // 500 schemas take a while to check, and other runs are under way
    await setImmediate(undefined, { signal });
    const name = isRecord(one) && typeof one.name === 'string' ? one.name : '';
    const made = toTool(name, isRecord(one) ? one : {}, { known, refused }, discovery);
    if ('reason' in made) dropped.push(made);
    else if (tools.has(made.name))
      dropped.push({ name, reason: 'the server lists another tool of that name' });
    else tools.set(made.name, made);
  }
  const byName = (left: { name: string }, right: { name: string }) => (left.name < right.name ? -1 : 1);
  return { tools: [...tools.values()].sort(byName), dropped: dropped.sort(byName) };
}

/** Of what the server said of a tool; what it says again is not checked again. */
const digests = new WeakMap<Tool | DroppedTool, string>();

type Known = { known: Map<string, Tool>; refused: Map<string | undefined, DroppedTool> };

function toTool(
  original: string,
  given: Record<string, unknown>,
  { known, refused }: Known,
  { server, roles, execute, runBounded }: Discovery,
): Tool | DroppedTool {
  if (original === '' || original.length > mostToolNameChars) {
    const reason = `its name does not have 1 to ${mostToolNameChars} characters`;
    return { name: original.slice(0, mostToolNameChars), reason };
  }
  const name = toolNameOf(server, original);
  const digest = createHash('sha256').update(JSON.stringify(given)).digest('hex');
  const last = known.get(name);
  if (last && digests.get(last) === digest) return last;
  const checked = refused.get(digest) ?? checkSchema(given.inputSchema, runBounded);
  if ('reason' in checked) return checked;
  if ('problem' in checked) {
    const drop = { name: original, reason: checked.problem };
    digests.set(drop, digest);
    return drop;
  }
  const { annotations } = given;
  const tool: Tool = {
    name,
    description: describe(given),
    parameters: checked.schema,
    // only what says that it changes nothing may run beside another call
    isParallel: isRecord(annotations) && annotations.readOnlyHint === true,
    ...(roles && { roles }),
    execute: (args, context, signal) => execute(original, args, context, signal),
  };
  digests.set(tool, digest);
  return tool;
}

function describe({ description, title }: Record<string, unknown>): string {
  const text = typeof description === 'string' && description !== '' ? description : title;
  if (typeof text !== 'string') return '';
  return text.length <= mostDescriptionChars ? text : `${text.slice(0, mostDescriptionChars - 1)}…`;
}

function shortened(value: unknown): string[] {
  return typeof value === 'string' ? [value.slice(0, mostNameChars)] : [];
}
