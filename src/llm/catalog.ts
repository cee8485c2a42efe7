import { readFileSync } from 'node:fs';
import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { Effort } from '../core/message.js';
import type { Model, ProbedModel } from './provider.js';

export type CatalogOptions = {
  /** names of the configured providers, in order */
  providers: readonly string[];
  /** models that settings name and the data may not have */
  extraModels?: readonly { provider: string; id: string }[];
  preferredProvider?: string | undefined;
  /** the model of the preferred (else the first) provider, which then serves every effort of it */
  llmModel?: string | undefined;
  defaultModel?: string | undefined;
  maxContextTokens?: number | undefined;
  /** models that are part of the program, such as the demo's */
  builtIn?: readonly Model[];
  /** default: the packaged models.yaml */
  data?: CatalogData;
};

/** The models of the configured providers: those of the data, those that settings name, those that endpoints list. */
export interface Catalog {
  models(): Model[];
  /** by id or alias; the preferred provider's comes first when several have it */
  find(id: string, provider?: string): Model | undefined;
  /** Adds what an endpoint lists and is not known yet; nothing is ever removed. */
  addDiscovered(provider: string, models: readonly ProbedModel[]): void;
  /** undefined while no configured provider has any model */
  defaultModel(): Model | undefined;
  forEffort(provider: string, effort: Effort): Model | undefined;
}

const maxModelsPerProvider = 500;
const maxIdLength = 200;

export function createCatalog(options: CatalogOptions): Catalog {
  const data = options.data ?? loadCatalog();
  const builtIn = options.builtIn ?? [];
  const names = preferredFirst(options.providers, options.preferredProvider);
  const shelves = new Map(names.map((name) => [name, createShelf(name, data, builtIn, options)]));
  const ownerOfLlmModel = names.find((name) => !builtIn.some((model) => model.provider === name));
  const { llmModel } = options;

  for (const { provider, id } of options.extraModels ?? []) shelves.get(provider)?.add({ id });
  if (llmModel && ownerOfLlmModel) shelves.get(ownerOfLlmModel)?.add({ id: llmModel });

  function find(id: string, provider?: string): Model | undefined {
    const searched = provider === undefined ? [...shelves.values()] : [shelves.get(provider)];
    for (const shelf of searched) {
      const model = shelf?.byId(id);
      if (model) return model;
    }
    for (const shelf of searched) {
      const model = shelf?.byAlias(id);
      if (model) return model;
    }
    return undefined;
  }

  function chosenModel(): Model | undefined {
    const chosen = options.defaultModel ? find(options.defaultModel) : undefined;
    return chosen ?? (llmModel && ownerOfLlmModel ? find(llmModel, ownerOfLlmModel) : undefined);
  }

  function ownDefault(provider: string): Model | undefined {
    const chosen = chosenModel();
    if (chosen?.provider === provider) return chosen;
    const id = data.providers[provider]?.default;
    return (id ? find(id, provider) : undefined) ?? shelves.get(provider)?.models[0];
  }

  return {
    // in the order the providers were configured
    models: () => [...new Set(options.providers)].flatMap((name) => shelves.get(name)?.models ?? []),
    find,
    addDiscovered(provider, models) {
      const shelf = shelves.get(provider);
      for (const model of models) if (shelf && isChatModel(model.id, provider, data)) shelf.add(model);
    },
    defaultModel() {
      const chosen = chosenModel();
      if (chosen) return chosen;
      for (const name of names) {
        const model = ownDefault(name);
        if (model) return model;
      }
      return undefined;
    },
    forEffort(provider, effort) {
      if (llmModel && provider === ownerOfLlmModel) return find(llmModel, provider);
      const id = data.providers[provider]?.effort?.[effort];
      return (id ? find(id, provider) : undefined) ?? ownDefault(provider);
    },
  };
}

