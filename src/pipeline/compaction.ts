import { type Message, textOf } from '../core/message.js';

/**
 * What stands for the first `covered` messages of a history. `summary` is the whole text of the user message that takes
 * their place; a later history may begin with it.
 */
export type Compaction = { summary: string; covered: number };

const heading = 'Summary of the earlier conversation (the messages themselves are left out):';

export const toSummary = (text: string) => `${heading}\n\n${text.trim()}`;

export function isSummary(message: Message | undefined): boolean {
  return message?.role === 'user' && textOf(message.content).startsWith(heading);
}

/** A summary without its heading. */
export const summarizedIn = (message: Message) => textOf(message.content).slice(heading.length).trim();
