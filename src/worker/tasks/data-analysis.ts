import { type Column, clip, describeColumn, mostDistinct, numbersOf } from './columns.js';
import { type NumberSummary, summarise, toNumber } from './numbers.js';
import { type Cell, isGap, readTable, type Table } from './table.js';
import { progress, TaskRefusal, type TaskStep, type TaskWork } from './task.js';
import type { AnalysisPayload } from './task-types.js';

type Aggregate = NonNullable<AnalysisPayload['aggregate']>;
type Group = { group: Cell; rows: number; columns: Record<string, NumberSummary>; value?: number | null };

const readingEnds = 0.6;
const columnsEnd = 0.8;
const mostGroups = 1_000;
const mostFrequent = 5;

/** Exact figures from a table. */
export async function* analyseData(payload: AnalysisPayload): TaskWork {
  const table = yield* readTable(payload.data, payload.format, readingEnds);
  const columns = yield* describeColumns(table);
  const operation = payload.operation ?? suggestedOperation(payload);
  const about = { operation, format: table.format, rows: table.rows.length };
  const schema = columns.map(toSchema);
  if (operation === 'schema') return { ...about, columns: schema };
  // what the table holds is worth showing before the figures are there
  yield { type: 'partial', output: { ...about, columns: schema } };
  const asked = payload.column === undefined ? undefined : findColumn(columns, payload.column);
  const measured = columns.filter(({ type, name }) => type === 'number' && (!asked || name === asked.name));
  if (operation === 'top_n' && payload.group_by === undefined) {
    return { ...about, ...topRows(table, columns, asked, payload.n ?? 10) };
  }
  if (operation === 'statistics' && payload.group_by === undefined) {
    return { ...about, columns: statistics(table, asked ? [asked] : columns) };
  }
  if (payload.group_by === undefined) throw new TaskRefusal('group_by must name the column to group by.');
  const key = findColumn(columns, payload.group_by);
  const groups = yield* groupRows(table, key, measured);
  const aggregate = payload.aggregate ?? (operation === 'top_n' ? 'sum' : undefined);
  const ordered = aggregate === undefined ? groups : rank(groups, aggregate, measured, asked);
  const shown = ordered.slice(0, operation === 'top_n' ? (payload.n ?? 10) : mostGroups);
  return {
    ...about,
    group_by: key.name,
    ...(aggregate === undefined ? {} : { aggregate, column: rankedColumn(aggregate, measured, asked) }),
    group_count: groups.length,
    groups: shown,
  };
}

function suggestedOperation({ group_by, n }: AnalysisPayload): NonNullable<AnalysisPayload['operation']> {
  if (n !== undefined) return 'top_n';
  return group_by === undefined ? 'statistics' : 'group_by';
}

async function* describeColumns(table: Table): AsyncGenerator<TaskStep, Column[], void> {
  const columns: Column[] = [];
  for (const index of table.columns.keys()) {
    columns.push(describeColumn(table, index));
    const part = columns.length / table.columns.length;
    yield progress(readingEnds + (columnsEnd - readingEnds) * part, 'Looking at the columns');
  }
  return columns;
}

function findColumn(columns: Column[], name: string): Column {
  const wanted = name.trim().toLowerCase();
  const found =
    columns.find((column) => column.name === name) ??
    columns.find((column) => column.name.toLowerCase() === wanted);
  if (found) return found;
  const names = columns.slice(0, 30).map((column) => column.name);
  throw new TaskRefusal(`There is no column ${JSON.stringify(name)}; there are: ${names.join(', ')}.`);
}

function toSchema({ name, type, missing, distinct, notNumbers, examples }: Column) {
  return {
    name,
    type,
    missing,
    distinct,
    ...(distinct === mostDistinct ? { distinct_is_more: true } : {}),
    ...(notNumbers > 0 ? { not_numbers: notNumbers } : {}),
    examples,
  };
}

