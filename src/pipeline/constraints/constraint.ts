/**
 * One verifiable demand on an answer. Ids and kwargs are those of the IFEval benchmark
 * (`length_constraints:number_words` with `{relation, num_words}`); ids it lacks follow the same style.
 * Thresholds are always `at least n` (count >= n) or `less than n` (count < n).
 * @see https://arxiv.org/abs/2311.07911
 */
export type Constraint = { id: string; kwargs: Record<string, unknown> };

export type Relation = 'at least' | 'less than';

/** Kwargs come from a request or from stored data, so each is read with its type checked. */
export function readCount(constraint: Constraint, name: string): number | undefined {
  const value = constraint.kwargs[name];
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export function readText(constraint: Constraint, name: string): string | undefined {
  const value = constraint.kwargs[name];
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

export function readTexts(constraint: Constraint, name: string): string[] | undefined {
  const value = constraint.kwargs[name];
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((item): item is string => typeof item === 'string' && item.trim() !== '');
  return texts.length > 0 && texts.length === value.length ? texts : undefined;
}

export function readObject(constraint: Constraint, name: string): Record<string, unknown> | undefined {
  const value = constraint.kwargs[name];
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}

export function readRelation(constraint: Constraint, name: string): Relation | undefined {
  const value = constraint.kwargs[name];
  return value === 'at least' || value === 'less than' ? value : undefined;
}
