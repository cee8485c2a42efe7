import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkConstraint } from '../../src/pipeline/constraints/check.js';
import type { Constraint } from '../../src/pipeline/constraints/constraint.js';
import { findConstraints } from '../../src/pipeline/constraints/find.js';

type Row = {
  key: number;
  prompt: string;
  constraints: Constraint[];
  response: string;
  verdicts: boolean[];
  unsure?: number[];
};

const file = new URL('../fixtures/ifeval/ifeval-dev.jsonl', import.meta.url);
const rows = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row);
const prompts = [...new Map(rows.map((row) => [row.key, row])).values()];

/** Micro F1 over all prompts, each constraint told apart by `name`. */
function scoreFinds(name: (constraint: Constraint) => string): number {
  let hits = 0;
  let found = 0;
  let wanted = 0;
  for (const row of prompts) {
    const left = row.constraints.map(name);
    wanted += left.length;
    for (const constraint of findConstraints(row.prompt)) {
      found++;
      const at = left.indexOf(name(constraint));
      if (at < 0) continue;
      hits++;
      left.splice(at, 1);
    }
  }
  return (2 * hits) / (found + wanted);
}

function fullName({ id, kwargs }: Constraint): string {
  const values = Object.entries(kwargs).map(([key, value]) => [key, comparable(value)] as const);
  return JSON.stringify([id, values.sort(([left], [right]) => left.localeCompare(right))]);
}

function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable).sort();
  return typeof value === 'string' ? value.trim().toLowerCase() : value;
}

describe('on the IFEval development prompts', () => {
  test('constraints are found by id', () => {
    expect(scoreFinds(({ id }) => id)).toBeGreaterThanOrEqual(0.98);
  });

  test('constraints are found with their values', () => {
    expect(scoreFinds(fullName)).toBeGreaterThanOrEqual(0.98);
  });

  test('verdicts agree with the benchmark', () => {
    const judged = rows.flatMap((row) =>
      row.constraints.flatMap((constraint, index) => {
        if (row.unsure?.includes(index)) return [];
        return [checkConstraint(constraint, row.response).passed === row.verdicts[index]];
      }),
    );
    expect(judged.filter(Boolean).length / judged.length).toBeGreaterThanOrEqual(0.995);
  });
});
