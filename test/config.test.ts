import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Setting, settings } from '../src/config/settings.ts';
import {
  type Config,
  ConfigError,
  loadConfig,
  loadConfigFromProcess,
  loadWorkerConfigFromProcess,
  readEnvFile,
} from '../src/config.ts';
import { loadCatalog } from '../src/llm/catalog.ts';

const load = (env: Record<string, string>, files: Record<string, string> = {}) =>
  loadConfig(env, (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
    return text;
  });

const configOf = (env: Record<string, string>, files?: Record<string, string>) => load(env, files).config;

function problemsOf(env: Record<string, string>, files?: Record<string, string>): string[] {
  try {
    load(env, files);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const defaults: Config = {
  version: packageJson.version,
  port: 8000,
  host: '0.0.0.0',
  isDebug: false,
  logLevel: 'info',
  corsOrigins: [],
  maxBodyBytes: 33_554_432,
  maxConcurrentRequests: 150,
  requestTimeoutMs: 30_000,
  runTimeoutMs: 600_000,
  drainTimeoutMs: 30_000,
  runLogTtlMs: 300_000,
  providers: [],
  models: undefined,
  hasDemoModel: true,
  preferredProvider: undefined,
  llmModel: undefined,
  defaultModel: undefined,
  defaultEffort: 'standard',
  maxContextTokens: undefined,
  llmMaxTokens: undefined,
  maxRunTokens: undefined,
  maxRunCostUsd: undefined,
  httpsProxy: undefined,
  httpProxy: undefined,
  noProxy: undefined,
  maxRevisions: 2,
  plannerModel: undefined,
  judgeModel: undefined,
  judgeSample: 0,
  contextThreshold: 0.75,
  maxFileBytes: 104_857_600,
  fileUrlTimeoutMs: 30_000,
  fileUrlHosts: [],
  isFileUrlHttpAllowed: false,
  isFileUrlPrivateAllowed: false,
  maxTurns: 10,
  maxToolCalls: 50,
  toolTimeoutMs: 120_000,
  isMcpTlsVerified: true,
  mcpServers: [],
  timezone: 'UTC',
  memoryBackend: 'memory',
  sessionFolder: join(homedir(), '.paf-core-agent'),
  maxSessions: undefined,
  sessionConflict: 'reject',
  redisUrl: undefined,
  workerTargets: [],
  workerTimeoutMs: 300_000,
  workerSecurity: { kind: 'plaintext' },
  workerPort: 50_051,
  workerMaxTasks: 4,
  authMode: 'none',
  authGraceMs: 60_000,
  jwtKey: undefined,
  jwtIssuer: undefined,
  jwtAudience: undefined,
  hmacKeys: [],
  accessProblems: [],
  metricsToken: undefined,
  rateLimitRpm: undefined,
  rateLimitStreamsRpm: undefined,
  tenantDailyTokens: undefined,
  tenantDailyCostUsd: undefined,
  isMetricsEnabled: true,
  isDocsEnabled: true,
  eventLogFile: undefined,
  isContentCaptured: false,
  tracing: undefined,
  heartbeatMs: 15_000,
  probeIntervalMs: 5_000,
  sideCallTimeoutMs: 20_000,
  readerLagBytes: 1_048_576,
  maxWebSockets: 1000,
  runLogBytes: 8_388_608,
  runLogEvents: 65_536,
  runLogTotalBytes: 268_435_456,
  rateLimitWindowMs: 60_000,
  quotaMarginMs: 30_000,
};

const certificates = { '/certs/ca.crt': 'ca', '/certs/client.crt': 'crt', '/certs/client.key': 'key' };

const projectRoot = process.cwd();
const temporary: string[] = [];

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'config-'));
  temporary.push(directory);
  return directory;
}

afterEach(() => {
  process.chdir(projectRoot);
  for (const directory of temporary.splice(0)) rmSync(directory, { recursive: true });
  vi.unstubAllEnvs();
});

