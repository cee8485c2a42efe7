import type { ImageContent, TextContent } from '../core/message.js';
import type { ToolResult } from '../tools/tool.js';

/** Text longer than this, over all blocks of a result, keeps its head and its tail. */
const maxTextChars = 64 * 1024;
const maxBlocks = 100;
const maxImages = 8;
/** base64, over all images of a result */
const maxImageChars = 16 * 1024 * 1024;

type Block = TextContent | ImageContent;

export function failure(text: string): ToolResult {
  return { content: [{ type: 'text', text: shorten(text) }], isError: true };
}

/** What a tool threw, as the model is told. */
export function failureOf(error: unknown): ToolResult {
  return failure(textOfThrown(error) || 'The tool failed without saying why.');
}

function textOfThrown(error: unknown): string {
  try {
    if (error instanceof Error) return error.message || error.name;
    if (typeof error === 'object' && error !== null) {
      const { message } = error as { message?: unknown };
      return typeof message === 'string' ? message : JSON.stringify(error);
    }
    return error === undefined ? '' : String(error);
  } catch {
    return '';
  }
}

/** What a tool returned as a result that is well formed and bounded, whatever it was. */
export function toBoundedResult(returned: unknown): ToolResult {
  if (returned === undefined || returned === null) return failure('The tool returned nothing.');
  if (typeof returned === 'string') return { content: bounded([textBlock(returned)]), isError: false };
  let content: Block[] | undefined;
  let isError = false;
  let details: unknown;
  try {
    const result = returned as Partial<ToolResult>;
    content = toBlocks(result.content);
    isError = result.isError === true;
    details = result.details;
  } catch {
    // a getter that throws
  }
  if (!content) return failure('The tool returned something that is not a result.');
  return { content: bounded(content), isError, ...(details === undefined ? {} : { details }) };
}

/** Undefined when any of it is neither text nor an image. */
function toBlocks(content: unknown): Block[] | undefined {
  if (typeof content === 'string') return [textBlock(content)];
  if (!Array.isArray(content)) return undefined;
  const blocks: Block[] = [];
  for (const block of content as unknown[]) {
    const { type, text, data, mimeType } = (block ?? {}) as Record<string, unknown>;
    if (type === 'text' && typeof text === 'string') blocks.push(textBlock(text));
    else if (type === 'image' && typeof data === 'string' && typeof mimeType === 'string')
      blocks.push({ type: 'image', data, mimeType });
    else return undefined;
  }
  return blocks;
}

const textBlock = (text: string): TextContent => ({ type: 'text', text });
const isText = (block: Block) => block.type === 'text';

function bounded(blocks: Block[]): Block[] {
  const texts = blocks.filter(isText);
  const length = texts.reduce((sum, { text }) => sum + text.length, 0);
  const images = blocks.filter((block) => block.type === 'image');
  const kept = keepImages(images);
  if (length <= maxTextChars && blocks.length <= maxBlocks && kept.length === images.length) return blocks;
  const text = shorten(texts.map((block) => block.text).join('\n'));
  const lost = images.length - kept.length;
  const note = lost === 0 ? '' : `[… ${lost} of ${images.length} images left out …]`;
  return [textBlock([text, note].filter((part) => part !== '').join('\n')), ...kept];
}

function keepImages(images: ImageContent[]): ImageContent[] {
  let left = maxImageChars;
  return images.slice(0, maxImages).filter((image) => {
    if (image.data.length > left) return false;
    left -= image.data.length;
    return true;
  });
}

function shorten(text: string): string {
  if (text.length <= maxTextChars) return text;
  const half = maxTextChars / 2;
  const left = text.length - maxTextChars;
  // a character that the cut went through would be refused by some providers
  const [head, tail] = [text.slice(0, half).toWellFormed(), text.slice(-half).toWellFormed()];
  return `${head}\n[… ${left} characters left out …]\n${tail}`;
}
