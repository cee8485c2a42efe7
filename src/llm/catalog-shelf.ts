import type { CatalogData, CatalogModel } from './catalog-schema.js';
import type { Model, ProbedModel } from './provider.js';

/** The models of one provider. */
export interface Shelf {
  readonly models: readonly Model[];
  byId(id: string): Model | undefined;
  byAlias(alias: string): Model | undefined;
  /** Adds a model that is not known, or corrects the window of one that was only guessed. */
  add(model: ProbedModel): void;
}

const maxModelsPerProvider = 500;
const maxIdLength = 200;

export function createShelf(
  provider: string,
  data: CatalogData,
  builtIn: readonly Model[],
  maxContextTokens = Number.POSITIVE_INFINITY,
): Shelf {
  const known = data.providers[provider]?.models ?? [];
  const models: Model[] = [];
  const ids = new Map<string, number>();
  const aliases = new Map<string, string>();
  const guessed = new Set<string>();

  function put(model: Model): void {
    const contextWindow = Math.min(model.contextWindow, maxContextTokens);
    const limited = { ...model, contextWindow, maxOutput: Math.min(model.maxOutput, contextWindow) };
    const place = ids.get(model.id) ?? models.length;
    ids.set(model.id, place);
    models[place] = limited;
  }

  for (const model of builtIn) if (model.provider === provider) put(model);
  for (const entry of known) {
    put(toModel(entry, provider));
    for (const alias of entry.aliases ?? []) aliases.set(alias, entry.id);
  }

  return {
    models,
    byId: (id) => models[ids.get(id) ?? -1],
    byAlias: (alias) => models[ids.get(aliases.get(alias) ?? '') ?? -1],
    add({ id, contextWindow }) {
      const isKnown = ids.has(id) || aliases.has(id);
      if (isKnown && !(guessed.has(id) && contextWindow)) return;
      if (id === '' || id.length > maxIdLength) return;
      if (!isKnown && models.length >= maxModelsPerProvider) return;
      guessed.add(id);
      put(guessModel(id, provider, contextWindow, data));
    },
  };
}

/** What is assumed of a model that the data does not have. */
export function assumedFacts(id: string, provider: string, data: CatalogData) {
  const fitting = data.unlisted.find(
    (entry) => (entry.provider ?? provider) === provider && new RegExp(entry.match).test(id),
  );
  if (!fitting) throw new Error(`The catalogue has no assumption for the model ${id}`);
  const { match: _, provider: __, ...facts } = fitting;
  return facts;
}

function toModel({ aliases: _, ...facts }: CatalogModel, provider: string): Model {
  return { ...facts, provider };
}

const snapshotDate = /-(\d{4}-\d{2}-\d{2}|\d{8})$/;

function guessModel(id: string, provider: string, window: number | undefined, data: CatalogData): Model {
  const [ending, date] = snapshotDate.exec(id) ?? ['', ''];
  const baseId = id.slice(0, id.length - ending.length);
  const base = data.providers[provider]?.models.find((model) => ending !== '' && model.id === baseId);
  if (base) return { ...toModel(base, provider), id, name: `${base.name} (${date})` };
  return {
    id,
    provider,
    name: id,
    description: 'Not in the catalogue; its limits are assumed',
    ...assumedFacts(id, provider, data),
    ...(window === undefined ? {} : { contextWindow: window }),
  };
}
