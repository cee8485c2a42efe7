import type { ImageContent, TextContent } from '../core/message.js';
import type { ToolResult } from '../tools/tool.js';
import type { TaskData } from './generated/paf/worker/v1/TaskData.js';
import type { TaskResponse } from './generated/paf/worker/v1/TaskResponse.js';
import { fromStruct } from './struct.js';

/** What every model that reads images takes. */
const imageTypes = /^image\/(png|jpeg|gif|webp)$/;
const textTypes = /^text\/|^application\/([\w.-]+\+)?(json|xml|yaml)$/;

/** What a worker answered, as a model can read it: data as JSON. */
export function toResult({ success, result, error }: TaskResponse): ToolResult {
  if (!success) return failure(error || 'The task failed, and the worker did not say why.');
  if (!result?.data) return { content: [text('The task is done and has no output.')], isError: false };
  return { ...toContent(result), isError: false };
}

export function toContent({ data, structured, raw, contentType }: TaskData): {
  content: (TextContent | ImageContent)[];
  details?: unknown;
} {
  if (data === 'structured' && structured) {
    const details = fromStruct(structured);
    return { content: [text(JSON.stringify(details))], details };
  }
  const bytes = raw ?? Buffer.alloc(0);
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (imageTypes.test(type)) {
    return { content: [{ type: 'image', data: bytes.toString('base64'), mimeType: type }] };
  }
  if (type === '' || textTypes.test(type)) return { content: [text(bytes.toString('utf8'))] };
  return { content: [text(`[${bytes.length} bytes of ${type.slice(0, 100)} were left out]`)] };
}

/** A failed call, as a value. */
export function failure(message: string): ToolResult {
  return { content: [text(message)], isError: true };
}

const text = (value: string): TextContent => ({ type: 'text', text: value });
