import { readFileSync } from 'node:fs';
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { Effort } from '../core/message.js';
import { meaningProblems, patternProblems } from './catalog-meaning.js';
import { type Endpoint, endpointProblems, endpointsOf, overlay } from './catalog-overlay.js';
import {
  type CatalogData,
  type CatalogOverlay,
  catalogProblems,
  overlayProblems,
  type Path,
  type Problem,
} from './catalog-schema.js';
import { createShelf } from './catalog-shelf.js';
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
  /** whether a setting says which model of the provider is asked, whatever is needed */
  isPinned(provider: string): boolean;
}

export function createCatalog(options: CatalogOptions): Catalog {
  const data = options.data ?? loadCatalog();
  const builtIn = options.builtIn ?? [];
  const names = preferredFirst(options.providers, options.preferredProvider);
  const shelves = new Map(
    names.map((name) => [name, createShelf(name, data, builtIn, options.maxContextTokens)]),
  );
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

  function pinnedModel(provider: string): Model | undefined {
    const chosen = options.defaultModel ? find(options.defaultModel) : undefined;
    if (chosen?.provider === provider) return chosen;
    return llmModel && provider === ownerOfLlmModel ? find(llmModel, provider) : undefined;
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
      const pinned = pinnedModel(provider);
      if (pinned) return pinned;
      const id = data.providers[provider]?.effort?.[effort];
      return (id ? find(id, provider) : undefined) ?? ownDefault(provider);
    },
    isPinned: (provider) => pinnedModel(provider) !== undefined,
  };
}

function preferredFirst(providers: readonly string[], preferred: string | undefined): string[] {
  const names = [...new Set(providers)];
  if (!preferred || !names.includes(preferred)) return names;
  return [preferred, ...names.filter((name) => name !== preferred)];
}

function isChatModel(id: string, provider: string, data: CatalogData): boolean {
  const others = [...data.notChat, ...(data.providers[provider]?.notChat ?? [])];
  return !others.some((part) => id.toLowerCase().includes(part));
}

const maxProblems = 20;

/** Holds every mistake of a catalogue, one line each, with file, line and field. */
export class InvalidCatalog extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.name = 'InvalidCatalog';
    this.problems = problems;
  }
}

/** The packaged catalogue. */
export function loadCatalog(): CatalogData {
  const file = new URL('./models.yaml', import.meta.url);
  return parseCatalog(readFileSync(file, 'utf8'), 'models.yaml');
}

/** Throws InvalidCatalog. */
export function parseCatalog(text: string, file: string): CatalogData {
  const source = readYaml(text, file);
  refuse(source, catalogProblems(source.value));
  const data = source.value as CatalogData;
  refuse(source, [...patternProblems(data), ...meaningProblems(data, data)]);
  return data;
}

export type ModelsFile = {
  /** the packaged catalogue with what the file says */
  data: CatalogData;
  endpoints: Endpoint[];
  /** The line for a mistake in the file. */
  describe(path: Path, message: string): string;
};

/** Throws InvalidCatalog. */
export function parseModelsFile(text: string, file: string): ModelsFile {
  const source = readYaml(text, file);
  const given = (source.value ?? {}) as CatalogOverlay;
  refuse(source, overlayProblems(given));
  refuse(source, patternProblems(given));
  const data = overlay(loadCatalog(), given);
  refuse(source, [...endpointProblems(given), ...meaningProblems(given, data)]);
  return { data, endpoints: endpointsOf(given), describe: source.describe };
}

type YamlSource = { value: unknown; describe(path: Path, message: string): string };

function readYaml(text: string, file: string): YamlSource {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  // the errors after the first are mostly its echo
  const [broken] = document.errors;
  if (broken) throw new InvalidCatalog([`${file}, line ${lineAt(broken.pos[0])}: ${broken.message}`]);
  return {
    value: toValue(document, file),
    describe: (path, message) =>
      `${file}, line ${lineAt(offsetOf(document, path))}, ${path.join('.') || 'the file'}: ${message}`,
  };
}

function toValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InvalidCatalog([`${file}: ${(error as Error).message}`]);
  }
}

function refuse(source: YamlSource, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ path, message }) => source.describe(path, message));
  throw new InvalidCatalog([...new Set(lines)].slice(0, maxProblems));
}

/** Where the value at a path begins; where it is missing, what should hold it. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined;
    if (node?.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}
