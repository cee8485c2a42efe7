import { raceAbort } from '../core/abort.js';
import type { Attempt, LlmEvent } from '../core/events.js';
import { type FinishReason, noUsage, textOf } from '../core/message.js';
import type { Model, ToolDefinition } from '../llm/provider.js';
import type { RoutedEvent, Router } from '../llm/router.js';
import type { AssistantMessage, AssistantMessageEvent, LlmMessage } from './messages.js';
import { repairMessages } from './repair-messages.js';
import type { StreamFn, StreamOptions } from './stream-function.js';

export type StreamCall = {
  streamFn: StreamFn;
  model: Model;
  systemPrompt: string;
  /** made anew before each call, as keys may expire */
  toOptions: () => Promise<StreamOptions>;
};

/** A stream that failed or was aborted, with the message as far as it came. */
export class StreamError extends Error {
  constructor(readonly partial: AssistantMessage) {
    super(partial.errorMessage ?? 'The model call failed.');
    this.name = 'StreamError';
  }
}

/** The loop's way to a model through a stream function. `last` is the message that the latest call came to. */
export function createStreamRouter(
  call: StreamCall,
): Router & { readonly last: AssistantMessage | undefined } {
  let last: AssistantMessage | undefined;

  async function* stream(
    { messages, tools }: { messages: unknown[]; tools: ToolDefinition[] },
    signal: AbortSignal,
  ): AsyncGenerator<RoutedEvent, Model> {
    last = undefined;
    const options = await raceAbort(call.toOptions(), signal);
    const context = {
      systemPrompt: call.systemPrompt,
      messages: toSendable(messages as LlmMessage[]),
      tools,
    };
    signal.throwIfAborted();
    const reader = createReader();
    for await (const event of await call.streamFn(call.model, context, { ...options, signal })) {
      if (event.type === 'error') throw new StreamError(event.error);
      yield* reader.read(event);
      if (event.type === 'done') {
        last = event.message;
        yield { type: 'attempt-end', attempt: attemptOf(call.model) };
        return call.model;
      }
    }
    signal.throwIfAborted();
    throw new Error('The stream of the model ended without a last event.');
  }

  return {
    stream,
    get last() {
      return last;
    },
  };
}

/** A model answers to what the user said or a tool returned, not to its own words. */
function toSendable(messages: LlmMessage[]): LlmMessage[] {
  const sendable = repairMessages(messages);
  const last = sendable.at(-1);
  if (!last) throw new Error('There is no message for the model.');
  if (last.role === 'assistant') {
    throw new Error(`The last message must be the user's or a tool's result, not the assistant's.`);
  }
  return sendable;
}

/** Reads the events of a stream function as the loop's own. */
function createReader() {
  const open = new Map<number, string>();
  const ended = new Set<string>();
  let text = '';
  let thinking = '';

  function* delta(event: Extract<AssistantMessageEvent, { delta: string }>): Generator<LlmEvent> {
    if (event.type === 'text_delta') {
      text += event.delta;
      yield { type: 'text-delta', text: event.delta };
    } else if (event.type === 'thinking_delta') {
      thinking += event.delta;
      yield { type: 'reasoning-delta', text: event.delta };
    } else {
      const id = open.get(event.contentIndex);
      if (id !== undefined) yield { type: 'tool-call-delta', id, text: event.delta };
    }
  }

  function* seal(block: AssistantMessage['content'][number] | undefined): Generator<LlmEvent> {
    if (block?.type !== 'thinking') return;
    const { signature, redacted } = block;
    if (signature !== undefined) yield { type: 'reasoning-delta', text: '', signature };
    if (redacted !== undefined) yield { type: 'reasoning-delta', text: '', redacted };
  }

  /** What the whole message holds and no event has told of. */
  function* rest(message: AssistantMessage): Generator<LlmEvent> {
    const thoughts = message.content
      .map((block) => (block.type === 'thinking' ? block.thinking : ''))
      .join('');
    const moreThinking = after(thinking, thoughts);
    if (moreThinking !== '') yield { type: 'reasoning-delta', text: moreThinking };
    const moreText = after(text, textOf(message.content));
    if (moreText !== '') yield { type: 'text-delta', text: moreText };
    for (const block of message.content) {
      if (block.type !== 'toolCall' || ended.has(block.id)) continue;
      yield { type: 'tool-call-start', id: block.id, name: block.name };
      yield endOf(block);
    }
  }

  return {
    *read(event: AssistantMessageEvent): Generator<LlmEvent> {
      switch (event.type) {
        case 'text_delta':
        case 'thinking_delta':
        case 'toolcall_delta':
          yield* delta(event);
          break;
        case 'toolcall_start': {
          const block = event.partial.content[event.contentIndex];
          if (block?.type !== 'toolCall') break;
          open.set(event.contentIndex, block.id);
          yield { type: 'tool-call-start', id: block.id, name: block.name };
          break;
        }
        case 'toolcall_end':
          ended.add(event.toolCall.id);
          yield endOf(event.toolCall);
          break;
        case 'done':
          yield* rest(event.message);
          yield { type: 'end', finishReason: toFinishReason(event.message.stopReason) };
          break;
        case 'thinking_end':
          yield* seal(event.partial.content[event.contentIndex]);
          break;
        case 'start':
        case 'text_start':
        case 'text_end':
        case 'thinking_start':
        case 'error':
          break;
        default:
          event satisfies never;
      }
    },
  };
}

/** Who carries out the call knows what it used; here it only has to be told that it was whole. */
function attemptOf({ provider, id }: Model): Attempt {
  return { provider, model: id, outcome: 'ok', usage: noUsage, durationMs: 0 };
}

function endOf(call: { id: string; name: string; arguments: object; argumentsText?: string }): LlmEvent {
  const argumentsText = call.argumentsText ?? JSON.stringify(call.arguments);
  return { type: 'tool-call-end', id: call.id, name: call.name, argumentsText };
}

function after(seen: string, whole: string): string {
  return whole.startsWith(seen) ? whole.slice(seen.length) : '';
}

function toFinishReason(reason: AssistantMessage['stopReason']): FinishReason {
  if (reason === 'length') return 'length';
  return reason === 'toolUse' ? 'tool_calls' : 'stop';
}
