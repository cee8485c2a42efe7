import mammoth from 'mammoth';
import readXlsx from 'read-excel-file/universal';
import type { OfficeKind } from './check-zip.js';
import { htmlToLines } from './html-to-lines.js';
import { counted } from './numbers.js';
import { FileProblem } from './problem.js';
import type { RowLines } from './read-csv.js';
import { TableSummary } from './table-summary.js';

export type OfficeText = { text: string; outline: string; rowLines: RowLines };

/** The text of an Office file that `checkZip` let pass. */
export async function readOffice(
  bytes: Buffer,
  kind: OfficeKind,
  askedRows: ReadonlySet<number>,
): Promise<OfficeText> {
  try {
    return kind === 'docx' ? await readDocx(bytes) : await readWorkbook(bytes, askedRows);
  } catch (error) {
    throw error instanceof FileProblem ? error : new FileProblem(`is a damaged .${kind} file`, error);
  }
}

async function readDocx(buffer: Buffer): Promise<OfficeText> {
  const convertImage = mammoth.images.imgElement(async () => ({ src: '' }));
  const { value } = await mammoth.convertToHtml({ buffer }, { convertImage, externalFileAccess: false });
  return { text: htmlToLines(value), outline: '', rowLines: new Map() };
}

const mostSheetsShown = 30;
const mostRows = 2_000_000;

async function readWorkbook(buffer: Buffer, askedRows: ReadonlySet<number>): Promise<OfficeText> {
  // a copy of its own: the buffer may be part of a larger one
  const sheets = await readXlsx(new Uint8Array(buffer).buffer);
  const lines: string[] = [];
  const outline = [`Workbook with ${counted(sheets.length, 'sheet')}:`];
  const rowLines: RowLines = new Map();
  for (const { sheet, data } of sheets) {
    if (lines.length + data.length > mostRows) throw new FileProblem(`has more than ${mostRows} rows`);
    lines.push(`## Sheet ${JSON.stringify(sheet)}`);
    const before = lines.length;
    const summary = new TableSummary(',');
    for (const row of data) {
      const cells = row.map(toText);
      summary.add(cells);
      lines.push(cells.map(toCell).join(','));
      const number = lines.length - before;
      if (askedRows.has(number)) rowLines.set(number, [...(rowLines.get(number) ?? []), lines.length]);
    }
    lines.push('');
    if (outline.length > mostSheetsShown) continue;
    const size = `${counted(data.length, 'row')}, ${counted(summary.width, 'column')}`;
    outline.push(
      `Sheet ${JSON.stringify(sheet)}: ${size}; its row 1 is line ${before + 1}. Columns:`,
      summary.describe(),
    );
  }
  return { text: lines.join('\n'), outline: outline.join('\n'), rowLines };
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return '';
  // a day is a date at midnight in UTC
  return value instanceof Date ? value.toISOString().replace(/T00:00:00\.000Z$/, '') : String(value);
}

/** A cell as CSV, on one line. */
function toCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""').replace(/\r?\n/g, ' ')}"` : text;
}
