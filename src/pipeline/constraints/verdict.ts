import type { Constraint, Relation } from './constraint.js';

/** `isSure` is false where the answer cannot be judged surely; then `passed` is true. */
export type Verdict = { passed: boolean; isSure: boolean; detail: string };

/** Judges an answer; returns undefined when the kwargs cannot be used. */
export type Check = (constraint: Constraint, answer: string) => Verdict | undefined;

export function pass(detail: string): Verdict {
  return { passed: true, isSure: true, detail };
}

export function fail(detail: string): Verdict {
  return { passed: false, isSure: true, detail };
}

export function unsure(detail: string): Verdict {
  return { passed: true, isSure: false, detail };
}

export function verdict(passed: boolean, detail: string): Verdict {
  return passed ? pass(detail) : fail(detail);
}

function meets(count: number, relation: Relation, threshold: number): boolean {
  return relation === 'at least' ? count >= threshold : count < threshold;
}

/**
 * For counts that depend on how one counts: sure only when the lowest and the highest count lead to one verdict.
 */
export function compareRange(low: number, high: number, relation: Relation, threshold: number, unit: string) {
  const lowMeets = meets(low, relation, threshold);
  const detail = `${low === high ? low : `${low} to ${high}`} ${unit}, wanted ${relation} ${threshold}`;
  return lowMeets === meets(high, relation, threshold) ? verdict(lowMeets, detail) : unsure(detail);
}

export function compare(count: number, relation: Relation, threshold: number, unit: string): Verdict {
  return compareRange(count, count, relation, threshold, unit);
}
