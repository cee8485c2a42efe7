import type { Logger } from 'pino';
import { type Authentication, createAuthentication } from './auth/authenticate.js';
import { createMemoryNonces } from './auth/memory-nonces.js';
import type { Config } from './config.js';
import type { BreakerState } from './core/breaker-state.js';
import { everyRole } from './core/caller.js';
import { createFileFetcher, type FileFetcher } from './files/fetch.js';
import { createFileReader, type FileReader } from './files/ingest.js';
import { createBreakers } from './llm/breaker.js';
import type { Catalog } from './llm/catalog.js';
import { demoModel } from './llm/demo.js';
import { createProviderHealth, type ProviderStatus } from './llm/provider-health.js';
import { createRouter, type Router } from './llm/router.js';
import { warmTokenizer } from './llm/tokens.js';
import { recordRuns } from './observability/event-log-runs.js';
import { createLogger } from './observability/logger.js';
import { createMetrics, type Metrics } from './observability/metrics.js';
import { joinObservers, observeRuns, unknownTool } from './observability/observe-runs.js';
import type { Tracing } from './observability/tracing/tracing.js';
import { watchParts } from './observability/watch-parts.js';
import { createFetch } from './outgoing/fetch.js';
import { createOutgoingGuard } from './outgoing/guard.js';
import { createJudge } from './pipeline/judge.js';
import { runBounded } from './pipeline/run-bounded.js';
import type { PipelineDeps } from './pipeline/run-pipeline.js';
import { readMessage } from './pipeline/understand.js';
import { createRuns, type RunObserver, type Runs } from './runs/runs.js';
import { createLimits, type Limits } from './services/limits.js';
import { addressOf, createConfiguredCatalog, createProviders, namesInOrder } from './services/providers.js';
import { createConfiguredEventLog, createSessions } from './services/storage.js';
import type { SessionManager } from './sessions/session-manager.js';
import { createCalculatorTool } from './tools/builtin/calculator.js';
import { createCurrentTimeTool } from './tools/builtin/current-time.js';
import { fileToolNames } from './tools/builtin/file-tools.js';
import { createMcpServers, type McpServers, type McpServersOptions } from './tools/mcp/mcp-servers.js';
import { createToolRegistry, type ToolRegistry, type ToolSource } from './tools/registry.js';
import type { Tool } from './tools/tool.js';
import { createWorkers, type Workers } from './workers/workers.js';

export type NotReady = 'starting' | 'draining' | 'no_provider';

export type ProviderState = ProviderStatus & { breaker: BreakerState };

export type Services = {
  config: Config;
  logger: Logger;
  metrics: Metrics;
  authentication: Authentication;
  catalog: Catalog;
  tools: ToolRegistry;
  /** fetches the files that requests name by their address */
  fileFetcher: FileFetcher;
  files: FileReader;
  mcp: McpServers;
  workers: Workers;
  sessions: SessionManager;
  runs: Runs;
  /** undefined: no spans are made */
  tracing: Tracing | undefined;
  pipeline: PipelineDeps;
  limits: Limits;
  /** the configured providers, the preferred one first */
  providerNames: string[];
  /** whether a call to the provider may be tried: not known to be down, and its breaker not open */
  isAvailable(provider: string): boolean;
  providerStates(): Record<string, ProviderState>;
  /** why the service may not take traffic; undefined when it may */
  readiness(): NotReady | undefined;
  /** Opens what runs need. Looks at no provider. */
  open(): Promise<void>;
  /** Opens all, looks at every provider once and warms up what the first request would wait for. */
  start(): Promise<void>;
  /** Refuses new runs, lets live ones finish within DRAIN_TIMEOUT, ends the rest. */
  drain(): Promise<void>;
  /** Resolves when nothing is left that was started, processes of MCP servers included. */
  close(): Promise<void>;
};

/** Asks for much, so that most patterns are compiled before the first caller waits for them. */
const warmUpMessage =
  'What is this? Write exactly 3 bullet points in German, in fewer than 100 words and 5 sentences, as JSON, in lowercase, ' +
  'without commas. Include the word "one" at least twice, a title, two sections and a postscript. End with "Done."';

/** Reading all files of a large session folder for the first time. */
const openTimeoutMs = 60_000;

/** Short, so that a host that is gone is found out while a call to it is pending. */
const mcpConnectTimeoutMs = 2_000;

/** What a program brings along. */
export type GivenParts = {
  /** in place of the configured one; whoever gives it closes it */
  sessions?: SessionManager | undefined;
  /** beside the service's own tools; of two with one name this one counts */
  tools?: ToolSource | undefined;
  systemPrompt?: string | undefined;
  tracing?: Tracing | undefined;
};

