import type { LlmEvent } from '../core/events.js';
import type { FinishReason, ThinkingSeal, Usage } from '../core/message.js';
import type { AnswerDecoder, StreamFailure } from './answer-stream.js';
import { createHalfJoiner } from './half-joiner.js';
import { createSseDecoder } from './sse-decoder.js';
import { createToolCallAssembler, settleFinishReason } from './tool-call-assembler.js';

/** What is read of an event of a message stream, whose sender may leave anything out. */
type WireEvent = {
  type?: unknown;
  index?: number;
  message?: WireMessage | null;
  content_block?: WireBlock | null;
  delta?: WireDelta | null;
  usage?: WireUsage | null;
  error?: unknown;
};
type WireMessage = {
  type?: unknown;
  content?: unknown;
  stop_reason?: string | null;
  usage?: WireUsage | null;
};
type WireBlock = {
  type?: unknown;
  id?: string;
  name?: string;
  text?: unknown;
  thinking?: unknown;
  data?: unknown;
  signature?: unknown;
  input?: unknown;
};
type WireDelta = {
  type?: unknown;
  text?: unknown;
  thinking?: unknown;
  signature?: unknown;
  partial_json?: unknown;
  stop_reason?: string | null;
};
type WireUsage = {
  input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
  cache_read_input_tokens?: number | null;
  output_tokens?: number | null;
  output_tokens_details?: { thinking_tokens?: number } | null;
};

/** Reads Anthropic's Messages; nothing is read after `message_stop`. */
export function createMessageDecoder(): AnswerDecoder {
  const text = createHalfJoiner();
  const reasoning = createHalfJoiner();
  const calls = createToolCallAssembler();
  /** indexes of the blocks whose input is not for us: tools that the vendor runs itself */
  const foreign = new Set<number | undefined>();
  const reported: WireUsage[] = [];
  let hasFinalUsage = false;
  let events: LlmEvent[] = [];
  let finishReason: FinishReason | undefined;
  let failure: StreamFailure | undefined;
  let isDone = false;

  const decode = createSseDecoder(
    ({ data, event }) => {
      if (!isDone && !failure) readData(data, event === 'error');
    },
    (cause) => {
      failure ??= { kind: 'garbage', cause };
    },
  );

  function readData(data: string, isErrorEvent: boolean): void {
    let event: unknown;
    try {
      event = JSON.parse(data);
    } catch (cause) {
      failure = isErrorEvent ? { kind: 'error', error: data } : { kind: 'garbage', cause };
      return;
    }
    if (typeof event !== 'object' || event === null) failure = { kind: 'garbage', cause: data };
    else if (isErrorEvent) failure = { kind: 'error', error: errorOf(event) };
    else readEvent(event);
  }

  /** New kinds of events, blocks and deltas may come at any time and are passed over, as `ping` is. */
  function readEvent(event: WireEvent): void {
    switch (event.type) {
      case 'message_start':
        if (event.message?.usage) reported.push(event.message.usage);
        break;
      case 'content_block_start':
        if (event.content_block) readBlock(event.content_block, event.index);
        break;
      case 'content_block_delta':
        if (event.delta) readDelta(event.delta, event.index);
        break;
      case 'message_delta':
        readEnd(event.delta?.stop_reason, event.usage);
        break;
      case 'message_stop':
        isDone = true;
        break;
      case 'error':
        failure = { kind: 'error', error: errorOf(event) };
    }
  }

  function readBlock(block: WireBlock, index: number | undefined): void {
    foreign.delete(index);
    if (block.type === 'text') pushText('text-delta', text.join(plain(block.text)));
    else if (block.type === 'thinking') pushText('reasoning-delta', reasoning.join(plain(block.thinking)));
    else if (block.type === 'redacted_thinking') seal({ redacted: plain(block.data) });
    else if (block.type === 'tool_use') {
      const { id = null, name = null } = block;
      calls.push({ index: index ?? null, id, function: { name, arguments: givenInput(block) } }, events);
    } else foreign.add(index);
  }

  function readDelta(delta: WireDelta, index: number | undefined): void {
    if (delta.type === 'text_delta') pushText('text-delta', text.join(plain(delta.text)));
    else if (delta.type === 'thinking_delta')
      pushText('reasoning-delta', reasoning.join(plain(delta.thinking)));
    else if (delta.type === 'signature_delta') seal({ signature: plain(delta.signature) });
    else if (delta.type === 'input_json_delta' && !foreign.has(index)) {
      calls.push({ index: index ?? null, function: { arguments: plain(delta.partial_json) } }, events);
    }
  }

  function readEnd(reason: string | null | undefined, usage: WireUsage | null | undefined): void {
    if (reason) finishReason ??= mapFinishReason(reason);
    if (!usage) return;
    reported.push(usage);
    hasFinalUsage = true;
  }

  function seal(given: ThinkingSeal): void {
    pushText('reasoning-delta', reasoning.flush());
    if (given.signature || given.redacted) events.push({ type: 'reasoning-delta', text: '', ...given });
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
    feedWhole(body: WireMessage) {
      if (body.type === 'error') failure = { kind: 'error', error: errorOf(body) };
      const blocks: (WireBlock | null)[] = Array.isArray(body.content) ? body.content : [];
      blocks.forEach((block, index) => {
        if (block) readBlock(block, index);
        if (block?.type === 'thinking') seal({ signature: plain(block.signature) });
      });
      readEnd(body.stop_reason, body.usage);
      return take();
    },
    close() {
      pushText('reasoning-delta', reasoning.flush());
      pushText('text-delta', text.flush());
      calls.finish(events);
      const reason = settleFinishReason(finishReason ?? 'stop', calls.started > 0);
      const usage = hasFinalUsage ? toUsage(reported) : undefined;
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

/** A reason this code does not know still means that the model chose to end; `pause_turn` needs no answer from us. */
function mapFinishReason(reason: string): FinishReason {
  switch (reason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'refusal':
      return 'content_filter';
    default:
      return 'stop';
  }
}

/**
 * The counts are cumulative, so the highest one of each is the last. `input_tokens` is only what the cache had no part
 * in. undefined when nothing usable is reported.
 */
function toUsage(reported: readonly WireUsage[]): Usage | undefined {
  const highest = (pick: (usage: WireUsage) => unknown) =>
    Math.max(0, ...reported.map((usage) => count(pick(usage))));
  const cachedTokens = highest((usage) => usage.cache_read_input_tokens);
  const writtenTokens = highest((usage) => usage.cache_creation_input_tokens);
  const inputTokens = highest((usage) => usage.input_tokens) + cachedTokens + writtenTokens;
  const outputTokens = highest((usage) => usage.output_tokens);
  if (inputTokens + outputTokens === 0) return undefined;
  const reasoningTokens = highest((usage) => usage.output_tokens_details?.thinking_tokens);
  return { inputTokens, outputTokens, cachedTokens, reasoningTokens, estimated: false };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}

function errorOf(event: WireEvent): unknown {
  return event.error || event;
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A streamed block starts with an empty input; a whole one, and that of some servers, has all of it. */
function givenInput({ input }: WireBlock): string {
  const isGiven = typeof input === 'object' && input !== null && Object.keys(input).length > 0;
  return isGiven ? JSON.stringify(input) : '';
}
