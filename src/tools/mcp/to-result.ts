import type { ImageContent, TextContent } from '../../core/message.js';
import { isRecord } from '../check-schema.js';
import type { ToolResult } from '../tool.js';

type Content = TextContent | ImageContent;

/** What every model that reads images takes. */
const imageTypes = /^image\/(png|jpeg|gif|webp)$/;

/** What a server answered to a call, as a model can read it. */
export function toResult(answer: unknown): ToolResult {
  if (!isRecord(answer)) return failure('The MCP server sent no usable result.');
  const { content, structuredContent, isError, toolResult } = answer;
  const blocks = Array.isArray(content) ? content.map(toContent) : [];
  // servers should repeat it as text, and some do not
  const data = structuredContent ?? toolResult;
  const hasText = blocks.some((block) => block.type === 'text');
  if (data !== undefined && !hasText) blocks.push(text(JSON.stringify(data)));
  if (blocks.length === 0) blocks.push(text('The tool gave no output.'));
  return {
    content: blocks,
    isError: isError === true,
    ...(structuredContent !== undefined && { details: structuredContent }),
  };
}

/** A failed call, as a value. */
export function failure(message: string): ToolResult {
  return { content: [text(message)], isError: true };
}

function toContent(block: unknown): Content {
  if (!isRecord(block)) return text('[content of an unknown kind was left out]');
  switch (block.type) {
    case 'text':
      return text(textOf(block.text));
    case 'image':
      return toImage(block.data, block.mimeType, 'an image');
    case 'audio':
      return leftOut('audio', block.mimeType, block.data);
    case 'resource':
      return fromResource(block.resource);
    case 'resource_link':
      return text(toLink(block));
    default:
      return text(`[content of the kind ${textOf(block.type).slice(0, 50)} was left out]`);
  }
}

function fromResource(resource: unknown): Content {
  if (!isRecord(resource)) return text('[an empty resource was left out]');
  const uri = textOf(resource.uri);
  if (typeof resource.text === 'string') return text(`Resource ${uri}:\n${resource.text}`);
  return toImage(resource.blob, resource.mimeType, `the resource ${uri}`);
}

function toImage(data: unknown, mimeType: unknown, what: string): Content {
  if (typeof data !== 'string' || data === '') return text(`[${what} without data was left out]`);
  if (typeof mimeType !== 'string' || !imageTypes.test(mimeType)) return leftOut(what, mimeType, data);
  return { type: 'image', data, mimeType };
}

function leftOut(what: string, mimeType: unknown, base64: unknown): TextContent {
  const bytes = typeof base64 === 'string' ? Math.floor((base64.length * 3) / 4) : 0;
  const kind = typeof mimeType === 'string' ? ` (${mimeType.slice(0, 100)})` : '';
  return text(`[${what}${kind} of about ${bytes} bytes was left out]`);
}

function toLink(link: Record<string, unknown>): string {
  const description = typeof link.description === 'string' ? `: ${link.description}` : '';
  return `Resource link ${textOf(link.name)} <${textOf(link.uri)}>${description}`;
}

const text = (value: string): TextContent => ({ type: 'text', text: value });

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
