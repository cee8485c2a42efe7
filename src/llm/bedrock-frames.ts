import { crc32 } from 'node:zlib';

/** A frame of a binary event stream; of its headers only those that are strings are kept. */
export type Frame = { headers: Map<string, string>; body: Buffer };

/** Cuts the bytes of a stream into its frames, wherever the network cut them before. */
export interface FrameSplitter {
  /** the frames that are whole by now; throws when the bytes cannot be a frame */
  push(bytes: Uint8Array): Buffer[];
}

/** A frame begins with its length, the length of its headers and a checksum of the two, and ends with one of it all. */
const preludeBytes = 12;
const checksumBytes = 4;
/** a frame longer than AWS allows is not an answer but an attack or a bug */
const maxFrameBytes = 16 * 1024 * 1024 + 128 * 1024 + preludeBytes + checksumBytes;

/** @see https://smithy.io/2.0/aws/amazon-eventstream.html */
export function createFrameSplitter(): FrameSplitter {
  let pending: Uint8Array[] = [];
  let size = 0;
  let needed = preludeBytes;

  function takeFrames(bytes: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let start = 0;
    needed = preludeBytes;
    while (bytes.length - start >= preludeBytes) {
      const length = frameLength(bytes, start);
      if (bytes.length - start < length) {
        needed = length;
        break;
      }
      frames.push(bytes.subarray(start, start + length));
      start += length;
    }
    pending = start < bytes.length ? [bytes.subarray(start)] : [];
    size = bytes.length - start;
    return frames;
  }

  return {
    push(bytes) {
      if (size === 0) return takeFrames(toBuffer(bytes));
      pending.push(bytes);
      size += bytes.length;
      return size < needed ? [] : takeFrames(Buffer.concat(pending));
    },
  };
}

function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The checksum of the prelude is looked at before its length is trusted. */
function frameLength(bytes: Buffer, start: number): number {
  const length = bytes.readUInt32BE(start);
  const isChecked = crc32(bytes.subarray(start, start + 8)) === bytes.readUInt32BE(start + 8);
  const isPossible = length >= preludeBytes + checksumBytes && length <= maxFrameBytes;
  if (!isChecked || !isPossible) throw new Error('the bytes are not a frame of an event stream');
  return length;
}

/** Takes a whole frame apart; throws when it was damaged. */
export function readFrame(frame: Buffer): Frame {
  const end = frame.length - checksumBytes;
  const headersEnd = preludeBytes + frame.readUInt32BE(4);
  if (crc32(frame.subarray(0, end)) !== frame.readUInt32BE(end) || headersEnd > end) {
    throw new Error('a frame of the event stream is damaged');
  }
  return {
    headers: readHeaders(frame.subarray(preludeBytes, headersEnd)),
    body: frame.subarray(headersEnd, end),
  };
}

const stringType = 7;
/** how long a value of each type is, in bytes; byte arrays and strings say it themselves */
const valueBytes = [0, 0, 1, 2, 4, 8, undefined, undefined, 8, 16];

function readHeaders(bytes: Buffer): Map<string, string> {
  const headers = new Map<string, string>();
  let position = 0;
  while (position < bytes.length) {
    const nameEnd = position + 1 + bytes.readUInt8(position);
    const type = bytes.readUInt8(nameEnd);
    const fixed = valueBytes[type];
    const start = nameEnd + (fixed === undefined ? 3 : 1);
    const end = start + (fixed ?? bytes.readUInt16BE(nameEnd + 1));
    if (type === stringType) {
      headers.set(bytes.toString('latin1', position + 1, nameEnd), bytes.toString('utf8', start, end));
    }
    position = end;
  }
  return headers;
}
