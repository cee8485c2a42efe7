import { countTokens } from '../llm/tokens.js';
import { type Passage, readBytes, type TextFile } from './text-file.js';

export type FittedFile = {
  text: string;
  tokens: number;
  /** the last line that the text shows */
  lineEnd: number;
  /** what is not in it, in words; undefined when all is */
  leftOut: string | undefined;
};

/** Times that a choice is made smaller: tokens are not spread evenly, so a length only says about how many it has. */
const maxTries = 8;
const exactTokens = 4000;
const estimateError = 0.05;
const outlineMark = '[what the file holds]\n';

/** A file's text in at most so many tokens: whole, or its outline and the passages that fit the message best. */
export function fitFile(file: TextFile, mostTokens: number): FittedFile {
  const { text, outline, lineStart, lineEnd } = file;
  if (text !== undefined && file.tokens <= mostTokens) {
    const framed = `${outlineMark}${outline}\n${linesMark(lineStart, lineEnd)}\n${text}`;
    const tokens = hasUse(file, text) ? countTokens(framed) : Number.POSITIVE_INFINITY;
    const isFramed = tokens <= mostTokens;
    return {
      text: isFramed ? framed : text,
      tokens: isFramed ? tokens : file.tokens,
      lineEnd,
      leftOut: undefined,
    };
  }
  return (file.passages.length > 0 && fitPassages(file, mostTokens)) || fitBeginning(file, mostTokens);
}

/** A short text shows its own structure; only the numbers of a table say more than its rows. */
const shortText = 2000;

function hasUse({ outline, kind }: TextFile, text: string): boolean {
  return outline !== '' && (text.length >= shortText || kind === 'csv' || kind === 'xlsx');
}

const linesMark = (from: number, to: number) => (from === to ? `[line ${from}]` : `[lines ${from}-${to}]`);

/** The outline, and the best passages in the order of the file with a mark at each gap. */
function fitPassages(file: TextFile, mostTokens: number): FittedFile | undefined {
  const density = file.tokens / Math.max(1, bytesOfRange(file));
  // the tokens of a longer text are estimated from samples, and passages from all over are less alike than one text
  const most = mostTokens > exactTokens ? Math.floor(mostTokens * (1 - estimateError)) : mostTokens;
  let room = most;
  for (let tries = 0; tries < maxTries; tries += 1) {
    let outline = fitOutline(file.outline, room);
    let passages = choosePassages(file, (room - outline.tokens) / density);
    if (passages[0] === undefined) {
      // what was asked for says more than what the file holds in all
      outline = noOutline;
      passages = choosePassages(file, room / density);
    }
    if (passages.length === 0) return undefined;
    const shown = mergeStretches(passages);
    const text = outline.text + showStretches(file, shown);
    const tokens = countTokens(text);
    if (tokens <= most) {
      const lineEnd = shown.at(-1)?.lineEnd ?? file.lineEnd;
      return { text, tokens, lineEnd, leftOut: describeGaps(file, shown) };
    }
    room = Math.floor((room * most * 0.95) / tokens);
  }
  return undefined;
}

function bytesOfRange({ body, lineStart, lineEnd }: TextFile): number {
  return (body.lineOffsets[lineEnd] ?? 0) - (body.lineOffsets[lineStart - 1] ?? 0);
}

const noOutline = { text: '', tokens: 0 };

/** As much of an outline as a third of the room takes, in whole lines. */
function fitOutline(outline: string, room: number): { text: string; tokens: number } {
  if (outline === '') return noOutline;
  const most = Math.floor(room / 3);
  let kept = outline;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const text = `${outlineMark}${kept}\n`;
    const tokens = countTokens(text);
    if (tokens <= most) return { text, tokens };
    const end = kept.lastIndexOf('\n', Math.floor((kept.length * most * 0.9) / tokens));
    if (end <= 0) break;
    kept = kept.slice(0, end);
  }
  return noOutline;
}

/** what the marks around a passage take, in bytes of text */
const bytesOfMarks = 60;

/** The best passages that fit, in the order of the file. None, when not even the lines around the best find do. */
function choosePassages(file: TextFile, mostBytes: number): Passage[] {
  const [best, ...others] = file.passages;
  const first = best && narrow(best, mostBytes - bytesOfMarks);
  if (!first) return [];
  const chosen = [first];
  let left = mostBytes - Buffer.byteLength(first.text) - bytesOfMarks;
  for (const passage of first === best ? others : []) {
    const bytes = Buffer.byteLength(passage.text) + bytesOfMarks;
    if (bytes > left) break;
    left -= bytes;
    chosen.push(passage);
  }
  return chosen.sort((one, other) => one.start - other.start);
}

