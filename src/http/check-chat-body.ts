import type { FieldProblem } from '../core/errors.js';
import { findSchemaProblem } from './check-json-schema.js';
import { type ChatBody, maxInlineFileBytes, maxMessageBytes, maxMetadataBytes } from './schemas/chat.js';

type File = NonNullable<ChatBody['files']>[number];

/** What a JSON Schema cannot say about a chat body. */
export function checkChatBody(body: ChatBody): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const add = (path: string, message: string) => problems.push({ path, message });
  if (Buffer.byteLength(body.message) > maxMessageBytes) add('message', 'must have at most 1 MiB');
  body.files?.forEach((file, index) => {
    for (const { path, message } of checkFile(file)) add(`files[${index}]${path}`, message);
  });
  body.images?.forEach((image, index) => {
    if (!isBase64(image.data)) add(`images[${index}].data`, 'is not valid base64');
  });
  if (body.session_id !== undefined && body.history !== undefined) {
    add('history', 'must not come together with session_id');
  }
  const { response_format: format } = body;
  if (format) problems.push(...checkResponseFormat(format));
  if (body.metadata && Buffer.byteLength(JSON.stringify(body.metadata)) > maxMetadataBytes) {
    add('metadata', 'must have at most 16 KiB');
  }
  return problems;
}

function checkFile(file: File): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const add = (path: string, message: string) => problems.push({ path, message });
  if ((file.file_name === undefined) === (file.path === undefined)) {
    if (file.path === undefined) add('.file_name', 'is required');
    else add('', 'must have file_name or path, not both');
  }
  const sources = [file.content, file.content_base64, file.signed_url].filter(
    (source) => source !== undefined,
  );
  if (sources.length !== 1) add('', 'must have exactly one of content, content_base64, signed_url');
  if (file.content_base64 !== undefined && !isBase64(file.content_base64)) {
    add('.content_base64', 'is not valid base64');
  }
  const isInline = file.signed_url === undefined;
  const bytes = sizeOf(file);
  if (bytes > maxInlineFileBytes) add('', `must have at most ${maxInlineFileBytes} bytes inline`);
  else if (isInline && file.file_size !== undefined && sources.length === 1 && file.file_size !== bytes) {
    add('.file_size', `is ${file.file_size}, but the content has ${bytes} bytes`);
  }
  if (file.line_start !== undefined && file.line_end !== undefined && file.line_start > file.line_end) {
    add('.line_start', 'must not be greater than line_end');
  }
  return problems;
}

function sizeOf(file: File): number {
  if (file.content !== undefined) return Buffer.byteLength(file.content);
  return Buffer.byteLength(file.content_base64 ?? '', 'base64');
}

function checkResponseFormat(format: NonNullable<ChatBody['response_format']>): FieldProblem[] {
  const path = 'response_format.schema';
  if (format.type !== 'json_schema') {
    return format.schema === undefined ? [] : [{ path, message: 'only goes with type json_schema' }];
  }
  if (format.schema === undefined) return [{ path, message: 'is required for type json_schema' }];
  const problem = findSchemaProblem(format.schema);
  return problem === undefined ? [] : [{ path, message: problem }];
}

export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
