import { Fault } from '../core/errors.js';
import { type Effort, efforts } from '../core/message.js';
import type { Catalog } from '../llm/catalog.js';
import type { Model } from '../llm/provider.js';
import type { ChatRequest } from './chat-request.js';

export type ModelDeps = {
  catalog: Catalog;
  /** names of the configured providers, the preferred one first */
  providers: string[];
  isUsable: (provider: string) => boolean;
};

/** What a request asks of the model that answers it. */
export type Needs = {
  /** tokens of everything but the tools when nothing is cut */
  messages: number;
  /** tokens */
  tools: number;
  /** the answer can hardly be given without tools */
  mustUseTools: boolean;
  /** a simple question that a small model answers as well */
  isCheap: boolean;
  /** US dollars that the run may cost */
  maxCostUsd: number | undefined;
  /** tokens of output that are wanted */
  output: number;
};

type Chosen = {
  /** models that may answer, best first */
  candidates: Model[];
  reasons: string[];
};

/** A model that has fewer tokens than this for its answer is not asked. */
const leastOutput = 256;
/** A budget that pays for fewer tokens than this is too small for a model. */
const leastPaidOutput = 1024;

/** What a model cannot do for a request, and how much that weighs against it. */
const weights = { images: 16, budget: 8, room: 4, tools: 2, schema: 1 } as const;
type Lack = keyof typeof weights;

type Rated = { model: Model; lacks: Lack[] };

/** The models that may answer a request: one of each provider, and a second one in case the first fails. */
export function chooseModels(deps: ModelDeps, request: ChatRequest, needs: Needs): Chosen {
  if (request.model) {
    requireImages(request.model, request);
    const named = rate(request.model, request, needs);
    return {
      candidates: [named.model],
      reasons: [`the caller named ${named.model.id}`, ...unmetBy(named, needs)],
    };
  }
  const names = request.provider ? [request.provider] : deps.providers;
  const effort = needs.isCheap ? 'quick' : request.effort;
  const rated = [...names.filter(deps.isUsable), ...names.filter((name) => !deps.isUsable(name))].flatMap(
    (provider) => bestOf(deps, provider, effort, request, needs) ?? [],
  );
  const preferred = rated[0];
  const order = (one: Rated) =>
    (one.lacks.includes('images') ? 1000 : 0) + (deps.isUsable(one.model.provider) ? 0 : 100) + weightOf(one);
  const [first, ...others] = rated.sort((one, two) => order(one) - order(two));
  if (!first) throw new Fault('provider_unavailable', 'No model is available now: no provider lists one.');
  requireImages(first.model, request);
  const seconds = [first, ...others].flatMap((one) => secondOf(deps, one, effort, request, needs) ?? []);
  const fallbacks = [...others, ...seconds].filter((one) => mayReplace(one, first, needs));
  const down = names.filter((name) => !deps.isUsable(name));
  return {
    candidates: [first.model, ...fallbacks.map(({ model }) => model)],
    reasons: [
      ...down.map((name) => `${name} does not answer now and is asked last`),
      ...(preferred && preferred !== first ? [shortcomingsOf(preferred, needs)] : []),
      reasonFor(deps, first, effort, request, needs),
      ...unmetBy(first, needs),
    ],
  };
}

/**
 * The models one of which answers whatever is found out of the request later: those of the efforts while they can do all
 * that may be asked, else all of their providers. What only a larger window holds turns the choice as well; it reads more.
 */
export function findAnswering(
  { catalog, providers }: ModelDeps,
  request: ChatRequest,
  { hasImages, isCapped }: { hasImages: boolean; isCapped: boolean },
): Model[] {
  if (request.model) return [request.model];
  const isAble = ({ accepts }: Model) =>
    (accepts.images || !hasImages) &&
    (accepts.tools || request.tools.length === 0) &&
    (accepts.jsonSchema || request.responseFormat.type !== 'json_schema');
  return (request.provider ? [request.provider] : providers).flatMap((provider) => {
    const usual = [...new Set(efforts.flatMap((effort) => catalog.forEffort(provider, effort) ?? []))];
    if (catalog.isPinned(provider) || (!isCapped && usual.every(isAble))) return usual;
    return catalog.models().filter((model) => model.provider === provider);
  });
}

/** The model that serves the effort when it can do all that is needed; else the cheapest of its provider that can do most of it. */
function bestOf(
  deps: ModelDeps,
  provider: string,
  effort: Effort,
  request: ChatRequest,
  needs: Needs,
): Rated | undefined {
  const usual = deps.catalog.forEffort(provider, effort);
  if (!usual) return undefined;
  const rated = rate(usual, request, needs);
  if (rated.lacks.length === 0 || deps.catalog.isPinned(provider)) return rated;
  const others = deps.catalog.models().filter((model) => model.provider === provider && model !== usual);
  const all = [rated, ...others.map((model) => rate(model, request, needs))];
  return all.sort((one, two) => compare(one, two, usual, needs))[0];
}

function compare(one: Rated, two: Rated, usual: Model, needs: Needs): number {
  const byWeight = weightOf(one) - weightOf(two);
  if (byWeight !== 0) return byWeight;
  const byWindow = two.model.contextWindow - one.model.contextWindow;
  if (one.lacks.includes('room') && byWindow !== 0) return byWindow;
  const isTooDear = one.lacks.includes('budget');
  if (!isTooDear && (one.model === usual || two.model === usual)) return one.model === usual ? -1 : 1;
  return byNumber(costOf(one.model, needs), costOf(two.model, needs));
}

