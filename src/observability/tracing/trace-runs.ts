import { type Attributes, type Context, context } from '@opentelemetry/api';
import type { PipelineEvent } from '../../core/events.js';
import type { Run, RunOutcome } from '../../runs/run.js';
import type { RunObserver } from '../../runs/runs.js';
import { genAiProvider } from '../gen-ai.js';
import { cancelled, collectSpans, contextOf, inContext, type OpenSpan, startSpan } from './spans.js';

type RunTrace = {
  span: OpenSpan;
  phase: OpenSpan | undefined;
  /** everything under the run that has not ended */
  open: Set<OpenSpan>;
};

const agentName = 'paf-core-agent';

/**
 * A span for each run and each of its phases, around another observer: what that one logs belongs to them. Each step of a
 * run is taken in the context of its phase. `onSpan` is told of each run's span.
 */
export function traceRuns(inner: RunObserver, onSpan: (run: Run, span: OpenSpan) => void): RunObserver {
  const runs = new Map<Run, RunTrace>();
  const contextFor = (run: Run): Context => {
    const traced = runs.get(run);
    return (traced?.phase ?? traced?.span)?.context ?? context.active();
  };

  return {
    onStart(run, start) {
      const open = new Set<OpenSpan>();
      const parent = collectSpans(contextOf(run.options.trace), open);
      const span = startSpan(`invoke_agent ${agentName}`, { attributes: attributesOf(run), parent });
      open.delete(span);
      runs.set(run, { span, phase: undefined, open });
      onSpan(run, span);
      context.with(span.context, () => inner.onStart(run, start));
    },
    follow(run, steps) {
      return inContext(steps, () => contextFor(run));
    },
    onEvent(run, event) {
      // nothing is done per token
      if (event.type === 'text-delta' || event.type === 'reasoning-delta') return inner.onEvent(run, event);
      const traced = runs.get(run);
      if (traced && event.type === 'phase-start') startPhase(traced, event.phase);
      context.with(contextFor(run), () => inner.onEvent(run, event));
      if (traced?.phase && event.type === 'phase-end') {
        traced.phase.set(resultOf(event));
        traced.phase.end();
        traced.phase = undefined;
      }
    },
    onEnd(run, outcome) {
      context.with(runs.get(run)?.span.context ?? context.active(), () => inner.onEnd(run, outcome));
      const traced = runs.get(run);
      if (!traced) return;
      runs.delete(run);
      const errorType = outcome.status === 'completed' ? undefined : outcome.fault.type;
      for (const span of [...traced.open].toReversed()) span.end(errorType ?? cancelled);
      traced.span.set(endOf(run, outcome));
      traced.span.end(errorType);
    },
    onRejected: (reason) => inner.onRejected(reason),
  };
}

function attributesOf({ id, options: { owner, sessionId } }: Run): Attributes {
  return {
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': agentName,
    'paf.run.id': id,
    // whose subject it is stays in the logs: it is often an address of mail
    'paf.tenant': owner.tenant,
    ...(sessionId !== undefined && { 'gen_ai.conversation.id': sessionId }),
  };
}

function startPhase(traced: RunTrace, phase: string): void {
  traced.phase?.end();
  traced.phase = startSpan(`upee.${phase}`, {
    attributes: { 'paf.phase': phase },
    parent: traced.span.context,
  });
}

/** Of what a phase found only what is from a closed set. */
function resultOf({ phase, result }: Extract<PipelineEvent, { type: 'phase-end' }>): Attributes {
  if (phase === 'plan') return { 'paf.plan.strategy': String(result.strategy) };
  if (phase !== 'evaluate') return {};
  return { 'paf.evaluation.score': Number(result.score), 'paf.evaluation.passed': result.passed === true };
}

function endOf(run: Run, outcome: RunOutcome): Attributes {
  const { usage } = run;
  const last = run.attempts.at(-1);
  const attributes: Attributes = {
    'paf.outcome': outcome.status,
    'paf.attempts': run.attempts.length,
    ...(last && {
      'gen_ai.provider.name': genAiProvider(last.provider),
      'gen_ai.request.model': last.model,
      'gen_ai.usage.input_tokens': usage.inputTokens,
      'gen_ai.usage.output_tokens': usage.outputTokens,
      'paf.usage.estimated': usage.estimated,
    }),
  };
  if (run.costUsd !== undefined) attributes['paf.cost_usd'] = run.costUsd;
  if (outcome.status === 'completed') {
    const { finishReason, exitReason } = outcome.complete.summary;
    attributes['gen_ai.response.finish_reasons'] = [finishReason];
    attributes['paf.exit_reason'] = exitReason;
  }
  return attributes;
}
