import type { Effort } from '../core/message.js';
import type { LlmRequest } from './provider.js';

type Thinking = { type: 'adaptive'; display: 'summarized' } | { type: 'disabled' | 'between_tools' };

/** Undefined when nothing is to be said. A budget of thinking is not asked for: tool calls would need its signature. */
export function toThinking(
  request: LlmRequest,
): { thinking?: Thinking; effort: 'low' | 'medium' | 'high' } | undefined {
  const { thinking, accepts } = request.model;
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
