import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { type AuthenticationConfig, readAuthentication } from './config/authentication.js';
import { strayLines } from './config/env-file.js';
import { limitWarnings } from './config/limit-settings.js';
import { readMcpServer, readMcpServers } from './config/mcp-servers.js';
import { readModelsFile } from './config/models-file.js';
import { nearMisses } from './config/near-misses.js';
import { productionWarnings } from './config/production.js';
import {
  checkPreferred,
  configuredProviders,
  type ProviderConfig,
  preferredProvider,
  providerWarnings,
} from './config/providers.js';
import { readSettings, type Source, textOfVariable } from './config/read-settings.js';
import type { SettingValues } from './config/settings.js';
import {
  type TracingConfig,
  type TracingSetting,
  tracingOf,
  withoutTracingSettings,
} from './config/tracing-settings.js';
import { readWorkerConfig, type WorkerConfig } from './config/worker-process.js';
import { readWorkerSecurity } from './config/worker-security.js';
import type { CatalogData } from './llm/catalog-schema.js';
import type { McpServerConfig } from './tools/mcp/mcp-server.js';
import type { WorkerSecurity } from './workers/worker.js';

/** Not settings: fixed limits that tests override. */
const fixedLimits = {
  heartbeatMs: 15_000,
  /** between looks at which provider needs a probe */
  probeIntervalMs: 5_000,
  /** the longest wait for a model that only helps with an answer: one that plans or summarises */
  sideCallTimeoutMs: 20_000,
  /** how far a reader may lag behind */
  readerLagBytes: 1024 * 1024,
  /** open at once */
  maxWebSockets: 1000,
  /** the log of one run */
  runLogBytes: 8 * 1024 * 1024,
  runLogEvents: 65_536,
  /** the logs of all runs */
  runLogTotalBytes: 256 * 1024 * 1024,
  rateLimitWindowMs: 60_000,
  /** how long after a run's deadline what it held of its tenant's quota is given back if nobody did */
  quotaMarginMs: 30_000,
};

/** Sessions of one owner, unless MAX_SESSIONS says otherwise. */
const defaultMaxSessions = 10;

type ProviderSetting =
  | 'openaiApiKey'
  | 'openaiBaseUrl'
  | 'anthropicApiKey'
  | 'anthropicBaseUrl'
  | 'awsRegion'
  | 'bedrockEndpoint'
  | 'vllmBaseUrl'
  | 'ollamaBaseUrl'
  | 'isOllamaUsed'
  | 'modelsFile'
  | 'mcpServers'
  | 'mcpTransport'
  | 'mcpServerUrl'
  | 'workerCaFile'
  | 'workerCertFile'
  | 'workerKeyFile'
  | 'workerServerName'
  | 'isWorkerPlaintext'
  | 'isAnonymousAllowed'
  | 'jwtSecret'
  | 'jwtPublicKey'
  | 'jwtJwksUrl'
  | 'hmacKeys'
  | TracingSetting;

/** Everything that can be set about the service, as values. */
export type Config = Omit<SettingValues, ProviderSetting | 'hasDemoModel'> &
  typeof fixedLimits &
  AuthenticationConfig & {
    /** from package.json */
    version: string;
    /** the configured ones */
    providers: ProviderConfig[];
    /** with what MODELS_FILE says; undefined: the packaged catalogue */
    models: CatalogData | undefined;
    hasDemoModel: boolean;
    /** with secrets in it */
    mcpServers: McpServerConfig[];
    workerSecurity: WorkerSecurity;
    /** undefined: no traces are made */
    tracing: TracingConfig | undefined;
  };

export type LoadedConfig = { config: Config; warnings: string[] };

/** Holds every wrong setting, one line each; no line shows a secret. */
export class ConfigError extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** The config of this process: what is given over its environment over the `.env` file of its working directory. */
export function loadConfigFromProcess(given: Record<string, string> = {}): LoadedConfig {
  const { variables, warnings } = readEnvFile('.env');
  shareVariables(variables, ['AWS_', 'OTEL_']);
  const loaded = loadConfig({ ...variables, ...process.env, ...given });
  shareTracing(loaded.config);
  return { ...loaded, warnings: [...warnings, ...loaded.warnings] };
}

/** The AWS SDK finds credentials in the environment only, and OpenTelemetry what it is to do. */
function shareVariables(variables: Record<string, string>, prefixes: string[]): void {
  for (const [name, text] of Object.entries(variables)) {
    if (prefixes.some((prefix) => name.startsWith(prefix))) process.env[name] ??= text;
  }
}

/** What a file held is given on to OpenTelemetry. */
function shareTracing({ tracing }: Pick<Config, 'tracing'>): void {
  if (tracing?.headers !== undefined) process.env.OTEL_EXPORTER_OTLP_HEADERS ??= tracing.headers;
}

