import type { FinishReason } from '../../core/message.js';
import type { EvaluationInput, Finding } from './finding.js';

export function isEmpty(answer: string): boolean {
  return !/[^\s\p{Cc}\p{Cf}]/u.test(answer);
}

export function checkFinish({ finishReason }: EvaluationInput): Finding {
  const details: Record<FinishReason, string> = {
    stop: 'the model finished',
    length: 'the output limit was reached',
    tool_calls: 'the model stopped to call tools',
    content_filter: 'the provider filtered the answer',
  };
  return {
    name: 'finish_reason',
    passed: finishReason === 'stop',
    detail: details[finishReason],
    advice: 'Give a complete final answer.',
  };
}

export function checkEmpty({ answer }: EvaluationInput): Finding {
  const passed = !isEmpty(answer);
  return {
    name: 'not_empty',
    passed,
    detail: passed ? 'the answer has text' : 'the answer is empty',
    advice: 'Your answer was empty. Answer the request.',
  };
}

export function checkCutOff({ finishReason }: EvaluationInput): Finding {
  const passed = finishReason !== 'length';
  return {
    name: 'not_cut_off',
    passed,
    detail: passed ? 'the answer reaches its end' : 'the answer was cut off',
    advice: 'The answer was cut off. Make it complete.',
  };
}

export function checkFence({ answer }: EvaluationInput): Finding {
  const open = findOpenFence(answer);
  return {
    name: 'fence_closed',
    passed: open === undefined,
    detail: open === undefined ? 'no code fence is open' : `the code fence of line ${open} is not closed`,
    advice: 'Close every code fence.',
  };
}

/**
 * The line (from 1) of a fence that stays open. A fence that starts inside another one of its kind may be meant as
 * nested, which markdown has no word for: such a text is not sure and counts as closed.
 */
export function findOpenFence(text: string): number | undefined {
  let open: { mark: string; line: number } | undefined;
  let isNested = false;
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^[ \t>]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8})?(`{3,}|~{3,})(.*)$/.exec(line);
    if (!match) continue;
    const [, mark = '', info = ''] = match;
    if (!open) {
      if (mark.startsWith('`') && info.includes('`')) continue;
      open = { mark, line: index + 1 };
    } else if (mark[0] === open.mark[0] && mark.length >= open.mark.length) {
      if (info.trim() === '') open = undefined;
      else isNested = true;
    }
  }
  return isNested ? undefined : open?.line;
}
