import { Fault } from '../core/errors.js';
import type { ToolCall } from '../core/message.js';

/** A call with longer arguments is not run, and what is kept of them is cut to just beyond this. */
export const maxArgumentsChars = 1024 * 1024;

/** `argumentsText` is set when the arguments are not an object or too long to be kept. */
export function toToolCall(call: { id: string; name: string; argumentsText: string }): ToolCall {
  const base = { type: 'toolCall', id: call.id, name: call.name } as const;
  if (call.argumentsText.trim() === '') return { ...base, arguments: {} };
  if (call.argumentsText.length > maxArgumentsChars) {
    return { ...base, arguments: {}, argumentsText: `${call.argumentsText.slice(0, maxArgumentsChars)}…` };
  }
  try {
    const parsed: unknown = JSON.parse(call.argumentsText);
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)) {
      return { ...base, arguments: parsed as Record<string, unknown> };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError))
      throw new Fault('internal_error', 'Arguments could not be read.', { cause: error });
  }
  return { ...base, arguments: {}, argumentsText: call.argumentsText };
}
