import { describe, expect, test } from 'vitest';
import type { EvaluationInput, GivenFile } from '../../src/pipeline/checks/finding.ts';
import { checkOf } from '../helpers/evaluation.ts';

const report: GivenFile = {
  name: 'docs/report.txt',
  lastLine: 6,
  text: 'Annual report\nRevenue 2023: 4,520 EUR\nCosts 2023: 3.100,50 EUR\nStaff: 128 people\nRatio: 0.1234\nSee appendix.pdf for details.',
};
const sales: GivenFile = {
  name: 'sales.csv',
  lastLine: 4,
  text: 'city,units,price\nOslo,1250,12.5\nRome,980,7.25\nBonn,2310,300',
};
const ask = 'What do the files say about the numbers of last year?';

describe('files_cited_exist', () => {
  const check = (answer: string, more: Partial<EvaluationInput> = {}) =>
    checkOf('files_cited_exist', { message: ask, answer, files: [report, sales], ...more });

  test.each([
    ['According to budget.xlsx, costs went down.', 'budget.xlsx was not given'],
    ['The staff is listed in `team.md`.', 'team.md was not given'],
    ['Costs were 3,100.50 EUR (costs.txt, line 3).', 'costs.txt was not given'],
    ['Laut Datei „personal.docx“ arbeiten dort 128 Leute.', 'personal.docx was not given'],
    ['Según el archivo `ventas.csv`, Roma vendió 980 unidades.', 'ventas.csv was not given'],
    ["D'après le fichier `ventes.xlsx`, Rome a vendu 980 unités.", 'ventes.xlsx was not given'],
    ['Revenue was 4,520 EUR (report.txt, line 12).', 'report.txt has 6 lines, not 12'],
    ['See sales.csv:40 for Oslo.', 'sales.csv has 4 lines, not 40'],
    ['It stands in lines 3-9 of docs/report.txt.', 'docs/report.txt has 6 lines, not 9'],
    ['Das steht in Zeile 77 von sales.csv.', 'sales.csv has 4 lines, not 77'],
  ])('%s', (answer, detail) => {
    expect(check(answer)).toEqual({ name: 'files_cited_exist', passed: false, detail });
  });

  test.each([
    'Revenue was 4,520 EUR (report.txt, line 2).',
    'According to docs/report.txt, the staff is 128 people.',
    'According to `Report.TXT`, the staff is 128 people.',
    'According to the report, see appendix.pdf for details.',
    'Listed in appendix.pdf, as the report says.',
    'Create a new file named `summary.md` and put this into it.',
    'Save this as totals.py:\n```python\nopen("totals.csv")  # as described in notes.txt, line 99\n```',
    'The numbers stand in sales.csv:2 and sales.csv:4.',
    'Lines 2-4 of sales.csv list the cities.',
    'Node.js, as shown in Express.js tutorials, would do.',
    'You could keep it in a `config.yaml`.',
    'Version 2.0 is described there.',
    'Laut report.txt, Zeile 4, sind es 128 Personen.',
    'In report.docx it would look the same.',
  ])('passes: %s', (answer) => {
    expect(check(answer)?.passed).toBe(true);
  });

  test('a file that somebody named, or one that is too long to know, is not sure', () => {
    const answer = 'According to budget.xlsx, costs went down.';
    expect(check(answer, { message: 'And what is in budget.xlsx?' })?.passed).toBe(true);
    expect(check(answer, { history: [{ role: 'user', content: 'I lost budget.xlsx.' }] })?.passed).toBe(true);
    expect(check(answer, { files: [{ ...report, text: undefined }] })?.passed).toBe(true);
    expect(check(answer, { files: [] })).toBeUndefined();
  });
});

describe('numbers_in_file', () => {
  const check = (answer: string, more: Partial<EvaluationInput> = {}) =>
    checkOf('numbers_in_file', { message: ask, answer, files: [report, sales], ...more });

  test.each([
    ['According to report.txt, revenue was 5,420 EUR.', '5,420'],
    ['The file report.txt states that revenue was EUR 4,620.', '4,620'],
    ['Laut report.txt betrug der Umsatz 5.420 EUR.', '5.420'],
    ['Según report.txt, los ingresos fueron de 5.420 EUR.', '5.420'],
    ["Selon report.txt, le chiffre d'affaires est de 5 420 EUR.", '5 420'],
    ['Oslo sold 1,520 units (sales.csv, line 2).', '1,520'],
    ['`sales.csv` shows 9,080 units for Rome.', '9,080'],
    ['According to the file, the costs were 3,010.75 EUR.', '3,010.75'],
  ])('fails: %s', (answer, figure) => {
    expect(check(answer)).toEqual({
      name: 'numbers_in_file',
      passed: false,
      detail: `${figure} is in no given file`,
    });
  });

  test.each([
    'According to report.txt, revenue was 4,520 EUR.',
    'According to report.txt, revenue was 4.520 EUR and costs were 3,100.50 EUR.',
    'Laut report.txt betrugen die Kosten 3100,50 EUR.',
    "Selon report.txt, le chiffre d'affaires est de 4 520 EUR.",
    'report.txt says that costs were 3,101 EUR, rounded.',
    'report.txt states a ratio of 12.34.',
    'According to report.txt, the profit was 1,419.50 EUR.',
    'In total, sales.csv lists 4,540 units.',
    'According to sales.csv, Oslo made 15,625 EUR in total.',
    'The average price in sales.csv is 106.58.',
    'According to report.txt, revenue was about 4,999 EUR.',
    'The file sales.csv has 4,321 rows.',
    'Revenue was 5,420 EUR.',
    'report.txt does not say that revenue was 5,420 EUR.',
    'According to report.txt, line 244, there are 128 people.',
    'According to sales.csv, Bonn sold 2.31 thousand units.',
    'sales.csv shows 980 units for Rome in 1250 and 2310.',
    'According to report.txt, it grew by 412 %.',
  ])('passes: %s', (answer) => {
    expect(check(answer)?.passed).toBe(true);
  });

  test('a number of the message, of a tool or of a file that is too long is not sure', () => {
    const answer = 'According to report.txt, revenue was 5,420 EUR.';
    expect(check(answer, { message: 'Is revenue 5420 in the report, and why?' })?.passed).toBe(true);
    const turns = [
      {
        role: 'toolResult' as const,
        toolCallId: 'c',
        toolName: 't',
        content: [{ type: 'text' as const, text: '5420' }],
        isError: false,
      },
    ];
    expect(check(answer, { turns })?.passed).toBe(true);
    expect(check(answer, { files: [report, { ...sales, text: undefined }] })?.passed).toBe(true);
    expect(check(answer, { files: [] })).toBeUndefined();
  });
});
