import type { PipelineEvent } from '../core/events.js';

export type PhaseEnd = Extract<PipelineEvent, { type: 'phase-end' }>;

/**
 * What the log says of a phase's result: numbers, and words that the service or its operator chose. A result also holds
 * questions, names of files and details of checks, so each field is taken by its name.
 */
export function phaseFields({ phase, result }: PhaseEnd): Record<string, unknown> {
  switch (phase) {
    case 'understand': {
      const { intent, language, complexity, tokens } = result;
      return { intent, language, complexity, tokens: (tokens as { total: number }).total };
    }
    case 'plan': {
      const { strategy, model, fallbacks, tools, left_out: leftOut } = result;
      // what was summarised, and the steps, come as further results without tools
      const counts = { fallbacks: countOf(fallbacks), tools: countOf(tools), left_out: countOf(leftOut) };
      return { strategy, model, ...counts };
    }
    case 'execute':
      return { turns: result.turns };
    case 'evaluate': {
      const { score, passed, checks } = result;
      return { score, passed, failed_checks: countOf((checks as { passed: boolean }[]).filter(isFailed)) };
    }
  }
}

const countOf = (list: unknown) => (Array.isArray(list) ? list.length : undefined);
const isFailed = (check: { passed: boolean }) => !check.passed;
