import type { AgentEvent } from '../core/events.js';
import type { Seam } from '../llm/seam.js';

/** Forwards what is new of a continuation. Returns that text beside the stream's result. */
export async function* joinSeam<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  seam: Seam,
): AsyncGenerator<AgentEvent, { result: T; text: string }> {
  let joined = '';
  const toEvents = (text: string): AgentEvent[] => {
    joined += text;
    return text === '' ? [] : [{ type: 'text-delta', text }];
  };
  let step = await stream.next();
  while (!step.done) {
    if (step.value.type === 'text-delta') yield* toEvents(seam.push(step.value.text));
    else yield step.value;
    step = await stream.next();
  }
  yield* toEvents(seam.end());
  return { result: step.value, text: joined };
}
