import { checkConstraint } from '../../src/pipeline/constraints/check.js';
import type { Constraint } from '../../src/pipeline/constraints/constraint.js';
import { findConstraints } from '../../src/pipeline/constraints/find.js';
import type { Row } from './rows.ts';

export type Prediction = {
  id: string | number | null;
  /** found in the prompt */
  constraints: Constraint[];
  /** on the response, one for each given constraint; none without a response */
  verdicts: boolean[];
  /** whether the response meets what was found; null without a response */
  passed: boolean | null;
};

export function predict({ id, prompt, constraints = [], response }: Row): Prediction {
  const found = findConstraints(prompt);
  if (response === undefined) return { id, constraints: found, verdicts: [], passed: null };
  const meets = (constraint: Constraint) => checkConstraint(constraint, response).passed;
  return { id, constraints: found, verdicts: constraints.map(meets), passed: found.every(meets) };
}
