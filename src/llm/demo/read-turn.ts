import { type Message, textOf, type UserMessage } from '../../core/message.js';
import type { LlmRequest, ResponseFormat } from '../provider.js';
import { type Demands, type FindConstraints, readDemands } from './demands.js';
import { type AttachedFile, splitFiles } from './files.js';

export type ToolOutcome = { name: string; text: string; isError: boolean };

/** What the demo model reads out of a request. */
export type Turn = {
  /** the last user message, without its files */
  message: string;
  files: AttachedFile[];
  imageCount: number;
  /** earlier user messages, oldest first, without their files */
  earlier: string[];
  outcomes: ToolOutcome[];
  /** the part of the answer that earlier calls already gave */
  written: string;
  demands: Demands;
  responseFormat: ResponseFormat;
  toolNames: string[];
  /** makes the ids of tool calls unique in a conversation */
  position: number;
};

const continuation = 'Continue exactly where you stopped';
const revision = 'Your last answer does not meet the request';
const requirementsHeading = 'Requirements for the answer:';

export function readTurn(request: LlmRequest, findConstraints: FindConstraints = () => []): Turn {
  const { messages: asked, written } = withoutContinuation(request.messages);
  const { messages, feedback } = withoutRevision(asked);
  const lastUser = messages.findLastIndex((message) => message.role === 'user');
  const { text, files } = splitFiles(textAt(messages, lastUser));
  const before = messages.slice(0, Math.max(lastUser, 0));
  return {
    message: text,
    files,
    imageCount: imagesAt(messages, lastUser),
    earlier: before.filter(isUser).map(({ content }) => splitFiles(textOf(content)).text),
    outcomes: outcomesIn(messages.slice(lastUser + 1)),
    written,
    demands: readDemands(
      text,
      [...requirementsIn(messages), ...feedback],
      request.responseFormat,
      findConstraints,
    ),
    responseFormat: request.responseFormat,
    toolNames: request.tools.map(({ name }) => name),
    position: messages.length,
  };
}

/** Takes the asked-for continuations off the end, and joins what was written so far. */
function withoutContinuation(messages: Message[]): { messages: Message[]; written: string } {
  let end = messages.length;
  let written = '';
  for (;;) {
    const hasRequest = isContinuation(messages[end - 1]);
    const partial = messages[hasRequest ? end - 2 : end - 1];
    if (partial?.role !== 'assistant' || partial.content.some(({ type }) => type === 'toolCall')) break;
    if (!hasRequest && end < messages.length) break;
    written = textOf(partial.content) + written;
    end -= hasRequest ? 2 : 1;
  }
  return { messages: messages.slice(0, end), written };
}

function isContinuation(message: Message | undefined): boolean {
  return message?.role === 'user' && textOf(message.content).startsWith(continuation);
}

/** A request to write the answer again is about the message before that answer. */
function withoutRevision(messages: Message[]): { messages: Message[]; feedback: string[] } {
  const last = messages.at(-1);
  const text = last?.role === 'user' ? textOf(last.content) : '';
  if (!text.startsWith(revision)) return { messages, feedback: [] };
  const end = messages.at(-2)?.role === 'assistant' ? -2 : -1;
  const kept = messages.slice(0, end);
  return kept.some(isUser) ? { messages: kept, feedback: listedIn(text) } : { messages, feedback: [] };
}

function listedIn(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith('- '));
  return lines.map((line) => line.slice(2));
}

function isUser(message: Message): message is UserMessage {
  return message.role === 'user';
}

function textAt(messages: Message[], index: number): string {
  const message = messages[index];
  return message?.role === 'user' ? textOf(message.content) : '';
}

function imagesAt(messages: Message[], index: number): number {
  const message = messages[index];
  if (message?.role !== 'user' || typeof message.content === 'string') return 0;
  return message.content.filter(({ type }) => type === 'image').length;
}

function outcomesIn(messages: Message[]): ToolOutcome[] {
  const outcomes: ToolOutcome[] = [];
  for (const message of messages) {
    if (message.role !== 'toolResult') continue;
    outcomes.push({ name: message.toolName, text: textOf(message.content), isError: message.isError });
  }
  return outcomes;
}

function requirementsIn(messages: Message[]): string[] {
  return messages.flatMap((message) => {
    if (message.role !== 'system') return [];
    const start = message.content.indexOf(requirementsHeading);
    if (start === -1) return [];
    const [section = ''] = message.content.slice(start).split('\n\n', 1);
    return listedIn(section);
  });
}
