import type { ImageContent, Message, TextContent } from '../core/message.js';

const notice: TextContent = { type: 'text', text: '(An image was left out: this model takes none.)' };

/** The messages for a model that takes no images: a tool may return one, or an earlier model have got one. */
export function withoutImages(messages: Message[]): Message[] {
  if (!messages.some(hasImage)) return messages;
  return messages.map((message) =>
    hasImage(message) ? { ...message, content: toWords(message.content) } : message,
  );
}

type Illustrated = Extract<Message, { role: 'user' | 'toolResult' }> & {
  content: (TextContent | ImageContent)[];
};

function hasImage(message: Message): message is Illustrated {
  if (message.role !== 'user' && message.role !== 'toolResult') return false;
  return typeof message.content !== 'string' && message.content.some((block) => block.type === 'image');
}

function toWords(content: (TextContent | ImageContent)[]): TextContent[] {
  return content.map((block) => (block.type === 'image' ? notice : block));
}
