import { settings } from '../../src/config/settings.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';

/** Every secret as operators get it wrong, and secrets in settings that are none. `text` is in each of them. */
export function wrongSettings(text: string): Record<string, string>[] {
  const secrets = Object.values(settings).flatMap(({ env, kind }) =>
    'isSecret' in kind && kind.isSecret ? [env] : [],
  );
  const wrong = [
    `${text} and more`,
    `"${text}`,
    `${text}\u0000`,
    `{"a": "${text}"`,
    `${text}\nnext`,
    `é${text}`,
    '-'.repeat(9000) + text,
  ];
  const keys = (value: unknown) => ({ AUTH_MODE: 'hmac', HMAC_KEYS: JSON.stringify(value) });
  const servers = (value: unknown) => ({ MCP_SERVERS: JSON.stringify({ one: value }) });
  const urls = [`http://user:${text}@127.0.0.1/`, `http:/user:${text}@`, `http://127.0.0.1:x?key=${text}`];
  return [
    ...secrets.flatMap((env) => wrong.map((value) => ({ [env]: value }))),
    ...secrets.map((env) => ({ [env]: text, [`${env}_FILE`]: '/nowhere' })),
    ...secrets.map((env) => ({ [`${env.slice(0, -1)}X`]: text })),
    ...wrong.map((value) => ({
      AUTH_MODE: 'any',
      NODE_ENV: 'production',
      JWT_SECRET: value,
      HMAC_KEYS: value,
    })),
    {
      AUTH_MODE: 'jwt',
      NODE_ENV: 'production',
      JWT_SECRET: `changeme-${text}`,
      METRICS_TOKEN: `password-${text}`,
    },
    { AUTH_MODE: 'jwt', JWT_PUBLIC_KEY: `-----BEGIN PUBLIC KEY-----\\n${text}\\n-----END PUBLIC KEY-----` },
    keys({ a: text }),
    keys({ a: { secret: [text, text, text, text] } }),
    keys({ a: { secret: { inner: text } } }),
    keys({ a: { secret: text, roles: text, more: text } }),
    keys([text]),
    { AUTH_MODE: 'hmac', HMAC_KEYS: `{"a": {"secret": "${text}", }` },
    { MCP_SERVERS: `{"one": {"url": "https://host", "headers": {"Authorization": "${text}", }` },
    servers({ url: 'https://host', headers: { Authorization: [text] } }),
    servers({ url: 'https://host', headers: { Authorization: `${text}\n` } }),
    servers({ url: `https://user:${text}@host` }),
    servers({ command: 'node', env: { KEY: { inner: text } }, args: [7] }),
    servers({ command: 'node', url: `https://host/?key=${text}` }),
    ...urls.flatMap((url) =>
      ['OPENAI_BASE_URL', 'ANTHROPIC_BASE_URL', 'VLLM_ENDPOINT', 'OLLAMA_BASE_URL', 'MCP_SERVER_URL'].map(
        (env) => ({ [env]: url }),
      ),
    ),
    ...urls.flatMap((url) =>
      [
        'HTTPS_PROXY',
        'JWT_JWKS_URL',
        'REDIS_URL',
        'OTEL_EXPORTER_OTLP_ENDPOINT',
        'AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
      ].map((env) => ({ [env]: url, AUTH_MODE: 'jwt', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: text })),
    ),
    ...['PORT', 'OPENAI_BASE_URL', 'LLM_PROVIDER', 'MODELS_FILE'].map((env) => ({ [env]: `sk-${text}` })),
  ];
}

/** What is said of settings at the start, on stderr or in the log. */
export function saidOf(env: Record<string, string>): string[] {
  try {
    return loadConfig(env).warnings;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
