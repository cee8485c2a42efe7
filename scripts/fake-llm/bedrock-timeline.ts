import { corrupted, errorFrame, eventFrame, exceptionFrame } from './bedrock-frames.ts';
import { type ConverseRequest, signature } from './bedrock-request.ts';
import {
  type Faults,
  faultsOf,
  reasoningChunks,
  type ScriptedReply,
  type ScriptedToolCall,
  textChunks,
} from './reply.ts';
import type { ChatRequest } from './request.ts';
import { type BrokenFrames, interruptions, type Step } from './timeline.ts';

type Delta = { text: string } | { reasoningContent: { text: string } } | { toolUse: { input: string } };
type BlockPart = { start: { toolUseId: string; name: string } } | Delta;

/** The whole course of a streamed answer, faults included. A frame is a string of one character a byte (latin1). */
export function* converseTimeline(reply: ScriptedReply, request: ConverseRequest): Generator<Step> {
  const faults = faultsOf(reply);
  const delayMs = reply.delayMs ?? (faults.endless ? 5 : 0);
  const blocks = blockWriter(faults);
  if (reply.firstDelayMs) yield { type: 'wait', ms: reply.firstDelayMs };
  yield event('messageStart', { role: 'assistant' });

  const interrupt = interruptions(reply, faults, brokenFrames(faults));
  let sent = 0;
  for (const part of endless(replyParts(reply), faults)) {
    if (yield* interrupt(sent)) return;
    if (sent > 0 && delayMs > 0) yield { type: 'wait', ms: delayMs };
    if (faults['empty-choices'] || faults.pings) yield event('somethingNew', {});
    if (faults['empty-deltas'])
      yield event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: '' } });
    yield* blocks.write(part);
    if (faults.duplicate?.after === sent) yield* blocks.repeat(part);
    sent += 1;
  }
  // A fault that was set beyond the last delta still happens: before the answer finishes.
  if (yield* interrupt(Number.POSITIVE_INFINITY)) return;
  yield* blocks.close();
  const stopReason = stopReasonOf(reply);
  if (stopReason !== null) yield event('messageStop', { stopReason });
  const usage = usageOf(reply, request);
  if (usage) yield event('metadata', { usage, metrics: { latencyMs: 12 } });
}

function event(type: string, payload: object): Step {
  return send(eventFrame(type, { ...payload, p: 'abcdefghij' }));
}

function send(frame: Buffer): Step {
  return { type: 'send', frame: frame.toString('latin1') };
}

/** An error's body may name its `exception`, or the `code` of one that the service's model does not know. */
function brokenFrames({ error }: Faults): BrokenFrames {
  const told = (error?.body ?? {}) as { exception?: string; code?: string; message?: string };
  const message = told.message ?? 'The system encountered an unexpected error during processing.';
  return {
    malformed: send(
      corrupted(eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'bro' } })),
    ),
    error: send(
      told.code === undefined
        ? exceptionFrame(told.exception ?? 'modelStreamErrorException', message)
        : errorFrame(told.code, message),
    ),
    done: event('metadata', { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } }),
  };
}

function* replyParts(reply: ScriptedReply): Generator<BlockPart> {
  for (const text of reasoningChunks(reply)) yield { reasoningContent: { text } };
  for (const text of [...textChunks(reply), ...(reply.refusal ?? [])]) yield { text };
  for (const call of reply.toolCalls ?? []) yield* callParts(call);
}

function* callParts({ id, name, arguments: text, fragments = 2 }: ScriptedToolCall): Generator<BlockPart> {
  yield { start: { toolUseId: id, name } };
  const size = Math.max(1, Math.ceil(text.length / Math.max(1, fragments)));
  for (let start = 0; start < text.length; start += size) {
    yield { toolUse: { input: text.slice(start, start + size) } };
  }
}

function* endless(parts: Iterable<BlockPart>, faults: Faults): Generator<BlockPart> {
  yield* parts;
  if (!faults.endless) return;
  for (let number = 1; ; number += 1) yield { text: ` and ${number}` };
}

/** Closes a content block where another kind begins; only those of tools are opened by an event of their own. */
function blockWriter(faults: Faults) {
  let count = 0;
  let openKind: string | undefined;
  const place = () => placed(count - 1, faults['tool-index']?.how);

  function* close(): Generator<Step> {
    if (openKind === 'reasoningContent') {
      const delta = { reasoningContent: { signature } };
      yield event('contentBlockDelta', { ...place(), delta });
    }
    if (openKind !== undefined) yield event('contentBlockStop', place());
    openKind = undefined;
  }

  return {
    close,
    *write(part: BlockPart): Generator<Step> {
      const isStart = 'start' in part;
      const kind = isStart ? 'toolUse' : (Object.keys(part)[0] ?? '');
      if (isStart || kind !== openKind) {
        yield* close();
        count += 1;
        openKind = kind;
      }
      if (isStart) yield event('contentBlockStart', { ...place(), start: { toolUse: part.start } });
      else yield event('contentBlockDelta', { ...place(), delta: part });
    },
    *repeat(part: BlockPart): Generator<Step> {
      if (!('start' in part)) yield event('contentBlockDelta', { ...place(), delta: part });
    },
  };
}

function placed(index: number, how: 'wrong' | 'missing' | 'duplicate' | undefined) {
  switch (how) {
    case 'missing':
      return {};
    case 'duplicate':
      return { contentBlockIndex: 0 };
    case 'wrong':
      return { contentBlockIndex: index * 3 + 7 };
    default:
      return { contentBlockIndex: index };
  }
}

/** Scripts may use the names of Chat Completions. */
const stopReasons: Record<string, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'content_filtered',
};

function stopReasonOf({ finishReason, toolCalls }: ScriptedReply): string | null {
  if (finishReason === undefined) return toolCalls?.length ? 'tool_use' : 'end_turn';
  return finishReason === null ? null : (stopReasons[finishReason] ?? finishReason);
}

/** A token is a delta in the answer and four characters in the prompt. */
function usageOf(reply: ScriptedReply, request: ConverseRequest): object | null {
  if (reply.usage !== undefined) return reply.usage;
  const inputTokens = promptTokens(request);
  const outputTokens = [...replyParts(reply)].length;
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

export function promptTokens({ messages, system = [] }: ConverseRequest): number {
  return Math.ceil(JSON.stringify([system, messages]).length / 4);
}

/** The request as the commands in a message are read from. */
export function asChatRequest(request: ConverseRequest): ChatRequest {
  const messages = request.messages.map(({ role, content }) => {
    const results = content.flatMap(({ toolResult }) => toolResult?.content ?? []);
    const text = (results.length > 0 ? results : content).map((block) => block.text ?? '').join('\n');
    return { role: results.length > 0 ? 'tool' : role, content: text };
  });
  const maxTokens = request.inferenceConfig?.maxTokens;
  return {
    model: request.model,
    messages,
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(request.outputConfig && { response_format: { type: 'json_schema' } }),
  };
}
