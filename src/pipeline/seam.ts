import type { AgentEvent } from '../core/events.js';

/** Characters at the start of a continuation that are compared with the end of what came before. */
const window = 400;
/** Shorter repeats are taken for chance. */
const minOverlap = 10;

/** The length of the longest start of `next` that `before` ends with. */
export function overlapLength(before: string, next: string): number {
  for (let length = Math.min(window, before.length, next.length); length >= minOverlap; length -= 1) {
    if (before.endsWith(next.slice(0, length))) return length;
  }
  return 0;
}

/** Forwards a continuation without the part of its start that repeats the end of `before`. */
export async function* joinSeam<T>(
  stream: AsyncGenerator<AgentEvent, T>,
  before: string,
): AsyncGenerator<AgentEvent, T> {
  let held: string | undefined = '';
  let step = await stream.next();
  while (!step.done) {
    const event = step.value;
    if (held === undefined || event.type !== 'text-delta') {
      yield event;
    } else {
      held += event.text;
      if (held.length >= window) {
        yield* rest(before, held);
        held = undefined;
      }
    }
    step = await stream.next();
  }
  if (held !== undefined) yield* rest(before, held);
  return step.value;
}

function* rest(before: string, held: string): Generator<AgentEvent> {
  const text = held.slice(overlapLength(before, held));
  if (text !== '') yield { type: 'text-delta', text };
}
