import type { Scores, Tally } from './score.ts';

const kindWidth = 45;
const countWidth = 6;
const rateWidth = 5;
const verdictsWidth = 10;

const rule = '-'.repeat(kindWidth + 2 * countWidth + 6 * rateWidth + 2 + verdictsWidth);
const heads = [
  `${' '.repeat(kindWidth + 2 * countWidth)}  ids, in %       with kwargs   verdicts`,
  `${'kind'.padEnd(kindWidth)} given found    P    R   F1      P    R   F1     agree`,
];

/** One line a kind in less than 100 columns, then all kinds together. */
export function toTable({ kinds, total, ...counts }: Scores): string {
  const body = [...kinds].map(([id, tally]) => toLine(id, tally));
  const lines = [...heads, rule, ...body, rule, toLine('all', total), '', ...summarise(total, counts)];
  return lines.map((line) => `${line}\n`).join('');
}

function toLine(kind: string, tally: Tally): string {
  const { given, found, sameId, sameKwargs, judged, agreed } = tally;
  return [
    shorten(kind).padEnd(kindWidth),
    ...[given, found].map((count) => String(count).padStart(countWidth)),
    ratesOf(sameId, tally),
    '  ',
    ratesOf(sameKwargs, tally),
    (judged > 0 ? `${agreed}/${judged}` : '-').padStart(verdictsWidth),
  ].join('');
}

function shorten(kind: string): string {
  return kind.length > kindWidth ? `${kind.slice(0, kindWidth - 1)}…` : kind;
}

/** Precision, recall and F1. */
function ratesOf(hits: number, { given, found }: Tally): string {
  const rates = [percent(hits, found), percent(hits, given), percent(2 * hits, given + found)];
  return rates.map((rate) => rate.padStart(rateWidth)).join('');
}

/** Rounded down, so that only a perfect score shows as 100. */
function percent(part: number, whole: number): string {
  if (whole === 0) return '-';
  return part === whole ? '100' : (Math.floor((part * 1000) / whole) / 10).toFixed(1);
}

type Counts = Omit<Scores, 'kinds' | 'total'>;

function summarise(total: Tally, { rows, prompts, skippedRows, unsureVerdicts }: Counts): string[] {
  const { given, found, sameId, sameKwargs, judged, agreed } = total;
  const skipped = skippedRows > 0 ? `; left out without constraints: ${skippedRows}` : '';
  return [
    `rows: ${rows}, different prompts: ${prompts}${skipped}`,
    `found by id: micro F1 ${percent(2 * sameId, given + found)} %`,
    `found by id and kwargs: micro F1 ${percent(2 * sameKwargs, given + found)} %`,
    `verdicts that agree: ${percent(agreed, judged)} % of ${judged}; left out as unsure: ${unsureVerdicts}`,
  ];
}
