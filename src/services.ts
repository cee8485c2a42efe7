import type { Logger } from 'pino';
import type { Config } from './config.js';
import type { BreakerState } from './core/breaker-state.js';
import { createAnthropicProvider } from './llm/anthropic.js';
import { createBedrockProvider } from './llm/bedrock.js';
import { createBreakers } from './llm/breaker.js';
import { type Catalog, createCatalog } from './llm/catalog.js';
import { createDemoProvider, demoModel } from './llm/demo.js';
import { createOpenAiProvider } from './llm/openai.js';
import type { LlmProvider } from './llm/provider.js';
import { createProviderHealth, type ProviderStatus } from './llm/provider-health.js';
import { createRouter } from './llm/router.js';
import { countTokens, warmTokenizer } from './llm/tokens.js';
import { createFetch, type ProxyOptions } from './llm/transport.js';
import { createLogger } from './observability/logger.js';
import { createMetrics, type Metrics, watchBreakers } from './observability/metrics.js';
import { observeRuns } from './observability/observe-runs.js';
import { findConstraints } from './pipeline/constraints/find.js';
import type { PipelineDeps } from './pipeline/run-pipeline.js';
import { readMessage } from './pipeline/understand.js';
import { createRuns, type Runs } from './runs/runs.js';
import { createCalculatorTool } from './tools/builtin/calculator.js';
import { createCurrentTimeTool } from './tools/builtin/current-time.js';
import { createToolRegistry, type ToolRegistry } from './tools/registry.js';

export type NotReady = 'starting' | 'draining' | 'no_provider';

export type ProviderState = ProviderStatus & { breaker: BreakerState };

export type Services = {
  config: Config;
  logger: Logger;
  metrics: Metrics;
  catalog: Catalog;
  tools: ToolRegistry;
  runs: Runs;
  pipeline: PipelineDeps;
  /** the configured providers, the preferred one first */
  providerNames: string[];
  /** whether a call to the provider may be tried: not known to be down, and its breaker not open */
  isAvailable(provider: string): boolean;
  providerStates(): Record<string, ProviderState>;
  /** why the service may not take traffic; undefined when it may */
  readiness(): NotReady | undefined;
  /** Looks at every provider once and warms up what the first request would wait for. */
  start(): Promise<void>;
  /** Refuses new runs, lets live ones finish within DRAIN_TIMEOUT, ends the rest. */
  drain(): Promise<void>;
  close(): void;
};

/** Asks for much, so that most patterns are compiled before the first caller waits for them. */
const warmUpMessage =
  'What is this? Write exactly 3 bullet points in German, in fewer than 100 words and 5 sentences, as JSON, in lowercase, ' +
  'without commas. Include the word "one" at least twice, a title, two sections and a postscript. End with "Done."';

/** Builds everything that the service is made of. Opens no connection. */
export function createServices(config: Config, logger = createLogger(config.logLevel)): Services {
  const metrics = createMetrics();
  const providers = createProviders(config);
  const providerNames = namesInOrder(providers, config.preferredProvider);
  const catalog = createConfiguredCatalog(config, providerNames);
  const health = createProviderHealth({
    providers,
    onModels: (provider, models) => catalog.addDiscovered(provider, models),
    probeIntervalMs: config.probeIntervalMs,
  });
  const breakers = createBreakers(providers.map((provider) => provider.name));
  const router = createRouter({
    providers,
    breakers,
    requestTimeoutMs: config.requestTimeoutMs,
    onCall: (provider, outcome) => health.recordCall(provider, outcome),
  });
  const tools = createToolRegistry([
    createCurrentTimeTool({ timezone: config.timezone }),
    createCalculatorTool(),
  ]);
  const runs = createRuns({
    maxConcurrent: config.maxConcurrentRequests,
    runTimeoutMs: config.runTimeoutMs,
    logTtlMs: config.runLogTtlMs,
    logBytes: config.runLogBytes,
    logEvents: config.runLogEvents,
    logTotalBytes: config.runLogTotalBytes,
    readerLagBytes: config.readerLagBytes,
    observer: observeRuns(metrics, logger),
  });
  const isAvailable = (provider: string) => health.isUsable(provider) && breakers.state(provider) !== 'open';
  watchBreakers(metrics, providerNames, breakers.state);
  let isStarted = false;

  return {
    config,
    logger,
    metrics,
    catalog,
    tools,
    runs,
    providerNames,
    pipeline: {
      catalog,
      router,
      providers: providerNames,
      isUsable: isAvailable,
      llmMaxTokens: config.llmMaxTokens,
      maxRevisions: config.maxRevisions,
      runLimits: { maxCostUsd: config.maxRunCostUsd, maxTokens: config.maxRunTokens },
      limits: {
        maxTurns: config.maxTurns,
        maxToolCalls: config.maxToolCalls,
        toolTimeoutMs: config.toolTimeoutMs,
      },
    },
    isAvailable,
    providerStates() {
      const states = Object.entries(health.status()).map(([name, status]) => {
        const breaker = breakers.state(name);
        return [name, toState(status, breaker)] as const;
      });
      return Object.fromEntries(states);
    },
    readiness() {
      if (runs.isDraining) return 'draining';
      if (!isStarted) return 'starting';
      return providerNames.some(isAvailable) ? undefined : 'no_provider';
    },
    async start() {
      await Promise.all([health.start(), warmTokenizer()]);
      readMessage(warmUpMessage);
      isStarted = true;
    },
    drain: () => runs.drain(config.drainTimeoutMs),
    close() {
      health.stop();
      runs.close();
    },
  };
}

function toState(status: ProviderStatus, breaker: BreakerState): ProviderState {
  if (breaker !== 'open') return { ...status, breaker };
  return { ...status, breaker, status: 'unhealthy', reason: status.reason ?? 'errors' };
}

function createProviders(config: Config): LlmProvider[] {
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

function namesInOrder(providers: LlmProvider[], preferred: string | undefined): string[] {
  const names = providers.map((provider) => provider.name);
  return preferred === undefined ? names : [preferred, ...names.filter((name) => name !== preferred)];
}

function createConfiguredCatalog(config: Config, providers: string[]): Catalog {
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
