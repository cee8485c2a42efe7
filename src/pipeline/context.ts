import { Fault } from '../core/errors.js';
import type { Message, UserMessage } from '../core/message.js';
import type { TextFile } from '../files/ingest.js';
import type { Model, ToolDefinition } from '../llm/provider.js';
import { countMessagesTokens, countTokens } from '../llm/tokens.js';
import type { ChatRequest } from './chat-request.js';

export type Context = {
  messages: Message[];
  /** tokens of all messages and tools */
  inputTokens: number;
  /** what did not fit, in words */
  leftOut: string[];
};

export type ContextInput = {
  request: ChatRequest;
  systemPrompt: string;
  tools: ToolDefinition[];
  model: Model;
  /** tokens of the window kept free for the answer */
  outputReserve: number;
};

/**
 * Puts system prompt, history, files and message together so that they fit the model's window.
 * The message itself is never cut: when it does not fit, throws `invalid_request`.
 */
export function buildContext(input: ContextInput): Context {
  const { request, model } = input;
  const window = Math.min(model.contextWindow, request.contextWindow ?? Number.POSITIVE_INFINITY);
  const available = window - input.outputReserve;
  const fixed: Message[] = [{ role: 'system', content: input.systemPrompt }, userMessage(request, [])];
  const fixedTokens = countMessagesTokens(fixed, input.tools);
  if (fixedTokens > available) {
    throw new Fault(
      'invalid_request',
      `The message needs about ${fixedTokens} tokens, but ${model.id} has room for ${Math.max(0, available)}.`,
      { problems: [{ path: 'message', message: `does not fit the context window of ${model.id}` }] },
    );
  }
  const leftOut: string[] = [];
  const files = fitFiles(request.files, available - fixedTokens, leftOut);
  const user = userMessage(request, files);
  const usedTokens = countMessagesTokens(
    [{ role: 'system', content: input.systemPrompt }, user],
    input.tools,
  );
  const history = fitHistory(request, available - usedTokens, leftOut);
  const messages: Message[] = [{ role: 'system', content: input.systemPrompt }, ...history, user];
  return { messages, inputTokens: usedTokens + countMessagesTokens(history, []), leftOut };
}

/** Files keep their order; each may take an equal share of the room, and what one leaves goes to the next ones. */
function fitFiles(files: TextFile[], room: number, leftOut: string[]): TextFile[] {
  let left = room;
  return files.map((file, index) => {
    const share = Math.floor(left / (files.length - index)) - fileOverheadTokens;
    const tokens = countTokens(file.text);
    const kept = tokens <= share ? file : cutFile(file, tokens, Math.max(0, share));
    if (kept !== file) leftOut.push(`${file.name}: lines ${kept.lineEnd + 1}-${file.lineEnd}`);
    left -= (kept === file ? tokens : share) + fileOverheadTokens;
    return kept;
  });
}

const fileOverheadTokens = 40;

function cutFile(file: TextFile, tokens: number, share: number): TextFile {
  const lines = file.text.slice(0, Math.floor((file.text.length * share * 0.9) / tokens)).split('\n');
  if (lines.length > 1) lines.pop();
  const lineEnd = file.lineStart + lines.length - 1;
  return {
    ...file,
    text: `${lines.join('\n')}\n[… cut: the file goes on to line ${file.lineEnd} …]`,
    lineEnd,
  };
}

function fitHistory(request: ChatRequest, room: number, leftOut: string[]): Message[] {
  const wanted = request.history.slice(-request.memoryLimit).map(toMessage);
  const kept: Message[] = [];
  let left = room;
  for (const message of wanted.toReversed()) {
    left -= countMessagesTokens([message], []);
    if (left < 0) break;
    kept.unshift(message);
  }
  const dropped = request.history.length - kept.length;
  if (dropped > 0) leftOut.push(`${dropped} older message${dropped === 1 ? '' : 's'} of the history`);
  return kept;
}

function toMessage(item: ChatRequest['history'][number]): Message {
  if (item.role === 'assistant')
    return { role: 'assistant', content: [{ type: 'text', text: item.content }] };
  return { role: item.role, content: item.content };
}

function userMessage(request: ChatRequest, files: TextFile[]): UserMessage {
  const blocks = files.map(
    (file) =>
      `<file name=${JSON.stringify(file.name)} lines="${file.lineStart}-${file.lineEnd}">\n${file.text}\n</file>`,
  );
  const text = [request.message, ...blocks].join('\n\n');
  if (request.images.length === 0) return { role: 'user', content: text };
  return { role: 'user', content: [{ type: 'text', text }, ...request.images] };
}