function preferredFirst(providers: readonly string[], preferred: string | undefined): string[] {
  const names = [...new Set(providers)];
  if (!preferred || !names.includes(preferred)) return names;
  return [preferred, ...names.filter((name) => name !== preferred)];
}

/** The models of one provider. */
function createShelf(
  provider: string,
  data: CatalogData,
  builtIn: readonly Model[],
  { maxContextTokens = Number.POSITIVE_INFINITY }: CatalogOptions,
) {
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
    byId: (id: string): Model | undefined => models[ids.get(id) ?? -1],
    byAlias: (alias: string): Model | undefined => models[ids.get(aliases.get(alias) ?? '') ?? -1],
    /** Adds a model that is not known, or corrects the window of one that was only guessed. */
    add({ id, contextWindow }: ProbedModel): void {
      const isKnown = ids.has(id) || aliases.has(id);
      if (isKnown && !(guessed.has(id) && contextWindow)) return;
      if (id === '' || id.length > maxIdLength) return;
      if (!isKnown && models.length >= maxModelsPerProvider) return;
      guessed.add(id);
      put(guessModel(id, provider, contextWindow, data));
    },
  };
}

function toModel({ aliases: _, ...facts }: CatalogModel, provider: string): Model {
  return { ...facts, provider };
}

const snapshotDate = /-\d{4}-\d{2}-\d{2}$/;

function guessModel(id: string, provider: string, window: number | undefined, data: CatalogData): Model {
  const base = data.providers[provider]?.models.find((model) => id.replace(snapshotDate, '') === model.id);
  if (base) return { ...toModel(base, provider), id, name: `${base.name} (${id.slice(-10)})` };
  const { match: _, provider: __, ...facts } = assumption(id, provider, data);
  return {
    id,
    provider,
    name: id,
    description: 'Not in the catalogue; its limits are assumed',
    ...facts,
    ...(window === undefined ? {} : { contextWindow: window }),
  };
}

function assumption(id: string, provider: string, data: CatalogData): CatalogData['unlisted'][number] {
  const fits = data.unlisted.find(
    (entry) => (entry.provider ?? provider) === provider && new RegExp(entry.match).test(id),
  );
  if (!fits) throw new Error(`The catalogue has no assumption for the model ${id}`);
  return fits;
}

function isChatModel(id: string, provider: string, data: CatalogData): boolean {
  const others = [...data.notChat, ...(data.providers[provider]?.notChat ?? [])];
  return !others.some((part) => id.toLowerCase().includes(part));
}

const tokens = Type.Integer({ minimum: 1 });
const dollars = Type.Number({ minimum: 0 });
const name = Type.String({ minLength: 1, maxLength: 200 });
const closed = { additionalProperties: false };

const accepts = Type.Object(
  {
    images: Type.Boolean(),
    tools: Type.Boolean(),
    jsonSchema: Type.Boolean(),
    temperature: Type.Boolean(),
    reasoning: Type.Boolean(),
  },
  closed,
);

const limits = {
  contextWindow: tokens,
  maxOutput: tokens,
  accepts,
  /** false: function tools are taken only with reasoning switched off */
  reasoningWithTools: Type.Optional(Type.Boolean()),
  /** seconds */
  firstTokenTimeout: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
};

const price = Type.Object({ input: dollars, cachedInput: Type.Optional(dollars), output: dollars }, closed);

const model = Type.Object(
  {
    id: name,
    aliases: Type.Optional(Type.Array(name)),
    name,
    description: Type.String(),
    price: Type.Optional(price),
    ...limits,
  },
  closed,
);

const provider = Type.Object(
  {
    default: Type.Optional(name),
    effort: Type.Optional(Type.Object({ quick: name, standard: name, determined: name }, closed)),
    models: Type.Array(model),
    /** parts of the ids that the provider lists for something else than chat */
    notChat: Type.Optional(Type.Array(name)),
  },
  closed,
);

