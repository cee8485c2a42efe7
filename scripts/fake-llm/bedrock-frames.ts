import { crc32 } from 'node:zlib';

/** One frame of a binary event stream. @see https://smithy.io/2.0/aws/amazon-eventstream.html */
export function encodeFrame(headers: Record<string, string>, body: Uint8Array): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => encodeHeader(name, value)));
  const length = 12 + head.length + body.length + 4;
  const frame = Buffer.alloc(length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(head.length, 4);
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8);
  frame.set(head, 12);
  frame.set(body, 12 + head.length);
  frame.writeUInt32BE(crc32(frame.subarray(0, length - 4)), length - 4);
  return frame;
}

const stringType = 7;

function encodeHeader(name: string, value: string): Buffer {
  const text = Buffer.from(value);
  const prefix = Buffer.from([name.length, ...Buffer.from(name), stringType, 0, 0]);
  prefix.writeUInt16BE(text.length, prefix.length - 2);
  return Buffer.concat([prefix, text]);
}

export function eventFrame(type: string, payload: object): Buffer {
  const headers = {
    ':event-type': type,
    ':content-type': 'application/json',
    ':message-type': 'event',
  };
  return encodeFrame(headers, Buffer.from(JSON.stringify(payload)));
}

/** an exception that the service's model knows, such as `throttlingException` */
export function exceptionFrame(type: string, message: string): Buffer {
  const headers = {
    ':exception-type': type,
    ':content-type': 'application/json',
    ':message-type': 'exception',
  };
  return encodeFrame(headers, Buffer.from(JSON.stringify({ message })));
}

/** an error that it does not know */
export function errorFrame(code: string, message: string): Buffer {
  return encodeFrame(
    { ':message-type': 'error', ':error-code': code, ':error-message': message },
    new Uint8Array(),
  );
}

/** the same frame with one bit of its text turned over, which only the checksum tells */
export function corrupted(frame: Buffer): Buffer {
  const broken = Buffer.from(frame);
  const position = broken.length - 8;
  broken.writeUInt8(broken.readUInt8(position) ^ 1, position);
  return broken;
}
