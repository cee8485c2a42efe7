import { setImmediate as nextTick } from 'node:timers/promises';
import type { LlmEvent } from '../core/events.js';
import { type Message, textOf, type Usage } from '../core/message.js';
import { answerText } from './demo/answer.js';
import type { FindConstraints } from './demo/demands.js';
import { readTurn } from './demo/read-turn.js';
import { type RequestedCall, requestedCalls } from './demo/tool-calls.js';
import type { LlmProvider, LlmRequest, Model } from './provider.js';

type CountTokens = (text: string) => number;
type DemoOptions = { countTokens: CountTokens; findConstraints?: FindConstraints };

const deltasPerTick = 16;

export const demoModel: Model = {
  id: 'demo',
  provider: 'demo',
  name: 'Demo',
  description:
    'A small deterministic program inside the service, to try it without a key. Not a language model.',
  contextWindow: 32_768,
  maxOutput: 4096,
  accepts: { images: false, tools: true, jsonSchema: true, temperature: true, reasoning: false },
};

/** A provider that needs neither key nor server: the same request always gets the same events. */
export function createDemoProvider({ countTokens, findConstraints }: DemoOptions): LlmProvider {
  return {
    name: 'demo',
    async *stream(request, signal) {
      signal.throwIfAborted();
      const inputTokens = countTokens(inputText(request));
      const turn = readTurn(request, findConstraints);
      const calls = requestedCalls(turn);
      if (calls.length > 0) {
        yield* streamCalls(calls, signal);
        yield {
          type: 'end',
          finishReason: 'tool_calls',
          usage: usageOf(inputTokens, countTokens(callText(calls))),
        };
        return;
      }
      const text = answerText(turn).slice(turn.written.length);
      const limit = request.maxTokens ?? request.model.maxOutput;
      const shown = cutToTokens(text, limit, countTokens);
      yield* streamText(shown, signal);
      const finishReason = shown.length < text.length ? 'length' : 'stop';
      yield { type: 'end', finishReason, usage: usageOf(inputTokens, countTokens(shown)) };
    },
    async probe(signal) {
      signal.throwIfAborted();
      return [{ id: demoModel.id, contextWindow: demoModel.contextWindow }];
    },
  };
}

async function* streamText(text: string, signal: AbortSignal): AsyncGenerator<LlmEvent> {
  let count = 0;
  for (const delta of words(text)) {
    if (count++ % deltasPerTick === 0) await nextTick();
    signal.throwIfAborted();
    yield { type: 'text-delta', text: delta };
  }
  signal.throwIfAborted();
}

async function* streamCalls(calls: RequestedCall[], signal: AbortSignal): AsyncGenerator<LlmEvent> {
  for (const { id, name, argumentsText } of calls) {
    await nextTick();
    signal.throwIfAborted();
    yield { type: 'tool-call-start', id, name };
    for (const text of words(argumentsText)) yield { type: 'tool-call-delta', id, text };
    yield { type: 'tool-call-end', id, name, argumentsText };
  }
  signal.throwIfAborted();
}

/** Each word with the blanks before it; blanks at the end are a piece of their own. */
function words(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** The longest run of whole words within the limit; part of a word where not even one fits, so that it moves on. */
function cutToTokens(text: string, limit: number, countTokens: CountTokens): string {
  if (countTokens(text) <= limit) return text;
  const pieces = words(text);
  const fits = (candidate: string) => countTokens(candidate) <= limit;
  const whole = longest(pieces.length, (count) => fits(pieces.slice(0, count).join('')));
  if (whole > 0) return pieces.slice(0, whole).join('');
  const characters = [...(pieces[0] ?? '')];
  const part = longest(characters.length, (count) => fits(characters.slice(0, count).join('')));
  return characters.slice(0, Math.max(part, 1)).join('');
}

/** The largest count up to `maximum` that passes, for a test that stays false once it is false. */
function longest(maximum: number, passes: (count: number) => boolean): number {
  let low = 0;
  let high = maximum;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (passes(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function inputText(request: LlmRequest): string {
  const tools = request.tools.length > 0 ? [JSON.stringify(request.tools)] : [];
  return [...tools, ...request.messages.map(messageText)].join('\n');
}

function messageText(message: Message): string {
  if (message.role !== 'assistant') return textOf(message.content);
  return message.content
    .map((block) => {
      if (block.type === 'text') return block.text;
      return block.type === 'toolCall' ? `${block.name} ${JSON.stringify(block.arguments)}` : '';
    })
    .join('\n');
}

function callText(calls: RequestedCall[]): string {
  return calls.map(({ name, argumentsText }) => `${name} ${argumentsText}`).join('\n');
}

function usageOf(inputTokens: number, outputTokens: number): Usage {
  return { inputTokens, outputTokens, cachedTokens: 0, reasoningTokens: 0, estimated: false };
}
