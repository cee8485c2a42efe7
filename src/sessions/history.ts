import { createHash } from 'node:crypto';
import {
  type AssistantMessage,
  type ImageContent,
  type Message,
  type TextContent,
  type ToolCall,
  type ToolResultMessage,
  textOf,
} from '../core/message.js';
import type { MessageEntry, SessionEntry, StoredMessage } from './session-store.js';

const interruptedNote = '[The answer was interrupted here.]';
const startNote = '(The conversation starts.)';
const noOutputNote = '(no output)';
export const unfinishedNote = 'Not finished: the run was interrupted before this tool had a result.';

/** A message for the model with the id of the last stored entry that went into it. */
export type HistoryItem = { message: Message; through: string };

/** What a session's next call to a model starts from: valid for strict providers, a summary first where there is one. */
export function historyOf(entries: readonly SessionEntry[]): HistoryItem[] {
  const { summary, messages } = currentOf(entries);
  const sources: Source[] = messages.flatMap((entry) => {
    const message = toSpoken(entry);
    return message === undefined ? [] : [{ message, through: entry.id }];
  });
  const items = repair(sources);
  if (!summary) return items;
  // a message of its own, so that it is known again; it is also the user's first word
  const rest = items[0]?.through === '' ? items.slice(1) : items;
  return [{ message: { role: 'user', content: summary.summary }, through: summary.through }, ...rest];
}

/** The messages since the session was last cleared, summarised ones included. */
export function messagesOf(entries: readonly SessionEntry[]): MessageEntry[] {
  const start = entries.findLastIndex((entry) => entry.type === 'clear') + 1;
  return entries.slice(start).filter((entry) => entry.type === 'message');
}

function currentOf(entries: readonly SessionEntry[]) {
  const messages = messagesOf(entries);
  const ids = messages.map(({ id }) => id);
  // one whose last message is gone stands for nothing
  const summary = entries.findLast((entry) => entry.type === 'compaction' && ids.includes(entry.through));
  if (summary?.type !== 'compaction') return { messages };
  return { summary, messages: messages.slice(ids.indexOf(summary.through) + 1) };
}

/** A stored message as a model may be told it; undefined for an application's own kind. */
function toSpoken({ message, isInterrupted }: MessageEntry): Message | undefined {
  if (!isWellFormed(message)) return undefined;
  if (!isInterrupted || message.role !== 'assistant') return message;
  const calls = message.content.filter((block) => block.type === 'toolCall');
  const said = message.content.filter((block) => block.type !== 'toolCall');
  const gap = textOf(said) === '' ? '' : '\n\n';
  return { role: 'assistant', content: [...said, { type: 'text', text: gap + interruptedNote }, ...calls] };
}

/** Whether it is one of ours, in the form that the adapters rely on: a file may have been edited by hand. */
export function isWellFormed(message: StoredMessage): message is Message {
  const { role, content, toolCallId, toolName, isError } = message as Record<string, unknown>;
  switch (role) {
    case 'system':
      return typeof content === 'string';
    case 'user':
      return typeof content === 'string' || isBlocks(content, ['text', 'image']);
    case 'assistant':
      return isBlocks(content, ['text', 'thinking', 'toolCall']);
    case 'toolResult':
      return (
        typeof toolCallId === 'string' &&
        typeof toolName === 'string' &&
        typeof isError === 'boolean' &&
        isBlocks(content, ['text', 'image'])
      );
    default:
      return false;
  }
}

function isBlocks(content: unknown, types: string[]): boolean {
  return Array.isArray(content) && content.every((block) => types.includes(block?.type) && isBlock(block));
}

function isBlock(block: Record<string, unknown>): boolean {
  switch (block.type) {
    case 'text':
      return typeof block.text === 'string';
    case 'thinking':
      return typeof block.thinking === 'string';
    case 'image':
      return typeof block.data === 'string' && typeof block.mimeType === 'string';
    default:
      return (
        typeof block.id === 'string' &&
        typeof block.name === 'string' &&
        typeof block.arguments === 'object' &&
        block.arguments !== null &&
        !Array.isArray(block.arguments)
      );
  }
}

/**
 * The same conversation in a form that strict providers take, whatever was aborted when: each tool call is answered right
 * after its message and once, no result stands alone, nothing is empty, neighbours of one role are one message, the user
 * has the first word. Ids of calls become short, plain and unique, as a model that is not their author wants them.
 */
export function repairHistory(messages: readonly Message[]): Message[] {
  return repair(messages.map((message) => ({ message, through: '' }))).map(({ message }) => message);
}

type Source = HistoryItem;

