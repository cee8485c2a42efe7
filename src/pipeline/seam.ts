import type { AgentEvent } from '../core/events.js';
import { createSeam } from '../llm/seam.js';

/** Forwards a continuation without what it repeats of `before`. Returns its new text beside the stream's result. */
export async function* joinSeam<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  before: string,
): AsyncGenerator<AgentEvent, { result: T; text: string }> {
  const seam = createSeam(before);
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
