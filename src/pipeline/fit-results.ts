import type { Message } from '../core/message.js';
import type { ToolDefinition } from '../llm/provider.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { shortenMessage } from './history.js';

/** Tokens to which the texts of tool results are cut, one after the other until all fits. */
const olderCaps = [2000, 500, 125];
const newestCaps = [16_000, 8000, 4000, 2000, 1000, 500, 250, 125];

/**
 * A conversation that tools have made longer than `room` tokens: long results lose their middles, the oldest first and
 * those that the model has not seen yet last.
 */
export function fitResults(messages: Message[], tools: ToolDefinition[], room: number): Message[] {
  let excess = countMessagesTokens(messages, tools) - room;
  if (excess <= 0) return messages;
  const fitted = [...messages];
  const firstUnseen = messages.findLastIndex(({ role }) => role === 'assistant');
  const shorten = (isMeant: (index: number) => boolean, cap: number) => {
    for (const [index, message] of fitted.entries()) {
      if (excess <= 0) return;
      if (message.role !== 'toolResult' || !isMeant(index)) continue;
      const shorter = shortenMessage(message, cap);
      excess -= countMessagesTokens([message], []) - countMessagesTokens([shorter], []);
      fitted[index] = shorter;
    }
  };
  for (const cap of olderCaps) shorten((index) => index < firstUnseen, cap);
  for (const cap of newestCaps) shorten((index) => index > firstUnseen, cap);
  return fitted;
}
