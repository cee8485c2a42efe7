import { Fault } from '../core/errors.js';
import type { PipelineEvent } from '../core/events.js';
import type { Message } from '../core/message.js';
import type { Budget } from '../llm/budget.js';
import type { Model, ResponseFormat } from '../llm/provider.js';
import type { Router } from '../llm/router.js';
import { countMessagesTokens } from '../llm/tokens.js';

type SideQuestion = {
  model: Model;
  messages: Message[];
  maxTokens: number;
  responseFormat: ResponseFormat;
  timeoutMs: number;
  /** shared with the run's other calls */
  budget: Budget;
  /** epoch milliseconds */
  deadlineAt: number;
};

/** What a model said, or why it said nothing, in a few words. */
type SideAnswer = { text: string } | { failure: string };

/** A call that helps with the answer must leave its own input and this many times its output for the answer. */
const outputsLeft = 4;

/**
 * One call to a model that is not the answer, only a help with it: nothing of it is streamed, its failure is a value, and
 * it is not made when it would take too much of the run's budget. Throws only when the run was aborted.
 */
export async function* askModel(
  router: Router,
  question: SideQuestion,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, SideAnswer> {
  const { model, messages, budget } = question;
  const input = countMessagesTokens(messages, []);
  const affordable = budget.affordableTokens([model], () => input);
  const leastTokens = input + question.maxTokens * outputsLeft;
  if (affordable < leastTokens) return { failure: 'the budget is too small' };
  const timeout = AbortSignal.timeout(question.timeoutMs);
  const stream = router.stream(
    {
      candidates: [model],
      messages,
      tools: [],
      maxTokens: question.maxTokens,
      temperature: 0,
      responseFormat: question.responseFormat,
      effort: 'quick',
      deadlineAt: Math.min(question.deadlineAt, Date.now() + question.timeoutMs),
      budget,
      leastTokens,
    },
    AbortSignal.any([signal, timeout]),
  );
  let text = '';
  try {
    for await (const event of stream) {
      if (event.type === 'text-delta') text += event.text;
      else if (event.type === 'attempt-end') yield event;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    if (timeout.aborted) return { failure: `no answer within ${question.timeoutMs / 1000} seconds` };
    if (error instanceof Fault) return { failure: error.type };
    throw error;
  }
  return text.trim() === '' ? { failure: 'an empty answer' } : { text };
}
