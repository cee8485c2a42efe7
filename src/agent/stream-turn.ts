import type { AgentEvent, Attempt } from '../core/events.js';
import type { AssistantMessage, FinishReason, ToolCall } from '../core/message.js';
import type { Model } from '../llm/provider.js';
import type { RoutedRequest, Router } from '../llm/router.js';
import { createRepetitionDetector, type RepetitionDetector } from './repetition.js';
import { toToolCall } from './to-tool-call.js';
import { createTurnContent } from './turn-content.js';

export type TurnRequest = RoutedRequest & {
  /** the message asks for something to be repeated */
  isRepetitionAsked?: boolean | undefined;
  /** yields the parts of tool calls as they come, and the seals of thinking */
  hasCallParts?: boolean | undefined;
  /** ids of the calls that the conversation has had in this run */
  callIds: Set<string>;
};

export type Turn = {
  message: AssistantMessage;
  text: string;
  toolCalls: ToolCall[];
  finishReason: FinishReason;
  /** the model repeated itself, so its call was ended */
  isRepeating: boolean;
  model: Model;
};

/** A turn that was aborted or broke off leaves here what it had streamed. */
export type PartialTurn = { text: string };

/**
 * One call to a model: forwards its text, returns the whole assistant message. A model whose text or thinking runs into a
 * loop is stopped by aborting its call, so that the router still books what it used.
 */
export async function* streamTurn(
  router: Router,
  { isRepetitionAsked, hasCallParts, callIds, ...request }: TurnRequest,
  partial: PartialTurn,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, Turn> {
  const content = createTurnContent(partial);
  const toolCalls: ToolCall[] = [];
  let finishReason: FinishReason = 'stop';
  let model = request.candidates[0] as Model;
  const ids = uniqueIds(callIds);
  const loop = new AbortController();
  const textLoops = createRepetitionDetector(isRepetitionAsked);
  const thinkingLoops = createRepetitionDetector(isRepetitionAsked);
  const stream = router.stream(request, AbortSignal.any([signal, loop.signal]));
  try {
    let step = await stream.next();
    while (!step.done) {
      const event = step.value;
      switch (event.type) {
        case 'text-delta': {
          const shown = untilLoop(event, textLoops, loop);
          if (!shown) break;
          partial.text += shown.text;
          yield shown;
          break;
        }
        case 'reasoning-delta': {
          const shown = untilLoop(event, thinkingLoops, loop);
          if (!shown) break;
          content.addThinking(shown);
          if (shown.text !== '' || hasCallParts) yield shown;
          break;
        }
        case 'attempt-end':
          model = modelOf(event.attempt, request) ?? model;
          content.endAttempt(event.attempt);
          yield event;
          break;
        case 'tool-call-end':
          toolCalls.push(toToolCall({ ...event, id: ids.end(event.id) }));
          break;
        case 'end':
          finishReason = event.finishReason;
          break;
        case 'tool-call-start':
        case 'tool-call-delta': {
          const id = event.type === 'tool-call-start' ? ids.start(event.id) : ids.current(event.id);
          if (hasCallParts) yield { ...event, id };
          break;
        }
        default:
          event satisfies never;
      }
      step = await stream.next();
    }
    model = step.value;
  } catch (error) {
    if (signal.aborted || !loop.signal.aborted) throw error;
  } finally {
    // who reads no further ends the call too
    await stream.return(model);
  }
  const isRepeating = loop.signal.aborted;
  const message: AssistantMessage = { role: 'assistant', content: content.blocks };
  // calls of a turn that looped are not run, so they must not stand in the history either
  if (!isRepeating) message.content.push(...toolCalls);
  return {
    message,
    text: partial.text,
    toolCalls: isRepeating ? [] : toolCalls,
    finishReason,
    isRepeating,
    model,
  };
}

/** The part of a delta before its text is known to loop, and nothing of what still comes after that. */
function untilLoop<Delta extends { text: string }>(
  delta: Delta,
  detector: RepetitionDetector,
  loop: AbortController,
): Delta | undefined {
  if (loop.signal.aborted) return undefined;
  const end = detector.push(delta.text);
  if (end === undefined) return delta;
  loop.abort();
  return end === 0 ? undefined : { ...delta, text: delta.text.slice(0, end) };
}

function modelOf({ provider, model }: Attempt, { candidates }: RoutedRequest): Model | undefined {
  return candidates.find((candidate) => candidate.provider === provider && candidate.id === model);
}

/** A model that gives one id to two calls would get two results for one of them and none for the other. */
function uniqueIds(taken: Set<string>) {
  const open = new Map<string, string>();
  const start = (id: string): string => {
    let unique = id;
    for (let count = 2; taken.has(unique); count += 1) unique = `${id}_${count}`;
    taken.add(unique);
    open.set(id, unique);
    return unique;
  };
  return {
    start,
    current: (id: string): string => open.get(id) ?? start(id),
    end(id: string): string {
      const unique = open.get(id) ?? start(id);
      open.delete(id);
      return unique;
    },
  };
}
