import { type TInteger, type TNumber, Type } from 'typebox';
import { breakerStates } from '../../core/breaker-state.js';
import { memoryBackends } from '../../sessions/session-store.js';
import { ref } from './common.js';

const ModelsAnswer = Type.Object(
  {
    models: Type.Array(
      Type.Object({
        id: Type.String(),
        name: Type.String(),
        provider: Type.String(),
        available: Type.Boolean({ description: 'Its provider is configured and not known to be down' }),
        context_window: Type.Integer({ description: 'Tokens' }),
        max_output: Type.Integer({ description: 'Tokens' }),
        description: Type.String(),
        is_preferred: Type.Boolean(),
        accepts: Type.Object({ images: Type.Boolean(), tools: Type.Boolean() }),
      }),
    ),
    default: Type.Union([Type.String(), Type.Null()]),
    total_available: Type.Integer(),
    preferred: Type.Union([Type.String(), Type.Null()], { description: 'The preferred provider' }),
  },
  { $id: 'Models' },
);

const ProviderHealthSchema = Type.Object(
  {
    status: Type.Enum(['unknown', 'healthy', 'degraded', 'unhealthy']),
    reason: Type.Optional(Type.Enum(['auth', 'unreachable', 'errors', 'rate_limited'])),
    latency_ms: Type.Union([Type.Number(), Type.Null()]),
    error: Type.Union([Type.String(), Type.Null()]),
    last_check: Type.Union([Type.Number(), Type.Null()], { description: 'Epoch seconds' }),
    breaker: Type.Enum([...breakerStates], {
      description: 'open: no call is made for a while; half_open: the next call tries',
    }),
  },
  { $id: 'ProviderHealth', description: 'From real calls seen lately, and from a cheap probe when idle' },
);

const ProvidersAnswer = Type.Object(
  {
    providers: Type.Record(
      Type.String(),
      Type.Object({
        name: Type.String(),
        available: Type.Boolean(),
        models: Type.Array(Type.String()),
        health: ref('ProviderHealth'),
        model_count: Type.Integer(),
      }),
    ),
    summary: Type.Object({
      total_providers: Type.Integer(),
      healthy_providers: Type.Integer(),
      total_models: Type.Integer(),
    }),
  },
  { $id: 'Providers' },
);

const EpochSeconds = Type.Number({ description: 'Epoch seconds' });

const quotaPart = (unit: TNumber | TInteger, description: string) =>
  Type.Optional(
    Type.Object({ limit: unit, used: unit, left: unit, resets_at: EpochSeconds }, { description }),
  );

const QuotaStatus = Type.Object(
  {
    tokens: quotaPart(Type.Integer(), 'Input and output of all calls to models'),
    cost_usd: quotaPart(Type.Number(), 'US dollars'),
  },
  {
    description:
      "What the caller's tenant may spend today; `left` is without what is held for answers under way",
  },
);

const StatusAnswer = Type.Object(
  {
    service: Type.String(),
    version: Type.String(),
    status: Type.Enum(['ready', 'not_ready']),
    upee_enabled: Type.Boolean(),
    streaming_enabled: Type.Boolean(),
    available_providers: Type.Array(Type.String()),
    provider_health: Type.Record(Type.String(), ref('ProviderHealth')),
    features: Type.Object({
      tools: Type.Array(Type.String()),
      docs: Type.Boolean(),
      metrics: Type.Boolean(),
      sessions: Type.Enum([...memoryBackends], { description: 'Where sessions are kept' }),
    }),
    limits: Type.Object({
      max_context_tokens: Type.Union([Type.Integer(), Type.Null()]),
      max_concurrent_requests: Type.Integer(),
      request_timeout: Type.Number({ description: 'Seconds' }),
      run_timeout: Type.Number({ description: 'Seconds' }),
      max_body_bytes: Type.Integer(),
      max_turns: Type.Integer(),
      max_tool_calls: Type.Integer(),
      max_sessions: Type.Union([Type.Integer(), Type.Null()], { description: 'Of one owner' }),
    }),
    active_runs: Type.Integer(),
    quota: Type.Optional(
      Type.Union([QuotaStatus, Type.Null()], {
        description: 'Absent without a daily quota, null while it cannot be told',
      }),
    ),
  },
  { $id: 'Status' },
);

const HealthAnswer = Type.Object(
  {
    status: Type.Enum(['healthy', 'degraded', 'unhealthy']),
    version: Type.String(),
    timestamp: EpochSeconds,
    services: Type.Record(Type.String(), ref('ProviderHealth')),
  },
  { $id: 'Health' },
);

const LiveAnswer = Type.Object({ status: Type.Literal('alive'), timestamp: EpochSeconds }, { $id: 'Live' });

const ReadyAnswer = Type.Object(
  {
    status: Type.Enum(['ready', 'not_ready']),
    reason: Type.Optional(Type.Enum(['starting', 'draining', 'no_provider'])),
    timestamp: EpochSeconds,
  },
  { $id: 'Ready' },
);

export const sharedCatalogSchemas = [
  ModelsAnswer,
  ProviderHealthSchema,
  ProvidersAnswer,
  StatusAnswer,
  HealthAnswer,
  LiveAnswer,
  ReadyAnswer,
];
