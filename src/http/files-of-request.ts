import type { IngestedFiles, IngestRequest } from '../files/ingest.js';
import type { FileSource, TextFile } from '../files/text-file.js';
import type { Services } from '../services.js';
import { createFileTools } from '../tools/builtin/file-tools.js';
import type { Tool } from '../tools/tool.js';
import { invalidRequest } from './plugins/errors.js';
import type { ChatBody } from './schemas/chat.js';

/** The files of a request, ready to be read. Throws for every address that nothing may be fetched from. */
export async function openFiles(
  { fileFetcher }: Services,
  { files = [] }: ChatBody,
  signal: AbortSignal,
): Promise<FileSource[]> {
  const links = files.flatMap(({ signed_url: url, file_size: size }, index) =>
    url === undefined ? [] : [{ path: `files[${index}].signed_url`, url, size }],
  );
  const opened = await fileFetcher.open(links, signal);
  if ('problems' in opened) throw invalidRequest(opened.problems);
  return files.map((file, index) => {
    const fetch = opened.fetches.get(`files[${index}].signed_url`);
    const field = fetch ? 'signed_url' : file.content === undefined ? 'content_base64' : 'content';
    return {
      name: (file.file_name ?? file.path) as string,
      path: `files[${index}].${field}`,
      content: fetch ?? file.content ?? Buffer.from(file.content_base64 ?? '', 'base64'),
      size: file.file_size,
      lineStart: file.line_start,
      lineEnd: file.line_end,
    };
  });
}

/** Reads the files; when one of them fails, what is still fetched ends with it. */
export async function readFiles(
  { files }: Services,
  request: IngestRequest,
  signal: AbortSignal,
): Promise<IngestedFiles> {
  const over = new AbortController();
  try {
    return await files.ingest(request, AbortSignal.any([signal, over.signal]));
  } finally {
    over.abort();
  }
}

/** The tools of a run, in the order of their names, with those that read its files. `names`: the only ones wanted. */
export function withFileTools(tools: Tool[], files: TextFile[], names: string[] | undefined): Tool[] {
  const own = createFileTools(files).filter((tool) => names?.includes(tool.name) ?? true);
  const others = tools.filter((tool) => own.every(({ name }) => name !== tool.name));
  return [...others, ...own].sort((left, right) => (left.name < right.name ? -1 : 1));
}
