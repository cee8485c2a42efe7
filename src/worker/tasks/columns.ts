import { findStyle, type NumberStyle, toNumber } from './numbers.js';
import { type Cell, isGap, type Table } from './table.js';

export type ColumnType = 'number' | 'boolean' | 'date' | 'text' | 'empty';

export type Column = {
  name: string;
  index: number;
  type: ColumnType;
  style: NumberStyle;
  missing: number;
  /** different values, counted up to `mostDistinct` */
  distinct: number;
  /** cells of a number column that are neither numbers nor missing */
  notNumbers: number;
  examples: Cell[];
};

export const mostDistinct = 10_000;
const shownLength = 200;
/** a column of numbers may hold so few other cells */
const numberShare = 0.8;
const date = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
/** a number to read is no code such as a postal code, which may begin with 0 */
const code = /^0\d+$/;

export function describeColumn(table: Table, index: number): Column {
  const cells = table.rows.map((row) => row[index] ?? null);
  const style = findStyle(cells);
  const distinct = new Set<Cell>();
  const examples: Cell[] = [];
  const counts = { present: 0, number: 0, boolean: 0, date: 0, code: 0 };
  for (const cell of cells) {
    if (isGap(cell)) continue;
    counts.present += 1;
    if (toNumber(cell, style) !== undefined) counts.number += 1;
    if (typeof cell === 'boolean' || (typeof cell === 'string' && /^(true|false|yes|no)$/i.test(cell)))
      counts.boolean += 1;
    if (typeof cell === 'string' && date.test(cell)) counts.date += 1;
    if (typeof cell === 'string' && code.test(cell)) counts.code += 1;
    if (distinct.size >= mostDistinct || distinct.has(cell)) continue;
    distinct.add(cell);
    if (examples.length < 3) examples.push(clip(cell));
  }
  const type = typeOf(counts);
  return {
    name: table.columns[index] ?? '',
    index,
    type,
    style,
    missing: cells.length - counts.present,
    distinct: distinct.size,
    notNumbers: type === 'number' ? counts.present - counts.number : 0,
    examples,
  };
}

function typeOf(counts: Record<'present' | 'number' | 'boolean' | 'date' | 'code', number>): ColumnType {
  const { present } = counts;
  if (present === 0) return 'empty';
  if (counts.code === 0 && counts.number >= present * numberShare) return 'number';
  if (counts.boolean === present) return 'boolean';
  return counts.date === present ? 'date' : 'text';
}

/** A value to show, cut where it is long. */
export const clip = (cell: Cell): Cell =>
  typeof cell === 'string' && cell.length > shownLength
    ? `${cell.slice(0, shownLength).toWellFormed()}…`
    : cell;

/** The numbers of a column in the given rows. */
export function numbersOf({ index, style }: Column, rows: Cell[][]): number[] {
  return rows.flatMap((row) => {
    const cell = row[index] ?? null;
    return isGap(cell) ? [] : (toNumber(cell, style) ?? []);
  });
}
