import { countLines, type FileBody, readBytes } from './text-file.js';

/** A stretch of a text in bytes and lines. */
export type Stretch = { start: number; end: number; lineStart: number; lineEnd: number };

const mostBytes = 2000;
const mostLines = 40;
/** A stretch of at least so many bytes ends where the text itself has a break. */
const enoughBytes = 700;
const headingBytes = 200;

const hash = 35;
const bracket = 91;
/** what a line begins with that belongs to the one before: a space, a line end or a closing bracket */
const inner = new Set([...' \t\r\n})'].map((sign) => sign.charCodeAt(0)));

/** Cuts lines into stretches of about 2,000 characters that end, where they can, with a paragraph, function or page. */
export function cutPassages(body: FileBody, lineStart: number, lineEnd: number): Stretch[] {
  const { bytes, lineOffsets } = body;
  const stretches: Stretch[] = [];
  let open: Stretch | undefined;
  /** where the open stretch can best be parted */
  let seam: { start: number; line: number } | undefined;
  let wasBlank = false;
  const close = () => {
    if (open) stretches.push(open);
    open = undefined;
    seam = undefined;
  };
  for (let line = lineStart; line <= Math.min(lineEnd, countLines(body)); line += 1) {
    const start = lineOffsets[line - 1] as number;
    const end = lineOffsets[line] as number;
    if (open && isFull(open, end)) {
      if (seam) {
        stretches.push({ ...open, end: seam.start, lineEnd: seam.line - 1 });
        open = { ...open, start: seam.start, lineStart: seam.line };
        seam = undefined;
      } else close();
    }
    if (isPageMark(bytes, start, end)) close();
    else if (open && wasBlank && !inner.has(bytes[start] as number)) {
      if (isEnough(open, bytes[start] as number)) close();
      else seam = { start, line };
    }
    wasBlank = isBlank(bytes, start, end);
    if (end - start > mostBytes) {
      close();
      stretches.push(...cutLine(bytes, start, end, line));
    } else if (open && !isFull(open, end)) {
      open.end = end;
      open.lineEnd = line;
    } else {
      close();
      if (end > start) open = { start, end, lineStart: line, lineEnd: line };
    }
  }
  close();
  return stretches;
}

function isFull(open: Stretch, end: number): boolean {
  return end - open.start > mostBytes || open.lineEnd - open.lineStart + 1 >= mostLines;
}

function isEnough(open: Stretch, first: number): boolean {
  return open.end - open.start >= (first === hash ? headingBytes : enoughBytes);
}

export const pageMark = /^\[page (\d+)\]$/;

function isPageMark(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== bracket || end - start > 20) return false;
  return pageMark.test(Buffer.from(bytes.subarray(start, end)).toString('latin1').trim());
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) if ((bytes[index] as number) > 32) return false;
  return true;
}

/** The parts of a line that is too long, cut after a space or a sign where one is near. */
function cutLine(bytes: Uint8Array, start: number, end: number, line: number): Stretch[] {
  const parts: Stretch[] = [];
  let from = start;
  while (from < end) {
    const to = end - from <= mostBytes ? end : cutBefore(bytes, from, from + mostBytes);
    parts.push({ start: from, end: to, lineStart: line, lineEnd: line });
    from = to;
  }
  return parts;
}

const nearBytes = 200;
const breaks = new Set([...' \t,;>})]'].map((sign) => sign.charCodeAt(0)));

function cutBefore(bytes: Uint8Array, from: number, limit: number): number {
  for (let index = limit; index > limit - nearBytes; index -= 1) {
    if (breaks.has(bytes[index - 1] as number)) return index;
  }
  let index = limit;
  while (index > from + 1 && isContinuation(bytes[index] ?? 0)) index -= 1;
  return index;
}

const isContinuation = (byte: number) => (byte & 0xc0) === 0x80;

/** The text of a stretch without the end of its last line. */
export function textOfStretch(body: FileBody, stretch: Stretch): string {
  const text = readBytes(body, stretch.start, stretch.end);
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