describe('values', () => {
  test('an empty environment gives the defaults and no warning', () => {
    expect(load({})).toEqual({ config: defaults, warnings: [] });
  });

  test('every setting is read from its variable', () => {
    const env = {
      PORT: '0',
      HOST: '127.0.0.1',
      DEBUG: 'true',
      LOG_LEVEL: 'WARN',
      CORS_ORIGINS: 'https://App.example.com/, http://localhost:3000,,*',
      MAX_BODY_BYTES: '1000',
      MAX_CONCURRENT_REQUESTS: '7',
      REQUEST_TIMEOUT: '1.5',
      RUN_TIMEOUT: '0.001',
      DRAIN_TIMEOUT: '0',
      RUN_LOG_TTL: '0.25',
      DEMO_MODEL: 'true',
      OPENAI_API_KEY: 'sk-one',
      OPENAI_BASE_URL: 'https://llm.example.com/openai/v1',
      ANTHROPIC_API_KEY: 'sk-two',
      ANTHROPIC_BASE_URL: 'https://claude.example.com/api/',
      AWS_REGION: 'eu-central-1',
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://vpce-1.example.com/',
      VLLM_ENDPOINT: 'http://vllm:8000',
      OLLAMA_BASE_URL: 'http://ollama:11434/',
      LLM_PROVIDER: 'VLLM',
      LLM_MODEL: 'org/model:7b',
      DEFAULT_MODEL: 'gpt-5-mini',
      DEFAULT_EFFORT: 'quick',
      MODELS_FILE: '/etc/models.yaml',
      MAX_CONTEXT_TOKENS: '4096',
      LLM_MAX_TOKENS: '100',
      MAX_RUN_TOKENS: '1000000000',
      MAX_RUN_COST_USD: '0.25',
      HTTPS_PROXY: 'http://me:hush@proxy:3128',
      HTTP_PROXY: 'proxy:8080',
      NO_PROXY: 'localhost, .example.com',
      UPEE_MAX_REVISIONS: '0',
      UPEE_PLANNER_MODEL: 'gpt-5-large',
      UPEE_JUDGE_MODEL: 'gpt-5-mini',
      UPEE_JUDGE_SAMPLE: '0.25',
      CONTEXT_THRESHOLD: '0.5',
      MAX_FILE_BYTES: '1000000',
      FILE_URL_TIMEOUT: '2.5',
      FILE_URL_HOSTS: 'Files.example.com, *.s3.amazonaws.com,,10.0.0.7,[fd00::7]',
      FILE_URL_ALLOW_HTTP: 'true',
      FILE_URL_ALLOW_PRIVATE: 'true',
      MAX_TURNS: '3',
      MAX_TOOL_CALLS: '0',
      TOOL_TIMEOUT: '5',
      MCP_SERVERS: '{"files": {"command": "npx", "args": ["-y", "files"]}}',
      MCP_TRANSPORT: 'sse',
      MCP_SERVER_URL: 'https://mcp.example.com/sse?key=1',
      MCP_SSL_VERIFY: 'no',
      TIMEZONE: 'Europe/Rome',
      MEMORY_BACKEND: 'Redis',
      MEMORY_FILESYSTEM_PATH: '/var/lib/paf/',
      MAX_SESSIONS: '10',
      SESSION_CONFLICT: 'enqueue',
      REDIS_URL: 'rediss://me:hush@redis.example.com:6380/2',
      WORKER_AGENT_ENDPOINTS: 'one:50051,, [fd00::7]:1, dns:///workers.svc:65535',
      WORKER_TIMEOUT: '60',
      WORKER_TLS_CA_FILE: '/certs/ca.crt',
      WORKER_TLS_CERT_FILE: '/certs/client.crt',
      WORKER_TLS_KEY_FILE: '/certs/client.key',
      WORKER_TLS_SERVER_NAME: 'worker.internal',
      WORKER_PLAINTEXT: 'no',
      WORKER_PORT: '0',
      WORKER_MAX_TASKS: '9',
      AUTH_MODE: 'Any',
      ALLOW_ANONYMOUS: 'no',
      AUTH_GRACE: '0.5',
      JWT_SECRET: '5gKx0cRv7sQe2TzWm9LbY4uHj1NfPd8A',
      JWT_ISSUER: 'https://login.test/',
      JWT_AUDIENCE: 'paf core',
      HMAC_KEYS:
        '{"reports": {"secret": "Vq3Zt8Yw1Xr6Ks0Jd5Gh2Bn7Mf4Lc9Pa", "tenant": "acme", "roles": ["admin"]}}',
      METRICS_TOKEN: 'T0eWq9Rb2Xk7Zs4Lm1Cv6Hj3Np8Gd5Fy',
      RATE_LIMIT_RPM: '600',
      RATE_LIMIT_STREAMS_RPM: '60',
      TENANT_DAILY_TOKENS: '1000000',
      TENANT_DAILY_COST_USD: '12.50',
      ENABLE_METRICS: 'false',
      DOCS_ENABLED: 'off',
      EVENT_LOG: '/var/log/paf/events.db',
      CAPTURE_CONTENT: 'yes',
      ENABLE_TRACING: 'yes',
      TRACING: 'XRay',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=hush',
      OTEL_SERVICE_NAME: 'chat',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_SDK_DISABLED: 'false',
    };
    const key = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'hush' };
    const files = { '/etc/models.yaml': 'notChat: [tts]', ...certificates };
    expect(load({ ...env, ...key }, files)).toEqual({
      config: {
        ...defaults,
        port: 0,
        host: '127.0.0.1',
        isDebug: true,
        logLevel: 'warn',
        corsOrigins: ['https://app.example.com', 'http://localhost:3000', '*'],
        maxBodyBytes: 1000,
        maxConcurrentRequests: 7,
        requestTimeoutMs: 1500,
        runTimeoutMs: 1,
        drainTimeoutMs: 0,
        runLogTtlMs: 250,
        hasDemoModel: true,
        providers: [
          { name: 'openai', api: 'openai', baseUrl: 'https://llm.example.com/openai/v1', apiKey: 'sk-one' },
          {
            name: 'anthropic',
            api: 'anthropic',
            baseUrl: 'https://claude.example.com/api',
            apiKey: 'sk-two',
          },
          {
            name: 'bedrock',
            api: 'bedrock',
            region: 'eu-central-1',
            endpoint: 'https://vpce-1.example.com',
            credentials: { accessKeyId: 'AKIA', secretAccessKey: 'hush' },
          },
          { name: 'vllm', api: 'openai', baseUrl: 'http://vllm:8000/v1', apiKey: undefined },
          { name: 'ollama', api: 'openai', baseUrl: 'http://ollama:11434/v1', apiKey: undefined },
        ],
        models: { ...loadCatalog(), notChat: ['tts'] },
        preferredProvider: 'vllm',
        llmModel: 'org/model:7b',
        defaultModel: 'gpt-5-mini',
        defaultEffort: 'quick',
        maxContextTokens: 4096,
        llmMaxTokens: 100,
        maxRunTokens: 1_000_000_000,
        maxRunCostUsd: 0.25,
        httpsProxy: 'http://me:hush@proxy:3128/',
        httpProxy: 'http://proxy:8080/',
        noProxy: 'localhost, .example.com',
        maxRevisions: 0,
        plannerModel: 'gpt-5-large',
        judgeModel: 'gpt-5-mini',
        judgeSample: 0.25,
        contextThreshold: 0.5,
        maxFileBytes: 1_000_000,
        fileUrlTimeoutMs: 2500,
        fileUrlHosts: ['files.example.com', '*.s3.amazonaws.com', '10.0.0.7', '[fd00::7]'],
        isFileUrlHttpAllowed: true,
        isFileUrlPrivateAllowed: true,
        maxTurns: 3,
        maxToolCalls: 0,
        toolTimeoutMs: 5000,
        isMcpTlsVerified: false,
        mcpServers: [
          {
            name: 'files',
            transport: 'stdio',
            command: 'npx',
            args: ['-y', 'files'],
            env: {},
            cwd: undefined,
          },
          { name: 'mcp', transport: 'sse', url: 'https://mcp.example.com/sse?key=1', headers: {} },
        ],
        timezone: 'Europe/Rome',
        memoryBackend: 'redis',
        sessionFolder: '/var/lib/paf',
        maxSessions: 10,
        sessionConflict: 'enqueue',
        redisUrl: 'rediss://me:hush@redis.example.com:6380/2',
        workerTargets: [
          { endpoint: 'one:50051', host: 'one', port: 50_051, isName: false },
          { endpoint: '[fd00::7]:1', host: 'fd00::7', port: 1, isName: false },
          { endpoint: 'dns:///workers.svc:65535', host: 'workers.svc', port: 65_535, isName: true },
        ],
        workerTimeoutMs: 60_000,
        workerSecurity: {
          kind: 'tls',
          caFile: '/certs/ca.crt',
          client: { certFile: '/certs/client.crt', keyFile: '/certs/client.key' },
          serverName: 'worker.internal',
        },
        workerPort: 0,
        workerMaxTasks: 9,
        authMode: 'any',
        authGraceMs: 500,
        jwtKey: { kind: 'key', key: { algorithm: 'HS256', material: '5gKx0cRv7sQe2TzWm9LbY4uHj1NfPd8A' } },
        jwtIssuer: 'https://login.test/',
        jwtAudience: 'paf core',
        hmacKeys: [
          { id: 'reports', secrets: ['Vq3Zt8Yw1Xr6Ks0Jd5Gh2Bn7Mf4Lc9Pa'], tenant: 'acme', roles: ['admin'] },
        ],
        metricsToken: 'T0eWq9Rb2Xk7Zs4Lm1Cv6Hj3Np8Gd5Fy',
        rateLimitRpm: 600,
        rateLimitStreamsRpm: 60,
        tenantDailyTokens: 1_000_000,
        tenantDailyCostUsd: 12.5,
        isMetricsEnabled: false,
        isDocsEnabled: false,
        eventLogFile: '/var/log/paf/events.db',
        isContentCaptured: true,
        tracing: { kind: 'xray', protocol: 'http/json', headers: 'x-key=hush', isNamed: true },
      },
      warnings: [],
    });
    expect(Object.keys(env).concat('USE_OLLAMA', 'JWT_PUBLIC_KEY', 'JWT_JWKS_URL').sort()).toEqual(
      Object.values<Setting>(settings)
        .map((setting) => setting.env)
        .sort(),
    );
  });

  test('an empty or blank variable is unset', () => {
    const blank = Object.fromEntries(Object.values<Setting>(settings).map(({ env }) => [env, '']));
    expect(load(blank)).toEqual({ config: defaults, warnings: [] });
    expect(configOf({ PORT: ' \t', OPENAI_API_KEY: '\n', OPENAI_API_KEY_FILE: ' ' })).toEqual(defaults);
  });

  test('white space around a value is dropped', () => {
    expect(configOf({ PORT: ' 9000 ', TIMEZONE: 'Asia/Tokyo\n' })).toMatchObject({
      port: 9000,
      timezone: 'Asia/Tokyo',
    });
  });

  test.each([
    ['true', true],
    ['1', true],
    ['YES', true],
    ['On', true],
    ['false', false],
    ['0', false],
    ['No', false],
    ['OFF', false],
  ])('the boolean %s', (text, expected) => {
    expect(configOf({ DEMO_MODEL: text }).hasDemoModel).toBe(expected);
  });

  test('PAI_AGENT_PORT works where PORT is not set', () => {
    expect(load({ PAI_AGENT_PORT: '9001' })).toEqual({ config: { ...defaults, port: 9001 }, warnings: [] });
    expect(load({ PORT: '9000', PAI_AGENT_PORT: '9000' }).warnings).toEqual([]);
    expect(load({ PORT: '9000', PAI_AGENT_PORT: '9001' })).toEqual({
      config: { ...defaults, port: 9000 },
      warnings: ['PORT and PAI_AGENT_PORT are both set; PORT is used'],
    });
    expect(problemsOf({ PAI_AGENT_PORT: 'x' })).toEqual([
      'PAI_AGENT_PORT must be a whole number from 0 to 65535 (it is "x")',
    ]);
  });

  test('the PAI_AGENT_PORT that Kubernetes makes of a service is not ours', () => {
    expect(load({ PAI_AGENT_PORT: 'tcp://10.0.0.7:8000' })).toEqual({ config: defaults, warnings: [] });
  });

  test.each([
    [{ DEBUG: 'true' }, 'debug'],
    [{ DEBUG: 'true', LOG_LEVEL: 'info' }, 'info'],
    [{ DEBUG: 'true', LOG_LEVEL: '' }, 'debug'],
    [{ DEBUG: 'false' }, 'info'],
    [{ LOG_LEVEL: 'trace' }, 'trace'],
  ])('%j logs at %s', (env, level) => {
    expect(configOf(env).logLevel).toBe(level);
  });

  test.each(['0.0.0.0', '::', '::1', 'localhost', 'my-host.example.com'])('HOST %s', (host) => {
    expect(configOf({ HOST: host }).host).toBe(host);
  });

  test('HOST may have the brackets of an IPv6 address', () => {
    expect(configOf({ HOST: '[::1]' }).host).toBe('::1');
  });
});

