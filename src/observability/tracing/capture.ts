import type { Message } from '../../core/message.js';

/** The most that one attribute holds of what was said, in characters. */
const mostChars = 16 * 1024;
const mostCharsPerPart = 4 * 1024;
/** leaves room for what is around the parts */
const mostCharsOfParts = mostChars - 256;
const mostIdChars = 128;

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
      id: bounded(id, mostIdChars),
      name: bounded(name, mostIdChars),
      arguments: boundedInJson(argumentsText),
    })),
  ];
  const finish = finishReason && { finish_reason: finishReason };
  return JSON.stringify([{ role: 'assistant', parts: firstOf(parts), ...finish }]);
}

function toEntry(message: Message) {
  switch (message.role) {
    case 'system':
      return { role: message.role, parts: [textPart(message.content)] };
    case 'user':
      return { role: message.role, parts: firstOf(toParts(message.content)) };
    case 'assistant':
      return {
        role: message.role,
        parts: firstOf(message.content.map(toAssistantPart)),
      };
    case 'toolResult': {
      const response = message.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
      const id = bounded(message.toolCallId, mostIdChars);
      return {
        role: 'tool',
        parts: [{ type: 'tool_call_response', id, response: boundedInJson(response) }],
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

function toAssistantPart(part: Extract<Message, { role: 'assistant' }>['content'][number]) {
  if (part.type === 'text') return textPart(part.text);
  if (part.type === 'thinking') return { type: 'reasoning', content: boundedInJson(part.thinking) };
  const { id, name } = part;
  return {
    type: 'tool_call',
    id: bounded(id, mostIdChars),
    name: bounded(name, mostIdChars),
    arguments: boundedJson(part.arguments),
  };
}

const textPart = (text: string) => ({ type: 'text', content: boundedInJson(text) });

/** The first parts, as many as there is room for. */
function firstOf<Part>(parts: readonly Part[]): readonly Part[] {
  let length = 0;
  const end = parts.findIndex((part) => {
    length += JSON.stringify(part).length + 1;
    return length > mostCharsOfParts;
  });
  return end < 0 ? parts : parts.slice(0, end);
}

function boundedJson(value: unknown): unknown {
  const text = JSON.stringify(value) ?? '';
  return text.length <= mostCharsPerPart ? value : boundedInJson(text);
}

/** JSON may write a character in six. */
function boundedInJson(text: string): string {
  let kept = bounded(text, mostCharsPerPart);
  while (JSON.stringify(kept).length > mostCharsPerPart + 2)
    kept = bounded(text, Math.floor(kept.length * 0.8));
  return kept;
}

function bounded(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
