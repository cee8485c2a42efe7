import type { PipelineEvent } from '../core/events.js';
import type { AssistantMessage, Message, ToolCall, ToolResultMessage, UserMessage } from '../core/message.js';
import { unfinishedNote } from './history.js';

/** What one run adds to its session after the user's message. */
export type Recording = {
  messages: Message[];
  /** something was said or done; a run that only failed adds nothing */
  hasContent: boolean;
};

export interface Recorder {
  accept(event: PipelineEvent): void;
  /** What was recorded so far, each call with a result. `isInterrupted`: the last message is the model's, unfinished. */
  finish(isInterrupted: boolean): Recording;
}

/** A turn of the model: what it was told on the way, what it said, the tools it called, and their results. */
type RecordedTurn = {
  heard: UserMessage[];
  text: string;
  calls: { call: ToolCall; result: ToolResultMessage | undefined }[];
};

/** Follows a run's events, so that what was said before it was aborted is known as well as a whole answer. */
export function createRecorder(): Recorder {
  let turns: RecordedTurn[] = [];

  const last = (): RecordedTurn => {
    const turn = turns.at(-1);
    if (turn) return turn;
    return startTurn();
  };
  const startTurn = (): RecordedTurn => {
    const turn: RecordedTurn = { heard: [], text: '', calls: [] };
    turns.push(turn);
    return turn;
  };

  function accept(event: PipelineEvent): void {
    switch (event.type) {
      case 'text-delta': {
        const turn = last().calls.length > 0 ? startTurn() : last();
        turn.text += event.text;
        return;
      }
      case 'revision-start':
        // the text was replaced; what the tools did stays
        turns = turns.map((turn) => ({ ...turn, text: '' }));
        return;
      case 'tool-start': {
        const turn = last().calls.some(({ result }) => result) ? startTurn() : last();
        turn.calls.push({ call: toCall(event), result: undefined });
        return;
      }
      case 'tool-end': {
        // of two calls with one id the first unanswered one gets it: results come in the order of the calls
        const open = turns
          .flatMap(({ calls }) => calls)
          .find(({ call, result }) => call.id === event.id && !result);
        if (open) open.result = toResult(event.id, event.name, event.result, event.isError);
        return;
      }
      case 'message-end':
        // what the caller said to a run that was under way
        if (event.message.role === 'user') startTurn().heard.push(event.message);
        return;
      default:
        return;
    }
  }

  return {
    accept,
    finish(isInterrupted) {
      const messages = turns.flatMap(toMessages);
      const hasContent = messages.some(({ role }) => role !== 'user');
      if (isInterrupted && hasContent && messages.at(-1)?.role !== 'assistant') {
        messages.push({ role: 'assistant', content: [] });
      }
      return { messages, hasContent };
    },
  };
}

function toMessages({ heard, text, calls }: RecordedTurn): Message[] {
  const content: AssistantMessage['content'] = [];
  const said = text.trim();
  if (said !== '') content.push({ type: 'text', text: said });
  content.push(...calls.map(({ call }) => call));
  if (content.length === 0) return heard;
  const answers = calls.map(
    ({ call, result }) => result ?? toResult(call.id, call.name, unfinishedNote, true),
  );
  return [...heard, { role: 'assistant', content }, ...answers];
}

type ToolStart = Extract<PipelineEvent, { type: 'tool-start' }>;

function toCall({ id, name, arguments: args }: ToolStart): ToolCall {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) {
    return { type: 'toolCall', id, name, arguments: args as Record<string, unknown> };
  }
  return {
    type: 'toolCall',
    id,
    name,
    arguments: {},
    argumentsText: typeof args === 'string' ? args : JSON.stringify(args),
  };
}

function toResult(id: string, name: string, text: string, isError: boolean): ToolResultMessage {
  return { role: 'toolResult', toolCallId: id, toolName: name, content: [{ type: 'text', text }], isError };
}