describe('providers', () => {
  test.each([
    [{ OPENAI_API_KEY: 'k' }, [{ name: 'openai', api: 'openai', baseUrl: undefined, apiKey: 'k' }]],
    [
      { OPENAI_BASE_URL: 'http://localhost:1234' },
      [{ name: 'openai', api: 'openai', baseUrl: 'http://localhost:1234/v1', apiKey: undefined }],
    ],
    [
      { VLLM_ENDPOINT: 'http://gpu:8000/v1/' },
      [{ name: 'vllm', api: 'openai', baseUrl: 'http://gpu:8000/v1', apiKey: undefined }],
    ],
    [
      { USE_OLLAMA: 'true' },
      [{ name: 'ollama', api: 'openai', baseUrl: 'http://localhost:11434/v1', apiKey: undefined }],
    ],
    [
      { USE_OLLAMA: 'true', OLLAMA_BASE_URL: 'http://o:1' },
      [{ name: 'ollama', api: 'openai', baseUrl: 'http://o:1/v1', apiKey: undefined }],
    ],
    [
      { OLLAMA_BASE_URL: 'http://o:1' },
      [{ name: 'ollama', api: 'openai', baseUrl: 'http://o:1/v1', apiKey: undefined }],
    ],
  ])('%j', (env, providers) => {
    expect(configOf(env)).toEqual({ ...defaults, providers, hasDemoModel: false });
  });

  test.each([{ USE_OLLAMA: 'false' }, { USE_OLLAMA: 'false', OLLAMA_BASE_URL: 'http://o:1' }])(
    '%j is no provider',
    (env) => {
      expect(configOf(env)).toEqual(defaults);
    },
  );

  test.each([
    ['http://host', 'http://host/v1'],
    ['http://host/', 'http://host/v1'],
    ['http://host//', 'http://host/v1'],
    ['HTTPS://Host:8443', 'https://host:8443/v1'],
    ['http://host/api/v3/', 'http://host/api/v3'],
    ['http://host/v1///', 'http://host/v1'],
    ['http://[::1]:11434', 'http://[::1]:11434/v1'],
    ['http://[2001:db8::1]/v1', 'http://[2001:db8::1]/v1'],
  ])('the base URL %s is %s', (text, expected) => {
    expect(configOf({ OPENAI_BASE_URL: text }).providers[0]).toMatchObject({ baseUrl: expected });
  });

  test('the demo model is on without a provider, and where DEMO_MODEL says so', () => {
    expect(configOf({}).hasDemoModel).toBe(true);
    expect(configOf({ OPENAI_API_KEY: 'k' }).hasDemoModel).toBe(false);
    expect(configOf({ OPENAI_API_KEY: 'k', DEMO_MODEL: 'true' }).hasDemoModel).toBe(true);
    expect(load({ DEMO_MODEL: 'false' })).toEqual({
      config: { ...defaults, hasDemoModel: false },
      warnings: ['no model provider is configured and DEMO_MODEL is off: no chat can be answered'],
    });
  });

  test('LLM_PROVIDER is one of the configured providers, or demo where it is on', () => {
    expect(configOf({ LLM_PROVIDER: 'Ollama', USE_OLLAMA: '1' }).preferredProvider).toBe('ollama');
    expect(configOf({ LLM_PROVIDER: 'demo' }).preferredProvider).toBe('demo');
    expect(problemsOf({ LLM_PROVIDER: 'openai' })).toEqual([
      'LLM_PROVIDER must be a configured provider; configured: demo; set OPENAI_API_KEY or OPENAI_BASE_URL too ' +
        '(it is "openai")',
    ]);
    expect(problemsOf({ LLM_PROVIDER: 'demo', OPENAI_API_KEY: 'k', VLLM_ENDPOINT: 'http://v' })).toEqual([
      'LLM_PROVIDER must be a configured provider; configured: openai, vllm; set DEMO_MODEL=true too (it is "demo")',
    ]);
    for (const [name, setting] of [
      ['anthropic', 'ANTHROPIC_API_KEY'],
      ['vllm', 'VLLM_ENDPOINT'],
      ['ollama', 'USE_OLLAMA=true'],
    ]) {
      expect(problemsOf({ LLM_PROVIDER: `${name}` })).toEqual([
        `LLM_PROVIDER must be a configured provider; configured: demo; set ${setting} too (it is "${name}")`,
      ]);
    }
    expect(problemsOf({ LLM_PROVIDER: 'openai', DEMO_MODEL: 'no' })).toEqual([
      'LLM_PROVIDER must be a configured provider; configured: none; set OPENAI_API_KEY or OPENAI_BASE_URL too ' +
        '(it is "openai")',
    ]);
  });

  const bedrock = (more: object = {}) => ({
    name: 'bedrock',
    api: 'bedrock',
    region: 'us-east-1',
    endpoint: undefined,
    credentials: undefined,
    ...more,
  });

  test('Anthropic needs its key, and takes a base URL with or without a path', () => {
    const anthropic = { name: 'anthropic', api: 'anthropic', baseUrl: undefined, apiKey: 'k' };
    expect(configOf({ ANTHROPIC_API_KEY: 'k' }).providers).toEqual([anthropic]);
    const files = { '/run/key': 'k\n' };
    expect(configOf({ ANTHROPIC_API_KEY_FILE: '/run/key' }, files).providers).toEqual([anthropic]);
    for (const [given, baseUrl] of [
      ['http://[::1]:9000', 'http://[::1]:9000'],
      ['http://host/', 'http://host'],
      ['http://host/claude//', 'http://host/claude'],
    ] as const) {
      expect(configOf({ ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: given }).providers).toEqual([
        { ...anthropic, baseUrl },
      ]);
    }
    expect(load({ ANTHROPIC_BASE_URL: 'http://host' })).toEqual({
      config: defaults,
      warnings: [
        'ANTHROPIC_BASE_URL is set, but ANTHROPIC_API_KEY is not: the provider anthropic is not used',
      ],
    });
    expect(problemsOf({ ANTHROPIC_API_KEY: 'hush\nhush' })).toEqual([
      'ANTHROPIC_API_KEY must be one line of plain characters without spaces inside',
    ]);
    expect(problemsOf({ ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: 'http://me:hush@host' })).toEqual([
      'ANTHROPIC_BASE_URL must not hold a user name or a password',
    ]);
  });

  test.each([
    { AWS_PROFILE: 'work' },
    { AWS_BEARER_TOKEN_BEDROCK: 'hush' },
    { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2' },
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1' },
    { AWS_WEB_IDENTITY_TOKEN_FILE: '/var/run/token' },
    { AWS_ACCESS_KEY_ID: 'AKIA' },
  ])('Bedrock is on by a region together with %j, and not by one of them', (credentials: object) => {
    expect(configOf({ AWS_REGION: 'eu-west-1', ...credentials }).providers).toEqual([
      bedrock({ region: 'eu-west-1' }),
    ]);
    expect(load({ AWS_REGION: 'eu-west-1' })).toEqual({ config: defaults, warnings: [] });
    expect(load({ ...credentials })).toEqual({ config: defaults, warnings: [] });
  });

  test('Bedrock is on by LLM_PROVIDER alone, in us-east-1', () => {
    expect(configOf({ LLM_PROVIDER: 'bedrock' })).toEqual({
      ...defaults,
      providers: [bedrock()],
      preferredProvider: 'bedrock',
      hasDemoModel: false,
    });
  });

  test('keys of AWS are handed on unless the SDK would take a profile or a token before them', () => {
    const env = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'hush' };
    const keys = { accessKeyId: 'AKIA', secretAccessKey: 'hush' };
    expect(configOf(env).providers).toEqual([bedrock({ credentials: keys })]);
    expect(configOf({ ...env, AWS_SESSION_TOKEN: 'token' }).providers).toEqual([
      bedrock({ credentials: { ...keys, sessionToken: 'token' } }),
    ]);
    expect(configOf({ ...env, AWS_PROFILE: 'work' }).providers).toEqual([bedrock()]);
    expect(configOf({ ...env, AWS_BEARER_TOKEN_BEDROCK: 'hush' }).providers).toEqual([bedrock()]);
  });

  test('DEFAULT_MODEL makes its provider the preferred one where nothing else says which is', () => {
    const env = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', DEFAULT_MODEL: 'claude-haiku-4-5-20251001' };
    expect(configOf(env).preferredProvider).toBe('anthropic');
    expect(configOf({ ...env, LLM_PROVIDER: 'openai' }).preferredProvider).toBe('openai');
    expect(configOf({ ...env, LLM_MODEL: 'gpt-4o' }).preferredProvider).toBeUndefined();
    expect(configOf({ ...env, ANTHROPIC_API_KEY: '' }).preferredProvider).toBeUndefined();
    expect(configOf({ ...env, DEFAULT_MODEL: 'of-some-server' }).preferredProvider).toBeUndefined();
  });

  test('what is probably not meant is a warning', () => {
    const elsewhere = { OPENAI_BASE_URL: 'http://gateway:4000' };
    const asked = (model: string) =>
      "OPENAI_BASE_URL is not OpenAI's own, and LLM_MODEL and DEFAULT_MODEL are not set: " +
      `requests that name no model ask it for ${model}`;
    expect(load(elsewhere).warnings).toEqual([asked('gpt-6.1-terra')]);
    expect(load({ ...elsewhere, DEFAULT_EFFORT: 'quick' }).warnings).toEqual([asked('gpt-6-luna')]);
    expect(load({ ...elsewhere, LLM_MODEL: 'mine' }).warnings).toEqual([]);
    expect(load({ ...elsewhere, DEFAULT_MODEL: 'gpt-4o' }).warnings).toEqual([]);
    expect(load({ OPENAI_BASE_URL: 'https://api.openai.com/v1' }).warnings).toEqual([]);
    const key = { OPENAI_API_KEY: 'k' };
    expect(load({ ...key, DEFAULT_MODEL: 'claude-haiku-4-5-20251001' }).warnings).toEqual([
      'DEFAULT_MODEL claude-haiku-4-5-20251001 is a model of anthropic, which is not configured; it is not used',
    ]);
    expect(load({ ...key, UPEE_JUDGE_MODEL: 'claude-haiku-4-5-20251001' }).warnings).toEqual([
      'UPEE_JUDGE_MODEL claude-haiku-4-5-20251001 is a model of anthropic, which is not configured; it is not used',
    ]);
    expect(load({ ...key, UPEE_PLANNER_MODEL: 'claude-haiku-4-5-20251001' }).warnings).toEqual([
      'UPEE_PLANNER_MODEL claude-haiku-4-5-20251001 is a model of anthropic, which is not configured; it is not used',
    ]);
    expect(load({ ...key, DEFAULT_MODEL: 'gpt-5.6' }).warnings).toEqual([]);
    expect(load({ ...key, DEFAULT_MODEL: 'of-some-server' }).warnings).toEqual([]);
  });

  test('a wrong setting of a provider is not reported as a missing provider too', () => {
    expect(problemsOf({ LLM_PROVIDER: 'openai', OPENAI_BASE_URL: 'nowhere' })).toEqual([
      'OPENAI_BASE_URL must be a URL that starts with http:// or https:// (it is "nowhere")',
    ]);
  });
});

