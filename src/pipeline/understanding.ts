import { countMessagesTokens, countTokens } from '../llm/tokens.js';
import type { ChatRequest } from './chat-request.js';
import { type Reading, readMessage } from './understand.js';

/** What was asked, and how much text it comes with. */
export type Understanding = Reading & {
  tokens: { message: number; history: number; files: number; total: number };
};

export function understandRequest(request: ChatRequest): Understanding {
  const reading = readMessage(request.message);
  const message = countTokens(request.message);
  const history = countMessagesTokens(request.history, []);
  const files = request.files.reduce((total, file) => total + file.tokens, 0);
  return { ...reading, tokens: { message, history, files, total: message + history + files } };
}
