import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { ResponseFormat } from '../../llm/provider.js';
import { runBounded } from '../run-bounded.js';
import type { EvaluationInput, Finding } from './finding.js';

export function checkJson({ answer, responseFormat }: EvaluationInput): Finding[] {
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

/** What about the value breaks the schema; undefined when it meets it, or when that cannot be told in time. */
export function findSchemaProblem(value: unknown, schema: Record<string, unknown>): string | undefined {
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
