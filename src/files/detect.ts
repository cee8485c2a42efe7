import { isUtf8 } from 'node:buffer';
import type { FileKind } from './text-file.js';

export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

/** What the first look at the bytes tells. */
export type Format =
  | { type: 'image'; mimeType: string }
  | { type: 'pdf' }
  | { type: 'zip' }
  | { type: 'text'; encoding: TextEncoding }
  | { type: 'unreadable'; problem: string };

const notReadable = 'is no text and no type of file that can be read';

const refused: [magic: string, problem: string][] = [
  [
    'd0cf11e0a1b11ae1',
    'is an encrypted or old Office document; send it without a password as .docx or .xlsx',
  ],
  ['1f8b', 'is compressed with gzip; send what is in it'],
  ['377abcaf271c', 'is a 7z archive; send the files in it'],
  ['526172211a07', 'is a RAR archive; send the files in it'],
  ['7f454c46', notReadable],
];

/** How much of a text decides whether it is one. */
const sampleBytes = 64 * 1024;

/** Finds the type by the bytes alone: a name or a claimed type proves nothing. */
export function detectFormat(bytes: Uint8Array): Format {
  const hex = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  const mimeType = imageType(hex);
  if (mimeType !== undefined) return { type: 'image', mimeType };
  if (hex.startsWith('504b0304') || hex.startsWith('504b0506')) return { type: 'zip' };
  for (const [magic, problem] of refused) if (hex.startsWith(magic)) return { type: 'unreadable', problem };
  // a PDF may begin with other bytes, of which readers skip up to 1,024
  const head = Buffer.from(bytes.subarray(0, 1024)).toString('latin1');
  if (/^\s*%PDF-\d/.test(head) || (/%PDF-\d/.test(head) && head.includes('\0'))) return { type: 'pdf' };
  const encoding = encodingOf(bytes, hex);
  return encoding === undefined ? { type: 'unreadable', problem: notReadable } : { type: 'text', encoding };
}

function imageType(hex: string): string | undefined {
  if (hex.startsWith('89504e470d0a1a0a')) return 'image/png';
  if (hex.startsWith('ffd8ff')) return 'image/jpeg';
  if (/^474946383[79]61/.test(hex)) return 'image/gif';
  return /^52494646.{8}57454250/.test(hex) ? 'image/webp' : undefined;
}

function encodingOf(bytes: Uint8Array, hex: string): TextEncoding | undefined {
  if (hex.startsWith('fffe')) return looksLikeUtf16(bytes, 'utf-16le') ? 'utf-16le' : undefined;
  if (hex.startsWith('feff')) return looksLikeUtf16(bytes, 'utf-16be') ? 'utf-16be' : undefined;
  if (bytes.includes(0)) return undefined;
  if (isUtf8(bytes)) return 'utf-8';
  return looksLikeWindows1252(bytes) ? 'windows-1252' : undefined;
}

function looksLikeUtf16(bytes: Uint8Array, encoding: string): boolean {
  if (bytes.length % 2 !== 0) return false;
  const text = new TextDecoder(encoding).decode(bytes.subarray(0, sampleBytes));
  const wrong = text.match(/[^\P{Cc}\t\n\v\f\r\x85]|[\ufffd\uffff]/gu)?.length ?? 0;
  return wrong <= text.length / 1000;
}

/** Western text in one byte a character: words with some accented letters, and no control characters. */
function looksLikeWindows1252(bytes: Uint8Array): boolean {
  const sample = bytes.subarray(0, sampleBytes);
  let high = 0;
  for (const byte of sample) {
    if (byte < 9 || (byte > 13 && byte < 32) || byte === 127) return false;
    if (byte >= 128) high += 1;
  }
  return high <= sample.length * 0.3;
}

const codeExtensions = new Set(
  (
    'ts tsx mts cts js jsx mjs cjs py pyi rb go rs java kt kts scala c h cc cpp cxx hpp hh cs php swift m mm sh bash zsh ' +
    'fish ps1 psm1 bat cmd pl pm lua r jl ex exs erl hs clj cljs lisp el ml fs fsx vb dart groovy gradle sql graphql gql ' +
    'proto tf hcl css scss sass less vue svelte astro zig nim cmake mk make dockerfile asm s vhd v sv ini toml cfg conf ' +
    'properties env'
  ).split(' '),
);
const namesOfCode = /^(makefile|dockerfile|gemfile|rakefile|vagrantfile|jenkinsfile|cmakelists\.txt)$/i;

export type TextType = { kind: FileKind; delimiter?: string };

/**
 * The kind of a text by its beginning; `isWhole` says that there is no more of it. The name only decides between kinds
 * whose texts may look the same.
 */
