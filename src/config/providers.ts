import { loadCatalog, type ModelsFile } from '../llm/catalog.js';
import type { CatalogData } from '../llm/catalog-schema.js';
import { endpointProviders } from './models-file.js';
import { type Source, shownValue, textOfVariable } from './read-settings.js';
import type { SettingValues } from './settings.js';

/** What a provider needs to be reached; `baseUrl` and `endpoint` undefined are the vendor's own address. */
export type ProviderConfig =
  | { name: string; api: 'openai'; baseUrl: string | undefined; apiKey: string | undefined }
  | { name: string; api: 'anthropic'; baseUrl: string | undefined; apiKey: string }
  | {
      name: string;
      api: 'bedrock';
      region: string;
      endpoint: string | undefined;
      /** undefined: the default chain of the AWS SDK */
      credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
    };

type OwnProvider = 'openai' | 'anthropic' | 'bedrock' | 'vllm' | 'ollama';

/** The configured providers, in the order in which they are tried. */
export function configuredProviders(
  source: Source,
  values: SettingValues,
  file: ModelsFile | undefined,
): ProviderConfig[] {
  const providers: Record<OwnProvider, ProviderConfig> = {
    openai: { name: 'openai', api: 'openai', baseUrl: values.openaiBaseUrl, apiKey: values.openaiApiKey },
    anthropic: {
      name: 'anthropic',
      api: 'anthropic',
      baseUrl: values.anthropicBaseUrl,
      apiKey: values.anthropicApiKey ?? '',
    },
    bedrock: {
      name: 'bedrock',
      api: 'bedrock',
      region: values.awsRegion,
      endpoint: values.bedrockEndpoint,
      credentials: awsCredentials(source.env),
    },
    vllm: { name: 'vllm', api: 'openai', baseUrl: values.vllmBaseUrl, apiKey: undefined },
    ollama: {
      name: 'ollama',
      api: 'openai',
      baseUrl: values.ollamaBaseUrl ?? 'http://localhost:11434/v1',
      apiKey: undefined,
    },
  };
  const own = ownProviders(source.env, values).map((name) => providers[name]);
  return [...own, ...(file ? endpointProviders(source, file) : [])];
}

/** By what is set, right or wrong: a mistake in one variable must not give a second, misleading problem. */
function ownProviders(env: NodeJS.ProcessEnv, values: SettingValues): OwnProvider[] {
  const isSet = (...names: string[]) => names.some((name) => textOfVariable(env, name) !== undefined);
  const hasAwsCredentials = isSet(...awsCredentialNames);
  const names: OwnProvider[] = [];
  if (isSet('OPENAI_API_KEY', 'OPENAI_API_KEY_FILE', 'OPENAI_BASE_URL')) names.push('openai');
  if (isSet('ANTHROPIC_API_KEY', 'ANTHROPIC_API_KEY_FILE')) names.push('anthropic');
  if ((isSet('AWS_REGION') && hasAwsCredentials) || values.preferredProvider === 'bedrock') {
    names.push('bedrock');
  }
  if (isSet('VLLM_ENDPOINT')) names.push('vllm');
  if (values.isOllamaUsed ?? isSet('OLLAMA_BASE_URL', 'USE_OLLAMA')) names.push('ollama');
  return names;
}

/** What turns a provider on besides LLM_PROVIDER, which is enough for bedrock. */
const switches = new Map([
  ['openai', 'OPENAI_API_KEY or OPENAI_BASE_URL'],
  ['anthropic', 'ANTHROPIC_API_KEY'],
  ['vllm', 'VLLM_ENDPOINT'],
  ['ollama', 'USE_OLLAMA=true'],
  ['demo', 'DEMO_MODEL=true'],
]);

/** Signs of credentials for the AWS SDK. A region alone is none: many shells have one. */
const awsCredentialNames = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_BEARER_TOKEN_BEDROCK',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
];

