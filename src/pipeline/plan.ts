import type { AgentLimits } from '../agent/run-agent.js';
import type { Message } from '../core/message.js';
import type { BudgetLimits } from '../llm/budget.js';
import type { Model } from '../llm/provider.js';
import { countMessagesTokens } from '../llm/tokens.js';
import { toToolDefinition } from '../tools/registry.js';
import type { Tool } from '../tools/tool.js';
import type { ChatRequest } from './chat-request.js';
import { chooseModels, type ModelDeps, type Needs } from './choose-models.js';
import { type Compacted, type CompactionNeed, findCompactionNeed } from './compact.js';
import {
  buildContext,
  countWhole,
  type Frame,
  frameOf,
  roomForHistory,
  roomIn,
  windowOf,
} from './context.js';
import { matchWorkers } from './delegation.js';
import { leastSteps } from './planner.js';
import { type Guidance, systemPrompt } from './system-prompt.js';
import type { Reading } from './understand.js';
import type { Understanding } from './understanding.js';

type Strategy = 'direct' | 'grounded' | 'tools' | 'delegate' | 'stepwise';

type Budgets = {
  /** tokens; the most that one call may produce */
  maxTokens: number;
  /** tokens of the window kept free for the answer */
  outputReserve: number;
  /** tokens */
  window: number;
  maxTurns: number;
  maxToolCalls: number;
  /** US dollars; undefined: no cap */
  maxCostUsd: number | undefined;
  /** input and output of all calls; undefined: no cap */
  maxRunTokens: number | undefined;
};

/** How a request is answered, before its messages are put together. */
export type Decision = {
  strategy: Strategy;
  reasons: string[];
  /** models that may answer, best first */
  candidates: Model[];
  /** writes the steps; undefined: nobody does */
  planner: Model | undefined;
  tools: Tool[];
  frame: Frame;
  budgets: Budgets;
  temperature: number;
  leftOut: string[];
  /** older messages that are to be summarised first */
  compaction: CompactionNeed | undefined;
};

export type Plan = Omit<Decision, 'frame' | 'compaction'> & {
  messages: Message[];
  inputTokens: number;
  /** tokens for the results of earlier steps, where steps are written */
  notesRoom: number;
  compaction: Compacted | undefined;
};

export type PlanDeps = ModelDeps & {
  /** in place of the usual first words of the system prompt */
  systemPrompt?: string | undefined;
  /** the operator's cap on the output of one call, in tokens */
  llmMaxTokens: number | undefined;
  /** the operator's caps on what one run may spend; the caller's own may be lower */
  runLimits: BudgetLimits;
  limits: AgentLimits;
  /** share of the window from which on older messages are summarised */
  contextThreshold: number;
  /** the model that writes the steps of complex work */
  plannerModel: () => Model | undefined;
};

/** Output tokens by effort; a model's own limit, the operator's and the caller's lower them. */
const outputTokens = { quick: 4096, standard: 16_384, determined: 65_536 } as const;

/** The most of its window that a model keeps free for its answer. */
const reserveShare = 1 / 4;
/** A model's own tokens may be a few more than those that are counted. */
const countMargin = 1.04;
/** Where steps are written, their results need room as well. */
const stepsShare = 1 / 4;

/** Decides how to answer, and says why. Throws a Fault when no model can, or when the message fits none. */
export function makePlan(deps: PlanDeps, request: ChatRequest, understanding: Understanding): Plan {
  return finishPlan(decide(deps, request, understanding), undefined);
}

