import { clip, counted, NumberRange } from './numbers.js';

const mostColumns = 100;
const mostDistinct = 1000;
const examples = 4;

type Column = {
  name: string;
  empty: number;
  texts: number;
  dates: number;
  booleans: number;
  fractions: number;
  range: NumberRange;
  distinct: Map<string, number>;
  hasMoreDistinct: boolean;
};

/** Says what the columns of a table hold; it is given the rows one by one and keeps none. */
export class TableSummary {
  rows = 0;
  width = 0;
  hasHead = false;
  private isStarted = false;
  private readonly columns: Column[] = [];
  private readonly delimiter: string;

  constructor(delimiter: string) {
    this.delimiter = delimiter;
  }

  add(record: readonly string[]): void {
    if (!this.isStarted) {
      this.isStarted = true;
      this.hasHead = looksLikeHead(record);
      this.width = record.length;
      const names = record.slice(0, mostColumns);
      this.columns.push(...names.map((name, index) => toColumn(name, index, this.hasHead)));
      if (this.hasHead) return;
    }
    this.rows += 1;
    for (const [index, column] of this.columns.entries())
      addCell(column, record[index] ?? '', this.delimiter);
  }

  describe(): string {
    const lines = this.columns.map((column) => `- ${describeColumn(column)}`);
    if (this.width > mostColumns) lines.push(`- and ${counted(this.width - mostColumns, 'more column')}`);
    return lines.join('\n');
  }
}

function looksLikeHead(record: readonly string[]): boolean {
  const names = record.map((cell) => cell.trim());
  const isName = (cell: string) => cell !== '' && cell.length <= 100 && toNumber(cell, ',') === undefined;
  return names.filter(isName).length >= names.length * 0.8 && !names.some(isDate) && names[0] !== undefined;
}

function toColumn(name: string, index: number, hasHead: boolean): Column {
  return {
    name: hasHead && name.trim() !== '' ? clip(name, 80) : `column ${index + 1}`,
    empty: 0,
    texts: 0,
    dates: 0,
    booleans: 0,
    fractions: 0,
    range: new NumberRange(),
    distinct: new Map(),
    hasMoreDistinct: false,
  };
}

function addCell(column: Column, cell: string, delimiter: string): void {
  if (cell === '' || cell.trim() === '') {
    column.empty += 1;
    return;
  }
  const known = column.distinct.get(cell);
  if (known !== undefined) column.distinct.set(cell, known + 1);
  else if (column.distinct.size < mostDistinct) column.distinct.set(cell.slice(0, 200), 1);
  else column.hasMoreDistinct = true;
  const value = toNumber(cell, delimiter);
  if (value !== undefined) {
    column.range.add(value);
    if (!Number.isInteger(value)) column.fractions += 1;
  } else if (isDate(cell)) column.dates += 1;
  else if (/^(true|false|yes|no)$/i.test(cell)) column.booleans += 1;
  else column.texts += 1;
}

/** A number as tables write it: with thousand separators, a decimal comma, a currency or per cent sign. */
function toNumber(cell: string, delimiter: string): number | undefined {
  const first = cell.charCodeAt(0);
  if (cell.length > 40 || (first > 57 && first < 128)) return undefined;
  // an id such as 00123 is no number
  if (/^0\d/.test(cell)) return undefined;
  if (/^-?\d+(\.\d+)?$/.test(cell)) return Number(cell);
  const text = cell.replace(/^\s*[$€£¥]?\s*|\s*[$€£¥%]?\s*$/g, '');
  if (/^[-+]?\d+(\.\d+)?([eE][-+]?\d{1,3})?$/.test(text)) return Number(text);
  if (/^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text)) return Number(text.replaceAll(',', ''));
  const isCommaDecimal = delimiter !== ',' && /^[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$/.test(text);
  return isCommaDecimal ? Number(text.replaceAll('.', '').replace(',', '.')) : undefined;
}

function isDate(cell: string): boolean {
  return /^(\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4})$/.test(cell);
}

function describeColumn(column: Column): string {
  const { range, distinct, hasMoreDistinct } = column;
  const filled = range.count + column.dates + column.booleans + column.texts;
  const parts: string[] = [];
  if (filled === 0) return `${column.name}: empty`;
  if (range.count === filled)
    parts.push(`${column.fractions > 0 ? 'numbers' : 'whole numbers'} ${range.describe()}`);
  else if (column.dates === filled) parts.push(`dates${dateSpan(distinct, hasMoreDistinct)}`);
  else if (column.booleans === filled) parts.push('yes or no');
  else if (range.count > 0)
    parts.push(`text, of which ${counted(range.count, 'number')} ${range.describe()}`);
  else parts.push('text');
  parts.push(
    `${hasMoreDistinct ? `more than ${mostDistinct.toLocaleString('en-US')}` : distinct.size} distinct`,
  );
  if (range.count < filled || distinct.size <= 10) parts.push(describeValues(column));
  if (column.empty > 0) parts.push(`${column.empty.toLocaleString('en-US')} empty`);
  return `${column.name}: ${parts.join('; ')}`;
}

function dateSpan(distinct: Map<string, number>, hasMore: boolean): string {
  const dates = [...distinct.keys()].filter((date) => /^\d{4}-/.test(date)).toSorted();
  return hasMore || dates.length !== distinct.size ? '' : ` ${dates[0]} to ${dates.at(-1)}`;
}

function describeValues({ distinct, hasMoreDistinct }: Column): string {
  const isFew = !hasMoreDistinct && distinct.size <= 10;
  const values = [...distinct].toSorted(([, left], [, right]) => right - left);
  const shown = values.slice(0, isFew ? 10 : examples).map(([value, count]) => {
    const text = JSON.stringify(clip(value, 40));
    return isFew ? `${text} (${count})` : text;
  });
  return isFew ? shown.join(', ') : `such as ${shown.join(', ')}`;
}
