import { toToolCall } from '../agent/to-tool-call.js';
import type { LlmEvent } from '../core/events.js';
import type { ThinkingSeal, ToolCall } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import { type AssistantMessage, type AssistantMessageEvent, noTokens } from './messages.js';
import { parsePartialObject } from './partial-json.js';

export type MessagePart = Exclude<LlmEvent, { type: 'end' }>;
export type PartEvent = Exclude<AssistantMessageEvent, { type: 'start' | 'done' | 'error' }>;
type Block = AssistantMessage['content'][number];
type OpenBlock = { index: number; type: 'text' | 'thinking' };
type OpenCall = { index: number; text: string; parsedLength: number };

/** Puts an assistant message together from its parts. Each event's `partial` is an object of its own. */
export interface MessageBuilder {
  take(part: MessagePart): PartEvent[];
  /** Closes what is open. */
  end(): PartEvent[];
  readonly partial: AssistantMessage;
}

export function createMessageBuilder(model: Model): MessageBuilder {
  let partial: AssistantMessage = {
    role: 'assistant',
    content: [],
    provider: model.provider,
    model: model.id,
    usage: noTokens,
    stopReason: 'stop',
    timestamp: Date.now(),
  };
  let open: OpenBlock | undefined;
  const calls = new Map<string, OpenCall>();
  let events: PartEvent[] = [];

  function put(index: number, block: Block): void {
    partial = { ...partial, content: partial.content.with(index, block) };
  }

  function add(block: Block): number {
    partial = { ...partial, content: [...partial.content, block] };
    return partial.content.length - 1;
  }

  function closeBlock(): void {
    if (!open) return;
    const { index, type } = open;
    const block = partial.content[index];
    open = undefined;
    if (block?.type === 'text')
      events.push({ type: 'text_end', contentIndex: index, content: block.text, partial });
    if (block?.type === 'thinking' && type === 'thinking')
      events.push({ type: 'thinking_end', contentIndex: index, content: block.thinking, partial });
  }

  function write(type: 'text' | 'thinking', delta: string): void {
    if (open?.type !== type) {
      closeBlock();
      const index = add(type === 'text' ? { type, text: '' } : { type, thinking: '' });
      open = { index, type };
      events.push({ type: `${type}_start`, contentIndex: index, partial });
    }
    const { index } = open;
    const block = partial.content[index];
    if (block?.type === 'text') put(index, { ...block, text: block.text + delta });
    if (block?.type === 'thinking') put(index, { ...block, thinking: block.thinking + delta });
    events.push({ type: `${type}_delta`, contentIndex: index, delta, partial });
  }

  function seal({ signature, redacted }: ThinkingSeal): void {
    if (signature === undefined && redacted === undefined) return;
    if (open?.type !== 'thinking' || redacted !== undefined) {
      closeBlock();
      open = { index: add({ type: 'thinking', thinking: '' }), type: 'thinking' };
      events.push({ type: 'thinking_start', contentIndex: open.index, partial });
    }
    const { index } = open;
    const block = partial.content[index];
    const sealedBy = `${model.provider}/${model.id}`;
    const given = {
      ...(signature === undefined ? {} : { signature }),
      ...(redacted === undefined ? {} : { redacted }),
    };
    if (block?.type === 'thinking') put(index, { ...block, ...given, sealedBy });
    closeBlock();
  }

  function openCall(id: string, name: string): OpenCall {
    closeBlock();
    const index = add({ type: 'toolCall', id, name, arguments: {} });
    const call = { index, text: '', parsedLength: 0 };
    calls.set(id, call);
    events.push({ type: 'toolcall_start', contentIndex: index, partial });
    return call;
  }

  function writeCall(id: string, delta: string): void {
    const call = calls.get(id);
    if (!call) return;
    call.text += delta;
    const block = partial.content[call.index];
    // reading the whole text again for each part of it would take quadratic time
    if (block?.type === 'toolCall' && call.text.length >= call.parsedLength * 1.1) {
      call.parsedLength = call.text.length;
      put(call.index, { ...block, arguments: parsePartialObject(call.text) });
    }
    events.push({ type: 'toolcall_delta', contentIndex: call.index, delta, partial });
  }

  function endCall(part: Extract<LlmEvent, { type: 'tool-call-end' }>): void {
    const { index, text } = calls.get(part.id) ?? openCall(part.id, part.name);
    calls.delete(part.id);
    if (text === '') {
      events.push({ type: 'toolcall_delta', contentIndex: index, delta: part.argumentsText, partial });
    }
    const toolCall: ToolCall = toToolCall(part);
    put(index, toolCall);
    events.push({ type: 'toolcall_end', contentIndex: index, toolCall, partial });
  }

  function taken(): PartEvent[] {
    const all = events;
    events = [];
    return all;
  }

  return {
    take(part) {
      switch (part.type) {
        case 'text-delta':
          write('text', part.text);
          break;
        case 'reasoning-delta':
          if (part.text !== '') write('thinking', part.text);
          seal(part);
          break;
        case 'tool-call-start':
          openCall(part.id, part.name);
          break;
        case 'tool-call-delta':
          writeCall(part.id, part.text);
          break;
        case 'tool-call-end':
          endCall(part);
          break;
        default:
          part satisfies never;
      }
      return taken();
    },
    end() {
      closeBlock();
      return taken();
    },
    get partial() {
      return partial;
    },
  };
}
