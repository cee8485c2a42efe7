import type { Message, ThinkingContent } from '../core/message.js';
import type { Model } from './provider.js';

/**
 * The thinking that a model wants back: its own, sealed, of the turn under way. What it thought before the user spoke
 * last is of no use to it and costs input.
 */
export function sealedThinking(messages: readonly Message[], model: Model): ReadonlySet<ThinkingContent> {
  const start = messages.findLastIndex((message) => message.role === 'user');
  const blocks = messages
    .slice(start + 1)
    .flatMap((message) => (message.role === 'assistant' ? message.content : []))
    .filter((block) => block.type === 'thinking');
  const name = `${model.provider}/${model.id}`;
  return new Set(blocks.filter((block) => block.sealedBy === name));
}
