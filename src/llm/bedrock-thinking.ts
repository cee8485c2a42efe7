import type { Effort } from '../core/message.js';
import type { LlmRequest, Model } from './provider.js';

/** What the catalogue may say of how Claude is made to think, and how it is kept from it; absent: it is left alone. */
type ThinkingModel = Model & {
  /** `off` absent: it does not think unless asked to; `never`: it always does */
  thinking?: { on: 'adaptive' | 'budget'; off?: 'disabled' | 'between_tools' | 'never' };
};

type Thinking = { type: 'adaptive'; display: 'summarized' } | { type: 'disabled' | 'between_tools' };

/** Undefined when nothing is to be said. A budget of thinking is not asked for: tool calls would need its signature. */
export function toThinking(
  request: LlmRequest,
): { thinking?: Thinking; effort: 'low' | 'medium' | 'high' } | undefined {
  const { thinking, accepts }: ThinkingModel = request.model;
  if (!accepts.reasoning || thinking?.on !== 'adaptive') return undefined;
  const effort = toEffort(request.effort);
  const isPrefilled = request.messages.at(-1)?.role === 'assistant';
  const isWanted = request.effort !== 'quick' && !isPrefilled;
  if (isWanted || thinking.off === 'never') {
    return { thinking: { type: 'adaptive', display: 'summarized' }, effort };
  }
  return thinking.off ? { thinking: { type: thinking.off }, effort } : { effort };
}

function toEffort(effort: Effort): 'low' | 'medium' | 'high' {
  switch (effort) {
    case 'quick':
      return 'low';
    case 'standard':
      return 'medium';
    case 'determined':
      return 'high';
    default:
      return effort satisfies never;
  }
}
