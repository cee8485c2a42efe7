import { expect, test } from 'vitest';
import { createLabelValues } from '../../src/observability/label-values.ts';

test('a label has at most 200 values and `other`, and keeps those that it has', () => {
  const values = createLabelValues();
  const names = Array.from({ length: 10_000 }, (_, index) => `model-${index}`);
  const shown = names.map(values.of);
  expect(shown.slice(0, 200)).toEqual(names.slice(0, 200));
  expect(new Set(shown.slice(200))).toEqual(new Set(['other']));
  expect(names.map(values.of)).toEqual(shown);
});

test('places that are kept are not taken by others', () => {
  const values = createLabelValues();
  values.reserve(['known-1', 'known-2']);
  const shown = Array.from({ length: 1000 }, (_, index) => values.of(`model-${index}`));
  expect(new Set(shown).size).toBe(199);
  expect(['known-1', 'known-2', 'known-3'].map(values.of)).toEqual(['known-1', 'known-2', 'other']);
});

test('a value has at most 128 characters', () => {
  const values = createLabelValues();
  expect(values.of('x'.repeat(1000))).toBe('x'.repeat(128));
  expect(values.of('x'.repeat(128))).toBe('x'.repeat(128));
});