export function detectText(head: string, name: string, isWhole: boolean): TextType {
  const extension = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  const start = head.trimStart().slice(0, 2048);
  if (/^(<!--[\s\S]*?-->\s*)?(<!doctype\s+html|<html[\s>])/i.test(start)) return { kind: 'html' };
  if (/^<\?xml[\s?]/.test(start)) {
    return { kind: /<!doctype\s+html|<html[\s>]/i.test(start) ? 'html' : 'xml' };
  }
  if (/^(html?|xhtml)$/.test(extension) && /<[a-z][^<>]*>/i.test(head)) return { kind: 'html' };
  if (looksLikeJson(head, isWhole)) return { kind: 'json' };
  if (codeExtensions.has(extension) || namesOfCode.test(name.replace(/^.*[\\/]/, '')))
    return { kind: 'code' };
  if (/^<([a-z_][\w:.-]*)(\s[^<>]*)?>/i.test(start) && looksLikeXml(start, head, isWhole))
    return { kind: 'xml' };
  if (/^(md|markdown|mdx|rst|adoc)$/.test(extension)) return { kind: 'markdown' };
  if (/^ya?ml$/.test(extension)) return { kind: 'yaml' };
  const delimiter = findDelimiter(head, isWhole, /^(csv|tsv|tab|psv)$/.test(extension));
  if (delimiter !== undefined) return { kind: 'csv', delimiter };
  if (/^---\r?\n\s*[\w"'-]+:(\s|$)/.test(start)) return { kind: 'yaml' };
  if (/^#![^\n]*\b(sh|bash|python3?|node|perl|ruby|env)\b/.test(start)) return { kind: 'code' };
  if (looksLikeMarkdown(head)) return { kind: 'markdown' };
  return { kind: looksLikeCode(head) ? 'code' : 'text' };
}

function looksLikeJson(head: string, isWhole: boolean): boolean {
  const text = head.trim();
  if (!/^[[{]/.test(text)) return false;
  const isJson = (part: string) => {
    try {
      JSON.parse(part);
      return true;
    } catch {
      return false;
    }
  };
  if (isWhole && isJson(text)) return true;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const whole = isWhole ? lines : lines.slice(0, -1);
  if (whole.length > 1 && whole.slice(0, 5).every((line) => /^\s*[[{]/.test(line) && isJson(line)))
    return true;
  return !isWhole && /^(\{\s*"(?:[^"\\]|\\.){0,500}"\s*:|\[\s*(?:[[{"\d-]|true|false|null))/.test(text);
}

function looksLikeXml(start: string, head: string, isWhole: boolean): boolean {
  const root = /^<([a-z_][\w:.-]*)/i.exec(start)?.[1] ?? '';
  if (isWhole) return head.trimEnd().endsWith(`</${root}>`) || /^<[^<>]*\/>$/.test(head.trim());
  return (head.match(/<\/[\w:.-]+>/g)?.length ?? 0) > 5;
}

function looksLikeMarkdown(head: string): boolean {
  const marks = [
    /^#{1,6} \S/m,
    /^```/m,
    /^[ \t]{0,40}[-*] \S/m,
    /\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)/,
    /\*\*[^*\n]{1,200}\*\*/,
    /^\|?[ :|-]{0,40}---[ :|-]{0,400}\|/m,
  ];
  return marks.filter((mark) => mark.test(head)).length >= 2;
}

function looksLikeCode(head: string): boolean {
  const lines = head.split('\n', 200).filter((line) => line.trim() !== '');
  if (lines.length < 3) return false;
  const likely =
    /[;{}]\s*$|^\s*(import|from|export|def|class|function|func|fn|const|let|var|public|private|#include|package|use|return)\b.*[\w(){};:'"]$/;
  return lines.filter((line) => likely.test(line.slice(0, 300))).length > lines.length * 0.5;
}

const delimiters = [',', '\t', ';', '|'];

/** The sign that parts each line into the same number of fields. A text that is called a table needs less proof. */
function findDelimiter(head: string, isWhole: boolean, isCalledTable: boolean): string | undefined {
  const rows = recordsOf(head, isWhole);
  const least = isCalledTable ? 1 : 3;
  if (rows.length < least) return undefined;
  let best: { delimiter: string; fields: number } | undefined;
  for (const delimiter of delimiters) {
    const counts = rows.map((row) => countOutsideQuotes(row, delimiter));
    const fields = counts[0] ?? 0;
    if (fields === 0) continue;
    const alike = counts.filter((count) => count === fields).length;
    if (alike < rows.length * (isCalledTable ? 0.7 : 0.95)) continue;
    if (!isCalledTable && looksLikeProse(rows, delimiter)) continue;
    if (!best || fields > best.fields) best = { delimiter, fields };
  }
  // a table of one column has no delimiter at all
  const isColumn = isCalledTable && rows.every((row) => row.length <= 200 && !/[.!?]\s/.test(row));
  return best?.delimiter ?? (isColumn ? ',' : undefined);
}

function looksLikeProse(rows: string[], delimiter: string): boolean {
  if (delimiter === '|') return rows.some((row) => /^\s{0,40}\|?[ :|-]{0,40}---/.test(row));
  const spaced = rows.filter((row) => row.includes(`${delimiter} `)).length;
  return spaced > rows.length / 2 || rows.some((row) => /[;{}]\s*$/.test(row));
}

/** The first lines, those joined that one quoted field goes across. */
function recordsOf(head: string, isWhole: boolean): string[] {
  const lines = head.split('\n', 400);
  // the last line may be cut off; when it is the only one, it is all there is to see
  if (!isWhole && lines.length < 400 && lines.length > 1) lines.pop();
  const records: string[] = [];
  let open = '';
  for (const line of lines) {
    const record = open === '' ? line : `${open}\n${line}`;
    const isOpen = (record.match(/"/g)?.length ?? 0) % 2 === 1;
    open = isOpen && record.length < 10_000 ? record : '';
    if (open === '' && record.trim() !== '') records.push(record);
    if (records.length === 50) break;
  }
  return records;
}

function countOutsideQuotes(row: string, sign: string): number {
  let count = 0;
  let isQuoted = false;
  for (const character of row) {
    if (character === '"') isQuoted = !isQuoted;
    else if (character === sign && !isQuoted) count += 1;
  }
  return count;
}