/** The config of the worker process, from the same places. Throws a ConfigError. */
export function loadWorkerConfigFromProcess(): { config: WorkerConfig; warnings: string[] } {
  const { variables, warnings } = readEnvFile('.env');
  shareVariables(variables, ['OTEL_']);
  const env = { ...variables, ...process.env };
  const source: Source = { env, readFile: (path) => readFileSync(path, 'utf8'), problems: [], warnings: [] };
  const config = { ...readWorkerConfig(source), version: packageVersion() };
  if (source.problems.length > 0) throw new ConfigError(source.problems);
  shareTracing(config);
  return { config, warnings: [...warnings, ...nearMisses(env), ...source.warnings] };
}

/** An MCP server that a program names, for which this process's environment holds what is not given. Throws a ConfigError. */
export function mcpServerFromProcess(name: string, entry: unknown): McpServerConfig {
  const source: Source = {
    env: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
    problems: [],
    warnings: [],
  };
  const server = readMcpServer(source, name, entry, 'MCP server');
  if (server) return server;
  throw new ConfigError(source.problems);
}

/** The variables of a `.env` file; none when there is no such file. Throws a ConfigError. */
export function readEnvFile(path: string): { variables: Record<string, string>; warnings: string[] } {
  const text = textOfEnvFile(path);
  const { problems, warnings } = strayLines(text, path);
  if (problems.length > 0) throw new ConfigError(problems);
  return { variables: parseEnv(text) as Record<string, string>, warnings };
}

function textOfEnvFile(path: string): string {
  try {
    const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
    // with white space after its =, a value that is empty would be the next line
    return text.replace(/=[^\S\n]+$/gm, '=');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return '';
    throw new ConfigError([`${path} cannot be read (${code})`]);
  }
}

/** Reads and checks every setting; throws one ConfigError with all problems. */
export function loadConfig(
  env: NodeJS.ProcessEnv,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): LoadedConfig {
  const source: Source = { env, readFile, problems: [], warnings: [] };
  const settings = readSettings(source);
  const file = settings.modelsFile === undefined ? undefined : readModelsFile(source, settings.modelsFile);
  const providers = configuredProviders(source, settings, file);
  const mcpServers = readMcpServers(source, settings);
  const workerSecurity = readWorkerSecurity(source, settings);
  const authentication = readAuthentication(source, settings);
  if (settings.memoryBackend === 'redis' && settings.redisUrl === undefined) {
    source.problems.push('MEMORY_BACKEND redis needs REDIS_URL');
  }
  const names = providers.map(({ name }) => name);
  const hasDemoModel = settings.hasDemoModel ?? names.length === 0;
  const isFileBroken = settings.modelsFile !== undefined && file === undefined;
  if (!isFileBroken) {
    checkPreferred(source, settings.preferredProvider, [...names, ...(hasDemoModel ? ['demo'] : [])]);
  }
  if (source.problems.length > 0) throw new ConfigError(source.problems);

  const keyNames = file?.endpoints.flatMap(({ apiKeyEnv }) => apiKeyEnv ?? []);
  const isPlainDebug = settings.isDebug && textOfVariable(env, 'LOG_LEVEL') === undefined;
  const config: Config = {
    ...withoutProviderSettings(settings),
    ...fixedLimits,
    ...authentication,
    version: packageVersion(),
    logLevel: isPlainDebug ? 'debug' : settings.logLevel,
    providers,
    models: file?.data,
    preferredProvider: preferredProvider(settings, providers, file),
    maxSessions: maxSessionsOf(settings),
    hasDemoModel,
    mcpServers,
    workerSecurity,
    tracing: tracingOf(settings, source.warnings),
  };
  const warnings = [
    ...nearMisses(env, keyNames),
    ...source.warnings,
    ...providerWarnings(env, settings, providers, file),
    ...limitWarnings(settings),
    ...productionWarnings(env, settings.hasDemoModel === undefined && hasDemoModel),
  ];
  return { config, warnings };
}

/** Where nobody says who they are, all sessions are those of one owner. */
function maxSessionsOf({ maxSessions, authMode }: SettingValues): number | undefined {
  return maxSessions ?? (authMode === 'none' ? undefined : defaultMaxSessions);
}

function withoutProviderSettings(settings: SettingValues): Omit<SettingValues, ProviderSetting> {
  const { openaiApiKey, openaiBaseUrl, anthropicApiKey, anthropicBaseUrl, ...others } = settings;
  const { awsRegion, bedrockEndpoint, vllmBaseUrl, ollamaBaseUrl, isOllamaUsed, modelsFile, ...rest } =
    others;
  const { mcpServers, mcpTransport, mcpServerUrl, ...remaining } = rest;
  const { workerCaFile, workerCertFile, workerKeyFile, workerServerName, isWorkerPlaintext, ...unchecked } =
    remaining;
  const { isAnonymousAllowed, jwtSecret, jwtPublicKey, jwtJwksUrl, hmacKeys, ...kept } = unchecked;
  return withoutTracingSettings(kept);
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
