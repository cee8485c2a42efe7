import { findRepetition } from '../../agent/repetition.js';
import { type EvaluationInput, excerpt, type Finding, failed, passed } from './finding.js';

const name = 'no_repetition';

const asksToRepeat =
  /(?<![\p{L}\p{N}])(?:repeat\p{L}*|over and over|again and again|copies|pattern|ascii|(?:width|length) (?:of )?\d{2,9}|fill(?:ed)? with|padding|\d{2,9} ?(?:times|x|copies|rows|lines|columns|zeros|characters|chars|letters|symbols|dots|dashes|stars|asterisks|blocks|emojis?)|(?:fifty|hundred|thousand|\p{L}{2,8}ty) times|wiederhol\p{L}*|\d{2,9} ?mal|(?:hundert|tausend)mal|immer wieder|repit\p{L}*|\d{2,9} veces|cien veces|répét\p{L}*|répèt\p{L}*|\d{2,9} fois|cent fois)(?![\p{L}])/iu;

/** Whether a message wants something to be repeated, so that repetition is no fault. */
export function isRepetitionAsked(message: string): boolean {
  return asksToRepeat.test(message.slice(0, 8000)) || asksToRepeat.test(message.slice(8000).slice(-8000));
}

/** Whether the answer runs into saying the same thing back to back. */
export function checkRepetition({ answer, message, exitReason }: EvaluationInput): Finding {
  const advice = 'Your answer repeated itself without end. Say everything once.';
  const found = findRepetition(answer, isRepetitionAsked(message));
  if (found) {
    const { stretch, length } = found;
    return failed(name, `repeats ${JSON.stringify(excerpt(stretch, 40))} for ${length} characters`, advice);
  }
  if (exitReason === 'repetition') return failed(name, 'the thinking repeated itself without end', advice);
  return passed(name, 'nothing is repeated without end');
}
