import type { ImageContent, TextContent } from '../core/message.js';
import type { AgentMessage, LlmMessage, UserMessage } from './messages.js';

/** Base64 `content` of an image, or a document with the text that was taken from it. */
type Attachment = {
  type: string;
  mimeType?: string;
  content?: string;
  extractedText?: string;
  fileName?: string;
};

/** Leaves out what is for no model, and turns attachments of user messages into content. */
export function convertToLlm(messages: AgentMessage[]): LlmMessage[] {
  return messages.flatMap((message): LlmMessage[] => {
    if (!isLlmMessage(message)) return [];
    return [message.role === 'user' ? withAttachments(message) : message];
  });
}

function isLlmMessage(message: AgentMessage): message is LlmMessage {
  return ['user', 'assistant', 'toolResult'].includes(message.role);
}

function withAttachments(message: UserMessage & { attachments?: unknown }): UserMessage {
  if (!Array.isArray(message.attachments)) return message;
  const { attachments, ...rest } = message;
  const own: (TextContent | ImageContent)[] =
    typeof rest.content === 'string' ? [{ type: 'text', text: rest.content }] : rest.content;
  return { ...rest, content: [...own, ...(attachments as Attachment[]).flatMap(toContent)] };
}

function toContent(attachment: Attachment): (TextContent | ImageContent)[] {
  const { type, mimeType, content, extractedText, fileName = 'attachment' } = attachment;
  if (type === 'image' && content !== undefined && mimeType !== undefined) {
    return [{ type: 'image', data: content, mimeType }];
  }
  return extractedText === undefined ? [] : [{ type: 'text', text: `[${fileName}]\n${extractedText}` }];
}
