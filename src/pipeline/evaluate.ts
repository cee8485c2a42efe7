import type { CheckResult } from '../core/events.js';
import { checkCutOff, checkEmpty, checkFence, checkFinish, isEmpty } from './checks/completeness.js';
import { checkCitedFiles } from './checks/files.js';
import type { EvaluationInput, Finding } from './checks/finding.js';
import { checkJson } from './checks/json.js';
import { checkLanguage } from './checks/language.js';
import { checkPromptLeak } from './checks/leak.js';
import { checkBoilerplate, checkRefusal } from './checks/manner.js';
import { checkNumbers } from './checks/numbers.js';
import { checkQuestions } from './checks/questions.js';
import { checkRepetition } from './checks/repetition.js';
import { checkToolErrors } from './checks/tools.js';
import { checkConstraint } from './constraints/check.js';
import type { Constraint } from './constraints/constraint.js';
import { describeConstraint } from './constraints/describe.js';

export type Repair =
  | null
  | { kind: 'continue'; reason: string }
  | { kind: 'revise'; reason: string; feedback: string };

export type Evaluation = { score: number; passed: boolean; checks: CheckResult[]; repair: Repair };

/**
 * Judges an answer by what can be known without a model, and by what a model said of it, if one was asked. A check that
 * is not sure does not fail.
 */
export function evaluateAnswer(input: EvaluationInput, verdict?: Finding): Evaluation {
  const findings = [
    checkFinish(input),
    checkEmpty(input),
    checkCutOff(input),
    checkFence(input),
    ...checkJson(input),
    ...input.constraints.map((constraint) => checkOne(constraint, input.answer)),
    checkRepetition(input),
    ...(isEmpty(input.answer) ? [] : checkContent(input)),
    ...(verdict ? [verdict] : []),
  ];
  const failed = findings.filter((finding) => !finding.passed);
  return {
    score: scoreOf(input, findings),
    passed: failed.length === 0,
    checks: findings.map(({ name, passed, detail }) => ({ name, passed, detail })),
    repair: chooseRepair(input, failed),
  };
}

/** Characters of an answer up to which its content is looked at. */
const mostContent = 200_000;

/** What an answer says, and how. An answer without text says nothing. */
function checkContent(whole: EvaluationInput): Finding[] {
  const input = { ...whole, answer: whole.answer.slice(0, mostContent) };
  return [
    checkRefusal(input),
    checkBoilerplate(input),
    checkPromptLeak(input),
    ...checkLanguage(input),
    ...checkQuestions(input),
    ...checkCitedFiles(input),
    ...checkNumbers(input),
    ...checkToolErrors(input),
  ];
}
/** Share of the checks passed, to two places, where a failed judge still gives its marks; an answer that says nothing is worth nothing. */
function scoreOf(input: EvaluationInput, findings: Finding[]): number {
  if (isEmpty(input.answer)) return 0;
  const credits = findings.map((finding) => (finding.passed ? 1 : (finding.credit ?? 0)));
  const sum = credits.reduce((total, credit) => total + credit, 0);
  return Math.round((sum / findings.length) * 100) / 100;
}

function checkOne(constraint: Constraint, answer: string): Finding {
  const { passed, detail } = checkConstraint(constraint, answer);
  return { name: `constraint:${constraint.id}`, passed, detail, advice: describeConstraint(constraint) };
}

function chooseRepair(input: EvaluationInput, failed: Finding[]): Repair {
  if (failed.length === 0 || input.finishReason === 'content_filter') return null;
  const names = new Set(failed.map((finding) => finding.name));
  if (names.has('not_empty')) return revise(failed);
  if (names.has('not_cut_off')) return { kind: 'continue', reason: 'the answer was cut off' };
  if (names.has('fence_closed') && !names.has('json_valid')) {
    return { kind: 'continue', reason: 'a code fence is not closed' };
  }
  const revisable = failed.filter((finding) => finding.name !== 'finish_reason');
  return revisable.length > 0 ? revise(revisable) : null;
}

function revise(failed: Finding[]): Repair {
  const lines = failed.map((finding) => `- ${finding.advice} (${finding.detail})`);
  return {
    kind: 'revise',
    reason: failed.map((finding) => finding.name).join(', '),
    feedback: `Your last answer does not meet the request:\n${lines.join('\n')}\nWrite the whole answer again.`,
  };
}
