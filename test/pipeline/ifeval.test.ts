import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseRow } from '../../scripts/ifeval/rows.ts';
import { createScorer, f1Of } from '../../scripts/ifeval/score.ts';

const file = new URL('../fixtures/ifeval/ifeval-dev.jsonl', import.meta.url);
const scorer = createScorer();
for (const line of readFileSync(file, 'utf8').trim().split('\n')) scorer.add(parseRow(line));
const { total } = scorer.result();

describe('on the IFEval development prompts', () => {
  test('constraints are found by id', () => {
    expect(f1Of(total.sameId, total)).toBeGreaterThanOrEqual(0.98);
  });

  test('constraints are found with their values', () => {
    expect(f1Of(total.sameKwargs, total)).toBeGreaterThanOrEqual(0.98);
  });

  test('verdicts agree with the benchmark', () => {
    expect(total.agreed / total.judged).toBeGreaterThanOrEqual(0.995);
  });
});
