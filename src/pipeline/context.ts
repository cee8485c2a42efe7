import { Fault } from '../core/errors.js';
import type { Message, UserMessage } from '../core/message.js';
import type { TextFile } from '../files/ingest.js';
import type { Model, ToolDefinition } from '../llm/provider.js';
import { countFileTokens, countMessagesTokens, countTokens, tokensPerMessage } from '../llm/tokens.js';
import type { ChatRequest } from './chat-request.js';

export type Context = {
  messages: Message[];
  /** false: the tools had to be left out for the message to fit */
  hasTools: boolean;
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

/** Tokens that a model may use for a request, its answer included. */
export function windowOf(model: Model, request: ChatRequest): number {
  return Math.min(model.contextWindow, request.contextWindow ?? Number.POSITIVE_INFINITY);
}

/** Tokens of everything but the tools when nothing is cut; `textTokens` are those of message, history and files. */
export function countWhole(request: ChatRequest, systemPrompt: string, textTokens: number): number {
  const history = Math.min(request.history.length, request.memoryLimit);
  const frame: Message[] = [
    { role: 'system', content: systemPrompt },
    { role: 'user', content: request.images },
  ];
  return (
    countMessagesTokens(frame, []) + history * tokensPerMessage + countHeaders(request.files) + textTokens
  );
}

/**
 * Puts system prompt, history, files and message together so that they fit the model's window.
 * The message itself is never cut: when it does not fit, or the files not even by name, throws `invalid_request`.
 */
export function buildContext(input: ContextInput): Context {
  const { request } = input;
  const system: Message = { role: 'system', content: input.systemPrompt };
  const available = windowOf(input.model, request) - input.outputReserve;
  const messageTokens = countMessagesTokens([system, userMessage(request, [])], []);
  if (messageTokens > available) throw tooLarge('message', messageTokens, available, input);
  const leastTokens = messageTokens + countHeaders(request.files);
  if (leastTokens > available) throw tooLarge('files', leastTokens, available, input);
  const toolTokens = countMessagesTokens([], input.tools);
  const hasTools = leastTokens + toolTokens <= available;

  const leftOut: string[] = [];
  const fixedTokens = messageTokens + (hasTools ? toolTokens : 0);
  const files = fitFiles(request.files, available - fixedTokens, leftOut);
  const usedTokens = fixedTokens + files.tokens;
  if (usedTokens > available) throw tooLarge('files', usedTokens, available, input);
  const history = fitHistory(request, available - usedTokens, leftOut);
  return {
    messages: [system, ...history.messages, userMessage(request, files.kept)],
    hasTools,
    inputTokens: usedTokens + history.tokens,
    leftOut,
  };
}

function tooLarge(what: 'message' | 'files', tokens: number, available: number, input: ContextInput): Fault {
  const { model, request } = input;
  const [subject, verb] = what === 'files' ? ['message with its files', 'do'] : ['message', 'does'];
  const problems: { path: string; message: string }[] = [
    { path: what, message: `${verb} not fit the context window of ${model.id}` },
  ];
  if (request.contextWindow !== undefined && request.contextWindow < model.contextWindow) {
    problems.push({
      path: 'context_window_size',
      message: `leaves room for ${available} tokens, and about ${tokens} are needed`,
    });
  }
  const detail = `The ${subject} needs about ${tokens} tokens, but ${model.id} has room for ${available}.`;
  return new Fault('invalid_request', detail, { problems });
}

/** Files keep their order; each may take an equal share of the room, and what one leaves goes to the next ones. */
function fitFiles(files: TextFile[], room: number, leftOut: string[]) {
  const headers = countHeaders(files);
  let left = room - headers;
  const kept = files.map((file, index) => {
    const share = Math.floor(left / (files.length - index));
    const fitted = countFileTokens(file) <= share ? file : cutFile(file, share, leftOut);
    left -= countFileTokens(fitted);
    return fitted;
  });
  return { kept, tokens: room - left };
}

function cutFile(file: TextFile, share: number, leftOut: string[]): TextFile {
  const note = `[… cut: the file goes on to line ${file.lineEnd} …]`;
  const text = cutText(file, share - countTokens(`\n${note}`));
  const lastLine = file.lineStart + text.split('\n').length - 1;
  const isWholeLine = text !== '' && file.text[text.length] === '\n';
  leftOut.push(`${file.name}: lines ${isWholeLine ? lastLine + 1 : lastLine}-${file.lineEnd}`);
  return { ...file, text: text === '' ? note : `${text}\n${note}`, lineEnd: lastLine };
}

/** Times that a text is made shorter: its tokens are not spread evenly, so its length only says about how many it has. */
const maxCuts = 8;

/** The beginning of a text in at most so many tokens. */
function cutText(file: TextFile, mostTokens: number): string {
  let { text } = file;
  let tokens = countFileTokens(file);
  for (let cuts = 0; cuts < maxCuts && tokens > mostTokens; cuts += 1) {
    text = wholeLines(text.slice(0, Math.max(0, Math.floor((text.length * mostTokens * 0.9) / tokens))));
    tokens = countTokens(text);
  }
  return tokens > mostTokens ? '' : text;
}

/** Without the line at the end, unless it is the only one, and without half a character. */
function wholeLines(text: string): string {
  const end = text.lastIndexOf('\n');
  return end > 0 ? text.slice(0, end) : text.replace(/[\ud800-\udbff]$/, '');
}

function fitHistory(request: ChatRequest, room: number, leftOut: string[]) {
  const wanted = request.history.slice(-request.memoryLimit).map(toMessage);
  const messages: Message[] = [];
  let left = room;
  for (const message of wanted.toReversed()) {
    const tokens = countMessagesTokens([message], []);
    if (tokens > left) break;
    left -= tokens;
    messages.unshift(message);
  }
  const dropped = wanted.length - messages.length;
  if (dropped > 0) leftOut.push(`${dropped} older message${dropped === 1 ? '' : 's'} of the history`);
  return { messages, tokens: room - left };
}

function toMessage(item: ChatRequest['history'][number]): Message {
  if (item.role === 'assistant')
    return { role: 'assistant', content: [{ type: 'text', text: item.content }] };
  return { role: item.role, content: item.content };
}

function userMessage(request: ChatRequest, files: TextFile[]): UserMessage {
  const blocks = files.map((file) => `${headerOf(file)}${file.text}${fileEnd}`);
  const text = [request.message, ...blocks].join('\n\n');
  if (request.images.length === 0) return { role: 'user', content: text };
  return { role: 'user', content: [{ type: 'text', text }, ...request.images] };
}

const fileEnd = '\n</file>';

function headerOf(file: TextFile): string {
  return `<file name=${JSON.stringify(file.name)} lines="${file.lineStart}-${file.lineEnd}">\n`;
}

/** Tokens of what stands around the texts of the files. */
function countHeaders(files: TextFile[]): number {
  return files.reduce((total, file) => total + countTokens(`\n\n${headerOf(file)}${fileEnd}`), 0);
}
