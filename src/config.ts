import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { nearMisses } from './config/near-misses.js';
import { readSettings, type Source, shownValue, textOfVariable } from './config/read-settings.js';
import type { SettingValues } from './config/settings.js';

/** What a provider needs to be reached; `baseUrl` undefined is the vendor's own address. */
export type ProviderConfig = {
  name: 'openai' | 'vllm' | 'ollama';
  baseUrl: string | undefined;
  apiKey: string | undefined;
};

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

type ProviderSetting = 'openaiApiKey' | 'openaiBaseUrl' | 'vllmBaseUrl' | 'ollamaBaseUrl' | 'isOllamaUsed';

/** Everything that can be set about the service, as values. */
export type Config = Omit<SettingValues, ProviderSetting | 'hasDemoModel'> &
  typeof fixedLimits & {
    /** from package.json */
    version: string;
    /** the configured ones */
    providers: ProviderConfig[];
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
  return loadConfig({ ...readEnvFile('.env'), ...process.env });
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
  const source: Source = { env, readFile, problems: [], warnings: nearMisses(env) };
  const { openaiApiKey, openaiBaseUrl, vllmBaseUrl, ollamaBaseUrl, isOllamaUsed, ...values } =
    readSettings(source);
  const names = configuredProviders(env, isOllamaUsed);
  const hasDemoModel = values.hasDemoModel ?? names.length === 0;
  checkPreferred(source, values.preferredProvider, [...names, ...(hasDemoModel ? ['demo'] : [])]);
  if (source.problems.length > 0) throw new ConfigError(source.problems);

  const providers: Record<ProviderConfig['name'], Omit<ProviderConfig, 'name'>> = {
    openai: { baseUrl: openaiBaseUrl, apiKey: openaiApiKey },
    vllm: { baseUrl: vllmBaseUrl, apiKey: undefined },
    ollama: { baseUrl: ollamaBaseUrl ?? 'http://localhost:11434/v1', apiKey: undefined },
  };
  const isPlainDebug = values.isDebug && textOfVariable(env, 'LOG_LEVEL') === undefined;
  const config: Config = {
    ...values,
    ...fixedLimits,
    version: packageVersion(),
    logLevel: isPlainDebug ? 'debug' : values.logLevel,
    providers: names.map((name) => ({ name, ...providers[name] })),
    hasDemoModel,
  };
  return { config, warnings: source.warnings };
}

/** By what is set, right or wrong: a mistake in one variable must not give a second, misleading problem. */
function configuredProviders(
  env: NodeJS.ProcessEnv,
  isOllamaUsed: boolean | undefined,
): ProviderConfig['name'][] {
  const isSet = (...names: string[]) => names.some((name) => textOfVariable(env, name) !== undefined);
  const names: ProviderConfig['name'][] = [];
  if (isSet('OPENAI_API_KEY', 'OPENAI_API_KEY_FILE', 'OPENAI_BASE_URL')) names.push('openai');
  if (isSet('VLLM_ENDPOINT')) names.push('vllm');
  if (isOllamaUsed ?? isSet('OLLAMA_BASE_URL', 'USE_OLLAMA')) names.push('ollama');
  return names;
}

function checkPreferred(source: Source, preferred: string | undefined, available: string[]): void {
  if (available.length === 0) {
    source.warnings.push('no model provider is configured and DEMO_MODEL is off: no chat can be answered');
  }
  if (preferred === undefined || available.includes(preferred)) return;
  const list = available.length === 0 ? 'none' : available.join(', ');
  source.problems.push(
    `LLM_PROVIDER must be a configured provider; configured: ${list}${shownValue(preferred)}`,
  );
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
