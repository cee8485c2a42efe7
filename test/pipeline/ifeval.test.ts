import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseRow } from '../../scripts/ifeval/rows.ts';
import { createScorer, f1Of } from '../../scripts/ifeval/score.ts';
import { checkConstraint } from '../../src/pipeline/constraints/check.js';
import { findConstraints } from '../../src/pipeline/constraints/find.js';

function readFixture(name: string) {
  const file = new URL(`../fixtures/${name}`, import.meta.url);
  return readFileSync(file, 'utf8').trim().split('\n').map(parseRow);
}

function scoreOf(name: string) {
  const scorer = createScorer();
  for (const row of readFixture(name)) scorer.add(row);
  return scorer.result().total;
}

describe('on the IFEval development prompts', () => {
  const total = scoreOf('ifeval/ifeval-dev.jsonl');

  test('constraints are found by id', () => {
    expect(f1Of(total.sameId, total)).toBeGreaterThanOrEqual(0.98);
  });

  test('constraints are found with their values', () => {
    expect(f1Of(total.sameKwargs, total)).toBeGreaterThanOrEqual(0.975);
  });

  test('verdicts agree with the benchmark', () => {
    expect(total.agreed / total.judged).toBeGreaterThanOrEqual(0.995);
  });
});

describe('on the prompts written for this project', () => {
  const total = scoreOf('constraints/held-out.jsonl');

  test('constraints are found by id', () => {
    expect(f1Of(total.sameId, total)).toBeGreaterThanOrEqual(0.99);
  });

  test('constraints are found with their values', () => {
    expect(f1Of(total.sameKwargs, total)).toBeGreaterThanOrEqual(0.99);
  });

  test('ordinary prompts demand nothing', () => {
    const wrong = readFixture('constraints/ordinary.jsonl').filter(
      ({ prompt }) => findConstraints(prompt).length > 0,
    );
    expect(wrong.map(({ prompt }) => prompt)).toEqual([]);
  });
});

test.each(readFixture('constraints/verdicts.jsonl'))('$id: the verdict is that of the benchmark', (row) => {
  const verdicts = row.constraints?.map(
    (constraint) => checkConstraint(constraint, row.response ?? '').passed,
  );
  expect(verdicts).toEqual(row.verdicts);
});
