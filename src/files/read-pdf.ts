import { getDocumentProxy } from 'unpdf';
import { FileProblem } from './problem.js';

const maxPages = 2_000;
const maxCharacters = 64 * 1024 * 1024;

/** The text of a PDF, each page behind a line `[page 1]`. */
export async function readPdf(bytes: Uint8Array): Promise<string> {
  const pdf = await getDocumentProxy(bytes, { verbosity: 0 }).catch(toProblem);
  try {
    return await readPages(pdf);
  } finally {
    await pdf.loadingTask.destroy();
  }
}

async function readPages(pdf: Awaited<ReturnType<typeof getDocumentProxy>>): Promise<string> {
  if (pdf.numPages > maxPages) throw new FileProblem(`has ${pdf.numPages} pages; ${maxPages} are the most`);
  const pages: string[] = [];
  let characters = 0;
  for (let number = 1; number <= pdf.numPages; number += 1) {
    const page = await pdf.getPage(number).catch(toProblem);
    const { items } = await page.getTextContent().catch(toProblem);
    const text = items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('');
    page.cleanup();
    characters += text.length;
    if (characters > maxCharacters) throw new FileProblem('has more than 64 Mi characters of text');
    pages.push(`[page ${number}]\n${text.replaceAll('\0', '').trimEnd()}`);
  }
  if (characters === 0) {
    throw new FileProblem('is a PDF without text, such as a scan; send its pages as images');
  }
  return pages.join('\n\n');
}

function toProblem(error: unknown): never {
  const isEncrypted = error instanceof Error && error.name === 'PasswordException';
  throw new FileProblem(isEncrypted ? 'is encrypted; send it without a password' : 'is a damaged PDF', error);
}
