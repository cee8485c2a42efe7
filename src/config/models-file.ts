import { InvalidCatalog, type ModelsFile, parseModelsFile } from '../llm/catalog.js';
import type { Endpoint } from '../llm/catalog-overlay.js';
import { baseUrl, InvalidValue, secret } from './kinds.js';
import type { ProviderConfig } from './providers.js';
import { readSecret, type Source, textOfFile, textOfVariable } from './read-settings.js';

/** The models and endpoints of MODELS_FILE; undefined, and problems, when something is wrong with it. */
export function readModelsFile(source: Source, path: string): ModelsFile | undefined {
  const text = textOfFile(source, 'MODELS_FILE', path);
  if (text === undefined) return undefined;
  try {
    return parseModelsFile(text, path);
  } catch (error) {
    if (!(error instanceof InvalidCatalog)) throw error;
    source.problems.push(...error.problems);
    return undefined;
  }
}

/** The endpoints as providers. One whose key is not set is left out with a warning: a file may serve several hosts. */
export function endpointProviders(source: Source, file: ModelsFile): ProviderConfig[] {
  return file.endpoints.flatMap((endpoint) => endpointProvider(source, file, endpoint) ?? []);
}

function endpointProvider(source: Source, file: ModelsFile, endpoint: Endpoint): ProviderConfig | undefined {
  const { name, apiKeyEnv, apiKeyFile } = endpoint;
  const url = parseUrl(source, file, endpoint);
  if (apiKeyEnv !== undefined && !isGiven(source, apiKeyEnv)) {
    const message = `the variable ${apiKeyEnv} is not set, so ${name} is not used`;
    source.warnings.push(file.describe(['providers', name, 'apiKeyEnv'], message));
    return undefined;
  }
  const apiKey = apiKeyEnv
    ? readSecret(source, apiKeyEnv)
    : apiKeyFile && readKeyFile(source, file, name, apiKeyFile);
  return { name, api: 'openai', baseUrl: url, apiKey };
}

function isGiven({ env }: Source, name: string): boolean {
  return [name, `${name}_FILE`].some((each) => textOfVariable(env, each) !== undefined);
}

function parseUrl(source: Source, file: ModelsFile, endpoint: Endpoint): string | undefined {
  return parseField(source, file, ['providers', endpoint.name, 'baseUrl'], () =>
    baseUrl.parse(endpoint.baseUrl.trim()),
  );
}

function readKeyFile(source: Source, file: ModelsFile, name: string, path: string): string | undefined {
  const field = ['providers', name, 'apiKeyFile'];
  const text = textOfFile(source, file.describe(field, '').trim(), path);
  return text === undefined ? undefined : parseField(source, file, field, () => secret.parse(text.trim()));
}

function parseField(source: Source, file: ModelsFile, field: string[], parse: () => string) {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    source.problems.push(file.describe(field, `must ${error.message}`));
    return undefined;
  }
}
