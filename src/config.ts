import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
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
import type { CatalogData } from './llm/catalog-schema.js';

/** Not settings: fixed limits that tests override. */
const fixedLimits = {
  heartbeatMs: 15_000,
  /** between looks at which provider needs a probe */
  probeIntervalMs: 5_000,
  /** how far a reader may lag behind */
  readerLagBytes: 1024 * 1024,
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
  | 'modelsFile';

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

/** The config of this process: its environment over the `.env` file of its working directory. */
export function loadConfigFromProcess(): LoadedConfig {
  const variables = readEnvFile('.env');
  // the AWS SDK finds credentials in the environment only
  for (const [name, text] of Object.entries(variables)) {
    if (name.startsWith('AWS_')) process.env[name] ??= text;
  }
  return loadConfig({ ...variables, ...process.env });
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
  return rest;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
