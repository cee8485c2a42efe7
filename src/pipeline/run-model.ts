import { streamTurn } from '../agent/stream-turn.js';
import { Fault } from '../core/errors.js';
import type { PipelineEvent } from '../core/events.js';
import type { Effort, ExitReason, Message } from '../core/message.js';
import { createBudget } from '../llm/budget.js';
import type { Model, ToolDefinition } from '../llm/provider.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { withoutImages } from '../llm/without-images.js';
import type { PipelineDeps, PipelineResult } from './run-pipeline.js';

/** One call to a model for an agent whose loop and tools are elsewhere. */
export type ModelRequest = {
  model: Model;
  messages: Message[];
  tools: ToolDefinition[];
  maxTokens: number | undefined;
  temperature: number | undefined;
  effort: Effort;
  /** who is charged for it */
  tenant: string;
};

/** Tokens that the model reads. */
export function inputOf({ model, messages, tools }: ModelRequest): number {
  return countMessagesTokens(model.accepts.images ? messages : withoutImages(messages), tools);
}

/** Yields the model's answer as it comes; a tool that it asks for is told of, and not run. */
export async function* runModel(
  { router, runLimits, accountOf }: PipelineDeps,
  request: ModelRequest,
  deadlineAt: number,
  signal: AbortSignal,
): AsyncGenerator<PipelineEvent, PipelineResult, undefined> {
  const { model, messages, tools, maxTokens, temperature, effort, tenant } = request;
  const budget = createBudget(runLimits, accountOf?.(tenant, deadlineAt));
  const affordable = budget.affordableTokens([model], () => countMessagesTokens(messages, tools));
  if (affordable < 1) throw new Fault('invalid_request', 'The conversation costs more than a run may.');
  const limit = Math.min(maxTokens ?? Number.POSITIVE_INFINITY, affordable);
  const turn = yield* streamTurn(
    router,
    {
      candidates: [model],
      messages,
      tools,
      ...(limit === Number.POSITIVE_INFINITY ? {} : { maxTokens: limit }),
      ...(temperature === undefined ? {} : { temperature }),
      responseFormat: { type: 'text' },
      effort,
      hasCallParts: true,
      callIds: new Set(),
      deadlineAt,
      budget,
    },
    { text: '' },
    signal,
  );
  for (const call of turn.toolCalls) {
    const { id, name } = call;
    yield { type: 'tool-start', id, name, arguments: call.argumentsText ?? call.arguments };
  }
  const isCut = turn.finishReason === 'length' || turn.finishReason === 'content_filter';
  const isOverBudget = turn.finishReason === 'length' && budget.isCut;
  const cutBy: ExitReason = isOverBudget ? 'budget' : (turn.finishReason as ExitReason);
  const exitReason = isCut ? cutBy : 'completed';
  return {
    answer: turn.text,
    summary: {
      provider: turn.model.provider,
      model: turn.model.id,
      finishReason: turn.finishReason,
      exitReason: turn.isRepeating ? 'repetition' : exitReason,
      evaluation: { score: 1, passed: true, checks: [], revisions: 0 },
    },
  };
}