function statistics(table: Table, columns: Column[]) {
  return columns.map((column) => {
    const about = { name: column.name, type: column.type, missing: column.missing };
    if (column.type === 'number') {
      const rest = column.notNumbers > 0 ? { not_numbers: column.notNumbers } : {};
      return { ...about, ...rest, ...summarise(numbersOf(column, table.rows)) };
    }
    const counts = new Map<Cell, number>();
    for (const row of table.rows) {
      const cell = row[column.index] ?? null;
      if (!isGap(cell) && (counts.size < mostDistinct || counts.has(cell)))
        counts.set(cell, (counts.get(cell) ?? 0) + 1);
    }
    const frequent = [...counts].toSorted((a, b) => b[1] - a[1]).slice(0, mostFrequent);
    return {
      ...about,
      count: table.rows.length - column.missing,
      distinct: column.distinct,
      most_frequent: frequent.map(([value, count]) => ({ value: clip(value), count })),
    };
  });
}

async function* groupRows(
  table: Table,
  key: Column,
  measured: Column[],
): AsyncGenerator<TaskStep, Group[], void> {
  const members = new Map<Cell, Cell[][]>();
  for (const row of table.rows) {
    const cell = row[key.index] ?? null;
    const value = isGap(cell) ? null : typeof cell === 'string' ? cell.trim() : cell;
    const rows = members.get(value);
    if (rows) rows.push(row);
    else members.set(value, [row]);
  }
  const others = measured.filter((column) => column !== key);
  const groups: Group[] = [];
  for (const [group, rows] of members) {
    const columns = others.map((column) => [column.name, summarise(numbersOf(column, rows))] as const);
    groups.push({ group, rows: rows.length, columns: Object.fromEntries(columns) });
    yield progress(columnsEnd + ((1 - columnsEnd) * groups.length) / members.size, 'Working out the groups');
  }
  return groups;
}

/** Groups are ranked by the asked column, or by the first one with numbers; to count them takes none. */
function rankedColumn(aggregate: Aggregate, measured: Column[], asked: Column | undefined): string | null {
  if (aggregate === 'count' && !asked) return null;
  const column = asked ?? measured[0];
  if (!column || (column.type !== 'number' && aggregate !== 'count')) {
    throw new TaskRefusal(
      column
        ? `Column ${JSON.stringify(column.name)} holds no numbers.`
        : 'No column of the table holds numbers.',
    );
  }
  return column.name;
}

function rank(groups: Group[], aggregate: Aggregate, measured: Column[], asked: Column | undefined): Group[] {
  const name = rankedColumn(aggregate, measured, asked);
  const valueOfGroup = (group: Group) => {
    const summary = name === null ? undefined : group.columns[name];
    return summary ? summary[aggregate] : aggregate === 'count' ? group.rows : null;
  };
  return groups
    .map((group) => ({ ...group, value: valueOfGroup(group) }))
    .toSorted((a, b) => compare(b.value, a.value));
}

/** What has no value comes after everything else in an order from high to low. */
const compare = (a: number | null, b: number | null) =>
  a === b ? 0 : (a ?? Number.NEGATIVE_INFINITY) - (b ?? Number.NEGATIVE_INFINITY);

function topRows(table: Table, columns: Column[], asked: Column | undefined, n: number) {
  const column = asked ?? columns.find(({ type }) => type === 'number');
  if (!column) throw new TaskRefusal('No column of the table holds numbers to order by.');
  const keyOf = (row: Cell[]) => {
    const cell = row[column.index] ?? null;
    if (isGap(cell)) return null;
    return column.type === 'number' ? (toNumber(cell, column.style) ?? null) : String(cell);
  };
  const keyed = table.rows.flatMap((row) => {
    const key = keyOf(row);
    return key === null ? [] : [{ key, row }];
  });
  keyed.sort((a, b) => (a.key < b.key ? 1 : a.key > b.key ? -1 : 0));
  return { column: column.name, n, top: keyed.slice(0, n).map(({ row }) => toObject(columns, row)) };
}

function toObject(columns: Column[], row: Cell[]): Record<string, Cell> {
  const fields = columns.map(({ name, index, type, style }) => {
    const cell = row[index] ?? null;
    return [name, (type === 'number' ? toNumber(cell, style) : undefined) ?? cell] as const;
  });
  return Object.fromEntries(fields);
}
