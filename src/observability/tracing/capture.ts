import type { Message } from '../../core/message.js';

/** The most that one attribute holds of what was said, in characters. */
const mostChars = 16 * 1024;
const mostCharsPerPart = 4 * 1024;

/** Any value as bounded text. */
export function toText(value: unknown): string {
  return bounded(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''), mostChars);
}

/** A conversation as the conventions of OpenTelemetry have it: JSON, of which the oldest messages are left out when it is long. */
export function toMessagesText(messages: readonly Message[]): string {
  const kept: string[] = [];
  let length = 2;
  for (const message of messages.toReversed()) {
    const text = JSON.stringify(toEntry(message));
    length += text.length + 1;
    if (length > mostChars) break;
    kept.unshift(text);
  }
  return `[${kept.join(',')}]`;
}

/** What a model answered, in the same form. */
export function toAnswerText(
  text: string,
  calls: readonly { id: string; name: string; argumentsText: string }[],
  finishReason: string | undefined,
): string {
  const parts = [
    ...(text === '' ? [] : [textPart(text)]),
    ...calls.map(({ id, name, argumentsText }) => ({
      type: 'tool_call',
      id,
      name,
      arguments: bounded(argumentsText, mostCharsPerPart),
    })),
  ];
  const answer = { role: 'assistant', parts, ...(finishReason && { finish_reason: finishReason }) };
  return JSON.stringify([answer]).length <= mostChars
    ? JSON.stringify([answer])
    : JSON.stringify([{ ...answer, parts: parts.slice(0, 1) }]);
}

function toEntry(message: Message) {
  switch (message.role) {
    case 'system':
      return { role: message.role, parts: [textPart(message.content)] };
    case 'user':
      return { role: message.role, parts: toParts(message.content) };
    case 'assistant':
      return {
        role: message.role,
        parts: message.content.map((part) => {
          if (part.type === 'text') return textPart(part.text);
          if (part.type === 'thinking')
            return { type: 'reasoning', content: bounded(part.thinking, mostCharsPerPart) };
          return { type: 'tool_call', id: part.id, name: part.name, arguments: boundedJson(part.arguments) };
        }),
      };
    case 'toolResult': {
      const response = message.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
      const id = message.toolCallId;
      return {
        role: 'tool',
        parts: [{ type: 'tool_call_response', id, response: bounded(response, mostCharsPerPart) }],
      };
    }
    default:
      return message satisfies never;
  }
}

function toParts(content: Extract<Message, { role: 'user' }>['content']) {
  if (typeof content === 'string') return [textPart(content)];
  return content.map((part) =>
    part.type === 'text' ? textPart(part.text) : { type: 'blob', mime_type: part.mimeType },
  );
}

const textPart = (text: string) => ({ type: 'text', content: bounded(text, mostCharsPerPart) });

function boundedJson(value: unknown): unknown {
  const text = JSON.stringify(value) ?? '';
  return text.length <= mostCharsPerPart ? value : bounded(text, mostCharsPerPart);
}

function bounded(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
