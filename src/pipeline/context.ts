import { Fault } from '../core/errors.js';
import type { Message, UserMessage } from '../core/message.js';
import { fitFile } from '../files/select.js';
import type { TextFile } from '../files/text-file.js';
import type { Model, ToolDefinition } from '../llm/provider.js';
import { countMessagesTokens, countTokens } from '../llm/tokens.js';
import type { ChatRequest } from './chat-request.js';
import { type Compaction, isSummary } from './compaction.js';
import { fitHistory, newestTurns, tokensOf, toTurns, withoutImages } from './history.js';

/** What is sent to a model. */
export type Context = {
  messages: Message[];
  /** tokens of all messages and tools */
  inputTokens: number;
  /** what did not fit, in words */
  leftOut: string[];
};

type ContextInput = {
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
  const frame: Message[] = [
    { role: 'system', content: systemPrompt },
    { role: 'user', content: request.images },
  ];
  return countMessagesTokens(frame, []) + countHeaders(request.files) + textTokens;
}

/** The window of one model, and what is sent to it in any case: system prompt, message, images, the names of the files. */
export type Frame = ContextInput & {
  system: Message;
  /** the message without the files */
  user: UserMessage;
  /** tokens of the window that all messages and tools may take */
  available: number;
  tokens: { message: number; files: number; tools: number };
};

export function frameOf(input: ContextInput): Frame {
  const { request, model } = input;
  const system: Message = { role: 'system', content: input.systemPrompt };
  const user = userMessage(request, []);
  return {
    ...input,
    system,
    user,
    available: windowOf(model, request) - input.outputReserve,
    tokens: {
      message: countMessagesTokens([system, user], []),
      files: countHeaders(request.files),
      tools: countMessagesTokens([], input.tools),
    },
  };
}

/** Tokens for files and history when everything may take so many; below zero when there is not even room for the frame. */
export function roomIn({ tokens, available }: Frame, mostTokens = available): number {
  return Math.min(mostTokens, available) - tokens.message - tokens.files - tokens.tools;
}

/** Tokens for the history: what the files leave of the room, and at least half of it. */
export function roomForHistory({ request }: Frame, room: number): number {
  const files = request.files.reduce((total, file) => total + file.tokens, 0);
  return Math.max(room - files, Math.floor(room / 2));
}

/** Times that a context is put together again with less room, as joined texts may have other counts than their parts. */
const maxTries = 4;

/**
 * Puts system prompt, history, files and message together so that they fit the model's window beside the reserve.
 * The message itself is never cut: when it does not fit, or the files not even by name, throws `invalid_request`.
 * A compaction's summary takes the place of the messages that it covers.
 */
export function buildContext(frame: Frame, compaction?: Compaction): Context {
  const { available, tokens } = frame;
  if (tokens.message > available) throw tooLarge('message', tokens.message, frame);
  const leastTokens = tokens.message + tokens.files;
  if (leastTokens > available) throw tooLarge('files', leastTokens, frame);
  let room = available;
  for (let tries = 1; ; tries += 1) {
    const context = assemble(frame, room, compaction);
    const excess = context.inputTokens - available;
    if (excess <= 0) return context;
    if (tries === maxTries) throw tooLarge('files', context.inputTokens, frame);
    room -= excess + Math.ceil(available / 100);
  }
}

function assemble(frame: Frame, mostTokens: number, compaction: Compaction | undefined): Context {
  const { request, system, tools } = frame;
  const room = roomIn(frame, mostTokens);
  const earlier = frame.model.accepts.images ? request.history : withoutImages(request.history);
  const older = earlier.slice(0, compaction?.covered ?? 0);
  const covered = older.filter(({ role }) => role !== 'system');
  const summary: Message[] = compaction ? [{ role: 'user', content: compaction.summary }] : [];
  // an instruction counts word for word, whatever is summed up
  const instructions = older.filter(({ role }) => role === 'system');
  const history = [...summary, ...instructions, ...earlier.slice(older.length)];

  const leftOut: string[] = [];
  const share = Math.min(countMessagesTokens(history, []), roomForHistory(frame, room));
  const claim = Math.max(newestTokens(history, room), share);
  const files = fitFiles(request.files, room - claim, leftOut);
  const fitted = fitHistory(history, room - files.tokens, request.message, covered);
  const user = files.kept.length === 0 ? frame.user : userMessage(request, files.kept);
  const messages = [system, ...fitted.messages, user];
  return {
    messages,
    inputTokens: countMessagesTokens(messages, tools),
    leftOut: [...leftOut, ...fitted.leftOut],
  };
}

/** Tokens of the newest turns and a summary, which go before the files when they fit. */
function newestTokens(history: readonly Message[], room: number): number {
  const turns = toTurns(history);
  const newest = turns.filter(
    (turn, index) => isSummary(turn.messages[0]) || index >= turns.length - newestTurns,
  );
  const tokens = newest.reduce((total, turn) => total + tokensOf(turn), 0);
  return tokens <= room ? tokens : 0;
}

function tooLarge(what: 'message' | 'files', tokens: number, frame: Frame): Fault {
  const { model, request, available } = frame;
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

type KeptFile = { name: string; lineStart: number; lineEnd: number; text: string };

/** Files keep their order; each may take an equal share of the room, and what one leaves goes to the next ones. */
function fitFiles(files: TextFile[], room: number, leftOut: string[]) {
  let left = Math.max(0, room);
  const kept = files.map((file, index): KeptFile => {
    const share = Math.floor(left / (files.length - index));
    const fitted = fitFile(file, share);
    left -= fitted.tokens;
    if (fitted.leftOut !== undefined) leftOut.push(`${file.name}: ${fitted.leftOut}`);
    return { name: file.name, lineStart: file.lineStart, lineEnd: fitted.lineEnd, text: fitted.text };
  });
  return { kept, tokens: Math.max(0, room) - left };
}

export function userMessage(request: ChatRequest, files: KeptFile[]): UserMessage {
  const blocks = files.map((file) => `${headerOf(file)}${file.text}${fileEnd}`);
  const text = [request.message, ...blocks].join('\n\n');
  if (request.images.length === 0) return { role: 'user', content: text };
  return { role: 'user', content: [{ type: 'text', text }, ...request.images] };
}

const fileEnd = '\n</file>';

function headerOf(file: Pick<KeptFile, 'name' | 'lineStart' | 'lineEnd'>): string {
  return `<file name=${JSON.stringify(file.name)} lines="${file.lineStart}-${file.lineEnd}">\n`;
}

/** Tokens of what stands around the texts of the files. */
function countHeaders(files: readonly TextFile[]): number {
  return files.reduce((total, file) => total + countTokens(`\n\n${headerOf(file)}${fileEnd}`), 0);
}
