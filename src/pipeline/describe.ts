import type { AgentResult } from '../agent/run-agent.js';
import type { Compacted } from './compact.js';
import type { Evaluation } from './evaluate.js';
import type { Plan } from './plan.js';
import type { Step } from './planner.js';
import type { Understanding } from './understanding.js';

/** A phase's result: in words, and as clients get it. */
export type Description = { content: string; metadata: Record<string, unknown> };

export function describeUnderstanding(understanding: Understanding): Description {
  const { intent, complexity, language, questions, constraints, tokens } = understanding;
  const parts = [
    `A ${complexity} request (${intent}) in ${language}, ${tokens.total} tokens with its context`,
  ];
  if (questions.length > 0) parts.push(`${questions.length} question(s)`);
  if (constraints.length > 0) parts.push(`${constraints.length} constraint(s)`);
  return { content: `${parts.join(', ')}.`, metadata: { ...understanding } };
}

/** What each event of the phase says. */
function planned(plan: Plan, reasons = plan.reasons) {
  const [model, ...fallbacks] = plan.candidates.map((candidate) => candidate.id);
  return { strategy: plan.strategy, reasons, model, fallbacks };
}

export function describePlan(plan: Plan): Description {
  const { budgets } = plan;
  const metadata = planned(plan);
  return {
    content: `Strategy ${plan.strategy} with ${metadata.model}: ${plan.reasons.join('; ')}.`,
    metadata: {
      ...metadata,
      max_tokens: budgets.maxTokens,
      input_tokens: plan.inputTokens,
      tools: plan.tools.map((tool) => tool.name),
      left_out: plan.leftOut,
      budgets: {
        context_window: budgets.window,
        max_tokens: budgets.maxTokens,
        output_reserve: budgets.outputReserve,
        max_turns: budgets.maxTurns,
        max_tool_calls: budgets.maxToolCalls,
        max_cost_usd: budgets.maxCostUsd ?? null,
        max_run_tokens: budgets.maxRunTokens ?? null,
      },
    },
  };
}

export function describeCompaction(plan: Plan, compacted: Compacted): Description {
  const { covered, model, failure, tokens } = compacted;
  const by = model ? `by ${model.id}` : 'by their key sentences';
  const why = failure === undefined ? '' : `, as no model did it (${failure})`;
  return {
    content: `${covered} older messages of the conversation are summarised ${by}${why}.`,
    metadata: {
      ...planned(plan),
      compaction: {
        messages: covered,
        by: model ? 'model' : 'key_sentences',
        model: model?.id ?? null,
        failure: failure ?? null,
        summary_tokens: tokens,
      },
    },
  };
}

export function describeSteps(plan: Plan, steps: readonly Step[]): Description {
  const titles = steps.map(({ title }, index) => `${index + 1}. ${title}`);
  return { content: titles.join('; '), metadata: { ...planned(plan), planner: plan.planner?.id, steps } };
}

export function describeMissingSteps(plan: Plan, failure: string): Description {
  const reason = `${plan.planner?.id} wrote no steps (${failure}): it is answered step by step without them`;
  return {
    content: `${reason}.`,
    metadata: { ...planned(plan, [...plan.reasons, reason]), planner: plan.planner?.id, steps: [] },
  };
}

/** Which of several steps an execution was. */
export type StepPlace = { step: number; of: number; title: string };

export function describeExecution(result: AgentResult, place?: StepPlace): Description {
  const turns = result.messages.filter((message) => message.role === 'assistant').length;
  const toolCalls = result.messages.filter((message) => message.role === 'toolResult').length;
  const metadata = {
    ...place,
    model: result.model.id,
    turns,
    tool_calls: toolCalls,
    finish_reason: result.finishReason,
    exit_reason: result.exitReason,
  };
  const start = place ? `Step ${place.step} of ${place.of}, ${place.title}: ` : '';
  const content = `${start}${result.model.id} answered in ${turns} turn(s) with ${toolCalls} tool call(s).`;
  return { content, metadata };
}

export function describeEvaluation(evaluation: Evaluation): Description {
  const { score, passed, checks } = evaluation;
  const failed = checks.filter((check) => !check.passed).map((check) => check.name);
  const content = passed
    ? `All ${checks.length} checks passed.`
    : `${failed.length} of ${checks.length} checks failed: ${failed.join(', ')}.`;
  return { content, metadata: { score, passed, checks } };
}
