import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { CheckResult } from '../core/events.js';
import type { FinishReason } from '../core/message.js';
import type { ResponseFormat } from '../llm/provider.js';
import { checkConstraint } from './constraints/check.js';
import type { Constraint } from './constraints/constraint.js';
import { describeConstraint } from './constraints/describe.js';
import { runBounded } from './run-bounded.js';

export type EvaluationInput = {
  answer: string;
  finishReason: FinishReason;
  constraints: Constraint[];
  responseFormat: ResponseFormat;
};

export type Repair =
  | null
  | { kind: 'continue'; reason: string }
  | { kind: 'revise'; reason: string; feedback: string };

export type Evaluation = { score: number; passed: boolean; checks: CheckResult[]; repair: Repair };

/** `advice` tells the model what to do better; only failed checks use it. */
type Finding = CheckResult & { advice: string };

/** Judges an answer by what can be known without a model. A check that is not sure does not fail. */
export function evaluateAnswer(input: EvaluationInput): Evaluation {
  const findings = [
    checkFinish(input),
    checkNotEmpty(input),
    checkNotCutOff(input),
    checkFence(input),
    ...checkJson(input),
    ...input.constraints.map((constraint) => checkOne(constraint, input.answer)),
  ];
  const failed = findings.filter((finding) => !finding.passed);
  return {
    score: scoreOf(input, findings),
    passed: failed.length === 0,
    checks: findings.map(({ name, passed, detail }) => ({ name, passed, detail })),
    repair: chooseRepair(input, failed),
  };
}

/** Share of the checks passed, to two places; an answer that says nothing is worth nothing. */
function scoreOf(input: EvaluationInput, findings: Finding[]): number {
  if (isEmpty(input.answer)) return 0;
  const passed = findings.filter((finding) => finding.passed).length;
  return Math.round((passed / findings.length) * 100) / 100;
}

function isEmpty(answer: string): boolean {
  return !/[^\s\p{Cc}\p{Cf}]/u.test(answer);
}

function checkFinish({ finishReason }: EvaluationInput): Finding {
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

function checkNotEmpty({ answer }: EvaluationInput): Finding {
  const passed = !isEmpty(answer);
  return {
    name: 'not_empty',
    passed,
    detail: passed ? 'the answer has text' : 'the answer is empty',
    advice: 'Your answer was empty. Answer the request.',
  };
}

function checkNotCutOff({ finishReason }: EvaluationInput): Finding {
  const passed = finishReason !== 'length';
  return {
    name: 'not_cut_off',
    passed,
    detail: passed ? 'the answer reaches its end' : 'the answer was cut off',
    advice: 'The answer was cut off. Make it complete.',
  };
}

function checkFence({ answer }: EvaluationInput): Finding {
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

function checkJson({ answer, responseFormat }: EvaluationInput): Finding[] {
  if (responseFormat.type === 'text') return [];
  const problem = findJsonProblem(answer, responseFormat);
  return [
    {
      name: 'json_valid',
      passed: problem === undefined,
      detail: problem ?? 'valid JSON',
      advice: `Answer with valid JSON only, without code fences or other text (${problem}).`,
    },
  ];
}

function findJsonProblem(answer: string, format: ResponseFormat): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(answer);
  } catch {
    return 'the answer is not valid JSON';
  }
  if (format.type === 'json_schema') return findSchemaProblem(value, format.schema);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? undefined : 'the answer is not a JSON object';
}

const validators = new WeakMap<Record<string, unknown>, ValidateFunction | null>();

/** Milliseconds for one answer: a schema that needs longer leaves the check unsure. */
const schemaTimeoutMs = 100;

function findSchemaProblem(value: unknown, schema: Record<string, unknown>): string | undefined {
  const validate = validatorFor(schema);
  if (!validate || runBounded(() => isSurelyValid(validate, value), schemaTimeoutMs) !== false)
    return undefined;
  const problems = (validate.errors ?? []).slice(0, 5);
  return problems
    .map(({ instancePath, message }) => `${instancePath || '/'} ${message ?? 'is wrong'}`)
    .join('; ');
}

/** A validator that throws says nothing of the answer. */
function isSurelyValid(validate: ValidateFunction, value: unknown): boolean {
  try {
    return validate(value);
  } catch {
    return true;
  }
}

/** A schema that does not compile makes the check unsure, so there is no validator for it. */
function validatorFor(schema: Record<string, unknown>): ValidateFunction | null {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const validate = runBounded(() => compile(schema), schemaTimeoutMs) ?? null;
  validators.set(schema, validate);
  return validate;
}

function compile(schema: Record<string, unknown>): ValidateFunction | null {
  try {
    return new Ajv2020({ allErrors: true, strict: false, validateSchema: false, logger: false }).compile(
      schema,
    );
  } catch {
    return null;
  }
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