function repair(sources: readonly Source[]): HistoryItem[] {
  const out: HistoryItem[] = [];
  const newId = createIds();
  for (const [index, source] of sources.entries()) {
    const { message, through } = source;
    switch (message.role) {
      case 'toolResult':
        break;
      case 'assistant':
        addAssistant(out, toAnswered(message, resultsAfter(sources, index)), through, newId);
        break;
      case 'user':
        addUser(out, toUserContent(message.content), through);
        break;
      case 'system':
        if (message.content.trim() !== '') out.push(source);
        break;
      default:
        message satisfies never;
    }
  }
  const first = out.findIndex(({ message }) => message.role !== 'system');
  if (out[first]?.message.role === 'assistant') {
    out.splice(first, 0, { message: { role: 'user', content: startNote }, through: '' });
  }
  return out;
}

/** The results that may belong to the calls of the message at `index`: those before the next message of the model. */
function resultsAfter(sources: readonly Source[], index: number) {
  const results: { message: ToolResultMessage; through: string }[] = [];
  for (let at = index + 1; at < sources.length; at += 1) {
    const { message, through } = sources[at] as Source;
    if (message.role === 'assistant') break;
    if (message.role === 'toolResult') results.push({ message, through });
  }
  return results;
}

type Answered = {
  said: AssistantMessage['content'];
  calls: { call: ToolCall; result: ToolResultMessage | undefined; through: string | undefined }[];
};

function toAnswered(message: AssistantMessage, results: ReturnType<typeof resultsAfter>): Answered {
  const said = message.content.filter((block) => block.type === 'text' && block.text.trim() !== '');
  const calls = message.content
    .filter((block) => block.type === 'toolCall')
    .map((call) => {
      const index = results.findIndex((result) => result.message.toolCallId === call.id);
      const [found] = index === -1 ? [] : results.splice(index, 1);
      return { call, result: found?.message, through: found?.through };
    });
  // what a model thought is taken back only from its own provider, and never needed
  return { said, calls };
}

function addAssistant(
  out: HistoryItem[],
  { said, calls }: Answered,
  through: string,
  newId: (id: string) => string,
): void {
  if (said.length === 0 && calls.length === 0) return;
  const ids = calls.map(({ call }) => newId(call.id));
  const content = [...said, ...calls.map(({ call }, index) => ({ ...call, id: ids[index] as string }))];
  const last = out.at(-1);
  if (last?.message.role === 'assistant') {
    last.message = { role: 'assistant', content: [...last.message.content, ...content] };
    last.through = through;
  } else {
    out.push({ message: { role: 'assistant', content }, through });
  }
  for (const [index, { call, result, through: resultThrough }] of calls.entries()) {
    const message: ToolResultMessage = {
      role: 'toolResult',
      toolCallId: ids[index] as string,
      toolName: call.name,
      content: toResultContent(result),
      isError: result?.isError ?? true,
    };
    out.push({ message, through: resultThrough ?? through });
  }
}

function toResultContent(result: ToolResultMessage | undefined): ToolResultMessage['content'] {
  if (!result) return [{ type: 'text', text: unfinishedNote }];
  const kept = withoutBlanks(result.content);
  return kept.length > 0 ? kept : [{ type: 'text', text: noOutputNote }];
}

function withoutBlanks(content: readonly (TextContent | ImageContent)[]) {
  return content.filter((block) => block.type === 'image' || block.text.trim() !== '');
}

type UserContent = string | (TextContent | ImageContent)[];

function toUserContent(content: UserContent): UserContent {
  return typeof content === 'string' ? content : withoutBlanks(content);
}

function addUser(out: HistoryItem[], content: UserContent, through: string): void {
  if (typeof content === 'string' ? content.trim() === '' : content.length === 0) return;
  const last = out.at(-1);
  if (last?.message.role !== 'user') {
    out.push({ message: { role: 'user', content }, through });
    return;
  }
  last.message = { role: 'user', content: joined(last.message.content, content) };
  last.through = through;
}

function joined(before: UserContent, after: UserContent): UserContent {
  if (typeof before === 'string' && typeof after === 'string') return `${before}\n\n${after}`;
  return [...toBlocks(before), ...toBlocks(after)];
}

function toBlocks(content: UserContent): (TextContent | ImageContent)[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

/** As long as the strictest server has them: letters and digits only. */
const idLength = 9;

/** Gives each call an id of its own that stays the same from request to request. */
function createIds(): (id: string) => string {
  const used = new Set<string>();
  return (id) => {
    for (let count = 0; ; count += 1) {
      const hash = createHash('sha256')
        .update(JSON.stringify([id, count]))
        .digest();
      const text = BigInt(`0x${hash.toString('hex')}`)
        .toString(36)
        .slice(-idLength);
      if (used.has(text)) continue;
      used.add(text);
      return text;
    }
  };
}
