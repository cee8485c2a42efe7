import { textOf } from '../../core/message.js';
import { isWellFormed, messagesOf } from '../../sessions/history.js';
import type { MessageEntry, Session, StoredSession } from '../../sessions/session-store.js';
import type { SessionMessage } from '../schemas/sessions.js';

export function toSessionPayload({ id, title, createdAt, updatedAt }: Session) {
  return { id, title, created_at: createdAt / 1000, updated_at: updatedAt / 1000 };
}

export type SessionStatus = { mcp_connected: boolean; agent_ready: boolean; is_processing: boolean };

export function toSessionDetail({ session, entries }: StoredSession, status: SessionStatus) {
  return { ...toSessionPayload(session), messages: messagesOf(entries).map(toMessagePayload), status };
}

function toMessagePayload({ id, at, message, isInterrupted }: MessageEntry): SessionMessage {
  const base = { id, created_at: at / 1000, ...(isInterrupted ? { interrupted: true as const } : {}) };
  if (!isWellFormed(message)) {
    const { role, ...data } = message;
    return { ...base, role, content: '', data };
  }
  switch (message.role) {
    case 'system':
      return { ...base, role: 'system', content: message.content };
    case 'user':
      return { ...base, role: 'user', content: textOf(message.content), ...imagesOf(message.content) };
    case 'assistant': {
      const calls = message.content.filter((block) => block.type === 'toolCall');
      const toolCalls = calls.map((call) => ({
        id: call.id,
        name: call.name,
        arguments: call.argumentsText ?? call.arguments,
      }));
      const content = textOf(message.content);
      return { ...base, role: 'assistant', content, ...(calls.length > 0 ? { tool_calls: toolCalls } : {}) };
    }
    case 'toolResult':
      return {
        ...base,
        role: 'tool',
        content: textOf(message.content),
        tool_call_id: message.toolCallId,
        name: message.toolName,
        is_error: message.isError,
        ...imagesOf(message.content),
      };
    default:
      return message satisfies never;
  }
}

/** Images by their kind only: their bytes are for models. */
function imagesOf(content: string | readonly { type: string; mimeType?: string }[]) {
  if (typeof content === 'string') return {};
  const images = content
    .filter(({ type }) => type === 'image')
    .map(({ mimeType = '' }) => ({ mime_type: mimeType }));
  return images.length > 0 ? { images } : {};
}
