/** A file, or a stretch of one of which only parts were attached. */
export type AttachedFile = { name: string; firstLine: number; lines: string[] };
type FoundLine = { file: AttachedFile; number: number; text: string };

const opening = /^<file name="((?:[^"\\\n]|\\.)*)"(?: lines="(\d+)-(\d+)")?[^>\n]*>\n?/gm;
const closing = '</file>';
/** How a file begins of which not all is shown: with its outline, a gap or the lines that follow. */
const parted = /^\[(what the file holds|line \d+|lines \d+-\d+|… .*left out …)\]$/m;
const stretchMark = /^\[lines? (\d+)(?:-\d+)?\]$/;
const gapMark = /^\[… .* …\]$/;

/** A user message and the files that follow its text as `<file name="…" lines="A-B">` blocks. */
export function splitFiles(content: string): { text: string; files: AttachedFile[] } {
  const files: AttachedFile[] = [];
  let text: string | undefined;
  opening.lastIndex = 0;
  for (let match = opening.exec(content); match !== null; match = opening.exec(content)) {
    text ??= content.slice(0, match.index);
    const start = opening.lastIndex;
    const name = unquote(match[1] ?? '');
    const firstLine = Number(match[2] ?? 1);
    const isParted = parted.test(content.slice(start, content.indexOf('\n', start)));
    const isCounted = !isParted && match[3] !== undefined;
    const count = isCounted ? Number(match[3]) - firstLine + 1 : Number.POSITIVE_INFINITY;
    const end = endOfFile(content, start, count);
    const lines = content.slice(start, end).replace(/\n$/, '').split('\n');
    if (isParted) files.push(...stretchesOf(name, lines));
    else files.push({ name, firstLine, lines: lines.slice(0, Math.max(count, 0)) });
    opening.lastIndex = end;
  }
  return { text: (text ?? content).trim(), files };
}

function stretchesOf(name: string, lines: string[]): AttachedFile[] {
  const stretches: AttachedFile[] = [];
  let open: AttachedFile | undefined;
  for (const line of lines) {
    const mark = stretchMark.exec(line)?.[1];
    if (mark !== undefined) {
      open = { name, firstLine: Number(mark), lines: [] };
      stretches.push(open);
    } else if (gapMark.test(line)) open = undefined;
    else open?.lines.push(line);
  }
  return stretches;
}

/** Where the block ends; the number of lines, when it is known, says that better than a file's own text. */
function endOfFile(content: string, start: number, lineCount: number): number {
  let at = start;
  for (let line = 1; line < lineCount && Number.isFinite(lineCount); line++) {
    const next = content.indexOf('\n', at);
    if (next === -1) break;
    at = next + 1;
  }
  const close = content.indexOf(closing, at);
  return close === -1 ? content.length : close;
}

/** The lines that share the most words with the question, in the order of the files. A rare word weighs more. */
export function closestLines(files: AttachedFile[], question: string, limit: number): FoundLine[] {
  const asked = new Set(wordsOf(question));
  const shared: { line: FoundLine; words: string[] }[] = [];
  const frequency = new Map<string, number>();
  for (const file of files) {
    for (const [index, text] of file.lines.entries()) {
      const words = [...new Set(wordsOf(text))].filter((word) => asked.has(word));
      for (const word of words) frequency.set(word, (frequency.get(word) ?? 0) + 1);
      if (words.length > 0) shared.push({ line: { file, number: file.firstLine + index, text }, words });
    }
  }
  const weight = (words: string[]) => words.reduce((sum, word) => sum + 1 / (frequency.get(word) ?? 1), 0);
  const scored = shared.map(({ line, words }, order) => ({
    line,
    order,
    score: words.length + weight(words),
  }));
  scored.sort((left, right) => right.score - left.score || left.order - right.order);
  return scored
    .slice(0, limit)
    .sort((left, right) => left.order - right.order)
    .map(({ line }) => line);
}

const commonWords = new Set(
  'the and are was were what which who how does did this that with from for you your have has file files line lines'.split(
    ' ',
  ),
);

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [];
  return words.filter((word) => (word.length > 2 || /\d/.test(word)) && !commonWords.has(word));
}

function unquote(name: string): string {
  try {
    return String(JSON.parse(`"${name}"`));
  } catch {
    return name;
  }
}