describe('MODELS_FILE', () => {
  const path = '/etc/models.yaml';
  const withFile = (text: string, env: Record<string, string> = {}, files: Record<string, string> = {}) =>
    [
      { MODELS_FILE: path, ...env },
      { [path]: text, ...files },
    ] as const;
  const endpoints = `providers:
  groq:
    api: openai
    baseUrl: https://api.groq.com/openai/v1/
    apiKeyEnv: GROQ_API_KEY
    default: llama-3.3-70b
    models:
      - id: llama-3.3-70b
        contextWindow: 131072
        price: { input: 0.59, output: 0.79 }
  lab:
    baseUrl: http://[::1]:9000
  sealed:
    baseUrl: http://sealed
    apiKeyFile: /run/sealed
`;

  test('names endpoints, whose keys come from variables and files', () => {
    const env = { GROQ_API_KEY: ' gsk-one ', LLM_PROVIDER: 'Lab', USE_OLLAMA: '1' };
    const { config, warnings } = load(...withFile(endpoints, env, { '/run/sealed': 'sk-file\n' }));
    expect(warnings).toEqual([]);
    expect(config.preferredProvider).toBe('lab');
    expect(config.hasDemoModel).toBe(false);
    expect(config.providers).toEqual([
      { name: 'ollama', api: 'openai', baseUrl: 'http://localhost:11434/v1', apiKey: undefined },
      { name: 'groq', api: 'openai', baseUrl: 'https://api.groq.com/openai/v1', apiKey: 'gsk-one' },
      { name: 'lab', api: 'openai', baseUrl: 'http://[::1]:9000/v1', apiKey: undefined },
      { name: 'sealed', api: 'openai', baseUrl: 'http://sealed/v1', apiKey: 'sk-file' },
    ]);
    expect(config.models?.providers.groq?.models.map(({ id }) => id)).toEqual(['llama-3.3-70b']);
  });

  test('may leave a key to NAME_FILE, and a variable that it names is no typing error', () => {
    const text = 'providers: { x: { baseUrl: http://x, apiKeyEnv: OPENAI_API_KEYS } }';
    const env = { OPENAI_API_KEYS_FILE: '/run/key' };
    expect(load(...withFile(text, env, { '/run/key': 'sk-x' }))).toMatchObject({
      config: { providers: [{ name: 'x', apiKey: 'sk-x' }] },
      warnings: [],
    });
  });

  test('leaves an endpoint out while its variable is not set', () => {
    const { config, warnings } = load(...withFile(endpoints, {}, { '/run/sealed': 'sk-file' }));
    expect(config.providers.map(({ name }) => name)).toEqual(['lab', 'sealed']);
    expect(warnings).toEqual([
      `${path}, line 5, providers.groq.apiKeyEnv: the variable GROQ_API_KEY is not set, so groq is not used`,
    ]);
    const preferred = withFile(endpoints, { LLM_PROVIDER: 'groq' }, { '/run/sealed': 'sk-file' });
    expect(problemsOf(...preferred)).toEqual([
      'LLM_PROVIDER must be a configured provider; configured: lab, sealed (it is "groq")',
    ]);
  });

  test('warns by its own models', () => {
    const text = 'providers: { openai: { effort: { standard: gpt-4o }, models: [{ id: gpt-4o }] } }';
    expect(load(...withFile(text, { OPENAI_BASE_URL: 'http://x' })).warnings.join()).toMatch(
      /ask it for gpt-4o$/,
    );
  });

  test.each([
    [{}, [`MODELS_FILE names a file that cannot be read (ENOENT): ${path}`]],
    [{ [path]: ' \n' }, [`MODELS_FILE names an empty file: ${path}`]],
    [{ [path]: 'a: [' }, [expect.stringMatching(/^\/etc\/models\.yaml, line 1: \S/)]],
    [
      { [path]: 'providers:\n  x:\n    baseUrl: me\n    apikey: y\n    models: [{ name: 3 }]\n' },
      [
        `${path}, line 4, providers.x.apikey: is not a known field`,
        `${path}, line 5, providers.x.models.0.id: is missing`,
        `${path}, line 5, providers.x.models.0.name: must be string`,
      ],
    ],
    [
      { [path]: 'providers:\n  x:\n    baseUrl: http://me:hush@host' },
      [`${path}, line 3, providers.x.baseUrl: must not hold a user name or a password`],
    ],
    [
      { [path]: 'providers:\n  x:\n    baseUrl: host:1\n    apiKeyFile: /run/none' },
      [
        `${path}, line 3, providers.x.baseUrl: must be a URL that starts with http:// or https://`,
        `${path}, line 4, providers.x.apiKeyFile: names a file that cannot be read (ENOENT): /run/none`,
      ],
    ],
    [
      { [path]: 'providers:\n  x: { baseUrl: http://x, apiKeyFile: /run/key }', '/run/key': 'hush hush' },
      [`${path}, line 2, providers.x.apiKeyFile: must be one line of plain characters without spaces inside`],
    ],
  ])('%j stops the start with plain lines', (files, problems) => {
    expect(problemsOf({ MODELS_FILE: path, LLM_PROVIDER: 'x' }, files)).toEqual(problems);
  });

  test('a wrong key is refused, unshown', () => {
    const problems = problemsOf(
      ...withFile(endpoints, { GROQ_API_KEY: 'hush hush' }, { '/run/sealed': 'sk-file' }),
    );
    expect(problems).toEqual(['GROQ_API_KEY must be one line of plain characters without spaces inside']);
  });
});