/** The key of the environment, unless the SDK would take something else before it. */
function awsCredentials(env: NodeJS.ProcessEnv) {
  const text = (name: string) => textOfVariable(env, name);
  const accessKeyId = text('AWS_ACCESS_KEY_ID');
  const secretAccessKey = text('AWS_SECRET_ACCESS_KEY');
  const sessionToken = text('AWS_SESSION_TOKEN');
  const hasOther = text('AWS_PROFILE') ?? text('AWS_BEARER_TOKEN_BEDROCK');
  if (hasOther !== undefined || accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

/** What is not wrong but probably not meant. */
export function providerWarnings(
  env: NodeJS.ProcessEnv,
  values: SettingValues,
  providers: readonly ProviderConfig[],
  file: ModelsFile | undefined,
): string[] {
  const names = providers.map(({ name }) => name);
  const warnings: string[] = [];
  if (textOfVariable(env, 'ANTHROPIC_BASE_URL') !== undefined && !names.includes('anthropic')) {
    warnings.push(
      'ANTHROPIC_BASE_URL is set, but ANTHROPIC_API_KEY is not: the provider anthropic is not used',
    );
  }
  const { defaultModel, judgeModel, plannerModel, openaiBaseUrl } = values;
  const isElsewhere = openaiBaseUrl !== undefined && !/^https?:\/\/api\.openai\.com\//.test(openaiBaseUrl);
  const named = {
    DEFAULT_MODEL: defaultModel,
    UPEE_JUDGE_MODEL: judgeModel,
    UPEE_PLANNER_MODEL: plannerModel,
  };
  if (Object.values(named).every((id) => id === undefined) && !isElsewhere) return warnings;

  const data = file?.data ?? loadCatalog();
  for (const [variable, id] of Object.entries(named)) {
    const owners = id === undefined ? [] : ownersOf(id, data);
    if (owners.length === 0 || owners.some((owner) => names.includes(owner))) continue;
    warnings.push(
      `${variable} ${id} is a model of ${owners.join(' and ')}, which is not configured; it is not used`,
    );
  }
  if (isElsewhere && defaultModel === undefined && values.llmModel === undefined) {
    const { effort, default: standard } = data.providers.openai ?? {};
    warnings.push(
      `OPENAI_BASE_URL is not OpenAI's own, and LLM_MODEL and DEFAULT_MODEL are not set: ` +
        `requests that name no model ask it for ${effort?.[values.defaultEffort] ?? standard}`,
    );
  }
  return warnings;
}

/** LLM_PROVIDER; without it DEFAULT_MODEL speaks for its provider, unless LLM_MODEL already stands for the first. */
export function preferredProvider(
  values: SettingValues,
  providers: readonly ProviderConfig[],
  file: ModelsFile | undefined,
): string | undefined {
  const { preferredProvider: named, defaultModel, llmModel } = values;
  if (named !== undefined || defaultModel === undefined || llmModel !== undefined) return named;
  const owners = ownersOf(defaultModel, file?.data ?? loadCatalog());
  return providers.find(({ name }) => owners.includes(name))?.name;
}

function ownersOf(id: string, data: CatalogData): string[] {
  const owners = Object.entries(data.providers).filter(([, { models }]) =>
    models.some((model) => model.id === id || model.aliases?.includes(id)),
  );
  return owners.map(([name]) => name);
}

export function checkPreferred(source: Source, preferred: string | undefined, available: string[]): void {
  if (available.length === 0) {
    source.warnings.push('no model provider is configured and DEMO_MODEL is off: no chat can be answered');
  }
  if (preferred === undefined || available.includes(preferred)) return;
  const list = available.length === 0 ? 'none' : available.join(', ');
  const missing = switches.get(preferred);
  const advice = missing === undefined ? '' : `; set ${missing} too`;
  source.problems.push(
    `LLM_PROVIDER must be a configured provider; configured: ${list}${advice}${shownValue(preferred)}`,
  );
}
