import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { Fault } from '../../src/core/errors.ts';
import { createFileReader, type FileReader, type FileReaderOptions } from '../../src/files/ingest.ts';
import type { FileSource, TextFile } from '../../src/files/text-file.ts';

export const fixture = (name: string) => readFileSync(new URL(`../fixtures/files/${name}`, import.meta.url));

export const never = new AbortController().signal;

/** A reader of files for one test. */
export function useReader(options: Partial<FileReaderOptions> = {}): FileReader {
  const reader = createFileReader({ maxFileBytes: 100 * 1024 * 1024, ...options });
  onTestFinished(() => reader.close());
  return reader;
}

type Asked = Partial<Omit<FileSource, 'content'>> & { question?: string; reader?: FileReader };

export const sourceOf = (
  content: FileSource['content'],
  { question: _, reader: __, ...rest }: Asked = {},
): FileSource => ({ name: 'file', path: 'files[0].content_base64', content, ...rest });

/** Reads one file. */
export async function read(content: FileSource['content'], asked: Asked = {}): Promise<TextFile> {
  const { question = 'What is in it?', reader = useReader() } = asked;
  const request = { sources: [sourceOf(content, asked)], question, acceptsImages: false };
  const { files } = await reader.ingest(request, never);
  return files[0] as TextFile;
}

/** The problem that a file is refused with. */
export async function problemOf(content: FileSource['content'], asked: Asked = {}): Promise<string> {
  try {
    const { kind } = await read(content, asked);
    throw new Error(`it was read as ${kind}`);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const [problem, ...more] = error.problems ?? [];
    const where = 'files[0].content_base64';
    if (error.type !== 'invalid_file' || problem?.path !== where || more.length > 0) throw error;
    if (error.message !== `${where} ${problem.message}.`) throw error;
    return problem.message;
  }
}
