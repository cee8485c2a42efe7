import { checkConstraint } from '../../src/pipeline/constraints/check.js';
import type { Constraint } from '../../src/pipeline/constraints/constraint.js';
import { findConstraints } from '../../src/pipeline/constraints/find.js';
import type { Row } from './rows.ts';

/** Counts for one kind of constraint, or for all. */
export type Tally = {
  /** constraints that the prompts state */
  given: number;
  /** constraints found in the prompts */
  found: number;
  /** those of the found that are given, by id */
  sameId: number;
  /** those of the found that are given, by id and kwargs */
  sameKwargs: number;
  /** verdicts compared */
  judged: number;
  /** verdicts that agree */
  agreed: number;
};

export type Scores = {
  rows: number;
  prompts: number;
  /** rows without given constraints, with which nothing can be compared */
  skippedRows: number;
  /** verdicts left out because they are marked as unsure */
  unsureVerdicts: number;
  total: Tally;
  /** by constraint id, in alphabetical order */
  kinds: Map<string, Tally>;
};

/** Compares what is found and judged with what the rows say. Every prompt counts once, every response too. */
export function createScorer() {
  const tallies = new Map<string, Tally>();
  const keys = new Set<string | number>();
  let rows = 0;
  let skippedRows = 0;
  let unsureVerdicts = 0;

  const tallyOf = ({ id }: Constraint): Tally => {
    const tally = tallies.get(id) ?? emptyTally();
    tallies.set(id, tally);
    return tally;
  };

  const compareFinds = (given: Constraint[], found: Constraint[]) => {
    for (const constraint of given) tallyOf(constraint).given++;
    for (const constraint of found) tallyOf(constraint).found++;
    for (const constraint of common(found, given, ({ id }) => id)) tallyOf(constraint).sameId++;
    for (const constraint of common(found, given, nameWithKwargs)) tallyOf(constraint).sameKwargs++;
  };

  const compareVerdict = (constraint: Constraint, response: string, verdict: boolean) => {
    const tally = tallyOf(constraint);
    tally.judged++;
    if (checkConstraint(constraint, response).passed === verdict) tally.agreed++;
  };

  return {
    add({ key, prompt, constraints, response, verdicts = [], unsure }: Row): void {
      rows++;
      if (!constraints) {
        skippedRows++;
        return;
      }
      if (!keys.has(key)) compareFinds(constraints, findConstraints(prompt));
      keys.add(key);
      if (response === undefined) return;
      for (const [index, verdict] of verdicts.entries()) {
        const constraint = constraints[index];
        if (unsure.includes(index)) unsureVerdicts++;
        else if (constraint) compareVerdict(constraint, response, verdict);
      }
    },

    result(): Scores {
      const kinds = new Map([...tallies].sort(([left], [right]) => (left < right ? -1 : 1)));
      const total = [...tallies.values()].reduce(addTallies, emptyTally());
      return { rows, prompts: keys.size, skippedRows, unsureVerdicts, total, kinds };
    },
  };
}

/** Between 0 and 1; NaN where there is nothing to find and nothing was found. */
export function f1Of(hits: number, { given, found }: Tally): number {
  return (2 * hits) / (given + found);
}

function emptyTally(): Tally {
  return { given: 0, found: 0, sameId: 0, sameKwargs: 0, judged: 0, agreed: 0 };
}

function addTallies(left: Tally, right: Tally): Tally {
  return {
    given: left.given + right.given,
    found: left.found + right.found,
    sameId: left.sameId + right.sameId,
    sameKwargs: left.sameKwargs + right.sameKwargs,
    judged: left.judged + right.judged,
    agreed: left.agreed + right.agreed,
  };
}

/** Those of `found` that are also given, where each given one serves only once. */
function common(
  found: Constraint[],
  given: Constraint[],
  nameOf: (constraint: Constraint) => string,
): Constraint[] {
  const left = given.map(nameOf);
  return found.filter((constraint) => {
    const at = left.indexOf(nameOf(constraint));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

/** Neither the order of lists and kwargs nor case matters, and null stands for a kwarg that is not there. */
function nameWithKwargs({ id, kwargs }: Constraint): string {
  const values = Object.entries(kwargs)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => [key, comparable(value)] as const);
  return JSON.stringify([id, values.sort(([left], [right]) => left.localeCompare(right))]);
}

function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable).sort();
  return typeof value === 'string' ? value.trim().toLowerCase() : value;
}