const byNumber = (one: number, two: number) => (one === two ? 0 : one - two);
const weightOf = ({ lacks }: Rated) => lacks.reduce((total, lack) => total + weights[lack], 0);

/** Millionths of a dollar for the request with the wanted output; a model without a price comes after all others. */
function costOf({ price }: Model, needs: Needs): number {
  if (!price) return Number.MAX_VALUE;
  return needs.messages * price.input + Math.min(needs.output, leastPaidOutput) * price.output;
}

function rate(model: Model, request: ChatRequest, needs: Needs): Rated {
  const lacks: Lack[] = [];
  if (request.images.length > 0 && !model.accepts.images) lacks.push('images');
  if (affordable(model, request, needs) < Math.min(needs.output, leastPaidOutput)) lacks.push('budget');
  if (!holds(model, request, needs)) lacks.push('room');
  if (needs.mustUseTools && !model.accepts.tools) lacks.push('tools');
  if (request.responseFormat.type === 'json_schema' && !model.accepts.jsonSchema) lacks.push('schema');
  return { model, lacks };
}

const inputOf = (model: Model, needs: Needs) => needs.messages + (model.accepts.tools ? needs.tools : 0);

function holds(model: Model, request: ChatRequest, needs: Needs): boolean {
  // no more is sent than the caller's own window holds
  const most = request.contextWindow ?? Number.POSITIVE_INFINITY;
  return Math.min(inputOf(model, needs) + leastOutput, most) <= model.contextWindow;
}

/** Tokens of output that the run's budget pays for. */
function affordable(model: Model, request: ChatRequest, needs: Needs): number {
  if (!model.price || needs.maxCostUsd === undefined) return Number.POSITIVE_INFINITY;
  const window = Math.min(model.contextWindow, request.contextWindow ?? Number.POSITIVE_INFINITY);
  const input = Math.min(inputOf(model, needs), window);
  return (needs.maxCostUsd * 1_000_000 - input * model.price.input) / model.price.output;
}

/** Efforts whose models come next when the one of an effort fails. */
const nextEfforts: Record<Effort, readonly Effort[]> = {
  quick: ['standard'],
  standard: ['quick', 'determined'],
  determined: ['standard', 'quick'],
};

/** Another model of the same provider that can do all that is needed. */
function secondOf(
  { catalog, isUsable }: ModelDeps,
  { model }: Rated,
  effort: Effort,
  request: ChatRequest,
  needs: Needs,
): Rated | undefined {
  if (!isUsable(model.provider) || catalog.isPinned(model.provider)) return undefined;
  return nextEfforts[effort]
    .flatMap((next) => catalog.forEffort(model.provider, next) ?? [])
    .filter((other) => other.id !== model.id)
    .map((other) => rate(other, request, needs))
    .find(({ lacks }) => lacks.length === 0);
}

/** A fallback sees what the first model is sent, and is not one whose price would shorten the first one's answer. */
function mayReplace({ model, lacks }: Rated, first: Rated, needs: Needs): boolean {
  if (lacks.includes('images') || lacks.includes('budget')) return false;
  if (lacks.includes('room') && (!first.lacks.includes('room') || !isAsLarge(model, first.model)))
    return false;
  const isCapped = needs.maxCostUsd !== undefined;
  return !isCapped || costOf(model, needs) <= costOf(first.model, needs) || !model.price;
}

const isAsLarge = (model: Model, other: Model) => model.contextWindow >= other.contextWindow;

function requireImages(model: Model, request: ChatRequest): void {
  if (request.images.length === 0 || model.accepts.images) return;
  throw new Fault('invalid_request', `The model ${model.id} does not accept images.`, {
    problems: [{ path: 'images', message: `are not accepted by ${model.id}` }],
  });
}

function reasonFor(
  deps: ModelDeps,
  { model }: Rated,
  effort: Effort,
  request: ChatRequest,
  needs: Needs,
): string {
  const own = deps.catalog.forEffort(model.provider, request.effort);
  const usual = deps.catalog.forEffort(model.provider, effort);
  if (usual && usual !== model) {
    const why = shortcomingsOf(rate(usual, request, needs), needs);
    return `${why}: ${model.id} on ${model.provider} is asked instead`;
  }
  if (needs.isCheap && own !== model) {
    return `a simple question goes to a small model: ${model.id} on ${model.provider}`;
  }
  return `${model.id} on ${model.provider} serves ${request.effort} effort`;
}

const shortcoming = (needs: Needs): Record<Lack, string> => ({
  images: 'does not take images',
  budget: `costs too much for ${needs.maxCostUsd} dollars`,
  room: `has no room for ${needs.messages + needs.tools} tokens`,
  tools: 'does not take tools',
  schema: 'does not enforce a response schema',
});

function shortcomingsOf({ model, lacks }: Rated, needs: Needs): string {
  return `${model.id} ${lacks.map((lack) => shortcoming(needs)[lack]).join(' and ')}`;
}

const unmetBy = ({ model, lacks }: Rated, needs: Needs) => lacks.map((lack) => unmet(model, needs)[lack]);

const unmet = (model: Model, needs: Needs): Record<Lack, string> => ({
  images: 'no model takes images',
  budget: `${needs.maxCostUsd} dollars hardly pay for an answer: it will be short`,
  room: `no model has room for everything: ${model.id} gets what fits`,
  tools: 'no model takes tools: it is answered without them',
  schema: 'no model enforces a response schema: it is asked for in words and checked',
});
