import { efforts } from '../core/message.js';
import {
  baseUrl,
  boolean,
  dollars,
  host,
  hostPatterns,
  type Kind,
  line,
  lowerCaseName,
  name,
  offUnlessSet,
  oneOf,
  origins,
  proxyUrl,
  region,
  rootUrl,
  seconds,
  secret,
  secretText,
  timezone,
  wholeNumber,
} from './kinds.js';
import { limitSettings } from './limit-settings.js';
import { observabilitySettings } from './observability-settings.js';
import { phaseSettings } from './phase-settings.js';
import { securitySettings } from './security-settings.js';
import { sessionSettings } from './session-settings.js';
import { tracingSettings } from './tracing-settings.js';
import { workerProcessSettings } from './worker-process-settings.js';
import { workerSettings } from './worker-settings.js';

/** `default` is written as in the environment; without one the setting may be undefined. */
export type Setting = {
  env: string;
  /** an older name that works too; `env` wins */
  alias?: string;
  kind: Kind<unknown>;
  default?: string;
  group:
    | 'server'
    | 'models'
    | 'phases'
    | 'agent'
    | 'sessions'
    | 'workers'
    | 'security'
    | 'observability'
    | 'tracing';
  about: string;
};

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Above this a body would not fit into one string of the runtime. */
const largestBodyBytes = 500_000_000;
/** Above this a file would not fit into one array that other threads share. */
const largestFileBytes = 1_073_741_824;
const mostTokens = 100_000_000;
const mostRunTokens = 1_000_000_000;