describe('problems', () => {
  const wholeNumber = (from: number, to: number) => `a whole number from ${from} to ${to}`;
  const limit = (wanted: string) => `${wanted}; leave it unset for no limit`;
  const port = wholeNumber(0, 65_535);
  const duration = (from: number) => `a number of seconds from ${from} to 2147483`;

  test.each([
    ['PORT', 'abc', port],
    ['PORT', '65536', port],
    ['PORT', '-1', port],
    ['PORT', '80.5', port],
    ['PORT', '1e3', port],
    ['PORT', '0x50', port],
    ['HOST', 'http://localhost', 'a host name or an IP address, without a port'],
    ['HOST', 'localhost:8000', 'a host name or an IP address, without a port'],
    ['DEBUG', 'maybe', 'true or false'],
    ['LOG_LEVEL', 'loud', 'one of fatal, error, warn, info, debug, trace, silent'],
    ['MAX_BODY_BYTES', '0', wholeNumber(1, 500_000_000)],
    ['MAX_CONCURRENT_REQUESTS', '0', wholeNumber(1, 1_000_000)],
    ['REQUEST_TIMEOUT', '0', duration(0.001)],
    ['REQUEST_TIMEOUT', '30s', duration(0.001)],
    ['RUN_TIMEOUT', '2147484', duration(0.001)],
    ['DRAIN_TIMEOUT', '-1', duration(0)],
    ['RUN_LOG_TTL', 'Infinity', duration(0)],
    ['DEFAULT_EFFORT', 'high', 'one of quick, standard, determined'],
    ['MAX_CONTEXT_TOKENS', '255', wholeNumber(256, 100_000_000)],
    ['LLM_MAX_TOKENS', '0', wholeNumber(1, 100_000_000)],
    ['LLM_MODEL', 'two words', 'a name of at most 256 characters without spaces'],
    ['UPEE_MAX_REVISIONS', '11', wholeNumber(0, 10)],
    ['UPEE_JUDGE_SAMPLE', '1.1', 'a number from 0 to 1'],
    ['UPEE_JUDGE_SAMPLE', '-0.1', 'a number from 0 to 1'],
    ['UPEE_JUDGE_SAMPLE', 'half', 'a number from 0 to 1'],
    ['CONTEXT_THRESHOLD', '0.09', 'a number from 0.1 to 1'],
    ['CONTEXT_THRESHOLD', '75', 'a number from 0.1 to 1'],
    ['MAX_TURNS', '0', wholeNumber(1, 1000)],
    ['MAX_TOOL_CALLS', '-1', wholeNumber(0, 10_000)],
    ['TOOL_TIMEOUT', '', undefined],
    ['MAX_RUN_TOKENS', '0', limit(wholeNumber(1, 1_000_000_000))],
    ['MAX_RUN_COST_USD', '0', limit('an amount of US dollars above 0, at most 1000000')],
    ['MAX_RUN_COST_USD', '$5', limit('an amount of US dollars above 0, at most 1000000')],
    ['RATE_LIMIT_RPM', '0', limit(wholeNumber(1, 1_000_000))],
    ['RATE_LIMIT_STREAMS_RPM', '0', wholeNumber(1, 1_000_000)],
    ['TENANT_DAILY_TOKENS', '-1', limit(wholeNumber(1, 1_000_000_000_000))],
    ['TENANT_DAILY_COST_USD', '0', limit('an amount of US dollars above 0, at most 1000000')],
    ['AWS_REGION', 'Frankfurt', 'a region of AWS such as eu-central-1'],
    ['AWS_REGION', 'us-east-1.evil.example', 'a region of AWS such as eu-central-1'],
    ['AWS_ENDPOINT_URL_BEDROCK_RUNTIME', 'bedrock:1', 'a URL that starts with http:// or https://'],
    ['ANTHROPIC_BASE_URL', 'api.anthropic.com', 'a URL that starts with http:// or https://'],
    ['HTTPS_PROXY', 'socks5://proxy:1080', 'the address of a proxy such as http://proxy.example.com:3128'],
    ['HTTP_PROXY', 'http://proxy:99999', 'the address of a proxy such as http://proxy.example.com:3128'],
    ['MODELS_FILE', 'a\nb', 'one line without control characters'],
    [
      'FILE_URL_HOSTS',
      'example.com:443',
      'a comma-separated list of hosts such as files.example.com or *.example.com',
    ],
    [
      'FILE_URL_HOSTS',
      'https://example.com',
      'a comma-separated list of hosts such as files.example.com or *.example.com',
    ],
    [
      'FILE_URL_HOSTS',
      '*.10.0.0.1',
      'a comma-separated list of hosts such as files.example.com or *.example.com',
    ],
    ['FILE_URL_HOSTS', '*', 'a comma-separated list of hosts such as files.example.com or *.example.com'],
    ['MEMORY_BACKEND', 'disk', 'one of memory, filesystem, redis'],
    ['MEMORY_FILESYSTEM_PATH', 'a\nb', 'one line without control characters'],
    ['MAX_SESSIONS', '0', wholeNumber(1, 1_000_000)],
    ['SESSION_CONFLICT', 'wait', 'one of reject, enqueue, interrupt'],
    ['TIMEZONE', 'Mars/Olympus', 'an IANA time zone such as Europe/Berlin'],
    ['TIMEZONE', '+02:00', 'an IANA time zone such as Europe/Berlin'],
    ['OPENAI_BASE_URL', 'localhost:1234/v1', 'a URL that starts with http:// or https://'],
    ['VLLM_ENDPOINT', 'ftp://host', 'a URL that starts with http:// or https://'],
    ['OLLAMA_BASE_URL', 'http://', 'a URL that starts with http:// or https://'],
    ['OLLAMA_BASE_URL', 'http://host:99999', 'a URL that starts with http:// or https://'],
  ])('%s=%s', (name, text, wanted) => {
    expect(problemsOf({ [name]: text })).toEqual(
      wanted === undefined ? [] : [`${name} must be ${wanted} (it is ${JSON.stringify(text)})`],
    );
  });

  test.each(['app.example.com', 'https://*.example.com', 'https://a.example/path', 'ftp://a', 'https://a?b'])(
    'the origin %s is refused',
    (origin) => {
      expect(problemsOf({ CORS_ORIGINS: `https://ok.example,${origin}` })).toHaveLength(1);
    },
  );

  test('all of them are reported at once, one line each', () => {
    expect(() =>
      load({ PORT: 'abc', TIMEZONE: 'x', REQUEST_TIMEOUT: 'soon', LLM_PROVIDER: 'azure' }),
    ).toThrow(
      new ConfigError([
        'PORT must be a whole number from 0 to 65535 (it is "abc")',
        'REQUEST_TIMEOUT must be a number of seconds from 0.001 to 2147483 (it is "soon")',
        'TIMEZONE must be an IANA time zone such as Europe/Berlin (it is "x")',
        'LLM_PROVIDER must be a configured provider; configured: demo (it is "azure")',
      ]),
    );
  });

  test('a value with a line break stays on one line', () => {
    expect(problemsOf({ PORT: 'a\nb' })).toEqual([
      'PORT must be a whole number from 0 to 65535 (it is "a\\nb")',
    ]);
  });
});