const schema = Type.Object(
  {
    providers: Type.Record(Type.String(), provider),
    unlisted: Type.Array(
      Type.Object({ match: Type.String(), provider: Type.Optional(name), ...limits }, closed),
      {
        minItems: 1,
      },
    ),
    notChat: Type.Array(name),
  },
  closed,
);

export type CatalogData = Static<typeof schema>;
type CatalogModel = Static<typeof model>;

type Problem = { path: readonly (string | number)[]; message: string };

const maxProblems = 20;

/** The packaged catalogue. */
export function loadCatalog(): CatalogData {
  const file = new URL('./models.yaml', import.meta.url);
  return parseCatalog(readFileSync(file, 'utf8'), 'models.yaml');
}

/** Throws an Error that names file, line and field of every problem, one on a line. */
export function parseCatalog(text: string, file: string): CatalogData {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  // the errors after the first are mostly its echo
  const [broken] = document.errors;
  if (broken) throw new Error(`${file}, line ${lineCounter.linePos(broken.pos[0]).line}: ${broken.message}`);
  const data: unknown = document.toJS({ maxAliasCount: 100 });
  const problems = Value.Check(schema, data) ? meaningProblems(data) : shapeProblems(data);
  if (problems.length > 0) {
    const lines = problems.map((problem) => describe(problem, file, document, lineCounter));
    throw new Error([...new Set(lines)].slice(0, maxProblems).join('\n'));
  }
  return data as CatalogData;
}

function describe({ path, message }: Problem, file: string, document: Document, lines: LineCounter): string {
  const { line } = lines.linePos(offsetOf(document, path));
  return `${file}, line ${line}, ${path.join('.') || 'the file'}: ${message}`;
}

/** Where the value at a path begins; where it is missing, what should hold it. */
function offsetOf(document: Document, path: Problem['path']): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined;
    if (node?.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function shapeProblems(data: unknown): Problem[] {
  return [...Value.Errors(schema, data)].flatMap((error) => {
    const path = toPath(error.instancePath);
    if (error.keyword === 'required') {
      return error.params.requiredProperties.map((field) => ({
        path: [...path, field],
        message: 'is missing',
      }));
    }
    if (error.keyword === 'additionalProperties') {
      return error.params.additionalProperties.map((field) => ({
        path: [...path, field],
        message: 'is not a known field',
      }));
    }
    // an unknown field is reported a second time as a boolean schema
    return error.keyword === 'boolean' ? [] : [{ path, message: error.message }];
  });
}

function toPath(pointer: string): (string | number)[] {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')).map(toKey);
}

function toKey(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part;
}

/** What a schema cannot say: names that must be unique or exist, and patterns. */
function meaningProblems(data: CatalogData): Problem[] {
  const problems: Problem[] = [];
  for (const [name, { models, default: standard, effort }] of Object.entries(data.providers)) {
    const path = ['providers', name];
    const ids = new Set<string>();
    models.forEach(({ id, aliases = [] }, index) => {
      for (const known of [id, ...aliases]) {
        if (ids.has(known))
          problems.push({ path: [...path, 'models', index, 'id'], message: `${known} is there twice` });
        ids.add(known);
      }
    });
    const missing = (id: string) => `no model of ${name} has the id ${id}`;
    if (standard && !ids.has(standard))
      problems.push({ path: [...path, 'default'], message: missing(standard) });
    for (const [level, id] of Object.entries(effort ?? {})) {
      if (!ids.has(id)) problems.push({ path: [...path, 'effort', level], message: missing(id) });
    }
  }
  data.unlisted.forEach(({ match }, index) => {
    if (!isPattern(match))
      problems.push({ path: ['unlisted', index, 'match'], message: 'is not a regular expression' });
  });
  const last = data.unlisted.at(-1);
  if (last?.match !== '' || last.provider) {
    const path = ['unlisted', data.unlisted.length - 1, 'match'];
    problems.push({ path, message: "the last entry must fit every model: match: ''" });
  }
  return problems;
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
