import { type Fault, type FaultType, parseFault } from './faults.ts';

export type ScriptedToolCall = {
  id: string;
  name: string;
  arguments: string;
  /** in how many deltas the arguments arrive, besides the one that opens the call; default 2 */
  fragments?: number;
};

/** One answer of the fake model. Without any content it is an empty answer that finishes with `stop`. */
export type ScriptedReply = {
  /** streamed in deltas of one word */
  text?: string;
  /** the exact text deltas; they follow `text` */
  chunks?: string[];
  reasoning?: string | string[];
  reasoningField?: 'reasoning_content' | 'reasoning';
  refusal?: string[];
  toolCalls?: ScriptedToolCall[];
  /** default: `tool_calls` with tool calls, `stop` without; null: no finish reason is ever sent */
  finishReason?: string | null;
  /** sent as given, in the wire's own names; null: never sent; default: counted */
  usage?: Record<string, unknown> | null;
  /** `finish`: usage comes with the finish reason instead of a chunk of its own */
  usagePlace?: 'own' | 'finish';
  /** milliseconds between deltas */
  delayMs?: number;
  /** milliseconds between the headers and the first chunk */
  firstDelayMs?: number;
  hold?: Hold | Hold[];
  /** as an object, or in the command-line form: `cut:5` */
  fault?: Fault | string | (Fault | string)[];
};

/** Stops a reply after `after` deltas until it is released or the client leaves. */
export type Hold = {
  readonly after: number;
  /** resolves when the reply got there */
  readonly reached: Promise<void>;
  readonly released: Promise<void>;
  arrive(): void;
  release(): void;
};

export function hold(after: number): Hold {
  const arrival = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  return {
    after,
    reached: arrival.promise,
    released: release.promise,
    arrive: arrival.resolve,
    release: release.resolve,
  };
}

export function holdsOf(reply: ScriptedReply): Hold[] {
  return asArray(reply.hold);
}

export type Faults = { [T in FaultType]?: Extract<Fault, { type: T }> };

/** A reply's faults by their type; of two with the same type the last one counts. */
export function faultsOf(reply: ScriptedReply): Faults {
  const faults = asArray(reply.fault).map((fault) => (typeof fault === 'string' ? parseFault(fault) : fault));
  return Object.fromEntries(faults.map((fault) => [fault.type, fault]));
}

/** The text deltas of a reply: words with the space before them, as a tokenizer would cut them. */
export function textChunks(reply: ScriptedReply): string[] {
  const words = reply.text === undefined ? [] : splitWords(reply.text);
  return reply.chunks === undefined ? words : [...words, ...reply.chunks];
}

export function reasoningChunks(reply: ScriptedReply): string[] {
  return typeof reply.reasoning === 'string' ? splitWords(reply.reasoning) : (reply.reasoning ?? []);
}

export function finishReasonOf(reply: ScriptedReply): string | null {
  if (reply.finishReason !== undefined) return reply.finishReason;
  return reply.toolCalls?.length ? 'tool_calls' : 'stop';
}

function splitWords(text: string): string[] {
  return text.match(/\s*\S+(\s+$)?|^\s+$/g) ?? [];
}

function asArray<T>(value: T | T[] | undefined): T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}