describe('workers', () => {
  const one = { WORKER_AGENT_ENDPOINTS: 'localhost:50051' };
  const ca = { WORKER_TLS_CA_FILE: '/certs/ca.crt' };
  const cert = { WORKER_TLS_CERT_FILE: '/certs/client.crt' };
  const key = { WORKER_TLS_KEY_FILE: '/certs/client.key' };
  const plaintext = { WORKER_PLAINTEXT: 'true' };

  test('the older name works too', () => {
    expect(configOf({ WORKER_AGENT_ENDPOINT: 'localhost:50051', ...plaintext }).workerTargets).toEqual([
      { endpoint: 'localhost:50051', host: 'localhost', port: 50_051, isName: false },
    ]);
  });

  test('plaintext is a choice, and a CA without a certificate of our own is one', () => {
    expect(configOf({ ...one, ...plaintext }).workerSecurity).toEqual({ kind: 'plaintext' });
    expect(configOf({ ...one, ...ca }, certificates).workerSecurity).toEqual({
      kind: 'tls',
      caFile: '/certs/ca.crt',
      client: undefined,
      serverName: undefined,
    });
  });

  test.each([
    [
      one,
      'WORKER_AGENT_ENDPOINTS needs WORKER_TLS_CA_FILE (for mTLS also WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE), or ' +
        'WORKER_PLAINTEXT=true for connections that are not encrypted',
    ],
    [{ ...one, ...ca, ...cert }, 'WORKER_TLS_CERT_FILE needs WORKER_TLS_KEY_FILE'],
    [{ ...one, ...ca, ...key }, 'WORKER_TLS_KEY_FILE needs WORKER_TLS_CERT_FILE'],
    [{ ...one, ...cert, ...key }, 'WORKER_TLS_CERT_FILE and WORKER_TLS_KEY_FILE need WORKER_TLS_CA_FILE'],
    [
      { ...one, ...ca, ...plaintext },
      'WORKER_PLAINTEXT is true and WORKER_TLS files are set; keep one of them',
    ],
    [
      { ...one, WORKER_TLS_CA_FILE: '/no/ca.crt' },
      'WORKER_TLS_CA_FILE names a file that cannot be read (ENOENT): /no/ca.crt',
    ],
  ])('%j is refused', (env, problem) => {
    expect(problemsOf(env, certificates)).toEqual([problem]);
  });

  test.each([
    'localhost',
    'http://localhost:50051',
    'localhost:0',
    'localhost:65536',
    'dns:///name',
    'a b:1',
  ])('the endpoint %s is refused', (endpoint) => {
    expect(problemsOf({ WORKER_AGENT_ENDPOINTS: endpoint, ...plaintext })).toEqual([
      `WORKER_AGENT_ENDPOINTS must be a comma-separated list of host:port or dns:///name:port (it is ${JSON.stringify(endpoint)})`,
    ]);
  });
});

