import type { LlmEvent } from '../core/events.js';
import type { FinishReason, Usage } from '../core/message.js';
import type { AnswerDecoder, StreamFailure } from './answer-stream.js';
import { createFrameSplitter, type Frame, readFrame } from './bedrock-frames.js';
import { createHalfJoiner } from './half-joiner.js';
import { createToolCallAssembler } from './tool-call-assembler.js';

/** What is read of the events of a ConverseStream, whose sender may leave anything out. */
type WireEvent = {
  contentBlockIndex?: number;
  start?: { toolUse?: { toolUseId?: string; name?: string } };
  delta?: {
    text?: string;
    toolUse?: { input?: string };
    /** `redactedContent` is base64 */
    reasoningContent?: { text?: string; signature?: string; redactedContent?: string };
  };
  stopReason?: string;
  usage?: WireUsage;
  message?: string;
};
type WireUsage = {
  inputTokens?: number;
  outputTokens?: number;
  cacheReadInputTokens?: number;
  cacheWriteInputTokens?: number;
};

/** What an exception inside the stream says of itself. */
export type StreamException = { name: string; cause: Error };

export function createEventDecoder(): AnswerDecoder {
  const frames = createFrameSplitter();
  const text = createHalfJoiner();
  const reasoning = createHalfJoiner();
  const calls = createToolCallAssembler();
  let events: LlmEvent[] = [];
  let finishReason: FinishReason | undefined;
  let usage: Usage | undefined;
  let hasMetadata = false;
  let failure: StreamFailure | undefined;

  function readFrames(bytes: Uint8Array): void {
    try {
      for (const frame of frames.push(bytes)) {
        if (!failure) read(readFrame(frame));
      }
    } catch (cause) {
      failure = { kind: 'garbage', cause };
    }
  }

  function read({ headers, body }: Frame): void {
    switch (headers.get(':message-type')) {
      case 'event':
        readEvent(headers.get(':event-type') ?? '', parse(body));
        break;
      case 'exception':
        failure = exception(headers.get(':exception-type'), parse(body).message);
        break;
      case 'error':
        failure = exception(headers.get(':error-code'), headers.get(':error-message'));
        break;
      default:
        failure = { kind: 'garbage', cause: new Error('a frame of no known type') };
    }
  }

  function readEvent(type: string, event: WireEvent): void {
    switch (type) {
      case 'contentBlockStart':
        readStart(event);
        break;
      case 'contentBlockDelta':
        readDelta(event);
        break;
      case 'messageStop':
        readStop(event.stopReason ?? '');
        break;
      case 'metadata':
        hasMetadata = true;
        usage = toUsage(event.usage ?? {});
        break;
    }
  }

  function readStart({ start, contentBlockIndex }: WireEvent): void {
    const call = start?.toolUse;
    if (call) pushCall(contentBlockIndex, { id: call.toolUseId, name: call.name });
  }

  function readDelta({ delta, contentBlockIndex }: WireEvent): void {
    if (delta?.text) pushText('text-delta', text.join(delta.text));
    const thought = delta?.reasoningContent?.text;
    if (thought) pushText('reasoning-delta', reasoning.join(thought));
    seal(delta?.reasoningContent ?? {});
    const input = delta?.toolUse?.input;
    if (input !== undefined) pushCall(contentBlockIndex, { input });
  }

  function seal({
    signature,
    redactedContent: redacted,
  }: {
    signature?: string;
    redactedContent?: string;
  }): void {
    if (!signature && !redacted) return;
    pushText('reasoning-delta', reasoning.flush());
    const given = { ...(signature ? { signature } : {}), ...(redacted ? { redacted } : {}) };
    events.push({ type: 'reasoning-delta', text: '', ...given });
  }

  function pushText(type: 'text-delta' | 'reasoning-delta', value: string): void {
    if (value !== '') events.push({ type, text: value });
  }

  function pushCall(
    index: number | undefined,
    call: { id?: string | undefined; name?: string | undefined; input?: string },
  ): void {
    const fragment = { name: call.name ?? null, arguments: call.input };
    calls.push({ index: index ?? null, id: call.id ?? null, function: fragment }, events);
  }

  function readStop(reason: string): void {
    if (reason.startsWith('malformed_')) failure = { kind: 'garbage', cause: new Error(reason) };
    else finishReason ??= mapFinishReason(reason);
  }

  function take(): LlmEvent[] {
    const taken = events;
    events = [];
    return taken;
  }

  return {
    feed(bytes) {
      if (!failure) readFrames(bytes);
      return take();
    },
    feedWhole() {
      failure = { kind: 'garbage', cause: new Error('the answer is not streamed') };
      return [];
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
      return finishReason !== undefined && hasMetadata;
    },
    get failure() {
      return failure;
    },
  };
}

function parse(body: Buffer): WireEvent {
  const value: unknown = JSON.parse(body.toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new Error('a frame that holds no object');
  return value;
}

function exception(name = '', message: string | undefined): StreamFailure {
  const error: StreamException = { name, cause: new Error(message ?? name) };
  return { kind: 'error', error };
}

/** A reason this code does not know still means that the model chose to end. */
function mapFinishReason(reason: string): FinishReason {
  switch (reason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'guardrail_intervened':
    case 'content_filtered':
      return 'content_filter';
    default:
      return 'stop';
  }
}

/** Models disagree on the reason when tools are called: what arrived decides. */
function settleFinishReason(reason: FinishReason, hasCalls: boolean): FinishReason {
  if (reason === 'stop' && hasCalls) return 'tool_calls';
  return reason === 'tool_calls' && !hasCalls ? 'stop' : reason;
}

/** The wire's inputTokens counts neither what was read from the cache nor what was written to it. */
function toUsage(wire: WireUsage): Usage | undefined {
  const cachedTokens = count(wire.cacheReadInputTokens);
  const inputTokens = count(wire.inputTokens) + cachedTokens + count(wire.cacheWriteInputTokens);
  const outputTokens = count(wire.outputTokens);
  if (inputTokens + outputTokens === 0) return undefined;
  return { inputTokens, outputTokens, cachedTokens, reasoningTokens: 0, estimated: false };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}
