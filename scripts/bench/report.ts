import type { TargetName } from './world.ts';

export type Row = { name: string; unit: string; values: Partial<Record<TargetName, number>> };

/** How many times the pipe's value the service's is; undefined where the pipe's is lost in the noise. */
export function ratioOf({ values: { pipe, service } }: Row): number | undefined {
  return pipe === undefined || service === undefined || pipe < 0.05 ? undefined : service / pipe;
}

/** A Markdown table, aligned for a terminal. */
export function toTable(rows: Row[]): string {
  const lines = [
    ['', 'fake LLM alone', 'byte pipe', 'service', 'service / pipe'],
    ...rows.map((row) => [
      `${row.name} (${row.unit})`,
      format(row.values.direct),
      format(row.values.pipe),
      format(row.values.service),
      format(ratioOf(row), '×'),
    ]),
  ];
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const toLine = (cells: string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = lines;
  return [toLine(head), rule, ...body.map(toLine)].join('\n');
}

function format(value: number | undefined, suffix = ''): string {
  if (value === undefined) return '';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return (
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }) + suffix
  );
}