/** Every setting: its name in Config, its variable, how it is read, its default and what it means. */
export const settings = {
  port: {
    env: 'PORT',
    alias: 'PAI_AGENT_PORT',
    kind: wholeNumber(0, 65_535),
    default: '8000',
    group: 'server',
    about: 'TCP port to listen on; 0 takes any free one. PAI_AGENT_PORT works too.',
  },
  host: {
    env: 'HOST',
    kind: host,
    default: '0.0.0.0',
    group: 'server',
    about: 'Address to listen on; 127.0.0.1 accepts this machine only.',
  },
  isDebug: {
    env: 'DEBUG',
    kind: boolean,
    default: 'false',
    group: 'server',
    about: 'Logs at level debug unless LOG_LEVEL says otherwise.',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    kind: oneOf(logLevels),
    default: 'info',
    group: 'server',
    about: `The least severe level that is logged: ${logLevels.join(', ')}. SIGUSR2 switches to debug and back.`,
  },
  corsOrigins: {
    env: 'CORS_ORIGINS',
    kind: origins,
    default: '',
    group: 'server',
    about: 'Web origins whose pages may call the service, comma-separated, or * for all; none unless set.',
  },
  maxBodyBytes: {
    env: 'MAX_BODY_BYTES',
    kind: wholeNumber(1, largestBodyBytes, 'bytes'),
    default: '33554432',
    group: 'server',
    about: 'The largest request body; more gets 413.',
  },
  maxConcurrentRequests: {
    env: 'MAX_CONCURRENT_REQUESTS',
    kind: wholeNumber(1, 1_000_000),
    default: '150',
    group: 'server',
    about: 'Runs at once; the next one gets 503 with Retry-After.',
  },
  requestTimeoutMs: {
    env: 'REQUEST_TIMEOUT',
    kind: seconds(0.001),
    default: '30',
    group: 'server',
    about: 'The longest silence of a model provider, before or between tokens.',
  },
  runTimeoutMs: {
    env: 'RUN_TIMEOUT',
    kind: seconds(0.001),
    default: '600',
    group: 'server',
    about: 'The longest time that a whole run may take.',
  },
  drainTimeoutMs: {
    env: 'DRAIN_TIMEOUT',
    kind: seconds(0),
    default: '30',
    group: 'server',
    about: 'How long running runs may go on after SIGTERM.',
  },
  runLogTtlMs: {
    env: 'RUN_LOG_TTL',
    kind: seconds(0),
    default: '300',
    group: 'server',
    about: 'How long the events of a finished run can still be read.',
  },
  hasDemoModel: {
    env: 'DEMO_MODEL',
    kind: boolean,
    group: 'models',
    about: 'Offers the built-in demo model; unless set, only while no real provider is configured.',
  },
  openaiApiKey: {
    env: 'OPENAI_API_KEY',
    kind: secret,
    group: 'models',
    about: 'Key of the provider openai. OPENAI_API_KEY_FILE names a file that holds it instead.',
  },
  openaiBaseUrl: {
    env: 'OPENAI_BASE_URL',
    kind: baseUrl,
    group: 'models',
    about: 'Any server that speaks Chat Completions, as provider openai; unless set, OpenAI itself.',
  },
  anthropicApiKey: {
    env: 'ANTHROPIC_API_KEY',
    kind: secret,
    group: 'models',
    about: 'Key of the provider anthropic. ANTHROPIC_API_KEY_FILE names a file that holds it instead.',
  },
  anthropicBaseUrl: {
    env: 'ANTHROPIC_BASE_URL',
    kind: rootUrl,
    group: 'models',
    about: "Any server that speaks Anthropic's Messages; unless set, Anthropic itself. Needs the key too.",
  },
  awsRegion: {
    env: 'AWS_REGION',
    kind: region,
    default: 'us-east-1',
    group: 'models',
    about:
      'Region of the provider bedrock, which is on when this and credentials of AWS are in the environment, or by ' +
      'LLM_PROVIDER=bedrock; see README.md.',
  },
  bedrockEndpoint: {
    env: 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
    kind: rootUrl,
    group: 'models',
    about: "Another endpoint for bedrock, such as a VPC's; unless set, the region's own.",
  },
  vllmBaseUrl: {
    env: 'VLLM_ENDPOINT',
    kind: baseUrl,
    group: 'models',
    about: 'A vLLM server, as provider vllm; /v1 is added when the path is empty.',
  },
  ollamaBaseUrl: {
    env: 'OLLAMA_BASE_URL',
    kind: baseUrl,
    group: 'models',
    about: 'An Ollama server, as provider ollama; /v1 is added when the path is empty.',
  },
  isOllamaUsed: {
    env: 'USE_OLLAMA',
    kind: boolean,
    group: 'models',
    about:
      'true: use Ollama at OLLAMA_BASE_URL or http://localhost:11434/v1. false: do not, whatever is set.',
  },
  preferredProvider: {
    env: 'LLM_PROVIDER',
    kind: lowerCaseName,
    group: 'models',
    about:
      "The provider that is tried first: openai, anthropic, bedrock, vllm, ollama, one of MODELS_FILE's or demo. " +
      'It must be configured.',
  },
  llmModel: {
    env: 'LLM_MODEL',
    kind: name,
    group: 'models',
    about: 'The model of the preferred provider; it may be outside the catalogue.',
  },
  defaultModel: {
    env: 'DEFAULT_MODEL',
    kind: name,
    group: 'models',
    about: 'The catalogue model of a request that names none, whatever its effort.',
  },
  defaultEffort: {
    env: 'DEFAULT_EFFORT',
    kind: oneOf(efforts),
    default: 'standard',
    group: 'models',
    about: `The effort of a request that names none: ${efforts.join(', ')}.`,
  },
  modelsFile: {
    env: 'MODELS_FILE',
    kind: line,
    group: 'models',
    about:
      'Path of a YAML file with more models, other facts of known ones, and more endpoints; see README.md.',
  },
  maxContextTokens: {
    env: 'MAX_CONTEXT_TOKENS',
    kind: wholeNumber(256, mostTokens, 'tokens'),
    group: 'models',
    about: "Lowers every model's context window; unless set, the model's own.",
  },
  llmMaxTokens: {
    env: 'LLM_MAX_TOKENS',
    kind: wholeNumber(1, mostTokens, 'tokens'),
    group: 'models',
    about: 'The most tokens of one answer; unless set, as planned for each request.',
  },
  maxRunTokens: {
    env: 'MAX_RUN_TOKENS',
    kind: offUnlessSet(wholeNumber(1, mostRunTokens, 'tokens')),
    group: 'models',
    about: 'The most tokens, input and output of all model calls, of one run; unless set, no cap.',
  },
  maxRunCostUsd: {
    env: 'MAX_RUN_COST_USD',
    kind: offUnlessSet(dollars),
    group: 'models',
    about: 'The most that one run may cost by the prices of the catalogue; unless set, no cap.',
  },
  httpsProxy: {
    env: 'HTTPS_PROXY',
    alias: 'https_proxy',
    kind: proxyUrl,
    group: 'models',
    about: 'Proxy to model providers at https:// addresses; unless set, HTTP_PROXY.',
  },
  httpProxy: {
    env: 'HTTP_PROXY',
    alias: 'http_proxy',
    kind: proxyUrl,
    group: 'models',
    about: 'Proxy to model providers at http:// addresses.',
  },
  noProxy: {
    env: 'NO_PROXY',
    alias: 'no_proxy',
    kind: line,
    group: 'models',
    about: 'Hosts that are asked directly, comma-separated: example.com, .example.com, host:port or *.',
  },
  maxRevisions: {
    env: 'UPEE_MAX_REVISIONS',
    kind: wholeNumber(0, 10),
    default: '2',
    group: 'phases',
    about: 'How often an answer that fails its checks is rewritten.',
  },
  ...phaseSettings,
  maxFileBytes: {
    env: 'MAX_FILE_BYTES',
    kind: wholeNumber(1, largestFileBytes, 'bytes'),
    default: '104857600',
    group: 'phases',
    about:
      'The largest file that is fetched from a signed_url, and all of one request together. ' +
      'Requests that are under way hold four times as much in all; others wait.',
  },
  fileUrlTimeoutMs: {
    env: 'FILE_URL_TIMEOUT',
    kind: seconds(0.001),
    default: '30',
    group: 'phases',
    about: 'The longest time that fetching a signed_url may take.',
  },
  fileUrlHosts: {
    env: 'FILE_URL_HOSTS',
    kind: hostPatterns,
    default: '',
    group: 'phases',
    about: 'The only hosts that a signed_url may name, comma-separated, *.example.com too; unless set, any.',
  },
  isFileUrlHttpAllowed: {
    env: 'FILE_URL_ALLOW_HTTP',
    kind: boolean,
    default: 'false',
    group: 'phases',
    about: 'Lets a signed_url start with http:// too.',
  },
  isFileUrlPrivateAllowed: {
    env: 'FILE_URL_ALLOW_PRIVATE',
    kind: boolean,
    default: 'false',
    group: 'phases',
    about:
      'Lets a signed_url lead into private networks and to this machine, for a storage inside; set FILE_URL_HOSTS too.',
  },
  maxTurns: {
    env: 'MAX_TURNS',
    kind: wholeNumber(1, 1000),
    default: '10',
    group: 'agent',
    about: 'Model calls of one run, tool results in between.',
  },
  maxToolCalls: {
    env: 'MAX_TOOL_CALLS',
    kind: wholeNumber(0, 10_000),
    default: '50',
    group: 'agent',
    about: 'Tool calls of one run.',
  },
  toolTimeoutMs: {
    env: 'TOOL_TIMEOUT',
    kind: seconds(0.001),
    default: '120',
    group: 'agent',
    about: 'The longest time that one tool call may take.',
  },
  mcpServers: {
    env: 'MCP_SERVERS',
    kind: secretText,
    group: 'agent',
    about:
      'MCP servers as the path of a JSON file, or as JSON on one line or between single quotes: {"name": {"command", ' +
      '"args", "env", "cwd"} or {"url", "headers"}}; docs/mcp.md says how values of env and headers name variables.',
  },
  mcpTransport: {
    env: 'MCP_TRANSPORT',
    kind: oneOf(['stdio', 'http', 'sse'] as const),
    group: 'agent',
    about: 'How MCP_SERVER_URL is reached: http unless set, sse for older servers, stdio for a command line.',
  },
  mcpServerUrl: {
    env: 'MCP_SERVER_URL',
    kind: secretText,
    group: 'agent',
    about: 'One MCP server, named mcp, in place of or beside those of MCP_SERVERS.',
  },
  isMcpTlsVerified: {
    env: 'MCP_SSL_VERIFY',
    kind: boolean,
    default: 'true',
    group: 'agent',
    about: 'false: MCP servers are reached whatever certificate they show. For tests only.',
  },
  timezone: {
    env: 'TIMEZONE',
    kind: timezone,
    default: 'UTC',
    group: 'agent',
    about: 'The IANA time zone in which the model is told the time.',
  },
  ...sessionSettings,
  ...workerSettings,
  ...workerProcessSettings,
  ...securitySettings,
  ...limitSettings,
  ...observabilitySettings,
  ...tracingSettings,
} as const satisfies Record<string, Setting>;

export type SettingValues = { -readonly [Key in keyof typeof settings]: ValueOf<(typeof settings)[Key]> };

type ValueOf<S extends Setting> =
  S['kind'] extends Kind<infer Value> ? (S extends { default: string } ? Value : Value | undefined) : never;
