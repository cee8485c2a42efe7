import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { readMcpServer, readMcpServers } from './config/mcp-servers.js';
import { readModelsFile } from './config/models-file.js';
import { nearMisses } from './config/near-misses.js';
import {
  checkPreferred,
  configuredProviders,
  type ProviderConfig,
  preferredProvider,
  providerWarnings,
} from './config/providers.js';
import { readSettings, type Source, textOfVariable } from './config/read-settings.js';
import type { SettingValues } from './config/settings.js';
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
};

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
  | 'isWorkerPlaintext';

/** Everything that can be set about the service, as values. */
export type Config = Omit<SettingValues, ProviderSetting | 'hasDemoModel'> &
  typeof fixedLimits & {
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
  const variables = readEnvFile('.env');
  // the AWS SDK finds credentials in the environment only
  for (const [name, text] of Object.entries(variables)) {
    if (name.startsWith('AWS_')) process.env[name] ??= text;
  }
  return loadConfig({ ...variables, ...process.env, ...given });
}

/** The config of the worker process, from the same places. Throws a ConfigError. */
export function loadWorkerConfigFromProcess(): { config: WorkerConfig; warnings: string[] } {
  const env = { ...readEnvFile('.env'), ...process.env };
  const source: Source = { env, readFile: (path) => readFileSync(path, 'utf8'), problems: [], warnings: [] };
  const config = { ...readWorkerConfig(source), version: packageVersion() };
  if (source.problems.length > 0) throw new ConfigError(source.problems);
  return { config, warnings: [...nearMisses(env), ...source.warnings] };
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

/** The variables of a `.env` file; none when there is no such file. */
export function readEnvFile(path: string): Record<string, string> {
  try {
    const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
    return parseEnv(text) as Record<string, string>;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return {};
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
    version: packageVersion(),
    logLevel: isPlainDebug ? 'debug' : settings.logLevel,
    providers,
    models: file?.data,
    preferredProvider: preferredProvider(settings, providers, file),
    hasDemoModel,
    mcpServers,
    workerSecurity,
  };
  const warnings = [
    ...nearMisses(env, keyNames),
    ...source.warnings,
    ...providerWarnings(env, settings, providers, file),
  ];
  return { config, warnings };
}

function withoutProviderSettings(settings: SettingValues): Omit<SettingValues, ProviderSetting> {
  const { openaiApiKey, openaiBaseUrl, anthropicApiKey, anthropicBaseUrl, ...others } = settings;
  const { awsRegion, bedrockEndpoint, vllmBaseUrl, ollamaBaseUrl, isOllamaUsed, modelsFile, ...rest } =
    others;
  const { mcpServers, mcpTransport, mcpServerUrl, ...remaining } = rest;
  const { workerCaFile, workerCertFile, workerKeyFile, workerServerName, isWorkerPlaintext, ...kept } =
    remaining;
  return kept;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
