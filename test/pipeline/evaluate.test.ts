import { describe, expect, test } from 'vitest';
import { findOpenFence } from '../../src/pipeline/checks/completeness.js';
import type { EvaluationInput } from '../../src/pipeline/checks/finding.js';
import { evaluateAnswer } from '../../src/pipeline/evaluate.js';
import { evaluationInput } from '../helpers/evaluation.ts';

const evaluate = (input: Partial<EvaluationInput>) => evaluateAnswer(evaluationInput(input));

const failed = (input: Partial<EvaluationInput>) =>
  evaluate(input)
    .checks.filter((check) => !check.passed)
    .map((check) => check.name);

const noComma = { id: 'punctuation:no_comma', kwargs: {} };
const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] };

test('a good answer passes everything', () => {
  const { score, passed, checks, repair } = evaluate({ constraints: [noComma] });
  expect({ score, passed, repair }).toEqual({ score: 1, passed: true, repair: null });
  expect(checks.map((check) => check.name)).toEqual([
    'finish_reason',
    'not_empty',
    'not_cut_off',
    'fence_closed',
    'constraint:punctuation:no_comma',
    'no_repetition',
    'no_refusal',
    'no_boilerplate',
    'no_prompt_leak',
  ]);
});

test('a failed constraint is revised, with feedback in words', () => {
  const { score, passed, repair } = evaluate({ answer: 'Yes, of course.', constraints: [noComma] });
  expect({ score, passed }).toEqual({ score: 0.89, passed: false });
  expect(repair).toEqual({
    kind: 'revise',
    reason: 'constraint:punctuation:no_comma',
    feedback:
      'Your last answer does not meet the request:\n- Do not use any commas. (has commas)\nWrite the whole answer again.',
  });
});

test('a cut answer is continued, even when a constraint fails', () => {
  const cut = { answer: 'Yes, of', finishReason: 'length' as const, constraints: [noComma] };
  expect(failed(cut)).toEqual(['finish_reason', 'not_cut_off', 'constraint:punctuation:no_comma']);
  expect(evaluate(cut).repair).toEqual({ kind: 'continue', reason: 'the answer was cut off' });
});

test('an open fence is continued', () => {
  const { repair, checks } = evaluate({ answer: 'So:\n```js\nlet x' });
  expect(repair).toEqual({ kind: 'continue', reason: 'a code fence is not closed' });
  expect(checks[3]).toEqual({
    name: 'fence_closed',
    passed: false,
    detail: 'the code fence of line 2 is not closed',
  });
});

test.each(['', ' \n', '\u200b\0'])('an empty answer is worth nothing and is revised: %j', (answer) => {
  const { score, passed, repair } = evaluate({ answer });
  expect({ score, passed, kind: repair?.kind }).toEqual({ score: 0, passed: false, kind: 'revise' });
});

test('a filtered answer is not repaired', () => {
  expect(evaluate({ answer: '', finishReason: 'content_filter' })).toMatchObject({
    passed: false,
    repair: null,
  });
});

describe('JSON', () => {
  test('is checked only when asked for', () => {
    expect(failed({ answer: 'no' })).toEqual([]);
    expect(failed({ answer: 'no', responseFormat: { type: 'json_object' } })).toEqual(['json_valid']);
  });

  test('must be an object for json_object', () => {
    expect(failed({ answer: '[1]', responseFormat: { type: 'json_object' } })).toEqual(['json_valid']);
    expect(failed({ answer: '{"a": 1}', responseFormat: { type: 'json_object' } })).toEqual([]);
  });

  test('is validated against the schema', () => {
    const responseFormat = { type: 'json_schema' as const, schema };
    expect(failed({ answer: '{"a": 1}', responseFormat })).toEqual([]);
    const { checks, repair } = evaluate({ answer: '{"a": "x"}', responseFormat });
    expect(checks[4]).toEqual({ name: 'json_valid', passed: false, detail: '/a must be number' });
    expect(repair).toMatchObject({ kind: 'revise', reason: 'json_valid' });
  });

  test('that was cut off is continued', () => {
    const input = {
      answer: '{"a": ',
      finishReason: 'length' as const,
      responseFormat: { type: 'json_object' as const },
    };
    expect(failed(input)).toEqual(['finish_reason', 'not_cut_off', 'json_valid']);
    expect(evaluate(input).repair).toMatchObject({ kind: 'continue' });
  });

  test('passes a schema that cannot be used', () => {
    const responseFormat = { type: 'json_schema' as const, schema: { $ref: 'https://example.com/gone' } };
    expect(failed({ answer: '{}', responseFormat })).toEqual([]);
  });

  test('is checked against every pattern of the schema', () => {
    const properties = { a: { type: 'string', pattern: '^x' }, b: { type: 'string', pattern: '^y' } };
    const responseFormat = { type: 'json_schema' as const, schema: { properties } };
    expect(failed({ answer: '{"a": "x", "b": "y"}', responseFormat })).toEqual([]);
    expect(failed({ answer: '{"a": "x", "b": "x"}', responseFormat })).toEqual(['json_valid']);
  });

  test.each([
    ['nested repetition', { pattern: '^(a+)+$' }],
    ['many repetitions', { pattern: '^a*a*a*a*a*a*b$' }],
    ['references that double at every step', doubling(40)],
  ])('%s in a schema cannot stop the process, and leaves the check unsure', (_name, schema) => {
    const responseFormat = { type: 'json_schema' as const, schema };
    const started = performance.now();
    const wrong = failed({ answer: JSON.stringify(`${'a'.repeat(1900)}!`), responseFormat });
    expect(wrong).toEqual([]);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

/** A small schema whose validation takes 2 to the power of `depth` steps. */
function doubling(depth: number): Record<string, unknown> {
  const step = (index: number) => ({ $ref: `#/$defs/a${index}` });
  const definitions = Array.from({ length: depth }, (_, index) => [
    `a${index}`,
    index === 0 ? { type: 'string' } : { allOf: [step(index - 1), step(index - 1)] },
  ]);
  return { $defs: Object.fromEntries(definitions), ...step(depth - 1) };
}

describe('fences', () => {
  test.each([
    ['```\na\n```', undefined],
    ['~~~\n```\n~~~', undefined],
    ['- x\n  ```py\n  a\n  ```', undefined],
    ['````\n```\n````', undefined],
    ['use ``` inline', undefined],
    ['```js\na', 1],
    ['a\n~~~\nb\n```', 2],
    ['```\na\n```\n\n```\nb', 5],
    ['```markdown\n```js\na\n```\n```', undefined],
  ])('%j', (text, line) => {
    expect(findOpenFence(text)).toBe(line);
  });
});
