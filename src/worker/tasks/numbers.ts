import { type Cell, isGap } from './table.js';

const plain = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const grouped = /^[+-]?\d{1,3}(?:([, '’\u00a0\u202f])\d{3})(?:\1\d{3})*(?:\.\d+)?$/;
const commaDecimal = /^[+-]?(?:\d{1,3}(?:[.\u00a0\u202f ]\d{3})+|\d+),\d+$/;
const dotGrouped = /^[+-]?\d{1,3}(?:\.\d{3})+$/;
const currency = /^([+-]?)\s?[$€£¥]\s?|\s?[$€£¥]$/g;

/** Which character stands before the fraction: a comma where cells can only be read that way. */
export type NumberStyle = 'point' | 'comma';

/** The number that a cell spells, else undefined. */
export function toNumber(cell: Cell, style: NumberStyle): number | undefined {
  if (typeof cell === 'number') return cell;
  if (typeof cell !== 'string') return undefined;
  const text = cell.trim().replace(currency, '$1');
  if (style === 'comma') {
    if (commaDecimal.test(text) || dotGrouped.test(text)) {
      return Number(text.replace(/[.\u00a0\u202f ]/g, '').replace(',', '.'));
    }
    return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
  }
  if (plain.test(text)) return Number(text);
  return grouped.test(text) ? Number(text.replace(/[, '’\u00a0\u202f]/g, '')) : undefined;
}

/** Comma, when some cell is a number only that way and none is only a number the other way. */
export function findStyle(cells: Cell[]): NumberStyle {
  let needsComma = false;
  for (const cell of cells) {
    if (isGap(cell)) continue;
    if (typeof cell !== 'string') return 'point';
    const isPoint = toNumber(cell, 'point') !== undefined;
    const isComma = toNumber(cell, 'comma') !== undefined;
    if (isPoint && !isComma) return 'point';
    if (isComma && !isPoint) needsComma = true;
  }
  return needsComma ? 'comma' : 'point';
}

/** What is told of the numbers of a column or of a group in it. */
export type NumberSummary = {
  count: number;
  sum: number;
  mean: number | null;
  median: number | null;
  min: number | null;
  max: number | null;
  standard_deviation: number | null;
};

export function summarise(numbers: number[]): NumberSummary {
  const count = numbers.length;
  if (count === 0) {
    return { count, sum: 0, mean: null, median: null, min: null, max: null, standard_deviation: null };
  }
  const sorted = Float64Array.from(numbers).sort();
  const sum = exactSum(numbers);
  const mean = sum / count;
  const middle = Math.floor(count / 2);
  const upper = sorted[middle] ?? 0;
  const median = count % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  const squares = exactSum(numbers.map((number) => (number - mean) ** 2));
  return {
    count,
    sum: tidy(sum),
    mean: tidy(mean),
    median: tidy(median),
    min: sorted[0] ?? null,
    max: sorted[count - 1] ?? null,
    standard_deviation: count < 2 ? null : tidy(Math.sqrt(squares / (count - 1))),
  };
}

/** Neumaier's sum: what rounding takes away is carried along and added at the end. */
function exactSum(numbers: number[]): number {
  let sum = 0;
  let lost = 0;
  for (const number of numbers) {
    const next = sum + number;
    lost += Math.abs(sum) >= Math.abs(number) ? sum - next + number : number - next + sum;
    sum = next;
  }
  return Number.isFinite(lost) ? sum + lost : sum;
}

/** Without the digits that binary fractions leave behind: 0.30000000000000004 is 0.3. */
const tidy = (value: number): number => (Number.isInteger(value) ? value : Number(value.toPrecision(15)));
