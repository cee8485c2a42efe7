import type { AgentResult } from '../agent/run-agent.js';
import type { AgentEvent } from '../core/events.js';
import { type Message, textOf } from '../core/message.js';
import { countLines, type TextFile } from '../files/text-file.js';
import type { Budget } from '../llm/budget.js';
import type { ChatRequest } from './chat-request.js';
import type { EvaluationInput, GivenFile } from './checks/finding.js';
import { type Evaluation, evaluateAnswer } from './evaluate.js';
import type { Judge } from './judge.js';
import type { Understanding } from './understanding.js';

export type DraftRun = {
  id: string;
  request: ChatRequest;
  understanding: Understanding;
  /** what the model was given */
  messages: readonly Message[];
  budget: Budget;
  /** epoch milliseconds */
  deadlineAt: number;
};

type EvaluatedDraft = {
  answer: string;
  result: AgentResult;
  /** what the loop added to the conversation but the answer */
  turns: readonly Message[];
};

/**
 * Checks an answer, and has it judged when that is wanted and the answer is whole: one that is to be continued is judged
 * when it is longer. Yields the judge's calls.
 */
export async function* evaluateDraft(
  judge: Judge,
  run: DraftRun,
  draft: EvaluatedDraft,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, Evaluation> {
  const input = toInput(run, draft);
  const evaluation = evaluateAnswer(input);
  const isWhole = draft.result.exitReason === 'completed' && evaluation.repair?.kind !== 'continue';
  if (!isWhole || evaluation.score === 0) return evaluation;
  const { id, request, budget, deadlineAt } = run;
  const provider = request.model?.provider ?? request.provider;
  const judged = { id, effort: request.effort, provider, budget, deadlineAt };
  const finding = yield* judge.review(judged, input, signal);
  return finding ? evaluateAnswer(input, finding) : evaluation;
}

function toInput(
  { request, understanding, messages }: DraftRun,
  { answer, result, turns }: EvaluatedDraft,
): EvaluationInput {
  const [system] = messages;
  return {
    answer,
    finishReason: result.finishReason,
    exitReason: result.exitReason,
    constraints: understanding.constraints,
    responseFormat: request.responseFormat,
    message: request.message,
    reading: understanding,
    history: request.history,
    files: request.files.map(toGivenFile),
    hasImages: request.images.length > 0,
    systemPrompt: system?.role === 'system' ? textOf(system.content) : '',
    turns,
  };
}

function toGivenFile({ name, text, body }: TextFile): GivenFile {
  return { name, text, lastLine: countLines(body) };
}