describe('secrets', () => {
  test('a key is trimmed at its ends', () => {
    expect(configOf({ OPENAI_API_KEY: ' sk-one\r\n' }).providers[0]).toMatchObject({ apiKey: 'sk-one' });
  });

  test.each(['hush\nhush', 'hush hush', 'hush\u0000', 'hushé', 'hush\tx'])(
    'the key %j is refused, unshown',
    (key) => {
      expect(problemsOf({ OPENAI_API_KEY: key })).toEqual([
        'OPENAI_API_KEY must be one line of plain characters without spaces inside',
      ]);
    },
  );

  test.each(['http://me:hush@host', 'hush', 'redis://', 'redis://:hush@host/db', 'redis://host\nhush'])(
    'the address %j of Redis is refused, unshown',
    (REDIS_URL) => {
      expect(problemsOf({ REDIS_URL })).toEqual([
        'REDIS_URL must be the address of a Redis server such as redis://localhost:6379',
      ]);
    },
  );

  test('Redis is used only with its address, which may be in a file', () => {
    expect(problemsOf({ MEMORY_BACKEND: 'redis' })).toEqual(['MEMORY_BACKEND redis needs REDIS_URL']);
    const files = { '/run/redis': 'redis://:hush@redis:6379\n' };
    expect(configOf({ MEMORY_BACKEND: 'redis', REDIS_URL_FILE: '/run/redis' }, files)).toMatchObject({
      memoryBackend: 'redis',
      redisUrl: 'redis://:hush@redis:6379',
    });
  });

  test('a quoted key is refused, unshown', () => {
    expect(problemsOf({ OPENAI_API_KEY: '"hush"' })).toEqual([
      'OPENAI_API_KEY must be given without quotes around it',
    ]);
  });

  test.each([
    ['http://me:hush@host', 'OPENAI_BASE_URL must not hold a user name or a password'],
    ['http://hush@host/v1', 'OPENAI_BASE_URL must not hold a user name or a password'],
    ['https://host/v1?key=hush', 'OPENAI_BASE_URL must not hold a query or a fragment (? or #)'],
    ['me:hush@host', 'OPENAI_BASE_URL must be a URL that starts with http:// or https://'],
    ['sk-hush', 'OPENAI_BASE_URL must be a URL that starts with http:// or https://'],
  ])('what may be secret in the URL %s is not shown', (url, problem) => {
    expect(problemsOf({ OPENAI_BASE_URL: url })).toEqual([problem]);
  });

  test('a key in a variable that is no secret is not shown', () => {
    expect(problemsOf({ LLM_PROVIDER: 'sk-hush', PORT: 'sk-hush' }).join()).not.toContain('hush');
  });

  test('NAME_FILE reads a secret from a file', () => {
    const files = { '/run/key': 'sk-file\r\n' };
    expect(load({ OPENAI_API_KEY_FILE: '/run/key' }, files)).toEqual({
      config: {
        ...defaults,
        providers: [{ name: 'openai', api: 'openai', baseUrl: undefined, apiKey: 'sk-file' }],
        hasDemoModel: false,
      },
      warnings: [],
    });
    expect(
      configOf({ OPENAI_API_KEY_FILE: '/run/key', OPENAI_API_KEY: '' }, files).providers[0],
    ).toMatchObject({ apiKey: 'sk-file' });
  });

  test('a path that a setting names may begin with the home directory', () => {
    const files = {
      [`${homedir()}/key`]: 'sk-file',
      [`${homedir()}/servers.json`]: '{"one": {"command": "one", "cwd": "~/work"}}',
      [`${homedir()}/models.yaml`]: 'notChat: [tts]',
      [`${homedir()}/ca.crt`]: 'ca',
    };
    const env = {
      OPENAI_API_KEY_FILE: '~/key',
      MCP_SERVERS: '~/servers.json',
      MODELS_FILE: '~/models.yaml',
      EVENT_LOG: '~/events.db',
      WORKER_AGENT_ENDPOINTS: 'localhost:1',
      WORKER_TLS_CA_FILE: '~/ca.crt',
    };
    expect(configOf(env, files)).toMatchObject({
      providers: [{ apiKey: 'sk-file' }],
      mcpServers: [{ cwd: `${homedir()}/work` }],
      models: { notChat: ['tts'] },
      eventLogFile: `${homedir()}/events.db`,
      workerSecurity: { caFile: `${homedir()}/ca.crt` },
    });
    expect(problemsOf({ OPENAI_API_KEY_FILE: '~/none' })).toEqual([
      'OPENAI_API_KEY_FILE names a file that cannot be read (ENOENT): ~/none',
    ]);
  });

  test('a path in the place of a secret is told of the setting for it', () => {
    expect(problemsOf({ REDIS_URL: '/run/redis' })).toEqual([
      'REDIS_URL must be the address of a Redis server such as redis://localhost:6379; ' +
        'to read it from a file, set REDIS_URL_FILE',
    ]);
    expect(load({ OPENAI_API_KEY: '~/keys/openai.txt' }).warnings).toEqual([
      'OPENAI_API_KEY looks like the path of a file; to read it from a file, set OPENAI_API_KEY_FILE',
    ]);
    expect(load({ OPENAI_API_KEY: '/9j4AAQSkZJRg+gABA/QAAAQ==' }).warnings).toEqual([]);
    expect(load({ OPENAI_API_KEY_FILE: '/run/key' }, { '/run/key': '/run/key' }).warnings).toEqual([]);
    expect(problemsOf({ REDIS_URL_FILE: '/run/redis' }, { '/run/redis': '/run/redis' })).toEqual([
      'REDIS_URL_FILE must be the address of a Redis server such as redis://localhost:6379',
    ]);
  });

  test('what is wrong with such a file is a problem', () => {
    const files = { '/run/key': 'sk-file', '/run/empty': '\n', '/run/bad': 'hush\nhush' };
    const both = { OPENAI_API_KEY: 'sk-hush', OPENAI_API_KEY_FILE: '/run/key' };
    expect(problemsOf(both, files)).toEqual([
      'OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set; keep one of them',
    ]);
    expect(problemsOf({ OPENAI_API_KEY_FILE: '/run/none' }, files)).toEqual([
      'OPENAI_API_KEY_FILE names a file that cannot be read (ENOENT): /run/none',
    ]);
    expect(problemsOf({ OPENAI_API_KEY_FILE: '/run/empty' }, files)).toEqual([
      'OPENAI_API_KEY_FILE names an empty file: /run/empty',
    ]);
    expect(problemsOf({ OPENAI_API_KEY_FILE: '/run/bad' }, files)).toEqual([
      'OPENAI_API_KEY_FILE must be one line of plain characters without spaces inside',
    ]);
    expect(problemsOf({ OPENAI_API_KEY_FILE: 'sk-hush' }, files)).toEqual([
      'OPENAI_API_KEY_FILE names a file that cannot be read (ENOENT)',
    ]);
  });

  test('files are read from the disk by default', () => {
    const path = join(temporaryDirectory(), 'key');
    writeFileSync(path, 'sk-disk\n');
    expect(loadConfig({ OPENAI_API_KEY_FILE: path }).config.providers).toMatchObject([{ apiKey: 'sk-disk' }]);
  });

  test('only secrets have a file', () => {
    expect(load({ PORT_FILE: '/run/port' }, { '/run/port': '1' }).config.port).toBe(8000);
  });
});

describe('near misses', () => {
  test.each([
    ['MAX_CONCURENT_REQUESTS', 'MAX_CONCURRENT_REQUESTS'],
    ['MAX_TURN', 'MAX_TURNS'],
    ['OPENAI_APIKEY', 'OPENAI_API_KEY'],
    ['OPENAI_API_KEY_FIL', 'OPENAI_API_KEY_FILE'],
    ['TIME_ZONE', 'TIMEZONE'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['log_level', 'LOG_LEVEL'],
    ['PAI_AGNET_PORT', 'PAI_AGENT_PORT'],
    ['DEBUGS', 'DEBUG'],
  ])('%s', (name, meant) => {
    expect(load({ [name]: '1' }).warnings).toEqual([`${name} is not a setting; did you mean ${meant}?`]);
  });

  test('the names of other programs, other parts and unset variables are left alone', () => {
    const names =
      'HOME PATH PORTS HOSTS HOSTNAME LOGNAME USER SHELL TERM TZ LANG PWD OLDPWD SHLVL NODE_ENV NODE_OPTIONS CI ' +
      'LS_COLORS LC_ALL XDG_RUNTIME_DIR SSH_AUTH_SOCK npm_config_cache npm_package_version http_proxy NO_PROXY ' +
      'KUBERNETES_PORT KUBERNETES_SERVICE_HOST REDIS_PORT X_PORT MY_HOST VLLM_PORT OLLAMA_HOST AWS_PROFILE AWS_DEFAULT_REGION ' +
      'FTP_PROXY ftp_proxy ALL_PROXY https_proxy OTEL_EXPORTER_OTLP_TRACES_PROTOCOL OTEL_BSP_SCHEDULE_DELAY';
    const env = Object.fromEntries(names.split(' ').map((name) => [name, '1']));
    expect(load({ ...env, MAX_TURN: '' }).warnings).toEqual([]);
  });
});

test.each<[Record<string, string>, boolean]>([
  [{}, false],
  [{ ENABLE_TRACING: 'true' }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ENABLE_TRACING: 'false' }, false],
  [{ ENABLE_TRACING: 'true', OTEL_SDK_DISABLED: 'true' }, false],
  [{ TRACING: 'xray' }, false],
])('%j makes traces: %s', (env, isOn) => {
  expect(configOf(env).tracing !== undefined).toBe(isOn);
});

test('a limit of streams above that of all requests is told to have no effect', () => {
  const limits = (streams: string) => ({ RATE_LIMIT_RPM: '60', RATE_LIMIT_STREAMS_RPM: streams });
  expect(load(limits('61')).warnings).toEqual([
    'RATE_LIMIT_STREAMS_RPM is above RATE_LIMIT_RPM, which is reached first: it has no effect',
  ]);
  expect(load(limits('60')).warnings).toEqual([]);
  expect(load({ RATE_LIMIT_STREAMS_RPM: '61' }).warnings).toEqual([]);
});

test('who asks for X-Ray and names no collector is told that there are no traces', () => {
  const warning = 'TRACING is xray, but no traces are made without OTEL_EXPORTER_OTLP_ENDPOINT';
  expect(load({ TRACING: 'xray' }).warnings).toEqual([warning]);
  for (const env of [{ ENABLE_TRACING: 'true' }, { ENABLE_TRACING: 'false' }])
    expect(load({ TRACING: 'xray', ...env }).warnings).toEqual([]);
});

