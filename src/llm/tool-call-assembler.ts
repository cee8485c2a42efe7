import { randomUUID } from 'node:crypto';
import type { LlmEvent } from '../core/events.js';
import type { FinishReason } from '../core/message.js';

/** One entry of `delta.tool_calls`; every part may be missing. */
export type ToolCallFragment = {
  index?: number | null;
  id?: string | null;
  function?: { name?: string | null; arguments?: unknown } | null;
};

export interface ToolCallAssembler {
  /** Takes one fragment and adds the events it causes to `events`. */
  push(fragment: ToolCallFragment, events: LlmEvent[]): void;
  /** Adds a `tool-call-end` for every call, in the order they started; calls that never got a name are dropped. */
  finish(events: LlmEvent[]): void;
  /** how many calls have a name so far */
  readonly started: number;
}

type Call = {
  id: string;
  hasOwnId: boolean;
  index: number | undefined;
  name: string;
  text: string;
};

/**
 * Puts tool calls together from streamed fragments, from servers that number them well and from those that do not:
 * a known id decides first; a new id is a new call even when its index is taken; without either, it is the current call.
 * @see https://platform.openai.com/docs/api-reference/chat-streaming
 */
export function createToolCallAssembler(newId: () => string = randomCallId): ToolCallAssembler {
  const calls: Call[] = [];
  const byId = new Map<string, Call>();
  const byIndex = new Map<number, Call>();
  let current: Call | undefined;
  let started = 0;

  function open(id: string | undefined, index: number | undefined): Call {
    const call = { id: id ?? newId(), hasOwnId: id !== undefined, index, name: '', text: '' };
    calls.push(call);
    byId.set(call.id, call);
    if (index !== undefined) byIndex.set(index, call);
    return call;
  }

  function byKnownId(call: Call, index: number | undefined, name: string): Call {
    const isOther = name !== '' && call.name !== '' && index !== undefined && call.index !== index;
    return isOther ? (byIndex.get(index) ?? open(undefined, index)) : call;
  }

  function byNewId(id: string, index: number | undefined, name: string): Call {
    const taken = index === undefined ? undefined : byIndex.get(index);
    if (!taken || (name !== '' && taken.hasOwnId)) return open(id, index);
    if (taken.hasOwnId) return taken;
    taken.hasOwnId = true;
    if (taken.name === '') taken.id = id; // nobody was told of the call yet
    byId.set(id, taken);
    return taken;
  }

  function byPlace(index: number | undefined, name: string): Call {
    const placed = index === undefined ? undefined : byIndex.get(index);
    if (placed) return placed;
    if (!current || startsAnother(current, index, name)) return open(undefined, index);
    return current;
  }

  function route(id: string | undefined, index: number | undefined, name: string): Call {
    if (id === undefined) return byPlace(index, name);
    const known = byId.get(id);
    return known ? byKnownId(known, index, name) : byNewId(id, index, name);
  }

  function push(fragment: ToolCallFragment, events: LlmEvent[]): void {
    const name = fragment.function?.name ?? '';
    const text = argumentsText(fragment.function?.arguments);
    const call = route(fragment.id || undefined, fragment.index ?? undefined, name);
    current = call;
    const isNamed = call.name !== '';
    call.text += text;
    if (isNamed) {
      if (text !== '') events.push({ type: 'tool-call-delta', id: call.id, text });
    } else if (name !== '') {
      call.name = name;
      started += 1;
      events.push({ type: 'tool-call-start', id: call.id, name });
      if (call.text !== '') events.push({ type: 'tool-call-delta', id: call.id, text: call.text });
    }
  }

  function finish(events: LlmEvent[]): void {
    for (const call of calls) {
      if (call.name === '') continue;
      const text = call.text === '' ? '{}' : call.text;
      events.push({ type: 'tool-call-end', id: call.id, name: call.name, argumentsText: text });
    }
  }

  return {
    push,
    finish,
    get started() {
      return started;
    },
  };
}

/** Servers disagree on the reason when tools are called: what arrived decides. */
export function settleFinishReason(reason: FinishReason, hasCalls: boolean): FinishReason {
  if (reason === 'stop' && hasCalls) return 'tool_calls';
  return reason === 'tool_calls' && !hasCalls ? 'stop' : reason;
}

function randomCallId(): string {
  return `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;
}

/** Some servers send the arguments as an object instead of its JSON text. */
function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
}

/**
 * Whether a fragment without an id and of no known index begins a call, or belongs to the current one: servers repeat
 * names, leave indexes out, number fragments wrongly, and send arguments before the name.
 */
function startsAnother(current: Call, index: number | undefined, name: string): boolean {
  if (name === '') return index !== undefined && isJson(current.text);
  if (index !== undefined) return true;
  return current.name !== '' && (name !== current.name || isJson(current.text));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