/** Builds everything that the service is made of. Opens no connection. */
export function createServices(
  config: Config,
  logger = createLogger(config.logLevel),
  given: GivenParts = {},
): Services {
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
    follow: given.tracing?.followCall,
  });
  const builtInTools = [createCurrentTimeTool({ timezone: config.timezone }), createCalculatorTool()];
  reserveLabels(metrics, catalog, builtInTools);
  const mcp = createConfiguredMcpServers(config, logger, { follow: given.tracing?.followMcpCall });
  const workers = createConfiguredWorkers(config, logger, metrics);
  const tools = createToolRegistry([given.tools ?? [], { list: () => builtInTools }, mcp, workers].flat());
  const isKnownTool = (name: string) => isToolName(tools, name);
  const eventLog = createConfiguredEventLog(config, logger, metrics);
  const recorders = eventLog
    ? [recordRuns({ log: eventLog, keepsContent: config.isContentCaptured, isKnownTool })]
    : [];
  const observer = joinObservers([observeRuns(metrics, logger, isKnownTool), ...recorders]);
  const runs = createConfiguredRuns(config, given.tracing?.aroundRuns(observer) ?? observer);
  const isAvailable = (provider: string) => health.isUsable(provider) && breakers.state(provider) !== 'open';
  const sessions = given.sessions ?? createSessions(config, logger, metrics);
  const providerStates = () => toStates(health.status(), breakers.state);
  watchParts(metrics, { config, logger, providerStates, mcp, workers, sessions });
  const files = createFileReader({ maxFileBytes: config.maxFileBytes });
  const limits = createLimits(config, logger, metrics);
  const authentication = createConfiguredAuthentication(config, logger, limits);
  let isStarted = false;

  async function open(): Promise<void> {
    await eventLog?.open();
    const stores = [sessions.store, limits];
    await Promise.all(stores.map((store) => store.open(AbortSignal.timeout(openTimeoutMs))));
    mcp.start();
    workers.start();
    await warmTokenizer();
  }

  return {
    config,
    logger,
    metrics,
    authentication,
    catalog,
    tools,
    fileFetcher: createConfiguredFetcher(config),
    files,
    mcp,
    workers,
    sessions,
    runs,
    tracing: given.tracing,
    limits,
    providerNames,
    pipeline: {
      catalog,
      router,
      providers: providerNames,
      isUsable: isAvailable,
      systemPrompt: given.systemPrompt,
      accountOf: limits.quotas?.accountOf,
      ...phaseModels(config, catalog, router),
      ...pipelineLimits(config),
    },
    isAvailable,
    providerStates,
    readiness() {
      if (runs.isDraining) return 'draining';
      if (!isStarted) return 'starting';
      return providerNames.some(isAvailable) ? undefined : 'no_provider';
    },
    open,
    async start() {
      await Promise.all([open(), health.start()]);
      warnOfUnknownModels(config, catalog, logger);
      readMessage(warmUpMessage);
      isStarted = true;
    },
    async drain() {
      await runs.drain(config.drainTimeoutMs);
      await eventLog?.flush();
    },
    async close() {
      health.stop();
      runs.close();
      const parts = [mcp, workers, files, limits, authentication, eventLog];
      const closeSessions = given.sessions ? undefined : sessions.close();
      await Promise.all([...parts.map((part) => part?.close()), closeSessions]);
    },
  };
}

function createConfiguredRuns(config: Config, observer: RunObserver): Runs {
  return createRuns({
    maxConcurrent: config.maxConcurrentRequests,
    runTimeoutMs: config.runTimeoutMs,
    logTtlMs: config.runLogTtlMs,
    logBytes: config.runLogBytes,
    logEvents: config.runLogEvents,
    logTotalBytes: config.runLogTotalBytes,
    readerLagBytes: config.readerLagBytes,
    observer,
  });
}

function pipelineLimits(config: Config) {
  const { llmMaxTokens, maxRevisions, contextThreshold, sideCallTimeoutMs } = config;
  const { maxRunCostUsd: maxCostUsd, maxRunTokens: maxTokens } = config;
  const { maxTurns, maxToolCalls, toolTimeoutMs } = config;
  return {
    llmMaxTokens,
    maxRevisions,
    contextThreshold,
    sideCallTimeoutMs,
    runLimits: { maxCostUsd, maxTokens },
    limits: { maxTurns, maxToolCalls, toolTimeoutMs },
  };
}

