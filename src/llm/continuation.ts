import type { Message } from '../core/message.js';
import type { Model } from './provider.js';
import { createSeam, type Seam } from './seam.js';

const instruction =
  'Continue exactly where you stopped. Do not repeat anything, do not start over, add no introduction.';

export type Continuation = { messages: Message[]; seam: Seam };

/** Asks for the rest of an answer by an instruction, which every model understands. */
export function instructToContinue(messages: Message[], text: string): Continuation {
  return {
    messages: [
      ...messages,
      { role: 'assistant', content: [{ type: 'text', text }] },
      { role: 'user', content: instruction },
    ],
    seam: createSeam(text),
  };
}

/** Asks for the rest of an answer in the way that fits the model best. */
export function continueWith(model: Model, messages: Message[], text: string): Continuation {
  const start = text.trimEnd();
  // nothing was said yet: the question is asked as it was
  if (start === '') return { messages, seam: createPrefillSeam(text) };
  if (!model.prefill) return instructToContinue(messages, text);
  return {
    messages: [...messages, { role: 'assistant', content: [{ type: 'text', text: start }] }],
    seam: createPrefillSeam(text),
  };
}

/**
 * A prefilled answer goes on exactly where it ends; but APIs refuse one that ends in white space, and the model then says
 * the space again that was already shown.
 */
function createPrefillSeam(before: string): Seam {
  const seam = createSeam(before, true);
  let left = before.slice(before.trimEnd().length);
  return {
    get isRestart() {
      return seam.isRestart;
    },
    push(text) {
      let same = 0;
      while (same < left.length && text[same] === left[same]) same += 1;
      left = same === text.length ? left.slice(same) : '';
      return same === text.length ? '' : seam.push(text.slice(same));
    },
    end: () => seam.end(),
  };
}
