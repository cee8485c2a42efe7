import type { CatalogData, CatalogModel, CatalogOverlay, Problem } from './catalog-schema.js';
import { assumedFacts } from './catalog-shelf.js';

/** A server that MODELS_FILE names; it speaks Chat Completions. */
export type Endpoint = { name: string; baseUrl: string; apiKeyEnv?: string; apiKeyFile?: string };

type OverlayProvider = NonNullable<CatalogOverlay['providers']>[string];
type OverlayModel = NonNullable<OverlayProvider['models']>[number];

/** Those whose address and key are settings. */
const ownProviders = ['openai', 'anthropic', 'bedrock', 'vllm', 'ollama'];
const addressFields = ['api', 'baseUrl', 'apiKeyEnv', 'apiKeyFile'] as const;

/** The base with what the overlay says: a given field counts instead, the rest stays. Its rules are tried first. */
export function overlay(
  base: CatalogData,
  { providers = {}, unlisted = [], notChat }: CatalogOverlay,
): CatalogData {
  const merged: CatalogData = {
    providers: { ...base.providers },
    unlisted: [...unlisted, ...base.unlisted],
    notChat: notChat ?? base.notChat,
  };
  for (const [name, given] of Object.entries(providers)) {
    merged.providers[name] = overlayProvider(name, given, merged);
  }
  return merged;
}

function overlayProvider(name: string, given: OverlayProvider, data: CatalogData) {
  const known = data.providers[name] ?? { models: [] };
  const { models: givenModels = [], effort, ...choices } = given;
  for (const field of addressFields) delete choices[field];
  const models = new Map(known.models.map((model) => [model.id, model]));
  for (const model of givenModels) {
    models.set(model.id, overlayModel(model, models.get(model.id) ?? newModel(model.id, name, data)));
  }
  return {
    ...known,
    ...choices,
    ...(effort ? { effort: { ...known.effort, ...effort } } : {}),
    models: [...models.values()],
  };
}

function overlayModel({ accepts, ...given }: OverlayModel, known: CatalogModel): CatalogModel {
  return { ...known, ...given, accepts: { ...known.accepts, ...accepts } };
}

function newModel(id: string, provider: string, data: CatalogData): CatalogModel {
  return { id, name: id, description: '', ...assumedFacts(id, provider, data) };
}

export function endpointsOf({ providers = {} }: CatalogOverlay): Endpoint[] {
  return Object.entries(providers).flatMap(([name, { baseUrl, apiKeyEnv, apiKeyFile }]) => {
    if (baseUrl === undefined) return [];
    return [{ name, baseUrl, ...(apiKeyEnv && { apiKeyEnv }), ...(apiKeyFile && { apiKeyFile }) }];
  });
}

export function endpointProblems({ providers = {} }: CatalogOverlay): Problem[] {
  return Object.entries(providers).flatMap(([name, given]) => {
    const path = ['providers', name];
    if (name === 'demo') return [{ path, message: 'is built in and cannot be changed' }];
    if (ownProviders.includes(name)) {
      const wrong = addressFields.filter((field) => given[field] !== undefined);
      return wrong.map((field) => ({
        path: [...path, field],
        message: `is not for ${name}, which has settings of its own`,
      }));
    }
    return newEndpointProblems(name, given);
  });
}

function newEndpointProblems(name: string, { baseUrl, apiKeyEnv, apiKeyFile }: OverlayProvider): Problem[] {
  const path = ['providers', name];
  const problems: Problem[] = [];
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) {
    problems.push({ path, message: 'must have a name of lower-case letters, digits, dots, - and _' });
  }
  if (baseUrl === undefined) problems.push({ path: [...path, 'baseUrl'], message: 'is missing' });
  if (apiKeyEnv !== undefined && !/^[A-Za-z_]\w*$/.test(apiKeyEnv)) {
    problems.push({ path: [...path, 'apiKeyEnv'], message: 'must be the name of an environment variable' });
  }
  if (apiKeyEnv !== undefined && apiKeyFile !== undefined) {
    problems.push({ path: [...path, 'apiKeyFile'], message: 'must not come together with apiKeyEnv' });
  }
  return problems;
}
