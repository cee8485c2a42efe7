import type { Constraint } from './constraint.js';
import { findChoices } from './find-choice.js';
import { findCode } from './find-code.js';
import { findEnds } from './find-ends.js';
import { findFormat } from './find-format.js';
import { findKeywords } from './find-keywords.js';
import { findLength, findParagraphs } from './find-length.js';
import { findRepeat } from './find-repeat.js';
import { findStyle } from './find-style.js';
import { findVoice } from './find-voice.js';
import { type Prompt, readPrompt } from './prompt.js';

const families: readonly ((prompt: Prompt) => Constraint[])[] = [
  findLength,
  findParagraphs,
  findKeywords,
  findFormat,
  findCode,
  findChoices,
  findStyle,
  findVoice,
  findEnds,
  findRepeat,
];

/** Every verifiable demand that a message states, in the order of the rule families. */
export function findConstraints(message: string): Constraint[] {
  return constraintsOf(readPrompt(message));
}

/** The same for a message that was read already. */
export function constraintsOf(prompt: Prompt): Constraint[] {
  return families.flatMap((family) => family(prompt));
}
