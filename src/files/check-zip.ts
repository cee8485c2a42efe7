import { finished } from 'node:stream/promises';
import { type Entry, fromBuffer, type ZipFile } from 'yauzl';
import { FileProblem } from './problem.js';

/** Bytes that all parts of an Office file may have together when they are inflated. */
const maxInflatedBytes = 128 * 1024 * 1024;
const maxEntries = 20_000;
const megabyte = 1024 * 1024;

export type OfficeKind = 'docx' | 'xlsx';

/**
 * Tells what a zip archive holds and inflates all of it once, keeping nothing: the parsers behind it trust the sizes that
 * the archive states, and a few kilobytes may inflate to gigabytes.
 */
export async function checkZip(bytes: Buffer): Promise<OfficeKind> {
  const zip = await open(bytes);
  if (zip.entryCount > maxEntries)
    throw new FileProblem(`has ${zip.entryCount} parts; ${maxEntries} are the most`);
  const entries = await listEntries(zip);
  const kind = kindOf(entries.map((entry) => entry.fileName));
  if (entries.some((entry) => entry.isEncrypted()))
    throw new FileProblem('is encrypted; send it without a password');
  const stated = entries.reduce((total, entry) => total + entry.uncompressedSize, 0);
  if (stated > maxInflatedBytes) {
    throw new FileProblem(`inflates to more than ${maxInflatedBytes / megabyte} MiB`);
  }
  for (const entry of entries) {
    try {
      // reading it to its end fails when there is more than the archive states
      const stream = await zip.openReadStreamPromise(entry);
      await finished(stream.resume());
    } catch (error) {
      throw new FileProblem('is a damaged zip archive', error);
    }
  }
  return kind;
}

function open(bytes: Buffer): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true, validateEntrySizes: true }, (error, zip) => {
      if (error) reject(new FileProblem('is a damaged zip archive', error));
      else resolve(zip);
    });
  });
}

function listEntries(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    zip.on('entry', (entry: Entry) => {
      entries.push(entry);
      zip.readEntry();
    });
    zip.once('end', () => resolve(entries));
    zip.once('error', (error: Error) => reject(new FileProblem('is a damaged zip archive', error)));
    zip.readEntry();
  });
}

function kindOf(names: string[]): OfficeKind {
  if (names.includes('[Content_Types].xml')) {
    if (names.some((name) => name.startsWith('word/'))) return 'docx';
    if (names.some((name) => name.startsWith('xl/'))) return 'xlsx';
  }
  throw new FileProblem('is a zip archive that is neither .docx nor .xlsx; send the files in it');
}
