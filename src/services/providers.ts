import type { Config } from '../config.js';
import { createAnthropicProvider } from '../llm/anthropic.js';
import { createBedrockProvider } from '../llm/bedrock.js';
import { type Catalog, createCatalog } from '../llm/catalog.js';
import { createDemoProvider, demoModel } from '../llm/demo.js';
import { createOpenAiProvider } from '../llm/openai.js';
import type { LlmProvider } from '../llm/provider.js';
import { countTokens } from '../llm/tokens.js';
import { createFetch, type ProxyOptions } from '../outgoing/fetch.js';
import { findConstraints } from '../pipeline/constraints/find.js';

export function createProviders(config: Config): LlmProvider[] {
  const fetch = createFetch(config);
  const providers = config.providers.map((provider) => createProvider(provider, fetch, config));
  if (config.hasDemoModel) providers.push(createDemoProvider({ countTokens, findConstraints }));
  return providers;
}

function createProvider(
  provider: Config['providers'][number],
  fetch: typeof globalThis.fetch,
  proxies: ProxyOptions,
): LlmProvider {
  switch (provider.api) {
    case 'openai':
      return createOpenAiProvider({
        ...provider,
        baseUrl: provider.baseUrl ?? 'https://api.openai.com/v1',
        fetch,
      });
    case 'anthropic':
      return createAnthropicProvider({ ...provider, fetch });
    case 'bedrock':
      return createBedrockProvider({ ...provider, proxies });
    default:
      return provider satisfies never;
  }
}

export function addressOf(provider: Config['providers'][number]): string {
  switch (provider.api) {
    case 'openai':
      return provider.baseUrl ?? 'https://api.openai.com';
    case 'anthropic':
      return provider.baseUrl ?? 'https://api.anthropic.com';
    case 'bedrock':
      return provider.endpoint ?? `https://bedrock-runtime.${provider.region}.amazonaws.com`;
    default:
      return provider satisfies never;
  }
}

export function namesInOrder(providers: LlmProvider[], preferred: string | undefined): string[] {
  const names = providers.map((provider) => provider.name);
  return preferred === undefined ? names : [preferred, ...names.filter((name) => name !== preferred)];
}

export function createConfiguredCatalog(config: Config, providers: string[]): Catalog {
  return createCatalog({
    providers,
    preferredProvider: config.preferredProvider,
    llmModel: config.llmModel,
    defaultModel: config.defaultModel,
    maxContextTokens: config.maxContextTokens,
    builtIn: config.hasDemoModel ? [demoModel] : [],
    ...(config.models === undefined ? {} : { data: config.models }),
  });
}
