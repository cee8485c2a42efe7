import type { AgentEvent } from '../core/events.js';
import type { Seam } from '../llm/seam.js';

/** What was shown of a continuation; a restart shows nothing. */
export type Shown = { text: string };

/** Forwards what is new of a continuation, and nothing of one that starts over. Returns the stream's result. */
export async function* joinSeam<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  seam: Seam,
  shown: Shown,
): AsyncGenerator<AgentEvent, T> {
  const toEvents = (text: string): AgentEvent[] => {
    if (text === '' || seam.isRestart) return [];
    shown.text += text;
    return [{ type: 'text-delta', text }];
  };
  let step = await stream.next();
  while (!step.done) {
    if (step.value.type === 'text-delta') yield* toEvents(seam.push(step.value.text));
    else yield step.value;
    step = await stream.next();
  }
  yield* toEvents(seam.end());
  return step.value;
}