test('the address of a collector has no path of traces, which is added', () => {
  expect(() => load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/v1/traces/' })).toThrow(
    'OTEL_EXPORTER_OTLP_ENDPOINT must not end with /v1/traces: that is added (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes it)',
  );
  expect(configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector/otlp' }).tracing).toBeDefined();
});

describe('.env', () => {
  test('its variables are read', () => {
    const path = join(temporaryDirectory(), '.env');
    writeFileSync(path, '\uFEFFPORT=9000\r\n# a comment\r\nOPENAI_API_KEY="sk-one"\r\nHOST=::1 # here\r\n');
    expect(readEnvFile(path)).toEqual({
      variables: { PORT: '9000', OPENAI_API_KEY: 'sk-one', HOST: '::1' },
      warnings: [],
    });
  });

  const readText = (text: string) => {
    const path = join(temporaryDirectory(), '.env');
    writeFileSync(path, text);
    process.chdir(dirname(path));
    return readEnvFile('.env');
  };

  test('every form in which the runtime reads an assignment is fine', () => {
    const text =
      ' # a comment: with "a quote\n\n \t\nexport A=1\n  B = 2 # b\nC="one\nRATE_LIMIT_RPM: 2\n" rest\n' +
      'D=\'{\n  "a": 1\n}\'\r\nE=`x\ny`\nF=\nG="open\nhost.name-1==\nH=last';
    expect(readText(text)).toEqual({
      variables: {
        A: '1',
        B: '2',
        C: 'one\nRATE_LIMIT_RPM: 2\n',
        D: '{\n  "a": 1\n}',
        E: 'x\ny',
        F: '',
        G: '"open',
        'host.name-1': '=',
        H: 'last',
      },
      warnings: [],
    });
  });

  test('an empty value with white space after it does not take the next line', () => {
    expect(readText('MAX_TURNS= \nAUTH_MODE=jwt\nPORT =\t\r\nTIMEZONE= \n\nDEBUG=true\n')).toEqual({
      variables: { MAX_TURNS: '', AUTH_MODE: 'jwt', PORT: '', TIMEZONE: '', DEBUG: 'true' },
      warnings: [],
    });
  });

  test('a line that sets nothing is told of by its number, unshown', () => {
    const lines = [
      'this is hush',
      'PORT=9000',
      'X="a',
      'b"',
      '=hush',
      '"KEY": "hush"',
      'Timezone of hush',
      'PORTS',
      'FTP_PROXY: x',
    ];
    const warnings = [1, 5, 6, 7, 8, 9].map((line) => `.env, line ${line} is not NAME=value and is not used`);
    expect(readText(lines.join('\n'))).toEqual({ variables: { PORT: '9000', X: 'a\nb' }, warnings });
    vi.stubEnv('PORT', undefined);
    expect(loadConfigFromProcess().warnings.slice(0, 6)).toEqual(warnings);
    expect(loadWorkerConfigFromProcess().warnings.slice(0, 6)).toEqual(warnings);
  });

  test('one that begins with the name of a setting stops the start, unshown', () => {
    const text =
      '# RATE_LIMIT_RPM: 1\nRATE_LIMIT_RPM: 400\nexport AUTH_MODE jwt\n  PORT\nrate_limt_rpm: 4\n' +
      'HMAC_KEYS: {"a": {"secret": "hush=="}}\nNODE_ENV: production # a=b\nJWT_SECRET_FILE';
    const must = (line: number, name: string) =>
      `.env, line ${line} must be ${name}=value, or a comment that begins with #`;
    expect(() => readText(text)).toThrow(
      new ConfigError([
        must(2, 'RATE_LIMIT_RPM'),
        must(3, 'AUTH_MODE'),
        must(4, 'PORT'),
        must(5, 'RATE_LIMIT_RPM'),
        must(6, 'HMAC_KEYS'),
        must(7, 'NODE_ENV'),
        must(8, 'JWT_SECRET_FILE'),
      ]),
    );
  });

  test('a missing file is no problem, an unreadable one is', () => {
    const directory = temporaryDirectory();
    expect(readEnvFile(join(directory, 'none'))).toEqual({ variables: {}, warnings: [] });
    mkdirSync(join(directory, '.env'));
    expect(() => readEnvFile(join(directory, '.env'))).toThrow(
      new ConfigError([`${join(directory, '.env')} cannot be read (EISDIR)`]),
    );
  });

  test("hands AWS's variables on to the SDK, which reads the environment only", () => {
    const directory = temporaryDirectory();
    writeFileSync(
      join(directory, '.env'),
      'AWS_REGION=eu-west-1\nAWS_BEARER_TOKEN_BEDROCK=one\nAWS_PROFILE=file\nPORT=1\n',
    );
    process.chdir(directory);
    for (const name of ['AWS_REGION', 'AWS_BEARER_TOKEN_BEDROCK', 'PORT']) vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_PROFILE', 'real');
    expect(loadConfigFromProcess().config.providers).toMatchObject([
      { name: 'bedrock', region: 'eu-west-1' },
    ]);
    const { AWS_BEARER_TOKEN_BEDROCK, AWS_PROFILE, PORT } = process.env;
    expect([AWS_BEARER_TOKEN_BEDROCK, AWS_PROFILE, PORT]).toEqual(['one', 'real', undefined]);
  });

  test("hands OpenTelemetry's variables on, and its headers from a file", () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'headers'), 'x-key=hush\n');
    const lines = ['OTEL_EXPORTER_OTLP_ENDPOINT=http://one:4318', 'OTEL_BSP_SCHEDULE_DELAY=7'];
    const file = `OTEL_EXPORTER_OTLP_HEADERS_FILE=${join(directory, 'headers')}`;
    writeFileSync(join(directory, '.env'), [...lines, file].join('\n'));
    process.chdir(directory);
    for (const name of ['ENDPOINT', 'HEADERS', 'HEADERS_FILE'])
      vi.stubEnv(`OTEL_EXPORTER_OTLP_${name}`, undefined);
    vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', undefined);
    expect(loadConfigFromProcess().config.tracing).toMatchObject({ headers: 'x-key=hush' });
    const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_SCHEDULE_DELAY } = process.env;
    expect([OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_SCHEDULE_DELAY]).toEqual([
      'http://one:4318',
      'x-key=hush',
      '7',
    ]);
  });

  test('the real environment wins over the file of the working directory', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, '.env'), 'PORT=9000\nMAX_TURNS=3\n');
    process.chdir(directory);
    vi.stubEnv('MAX_TURNS', undefined);
    vi.stubEnv('PORT', '9001');
    const { config } = loadConfigFromProcess();
    expect({ port: config.port, maxTurns: config.maxTurns }).toEqual({ port: 9001, maxTurns: 3 });
  });
});

describe('.env.example', () => {
  const path = fileURLToPath(new URL('../.env.example', import.meta.url));
  const text = () => readFileSync(path, 'utf8');

  test('is the table of settings; `vitest run test/config.test.ts -u` writes it anew', async () => {
    await expect(exampleFile()).toMatchFileSnapshot(path);
  });

  test('names every setting of the config once, with its default', () => {
    const assignments = text().matchAll(/^# ([A-Z_]+)=(.*)$/gm);
    const named = [...assignments].map(([, name, value]) => [name, value]);
    const expected = Object.values<Setting>(settings).map((setting) => [setting.env, setting.default ?? '']);
    expect(named.sort()).toEqual(expected.sort());
  });

  test('gives the defaults as it is, and with every line uncommented', () => {
    expect(load(parseEnv(text()) as Record<string, string>)).toEqual({ config: defaults, warnings: [] });
    const uncommented = text().replace(/^# (?=[A-Z_]+=)/gm, '');
    expect(load(parseEnv(uncommented) as Record<string, string>)).toEqual({ config: defaults, warnings: [] });
  });
});

function exampleFile(): string {
  const lines = [
    '# Settings of the service, each with its default; an empty one is unset. Copy this file to .env and uncomment',
    '# what you change: the real environment wins over it. Durations are seconds, decimals allowed.',
  ];
  let group = '';
  for (const setting of Object.values<Setting>(settings)) {
    if (setting.group !== group) lines.push('', `# --- ${setting.group}`);
    group = setting.group;
    const unit = setting.kind.unit === undefined ? '' : ` In ${setting.kind.unit}.`;
    lines.push('', `# ${setting.about}${unit}`, `# ${setting.env}=${setting.default ?? ''}`);
  }
  return `${lines.join('\n')}\n`;
}
