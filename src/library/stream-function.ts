import type { Model } from '../llm/provider.js';
import type { AssistantMessage, AssistantMessageEvent, LlmContext, ThinkingLevel } from './messages.js';

export type StreamOptions = {
  temperature?: number | undefined;
  maxTokens?: number | undefined;
  signal?: AbortSignal | undefined;
  /** in place of the one that is configured for the model's provider */
  apiKey?: string | undefined;
  /** absent: as little thinking as the model allows */
  reasoning?: Exclude<ThinkingLevel, 'off'> | undefined;
};

/** A model's answer as it comes, and whole: `result` reads what is left of it. */
export type AssistantMessageStream = AsyncIterable<AssistantMessageEvent> & {
  result(): Promise<AssistantMessage>;
};

/**
 * Calls a model once. It must not throw: what goes wrong is the stream's last event, an `error`. It must stop soon after
 * the signal aborts.
 */
export type StreamFn = (
  model: Model,
  context: LlmContext,
  options?: StreamOptions,
) => AsyncIterable<AssistantMessageEvent> | Promise<AsyncIterable<AssistantMessageEvent>>;

/** The stream of a generator that returns the whole message. */
export function toMessageStream(events: AsyncGenerator<AssistantMessageEvent, void>): AssistantMessageStream {
  let last: AssistantMessage | undefined;
  async function* watched() {
    for await (const event of events) {
      if (event.type === 'done') last = event.message;
      if (event.type === 'error') last = event.error;
      yield event;
    }
  }
  const stream = watched();
  return {
    [Symbol.asyncIterator]: () => stream,
    async result() {
      for await (const _ of stream);
      if (!last) throw new Error('The answer was not read to its end.');
      return last;
    },
  };
}
