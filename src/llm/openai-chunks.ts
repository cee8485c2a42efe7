import { createParser, type ParseError } from 'eventsource-parser';
import type { LlmEvent } from '../core/events.js';
import type { FinishReason, Usage } from '../core/message.js';
import { createToolCallAssembler, type ToolCallFragment } from './tool-call-assembler.js';

/** What is read of a `chat.completion.chunk` (and of a whole `chat.completion`), whose sender may leave anything out. */
type WireChunk = {
  error?: unknown;
  object?: unknown;
  choices?: WireChoice[] | null;
  usage?: WireUsage | null;
};
type WireChoice = {
  index?: number;
  delta?: WireDelta | null;
  message?: WireDelta | null;
  finish_reason?: string | null;
};
type WireDelta = {
  content?: unknown;
  reasoning_content?: unknown;
  reasoning?: unknown;
  refusal?: unknown;
  tool_calls?: ToolCallFragment[] | null;
  function_call?: ToolCallFragment['function'];
};
type WireUsage = {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
  prompt_cache_hit_tokens?: number;
  completion_tokens_details?: { reasoning_tokens?: number } | null;
};

/** Why a stream cannot go on: `error` is the provider's own object, `garbage` what is not the protocol. */
export type StreamFailure = { kind: 'error'; error: unknown } | { kind: 'garbage'; cause: unknown };

/**
 * Turns the bytes of one answer into events, synchronously. `failure` is set once the stream cannot go on (what came
 * before it is still returned); `isDone` once it said [DONE], after which everything is ignored.
 */
export interface ChunkDecoder {
  feed(bytes: Uint8Array): LlmEvent[];
  /** takes a whole, not streamed answer */
  feedCompletion(completion: WireChunk): LlmEvent[];
  /** The closing events, to be called once: `end` comes last. Only when `isFinished`. */
  close(): LlmEvent[];
  /** whether a finish reason was seen */
  readonly isFinished: boolean;
  readonly isDone: boolean;
  readonly failure: StreamFailure | undefined;
}

/** A line longer than this is not an answer but an attack or a bug. */
const maxEventChars = 16 * 1024 * 1024;

export function createChunkDecoder(): ChunkDecoder {
  const utf8 = new TextDecoder();
  const text = createHalfJoiner();
  const reasoning = createHalfJoiner();
  const calls = createToolCallAssembler();
  let events: LlmEvent[] = [];
  let finishReason: FinishReason | undefined;
  let usage: Usage | undefined;
  let failure: StreamFailure | undefined;
  let isDone = false;

  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent: ({ data, event }) => {
      if (isDone || failure) return;
      if (data.trim() === '[DONE]') isDone = true;
      else readData(data, event === 'error');
    },
    onError: (error: ParseError) => {
      if (error.type === 'max-buffer-size-exceeded') failure ??= { kind: 'garbage', cause: error };
    },
  });

  function readData(data: string, isErrorEvent: boolean): void {
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch (cause) {
      failure = isErrorEvent ? { kind: 'error', error: data } : { kind: 'garbage', cause };
      return;
    }
    if (typeof chunk !== 'object' || chunk === null) failure = { kind: 'garbage', cause: data };
    else if (isErrorEvent || isErrorBody(chunk)) failure = { kind: 'error', error: errorOf(chunk) };
    else readChunk(chunk);
  }

  function readChunk(chunk: WireChunk): void {
    if (chunk.usage) usage = toUsage(chunk.usage) ?? usage;
    const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (!choice) return;
    const delta = choice.delta ?? choice.message;
    if (delta) readDelta(delta);
    if (choice.finish_reason) finishReason ??= mapFinishReason(choice.finish_reason);
  }

  function readDelta(delta: WireDelta): void {
    const thought = delta.reasoning_content ?? delta.reasoning;
    if (thought) pushText('reasoning-delta', reasoning.join(plainText(thought)));
    if (delta.content) pushText('text-delta', text.join(plainText(delta.content)));
    if (delta.refusal) pushText('text-delta', text.join(plainText(delta.refusal)));
    if (Array.isArray(delta.tool_calls)) {
      for (const fragment of delta.tool_calls) if (fragment) calls.push(fragment, events);
    }
    if (delta.function_call) calls.push({ index: 0, function: delta.function_call }, events);
  }

  function pushText(type: 'text-delta' | 'reasoning-delta', value: string): void {
    if (value !== '') events.push({ type, text: value });
  }

  function take(): LlmEvent[] {
    const taken = events;
    events = [];
    return taken;
  }

  return {
    feed(bytes) {
      if (!isDone && !failure) parser.feed(utf8.decode(bytes, { stream: true }));
      return take();
    },
    feedCompletion(completion) {
      readChunk(completion);
      return take();
    },
    close() {
      pushText('reasoning-delta', reasoning.flush());
      pushText('text-delta', text.flush());
      calls.finish(events);
      const reason = settleFinishReason(finishReason ?? 'stop', calls.started > 0);
      events.push(
        usage ? { type: 'end', finishReason: reason, usage } : { type: 'end', finishReason: reason },
      );
      return take();
    },
    get isFinished() {
      return finishReason !== undefined;
    },
    get isDone() {
      return isDone;
    },
    get failure() {
      return failure;
    },
  };
}

/** A reason this code does not know still means that the model chose to end. */
function mapFinishReason(reason: string): FinishReason {
  switch (reason) {
    case 'length':
    case 'max_tokens':
    case 'model_length':
      return 'length';
    case 'tool_calls':
    case 'function_call':
      return 'tool_calls';
    case 'content_filter':
      return 'content_filter';
    default:
      return 'stop';
  }
}

/** Servers disagree on the reason when tools are called: what arrived decides. */
function settleFinishReason(reason: FinishReason, hasCalls: boolean): FinishReason {
  if (reason === 'stop' && hasCalls) return 'tool_calls';
  return reason === 'tool_calls' && !hasCalls ? 'stop' : reason;
}

/** undefined when nothing usable is reported; zero for everything counts as not reported */
function toUsage(wire: WireUsage): Usage | undefined {
  const input = count(wire.prompt_tokens);
  const completion = count(wire.completion_tokens);
  if (input + completion === 0) return undefined;
  const reasoningTokens = count(wire.completion_tokens_details?.reasoning_tokens);
  // some servers leave reasoning out of completion_tokens, which only the total shows
  const isReasoningApart = count(wire.total_tokens) === input + completion + reasoningTokens;
  return {
    inputTokens: input,
    outputTokens: isReasoningApart ? completion + reasoningTokens : completion,
    cachedTokens: count(wire.prompt_tokens_details?.cached_tokens ?? wire.prompt_cache_hit_tokens),
    reasoningTokens,
    estimated: false,
  };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}

export function isErrorBody(body: object): boolean {
  const { error, object } = body as WireChunk;
  return Boolean(error) || object === 'error';
}

export function errorOf(body: object): unknown {
  return (body as WireChunk).error || body;
}

/** Content is a string; some servers send a list of parts instead. */
function plainText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** Keeps the first half of a character back until the delta with its second half comes. */
function createHalfJoiner(): { join(text: string): string; flush(): string } {
  let half = '';
  return {
    join(text) {
      const whole = half === '' ? text : half + text;
      if (endsInHighSurrogate(whole)) {
        half = whole.slice(-1);
        return whole.slice(0, -1).toWellFormed();
      }
      half = '';
      return whole.isWellFormed() ? whole : whole.toWellFormed();
    },
    flush() {
      const rest = half.toWellFormed();
      half = '';
      return rest;
    },
  };
}

function endsInHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
