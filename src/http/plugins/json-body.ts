import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Fault } from '../../core/errors.js';
import { invalidRequest, toFieldPath } from './errors.js';

/** Far more than any real request; what walks a body can then recurse without a care. */
const maxDepth = 100;
/** Metadata and a schema are bounded in bytes, so no real body has as many. */
const maxValues = 20_000;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bodies are JSON in UTF-8, not compressed. What is wrong with one is said before its fields are looked at. */
export function registerJsonBody(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, bytes: Buffer) => {
      checkEncoding(request);
      checkCharset(request);
      return parseJson(bytes);
    },
  );
}

/** The value that bytes from outside stand for. Throws for what is no JSON, too deep or too much to be a real body. */
export function parseJson(bytes: Buffer, name = 'body'): unknown {
  const text = decode(bytes, name);
  checkShape(bytes, name);
  const value = parse(text, name);
  checkNames(value, []);
  return value;
}

/** For routes that read no body: whatever comes is let pass by. */
export function ignoreBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });
}

function checkEncoding({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (encoding === 'identity') return;
  throw new Fault(
    'unsupported_media_type',
    'The body must not be compressed: no Content-Encoding is supported.',
  );
}

/** @see https://www.rfc-editor.org/rfc/rfc8259#section-8.1 */
function checkCharset({ headers }: FastifyRequest): void {
  const [, charset] = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers['content-type'] ?? '') ?? [];
  if (charset === undefined || /^utf-?8$/i.test(charset)) return;
  throw new Fault('unsupported_media_type', 'The body must be in UTF-8.');
}

function decode(bytes: Buffer, name: string): string {
  if (bytes.length === 0) throw invalidBody(`The ${name} is empty; send a JSON object.`);
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw invalidBody(`The ${name} is not valid UTF-8.`, cause);
  }
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidBody(`The ${name} is not valid JSON.`, cause);
  }
}

function invalidBody(message: string, cause?: unknown): Fault {
  return new Fault('invalid_request', message, { cause });
}

const space = 0x20;
const [quote, comma, openArray, backslash, closeArray, openObject, closeObject] = Buffer.from('",[\\]{}');

/** Refuses what is nested too deeply or has too many values; parsing it would already block the process. */
function checkShape(bytes: Buffer, name: string): void {
  let depth = 0;
  let values = 1;
  let previous: number | undefined;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte <= space) continue;
    if (byte === closeArray || byte === closeObject) depth -= 1;
    else if (byte === comma || previous === openArray || previous === openObject) values += 1;
    if (byte === openArray || byte === openObject) depth += 1;
    else if (byte === quote) at = endOfString(bytes, at);
    if (depth > maxDepth) throw invalidBody(`The ${name} is nested more than ${maxDepth} levels deep.`);
    if (values > maxValues) throw invalidBody(`The ${name} has more than ${maxValues} values.`);
    previous = byte;
  }
}

/** Where the string that starts at `start` ends. */
function endOfString(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

/** Refuses names that could reach a prototype when somebody copies the object. */
function checkNames(value: unknown, path: string[]): void {
  if (typeof value !== 'object' || value === null) return;
  const isArray = Array.isArray(value);
  for (const [name, item] of Object.entries(value)) {
    if (!isArray && isPrototypeName(name, item)) {
      throw invalidRequest([{ path: toFieldPath([...path, name]), message: 'is not an allowed name' }]);
    }
    path.push(name);
    checkNames(item, path);
    path.pop();
  }
}

function isPrototypeName(name: string, item: unknown): boolean {
  if (name === '__proto__') return true;
  return (
    name === 'constructor' && typeof item === 'object' && item !== null && Object.hasOwn(item, 'prototype')
  );
}
