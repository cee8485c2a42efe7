import { Fault } from '../core/errors.js';
import type { AgentEvent } from '../core/events.js';
import type { AssistantMessage, FinishReason, ToolCall } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import type { RoutedRequest, Router } from '../llm/router.js';

export type Turn = {
  message: AssistantMessage;
  text: string;
  toolCalls: ToolCall[];
  finishReason: FinishReason;
  model: Model;
};

/** A turn that was aborted or broke off leaves here what it had streamed. */
export type PartialTurn = { text: string };

/** One call to a model: forwards its text, returns the whole assistant message. */
export async function* streamTurn(
  router: Router,
  request: RoutedRequest,
  partial: PartialTurn,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, Turn> {
  let thinking = '';
  const toolCalls: ToolCall[] = [];
  let finishReason: FinishReason = 'stop';
  const stream = router.stream(request, signal);
  let step = await stream.next();
  while (!step.done) {
    const event = step.value;
    switch (event.type) {
      case 'text-delta':
        partial.text += event.text;
        yield event;
        break;
      case 'reasoning-delta':
        thinking += event.text;
        yield event;
        break;
      case 'attempt-end':
        yield event;
        break;
      case 'tool-call-end':
        toolCalls.push(toToolCall(event));
        break;
      case 'end':
        finishReason = event.finishReason;
        break;
      case 'tool-call-start':
      case 'tool-call-delta':
        break;
      default:
        event satisfies never;
    }
    step = await stream.next();
  }
  const message: AssistantMessage = { role: 'assistant', content: [] };
  if (thinking !== '') message.content.push({ type: 'thinking', thinking });
  if (partial.text !== '') message.content.push({ type: 'text', text: partial.text });
  message.content.push(...toolCalls);
  return { message, text: partial.text, toolCalls, finishReason, model: step.value };
}

function toToolCall(call: { id: string; name: string; argumentsText: string }): ToolCall {
  const base = { type: 'toolCall', id: call.id, name: call.name } as const;
  if (call.argumentsText.trim() === '') return { ...base, arguments: {} };
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
