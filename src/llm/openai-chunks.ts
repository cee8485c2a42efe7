import type { LlmEvent } from '../core/events.js';
import type { FinishReason, Usage } from '../core/message.js';
import type { AnswerDecoder, StreamFailure } from './answer-stream.js';
import { createHalfJoiner } from './half-joiner.js';
import { createSseDecoder } from './sse-decoder.js';
import { createToolCallAssembler, settleFinishReason, type ToolCallFragment } from './tool-call-assembler.js';

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

/** Reads Chat Completions; nothing is read after [DONE]. */
export function createChunkDecoder(): AnswerDecoder {
  const text = createHalfJoiner();
  const reasoning = createHalfJoiner();
  const calls = createToolCallAssembler();
  let events: LlmEvent[] = [];
  let finishReason: FinishReason | undefined;
  let usage: Usage | undefined;
  let failure: StreamFailure | undefined;
  let isDone = false;

  const decode = createSseDecoder(
    ({ data, event }) => {
      if (isDone || failure) return;
      if (data.trim() === '[DONE]') isDone = true;
      else readData(data, event === 'error');
    },
    (cause) => {
      failure ??= { kind: 'garbage', cause };
    },
  );

  function readData(data: string, isErrorEvent: boolean): void {
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch (cause) {
      failure = isErrorEvent ? { kind: 'error', error: data } : { kind: 'garbage', cause };
      return;
    }
    if (typeof chunk !== 'object' || chunk === null) failure = { kind: 'garbage', cause: data };
    else if (isErrorEvent) failure = { kind: 'error', error: errorOf(chunk) };
    else readBody(chunk);
  }

  function readBody(body: object): void {
    if (isErrorBody(body)) failure = { kind: 'error', error: errorOf(body) };
    else readChunk(body);
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
      if (!isDone && !failure) decode(bytes);
      return take();
    },
    feedWhole(body) {
      readBody(body);
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

/** undefined when nothing usable is reported; zero for everything counts as not reported */
function toUsage(wire: WireUsage): Usage | undefined {
  const input = count(wire.prompt_tokens);
  const completion = count(wire.completion_tokens);
  if (input + completion === 0) return undefined;
  const reasoningTokens = count(wire.completion_tokens_details?.reasoning_tokens);
  // some servers leave reasoning out of completion_tokens, which only the total shows
  const isReasoningApart = count(wire.total_tokens) === input + completion + reasoningTokens;
  const output = isReasoningApart ? completion + reasoningTokens : completion;
  const cached = count(wire.prompt_tokens_details?.cached_tokens ?? wire.prompt_cache_hit_tokens);
  return {
    inputTokens: input,
    outputTokens: output,
    // a part is never more than the whole, whatever a gateway passes on
    cachedTokens: Math.min(cached, input),
    reasoningTokens: Math.min(reasoningTokens, output),
    estimated: false,
  };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}

function isErrorBody(body: object): boolean {
  const { error, object } = body as WireChunk;
  return Boolean(error) || object === 'error';
}

function errorOf(body: object): unknown {
  return (body as WireChunk).error || body;
}

/** Content is a string; some servers send a list of parts instead. */
function plainText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}
