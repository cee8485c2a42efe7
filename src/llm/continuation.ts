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
  if (!model.prefill || start === '') return instructToContinue(messages, text);
  return {
    messages: [...messages, { role: 'assistant', content: [{ type: 'text', text: start }] }],
    seam: createPrefillSeam(text.slice(start.length)),
  };
}

/**
 * A prefilled answer goes on exactly where it ends, so nothing is compared; but APIs refuse one that ends in white space,
 * and the model then says the space again that was already shown.
 */
function createPrefillSeam(shownSpace: string): Seam {
  let left = shownSpace;
  return {
    isRestart: false,
    push(text) {
      if (left === '') return text;
      let same = 0;
      while (same < left.length && same < text.length && text[same] === left[same]) same += 1;
      left = same === text.length ? left.slice(same) : '';
      return text.slice(same);
    },
    end: () => '',
  };
}
