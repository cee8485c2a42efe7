import { type Config, loadConfigFromProcess } from '../config.js';
import { createBreakers } from '../llm/breaker.js';
import { createCatalog, loadCatalog } from '../llm/catalog.js';
import { demoModel } from '../llm/demo.js';
import type { Model } from '../llm/provider.js';
import { createRouter, type Router } from '../llm/router.js';
import type { LlmContext } from './messages.js';
import { type AssistantMessageStream, type StreamOptions, toMessageStream } from './stream-function.js';
import { streamModel } from './stream-model.js';

export type ModelRouterOptions = {
  apiKey?: string;
  /** an address that speaks Chat Completions, or Anthropic's own wire when the model is Anthropic's */
  baseUrl?: string;
  /** also one that the catalogue does not have */
  model?: string;
};

/** The way to models: what is given, and for the rest the environment, which is read at the first call. */
export interface ModelRouter {
  /** the settings of the service that uses this router */
  readonly config: Config;
  /** the one that was named, else the default of what is configured */
  readonly model: Model;
  /** A stream function; it never throws. */
  stream(model: Model, context: LlmContext, options?: StreamOptions): AssistantMessageStream;
}

/** To the providers of one configuration; their SDKs are loaded for the first call. */
type Way = { config: Config; router: () => Promise<Router> };

/** Ways that are kept for keys that come with a call; keys that expire leave theirs behind. */
const maxKeyedWays = 16;

export function createModelRouter(options: ModelRouterOptions = {}): ModelRouter {
  let config: Config | undefined;
  const ways = new Map<string, Way>();
  const readConfig = () => {
    config ??= restricted(options, loadConfigFromProcess(toVariables(options)).config);
    return config;
  };

  /** Each key has its own connections and its own record of failures. */
  function wayFor(provider: string, apiKey: string | undefined): Way {
    const name = JSON.stringify([apiKey === undefined ? '' : provider, apiKey ?? '']);
    let way = ways.get(name);
    if (!way) {
      way = createWay(apiKey === undefined ? readConfig() : withKey(options, provider, apiKey));
      if (ways.size >= maxKeyedWays) ways.delete(ways.keys().next().value as string);
      ways.set(name, way);
    }
    return way;
  }

  async function open({ provider }: Model, apiKey: string | undefined): Promise<Router> {
    const way = wayFor(provider, apiKey);
    if (!namesOf(way.config).includes(provider) && provider !== demoModel.provider)
      throw notConfigured(provider);
    return way.router();
  }

  return {
    get config() {
      return readConfig();
    },
    get model() {
      return defaultModel(readConfig());
    },
    stream(model, context, streamOptions = {}) {
      const way = () => open(model, streamOptions.apiKey);
      return toMessageStream(streamModel(way, model, context, streamOptions));
    },
  };
}

function createWay(config: Config): Way {
  let router: Promise<Router> | undefined;
  return {
    config,
    router() {
      router ??= openRouter(config);
      return router;
    },
  };
}

/** The SDKs of the vendors are loaded for the first call, not on import. */
async function openRouter(config: Config): Promise<Router> {
  const { createProviders } = await import('../services/providers.js');
  const providers = createProviders(config);
  const breakers = createBreakers(providers.map(({ name }) => name));
  return createRouter({ providers, breakers, requestTimeoutMs: config.requestTimeoutMs });
}

function defaultModel(config: Config): Model {
  const catalog = createCatalog({
    providers: namesOf(config),
    preferredProvider: config.preferredProvider,
    llmModel: config.llmModel,
    defaultModel: config.defaultModel,
    maxContextTokens: config.maxContextTokens,
    builtIn: config.hasDemoModel ? [demoModel] : [],
    ...(config.models === undefined ? {} : { data: config.models }),
  });
  const model = catalog.defaultModel();
  if (!model) throw new Error('No model is configured: name one, or set a key or an address of a provider.');
  return model;
}

function namesOf({ providers, hasDemoModel }: Config): string[] {
  const names = providers.map(({ name }) => name);
  return hasDemoModel ? [...names, demoModel.provider] : names;
}

const keyVariables: Record<string, string> = { openai: 'OPENAI_API_KEY', anthropic: 'ANTHROPIC_API_KEY' };
const addressVariables: Record<string, string> = {
  openai: 'OPENAI_BASE_URL',
  anthropic: 'ANTHROPIC_BASE_URL',
};

/** What is given, as the settings that it stands for. */
function toVariables(options: ModelRouterOptions): Record<string, string> {
  const { apiKey, baseUrl, model } = options;
  const provider = vendorOf(options);
  return {
    ...(apiKey === undefined ? {} : { [keyVariables[provider] as string]: apiKey }),
    ...(baseUrl === undefined ? {} : { [addressVariables[provider] as string]: baseUrl }),
    ...(model === undefined ? {} : { LLM_MODEL: model }),
    ...(apiKey === undefined && baseUrl === undefined ? {} : { LLM_PROVIDER: provider }),
  };
}

/** Whose wire an address speaks and whose key it is: the model says it, else the key does. */
function vendorOf({ apiKey, model }: ModelRouterOptions): string {
  const isAnthropic = model === undefined ? apiKey?.startsWith('sk-ant-') : /^claude-/.test(model);
  return isAnthropic ? 'anthropic' : 'openai';
}

/** Who names a key or an address does not want to be answered by anybody else. */
function restricted(options: ModelRouterOptions, config: Config): Config {
  if (options.apiKey === undefined && options.baseUrl === undefined) return config;
  const provider = vendorOf(options);
  return {
    ...config,
    providers: config.providers.filter(({ name }) => name === provider),
    hasDemoModel: false,
  };
}

/** The settings with another key for one provider. */
function withKey(options: ModelRouterOptions, provider: string, apiKey: string): Config {
  const variable = keyVariables[provider];
  if (variable === undefined) throw new Error(`The provider ${provider} takes no key with a call.`);
  return loadConfigFromProcess({ ...toVariables(options), [variable]: apiKey, LLM_PROVIDER: provider })
    .config;
}

function notConfigured(provider: string): Error {
  const variable = keyVariables[provider];
  const hint = variable === undefined ? '' : `: set ${variable}, or give an apiKey`;
  return new Error(`The provider ${provider} is not configured${hint}.`);
}

/** Servers of one's own, of whose models the catalogue knows nothing. */
const localProviders = ['vllm', 'ollama'];

/**
 * A model by its id or alias; one that the catalogue does not list is taken to be what its provider's models mostly are.
 * Throws when there is no such provider.
 */
export function getModel(provider: string, id: string): Model {
  if (provider === demoModel.provider && id === demoModel.id) return demoModel;
  const data = loadCatalog();
  const known = [...Object.keys(data.providers), ...localProviders];
  if (!known.includes(provider)) {
    throw new Error(`There is no provider "${provider}"; there is: ${known.join(', ')}.`);
  }
  const catalog = createCatalog({ providers: [provider], extraModels: [{ provider, id }], data });
  const model = catalog.find(id, provider);
  if (!model) throw new Error(`The id of a model has 1 to 200 characters, and not ${id.length}.`);
  return model;
}
