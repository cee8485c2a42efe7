import type { TextEncoding } from './detect.js';
import type { FileBody } from './text-file.js';

const newline = 10;

/** Text as UTF-8 in memory that threads share, with the beginning of every line. */
export function toBody(bytes: Uint8Array): FileBody {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return { bytes: shared, lineOffsets: findLines(shared) };
}

function findLines(bytes: Uint8Array): Uint32Array {
  let lines = 1;
  for (let index = bytes.indexOf(newline); index !== -1; index = bytes.indexOf(newline, index + 1))
    lines += 1;
  const offsets = new Uint32Array(new SharedArrayBuffer((lines + 1) * Uint32Array.BYTES_PER_ELEMENT));
  let line = 1;
  for (let index = bytes.indexOf(newline); index !== -1; index = bytes.indexOf(newline, index + 1)) {
    offsets[line] = index + 1;
    line += 1;
  }
  offsets[lines] = bytes.length;
  return offsets;
}

/** Lines of a text, which are counted up to `most`. */
export function countLinesUpTo(bytes: Uint8Array, most: number): number {
  let lines = 1;
  let index = bytes.indexOf(newline);
  while (index !== -1 && lines < most) {
    lines += 1;
    index = bytes.indexOf(newline, index + 1);
  }
  return lines;
}

const decodedPiece = 1024 * 1024;

/** The text's bytes as UTF-8 without a byte order mark. */
export function toUtf8(bytes: Uint8Array, encoding: TextEncoding): Uint8Array {
  if (encoding === 'utf-8') {
    return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
  }
  // piece by piece: the whole text as one string would take twice its bytes once more
  const decoder = new TextDecoder(encoding);
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += decodedPiece) {
    const piece = bytes.subarray(start, start + decodedPiece);
    pieces.push(Buffer.from(decoder.decode(piece, { stream: true })));
  }
  pieces.push(Buffer.from(decoder.decode()));
  return Buffer.concat(pieces);
}