export function decide(deps: PlanDeps, request: ChatRequest, understanding: Understanding): Decision {
  const { strategy, guidance, reason, planner } = chooseStrategy(deps, request, understanding);
  const prompt = systemPrompt(guidance, understanding, request.responseFormat, deps.systemPrompt);
  const needs = needsOf(deps, request, understanding, prompt, strategy);
  const { candidates, reasons } = chooseModels(deps, request, needs);
  const model = candidates[0] as Model;
  const tools = candidates.some((candidate) => candidate.accepts.tools) ? request.tools : [];
  const budgets = budgetsOf(deps, request, model, needs);
  const stepsReserve = planner ? Math.floor(budgets.window * stepsShare) : 0;
  const frame = frameOf({
    request,
    systemPrompt: prompt,
    tools: model.accepts.tools ? tools.map(toToolDefinition) : [],
    model,
    outputReserve: budgets.outputReserve + stepsReserve,
  });
  if (frame.tools.length > 0 && roomIn(frame) < 0) return withoutTools(deps, request, understanding);
  const room = roomForHistory(frame, roomIn(frame, Math.floor(budgets.window * deps.contextThreshold)));
  return {
    strategy,
    reasons: [...reason, ...reasons, fallbackReason(request, candidates), toolReason(request, tools)],
    candidates,
    planner,
    tools,
    frame,
    budgets,
    temperature: request.temperature,
    leftOut: [],
    compaction: findCompactionNeed(request.history, room),
  };
}

/** Puts the messages together; a compaction's summary takes the place of those that it covers. */
export function finishPlan({ frame, ...decision }: Decision, compaction: Compacted | undefined): Plan {
  const { budgets } = decision;
  const context = buildContext(frame, compaction);
  const leftOut = [...decision.leftOut, ...context.leftOut];
  const free = budgets.window - context.inputTokens;
  return {
    ...decision,
    reasons: [
      ...decision.reasons,
      ...(compaction ? [compactionReason(compaction)] : []),
      leftOut.length > 0
        ? `left out to fit ${budgets.window} tokens: ${leftOut.join('; ')}`
        : `everything fits: ${context.inputTokens} of ${budgets.window} tokens`,
      `the answer may have ${Math.min(budgets.maxTokens, free)} tokens`,
    ],
    messages: context.messages,
    budgets: { ...budgets, maxTokens: Math.min(budgets.maxTokens, free) },
    inputTokens: context.inputTokens,
    notesRoom: free - budgets.outputReserve,
    leftOut,
    compaction,
  };
}

/** Without tools another strategy may be right, and another model. */
function withoutTools(deps: PlanDeps, request: ChatRequest, understanding: Understanding): Decision {
  const decision = decide(deps, { ...request, tools: [], areToolsNamed: false }, understanding);
  const leftOut = `the tools ${request.tools.map((tool) => tool.name).join(', ')}`;
  return { ...decision, leftOut: [leftOut, ...decision.leftOut] };
}

type StrategyChoice = {
  strategy: Strategy;
  reason: string[];
  guidance: Guidance[];
  planner: Model | undefined;
};

/** What the system prompt says besides its first words and the requirements. */
export function guidanceFor(deps: PlanDeps, request: ChatRequest, reading: Reading): Guidance[] {
  return chooseStrategy(deps, request, reading).guidance;
}

function chooseStrategy(deps: PlanDeps, request: ChatRequest, understanding: Reading): StrategyChoice {
  const grounded: Guidance[] = request.files.length > 0 ? ['grounded'] : [];
  const isComplex = understanding.complexity === 'complex' && request.effort !== 'quick';
  const planner = isComplex && request.effort === 'determined' ? plannerFor(deps, request) : undefined;
  if (planner) {
    return {
      strategy: 'stepwise',
      reason: [`the request is complex and has determined effort: ${planner.id} writes the steps`],
      guidance: [...grounded, 'stepwise'],
      planner,
    };
  }
  const choice = (strategy: Strategy, reason: string, guidance: Guidance[]) => ({
    strategy,
    reason: [reason],
    guidance,
    planner: undefined,
  });
  const workers = matchWorkers(request.message, request.tools);
  if (workers.length > 0) {
    const reason = `a worker on offer does such work: ${workers.join(', ')}`;
    return choice('delegate', reason, [...grounded, 'delegate']);
  }
  if (request.files.length > 0) {
    const reason = `${request.files.length} file(s) given: the answer is grounded in them`;
    return choice('grounded', reason, grounded);
  }
  if (understanding.intent === 'compute' && request.tools.length > 0) {
    return choice('tools', 'something is to be computed and tools are offered', ['tools']);
  }
  if (isComplex)
    return choice('stepwise', 'the request is complex: it is answered step by step', ['stepwise']);
  return choice('direct', `a ${understanding.complexity} request without files is answered directly`, []);
}