function createConfiguredAuthentication(config: Config, logger: Logger, limits: Limits): Authentication {
  return createAuthentication({
    settings: config,
    fetch: createFetch(config),
    nonces: limits.nonces ?? createMemoryNonces(),
    onTrouble: (trouble) => logger.warn(trouble, 'the keys of JWT_JWKS_URL cannot be fetched'),
  });
}

function createConfiguredFetcher(config: Config): FileFetcher {
  const guard = createOutgoingGuard({
    hosts: config.fileUrlHosts,
    allowHttp: config.isFileUrlHttpAllowed,
    allowPrivate: config.isFileUrlPrivateAllowed,
  });
  return createFileFetcher({ guard, maxBytes: config.maxFileBytes, timeoutMs: config.fileUrlTimeoutMs });
}

/** What the operator set has its own series, whatever else providers and servers list. */
function reserveLabels({ values }: Metrics, catalog: Catalog, tools: Tool[]): void {
  values.model.reserve(catalog.models().map(({ id }) => id));
  values.tool.reserve([unknownTool, ...tools.map(({ name }) => name), ...fileToolNames]);
}

/** Models call tools by any name; only those that exist are told to logs. */
function isToolName(tools: ToolRegistry, name: string): boolean {
  const anybody = { tenant: '', subject: '', roles: [everyRole] };
  return fileToolNames.some((known) => known === name) || tools.find(name, anybody) !== undefined;
}

/** The models that help the phases. */
function phaseModels(config: Config, catalog: Catalog, router: Router) {
  const find = (id: string | undefined) => (id === undefined ? undefined : catalog.find(id));
  return {
    judge: createJudge({ router, model: () => find(config.judgeModel), sample: config.judgeSample }),
    plannerModel: () => find(config.plannerModel),
    // the demo model cannot summarise
    summaryModel: (provider: string) =>
      provider === demoModel.provider ? undefined : catalog.forEffort(provider, 'quick'),
  };
}

/** Only now, since the servers have said which models they have. Nothing fails for want of them. */
function warnOfUnknownModels({ judgeModel, plannerModel }: Config, catalog: Catalog, logger: Logger): void {
  for (const [setting, id] of Object.entries({
    UPEE_JUDGE_MODEL: judgeModel,
    UPEE_PLANNER_MODEL: plannerModel,
  })) {
    if (id !== undefined && !catalog.find(id))
      logger.warn(`${setting} is ${id}, which no provider has: it is not used.`);
  }
}

function toStates(
  statuses: Record<string, ProviderStatus>,
  breakerOf: (provider: string) => BreakerState,
): Record<string, ProviderState> {
  const states = Object.entries(statuses).map(
    ([name, status]) => [name, toState(status, breakerOf(name))] as const,
  );
  return Object.fromEntries(states);
}

function toState(status: ProviderStatus, breaker: BreakerState): ProviderState {
  if (breaker !== 'open') return { ...status, breaker };
  return { ...status, breaker, status: 'unhealthy', reason: status.reason ?? 'errors' };
}

export function createConfiguredMcpServers(
  config: Config,
  log: McpServersOptions['log'],
  options: Pick<McpServersOptions, 'connectTimeoutMs' | 'follow'>,
): McpServers {
  const { mcpServers: servers, version, isMcpTlsVerified: isTlsVerified } = config;
  const fetch = createFetch(config, { connectTimeoutMs: mcpConnectTimeoutMs, isTlsVerified });
  return createMcpServers({
    servers,
    version,
    fetch,
    runBounded,
    log,
    ...options,
  });
}

function createConfiguredWorkers(config: Config, log: Logger, metrics: Metrics): Workers {
  return createWorkers({
    targets: config.workerTargets,
    security: config.workerSecurity,
    timeoutMs: config.workerTimeoutMs,
    runBounded,
    log,
    onTask(taskType, outcome, durationMs) {
      const labels = { task_type: metrics.values.taskType.of(taskType) };
      metrics.workerTasks.inc({ ...labels, outcome });
      metrics.workerTaskDuration.observe(labels, durationMs / 1000);
    },
  });
}

/** Spans for what services do. Nothing of OpenTelemetry is loaded where none are made. */
export async function createTracingOf(config: Config): Promise<Tracing | undefined> {
  if (!config.tracing) return undefined;
  const { createTracing } = await import('./observability/tracing/tracing.js');
  const providers = config.providers.map((provider) => ({
    name: provider.name,
    address: addressOf(provider),
    isVendor: provider.api === 'bedrock' || provider.baseUrl === undefined,
  }));
  return createTracing({ isContentCaptured: config.isContentCaptured, providers });
}
