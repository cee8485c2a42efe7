import { pageMark } from './cut-passages.js';
import { clip, counted } from './numbers.js';
import { describeShape, Shape } from './shape.js';
import { countLines, type FileBody, type FileKind, readBytes, readLines } from './text-file.js';

const mostEntries = 150;
const mostLineLength = 300;
/** Bytes of a text whose outline is read line by line; the rest of a longer one is only found by its passages. */
const mostOutlined = 16 * 1024 * 1024;

/** The outline of prose and code: headings, pages or declarations with their lines. */
export function outlineText(body: FileBody, kind: FileKind): string {
  const entries = kind === 'code' ? findEntries(body, toDeclaration) : findHeadings(body, kind);
  if (entries.length === 0) return '';
  const shown = thinOut(entries).map(({ line, text }) => `line ${line}: ${text}`);
  const kept = shown.length < entries.length ? ` (${shown.length} of ${entries.length})` : '';
  const what = kind === 'code' ? 'Declarations' : 'Headings';
  return `${counted(countLines(body), 'line')}. ${what}${kept}:\n${shown.join('\n')}`;
}

type Entry = { line: number; text: string };

/** Of too many entries every second, third … one. */
function thinOut(entries: Entry[]): Entry[] {
  const step = Math.ceil(entries.length / mostEntries);
  return entries.filter((_, index) => index % step === 0);
}

function* eachLine(body: FileBody): Generator<{ line: number; text: string }> {
  const lines = countLines(body);
  for (let line = 1; line <= lines; line += 1) {
    const start = body.lineOffsets[line - 1] as number;
    if (start > mostOutlined) return;
    const end = Math.min(body.lineOffsets[line] as number, start + mostLineLength);
    yield { line, text: readBytes(body, start, end).replace(/\r?\n$/, '') };
  }
}

function findEntries(body: FileBody, read: (text: string) => string | undefined): Entry[] {
  const entries: Entry[] = [];
  for (const { line, text } of eachLine(body)) {
    const found = read(text);
    if (found !== undefined) entries.push({ line, text: found });
  }
  return entries;
}

const modifiers =
  '(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|async|override|virtual|sealed|partial|open|inline|unsafe|extern|pub(?:\\([\\w:]+\\))?|const|data|suspend|readonly)\\s+)*';
const keywords = new RegExp(
  `^\\s*${modifiers}(?:function\\*?|class|interface|type|enum|namespace|module|struct|trait|impl|fn|def|func|fun|package|object|protocol|extension|record|union|mod|macro_rules!|sub|defmodule|defp?|message|service|rpc)\\s*(?:<[^>]*>\\s*|\\([^)]*\\)\\s*)?[\\w$.:"'<]+`,
);
const assigned =
  /^\s*(?:export\s+)?(?:const|let|var)\s+[\w$]+\s*(?::[^=]+)?=\s*(?:async\s*)?(?:function\b|\([^)]*\)\s*(?::[^=]+)?=>|[\w$]+\s*=>)/;
const method =
  /^\s{0,8}(?!(?:return|if|else|for|while|switch|catch|throw|new|await|yield|case|do|typeof|delete)\b)(?:[\w$<>[\],.*&:?@]+\s+){0,5}[~\w$:]+\s*\([^;]*\)\s*(?::\s*[^;{]+)?(?:const\s*|throws\s+[\w., ]+)?\{\s*$/;
const statement =
  /^\s*create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index|trigger|type)\s+\S+/i;
const section = /^\[{1,2}[^\]\n]{1,100}\]{1,2}\s*$/;

function toDeclaration(line: string): string | undefined {
  if (line.length >= mostLineLength || line.trim() === '') return undefined;
  const isFound = [keywords, assigned, method, statement, section].some((pattern) => pattern.test(line));
  return isFound ? clip(line, 120) : undefined;
}

function findHeadings(body: FileBody, kind: FileKind): Entry[] {
  if (kind === 'pdf') return findPages(body);
  let isFenced = false;
  return findEntries(body, (text) => {
    if (/^\s*(```|~~~)/.test(text)) isFenced = !isFenced;
    if (isFenced) return undefined;
    if (kind === 'text') return isPlainHeading(text) ? clip(text, 120) : undefined;
    return /^#{1,6} \S/.test(text) ? clip(text, 120) : undefined;
  });
}

/** Chapters of plain text and numbered sections. */
function isPlainHeading(text: string): boolean {
  return /^\s{0,3}(?:(?:chapter|part|section|appendix|kapitel|teil|abschnitt|anhang|cap[ií]tulo|chapitre|partie|article|artikel)\s+[\dIVXLC]+\b.{0,80}|\d{1,2}(?:\.\d{1,2}){1,4}\.?\s+\p{Lu}.{2,80})$/iu.test(
    text,
  );
}

function findPages(body: FileBody): Entry[] {
  const pages: Entry[] = [];
  for (const { line, text } of eachLine(body)) {
    const page = pageMark.exec(text)?.[1];
    if (page !== undefined)
      pages.push({ line, text: `page ${page}: ${clip(readLines(body, line + 1, line + 1), 100)}` });
  }
  return pages;
}

const mostXml = 32 * 1024 * 1024;
const deepestXml = 8;

/** The tree of elements. Nothing in the text is resolved or loaded, so entities cost nothing. */
export function outlineXml(body: FileBody): string {
  const text = readBytes(body, 0, Math.min(body.bytes.length, mostXml));
  const root = new Shape();
  const stack: (Shape | undefined)[] = [root];
  let depth = 0;
  for (const [, closing, name, attributes = '', isEmpty] of text.matchAll(
    /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<(\/?)([\p{L}_][\p{L}\p{N}_:.-]*)((?:[^<>"']|"[^"]*"|'[^']*')*?)(\/?)>/gu,
  )) {
    if (name === undefined) continue;
    if (closing === '/') {
      depth = Math.max(0, depth - 1);
      continue;
    }
    const parent = depth < deepestXml ? stack[depth] : undefined;
    const element = parent?.keyAt(name);
    element?.addType('element');
    for (const [, attribute = ''] of attributes.matchAll(/([\w:.-]+)\s*=/g)) {
      element?.keyAt(`@${attribute}`)?.addType('attribute');
    }
    if (isEmpty === '/') continue;
    depth += 1;
    if (depth <= deepestXml) stack[depth] = element;
  }
  const names = [...root.keys].map(([name, shape]) => describeShape(shape, name));
  return names.length === 0 ? '' : `XML:\n${names.join('\n')}`;
}