/** A caller that names a provider or a model wants its message to go to no other one. */
function plannerFor(deps: PlanDeps, request: ChatRequest): Model | undefined {
  const planner = deps.plannerModel();
  const named = request.model?.provider ?? request.provider;
  const isAllowed = named === undefined || planner?.provider === named;
  return isAllowed && deps.limits.maxTurns >= leastSteps ? planner : undefined;
}

/** Tokens of history beyond which even a simple question may need a good memory. */
const mostCheapHistory = 2000;
const cheapIntents: ReadonlySet<string> = new Set([
  'chat',
  'compute',
  'explain',
  'list',
  'question',
  'summarize',
  'translate',
]);

function isCheap(request: ChatRequest, { complexity, intent, tokens }: Understanding): boolean {
  return (
    !request.isEffortNamed &&
    !request.areToolsNamed &&
    request.effort === 'standard' &&
    complexity === 'simple' &&
    cheapIntents.has(intent) &&
    request.files.length + request.images.length === 0 &&
    tokens.history <= mostCheapHistory
  );
}

function needsOf(
  deps: PlanDeps,
  request: ChatRequest,
  understanding: Understanding,
  prompt: string,
  strategy: Strategy,
): Needs {
  return {
    messages: countWhole(request, prompt, understanding.tokens.total),
    tools: countMessagesTokens([], request.tools.map(toToolDefinition)),
    mustUseTools:
      request.tools.length > 0 && (strategy === 'tools' || strategy === 'delegate' || request.areToolsNamed),
    isCheap: isCheap(request, understanding),
    maxCostUsd: spendingLimits(deps, request).maxCostUsd,
    output: Math.min(
      request.maxTokens ?? outputTokens[request.effort],
      deps.llmMaxTokens ?? Number.POSITIVE_INFINITY,
    ),
  };
}

function budgetsOf(deps: PlanDeps, request: ChatRequest, model: Model, needs: Needs): Budgets {
  const window = windowOf(model, request);
  const maxTokens = Math.min(needs.output, model.maxOutput);
  return {
    maxTokens,
    outputReserve: Math.max(
      Math.min(maxTokens, Math.floor(window * reserveShare)),
      window - Math.floor(window / countMargin),
    ),
    window,
    maxTurns: deps.limits.maxTurns,
    maxToolCalls: deps.limits.maxToolCalls,
    maxCostUsd: needs.maxCostUsd,
    maxRunTokens: deps.runLimits.maxTokens,
  };
}

/** The lower of the operator's caps and the caller's. */
export function spendingLimits({ runLimits }: PlanDeps, { maxCostUsd }: ChatRequest): BudgetLimits {
  const caps = [runLimits.maxCostUsd, maxCostUsd].filter((cap) => cap !== undefined);
  return { ...runLimits, maxCostUsd: caps.length === 0 ? undefined : Math.min(...caps) };
}

function fallbackReason({ model, provider }: ChatRequest, candidates: readonly Model[]): string {
  const others = candidates.slice(1).map(({ id }) => id);
  if (others.length > 0) return `when it fails, ${others.join(', then ')}`;
  const named = model ? 'model' : provider === undefined ? undefined : 'provider';
  return named ? `no other ${named} may answer` : 'there is no other model that could answer';
}

function toolReason(request: ChatRequest, tools: readonly Tool[]): string {
  if (request.tools.length === 0) return 'no tools are offered';
  if (tools.length === 0) return 'no tools are offered: none of the models takes any';
  return `${tools.length} tool(s) offered`;
}

function compactionReason({ covered, model, failure }: Compacted): string {
  const by = model ? `by ${model.id}` : 'by their key sentences';
  const why = failure === undefined ? '' : ` (no model did it: ${failure})`;
  return `the conversation is long: its ${covered} older messages are summarised ${by}${why}`;
}