/** The passage, or as many lines around its focus as fit. */
function narrow(passage: Passage, mostBytes: number): Passage | undefined {
  if (Buffer.byteLength(passage.text) <= mostBytes) return passage;
  const lines = passage.text.split('\n');
  const sizes = lines.map((line) => Buffer.byteLength(line) + 1);
  let from = passage.focus - passage.lineStart;
  let to = from;
  let left = mostBytes - (sizes[from] ?? 0);
  if (left < 0) return undefined;
  for (let isGrowing = true; isGrowing; ) {
    isGrowing = false;
    for (const next of [to + 1, from - 1]) {
      const size = sizes[next] ?? Number.POSITIVE_INFINITY;
      if (size > left) continue;
      left -= size;
      from = Math.min(from, next);
      to = Math.max(to, next);
      isGrowing = true;
    }
  }
  return {
    ...passage,
    lineStart: passage.lineStart + from,
    lineEnd: passage.lineStart + to,
    text: lines.slice(from, to + 1).join('\n'),
    start: passage.start + sizes.slice(0, from).reduce((sum, size) => sum + size, 0),
  };
}

type Stretch = { lineStart: number; lineEnd: number; texts: string[]; end: number };

/** Passages that follow each other become one. */
function mergeStretches(passages: Passage[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (const { lineStart, lineEnd, text, start } of passages) {
    const last = stretches.at(-1);
    const end = start + Buffer.byteLength(text);
    // a passage's text lacks the end of its last line
    const isPart = last !== undefined && lineStart === last.lineEnd && start === last.end;
    if (last && (isPart || (lineStart > last.lineEnd && start <= last.end + 1))) {
      last.texts.push(isPart ? text : `\n${text}`);
      last.lineEnd = lineEnd;
      last.end = end;
    } else stretches.push({ lineStart, lineEnd, texts: [text], end });
  }
  return stretches;
}

function showStretches(file: TextFile, stretches: Stretch[]): string {
  const parts: string[] = [];
  let next = file.lineStart;
  for (const { lineStart, lineEnd, texts } of stretches) {
    if (lineStart > next) parts.push(gapMark(next, lineStart - 1));
    else if (lineStart < next) parts.push(`[… a part of line ${lineStart} left out …]`);
    parts.push(linesMark(lineStart, lineEnd), texts.join(''));
    next = lineEnd + 1;
  }
  if (next <= file.lineEnd) parts.push(gapMark(next, file.lineEnd));
  return parts.join('\n');
}

function gapMark(from: number, to: number): string {
  return `[… ${from === to ? `line ${from}` : `lines ${from}-${to}`} left out …]`;
}

const mostGapsNamed = 5;

function describeGaps(file: TextFile, stretches: Stretch[]): string {
  const gaps: string[] = [];
  let next = file.lineStart;
  for (const { lineStart, lineEnd } of stretches) {
    if (lineStart > next) gaps.push(`${next}-${lineStart - 1}`);
    next = Math.max(next, lineEnd + 1);
  }
  if (next <= file.lineEnd) gaps.push(`${next}-${file.lineEnd}`);
  if (gaps.length === 0) return 'parts of long lines';
  const more = gaps.length > mostGapsNamed ? ` and ${gaps.length - mostGapsNamed} more stretches` : '';
  return `lines ${gaps.slice(0, mostGapsNamed).join(', ')}${more}`;
}

/** The beginning of the file, where not even one passage fits or there is none. */
function fitBeginning(file: TextFile, mostTokens: number): FittedFile {
  const note = `[… cut: the file goes on to line ${file.lineEnd} …]`;
  const whole = file.text ?? startOf(file, mostTokens);
  const text = cutText(whole, mostTokens - countTokens(`\n${note}`));
  const lineEnd = file.lineStart + text.split('\n').length - 1;
  const isWholeLine = text !== '' && whole[text.length] === '\n';
  const shown = text === '' ? note : `${text}\n${note}`;
  const leftOut = `lines ${isWholeLine ? lineEnd + 1 : lineEnd}-${file.lineEnd}`;
  return { text: shown, tokens: countTokens(shown), lineEnd, leftOut };
}

/** Bytes of text that no token exceeds but for runs of white space and the like. */
const bytesOfToken = 16;

/** The beginning of a long file's range, more than the tokens have room for. */
function startOf({ body, lineStart, lineEnd }: TextFile, mostTokens: number): string {
  const start = body.lineOffsets[lineStart - 1] ?? 0;
  const end = Math.min(body.lineOffsets[lineEnd] ?? start, start + Math.max(0, mostTokens) * bytesOfToken);
  return readBytes(body, start, end).replace(/\ufffd$/, '');
}

/** The beginning of a text in at most so many tokens. */
function cutText(whole: string, mostTokens: number): string {
  let text = whole;
  let tokens = countTokens(text);
  for (let cuts = 0; cuts < maxTries && tokens > mostTokens; cuts += 1) {
    text = wholeLines(text.slice(0, Math.max(0, Math.floor((text.length * mostTokens * 0.9) / tokens))));
    tokens = countTokens(text);
  }
  return tokens > mostTokens ? '' : text;
}

/** Without the line at the end, unless it is the only one, and without half a character. */
function wholeLines(text: string): string {
  const end = text.lastIndexOf('\n');
  return end > 0 ? text.slice(0, end) : text.replace(/[\ud800-\udbff]$/, '');
}
