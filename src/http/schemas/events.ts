import { type TSchema, Type } from 'typebox';
import { errorStatus } from '../../core/errors.js';
import { attemptOutcomes, phases } from '../../core/events.js';
import { exitReasons, finishReasons } from '../../core/message.js';
import { ref } from './common.js';

const Timestamp = Type.Number({ description: 'Epoch seconds' });

const Usage = Type.Object(
  {
    input_tokens: Type.Integer({ description: 'Includes cached tokens' }),
    output_tokens: Type.Integer({ description: 'Includes reasoning tokens' }),
    cached_tokens: Type.Integer(),
    reasoning_tokens: Type.Integer(),
    estimated: Type.Boolean({ description: 'Some part was counted here, not reported by the provider' }),
  },
  { $id: 'Usage' },
);

const AttemptSchema = Type.Object(
  { provider: Type.String(), model: Type.String(), outcome: Type.Enum([...attemptOutcomes]) },
  { $id: 'Attempt', description: 'One call to a model' },
);

const EvaluationSchema = Type.Object(
  {
    score: Type.Number({ minimum: 0, maximum: 1 }),
    passed: Type.Boolean(),
    checks: Type.Array(Type.Object({ name: Type.String(), passed: Type.Boolean(), detail: Type.String() })),
    revisions: Type.Integer({ description: 'Times that the answer was replaced' }),
  },
  { $id: 'Evaluation', description: 'What the checks say of the answer' },
);

export const thinkingPayload = {
  phase: Type.Enum([...phases]),
  content: Type.String(),
  metadata: Type.Record(Type.String(), Type.Unknown(), { description: 'The typed result of the phase' }),
};

const Thinking = Type.Object(thinkingPayload, { $id: 'Thinking' });

export const completePayload = {
  run_id: Type.String(),
  request_id: Type.String(),
  session_id: Type.Optional(Type.String()),
  model: Type.String(),
  provider: Type.String(),
  total_tokens: Type.Integer({ description: 'Input and output of all model calls' }),
  usage: ref('Usage'),
  cost_usd: Type.Optional(Type.Number({ description: 'US dollars; absent when the model has no price' })),
  duration: Type.Number({ description: 'Seconds' }),
  time_to_first_token: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds' }),
  finish_reason: Type.Enum([...finishReasons]),
  exit_reason: Type.Enum([...exitReasons]),
  evaluation: ref('Evaluation'),
  attempts: Type.Array(ref('Attempt')),
};

const ChatAnswer = Type.Object(
  {
    ...completePayload,
    timestamp: Timestamp,
    content: Type.String({ description: 'The whole answer' }),
    thinking: Type.Optional(Type.Array(ref('Thinking'), { description: 'Only with show_thinking' })),
  },
  { $id: 'ChatAnswer' },
);

export const retryAfter = Type.Optional(
  Type.Integer({ minimum: 1, description: 'Seconds after which a retry makes sense' }),
);

const event = (name: string, data: Record<string, TSchema>, description: string) =>
  Type.Object(
    {
      id: Type.Integer({ minimum: 1 }),
      event: Type.Literal(name),
      data: Type.Object({ ...data, timestamp: Timestamp }),
    },
    { title: name, description },
  );

/** What may also be said to one reader only, and is then no event of the run. */
const readerId = Type.Optional(
  Type.Integer({ minimum: 1, description: "Absent when the reader's credentials ended, not the run" }),
);

const StreamEvent = Type.Union(
  [
    event('thinking', thinkingPayload, 'A phase ended. Only with show_thinking.'),
    event(
      'reasoning',
      {
        content: Type.String(),
        signature: Type.Optional(
          Type.String({ description: 'Only from POST /api/agent: seals the thinking' }),
        ),
        redacted: Type.Optional(
          Type.String({ description: 'Only from POST /api/agent: encrypted thinking' }),
        ),
      },
      "The model's own thinking. Only with show_thinking.",
    ),
    event(
      'content',
      { content: Type.String(), revision: Type.Integer({ minimum: 0 }) },
      'A piece of the answer.',
    ),
    event(
      'tool_progress',
      {
        id: Type.String(),
        name: Type.String(),
        progress: Type.Optional(Type.Number()),
        total: Type.Optional(Type.Number()),
        message: Type.String(),
      },
      'A running tool reports.',
    ),
    event(
      'tool_call',
      { id: Type.String(), name: Type.String(), arguments: Type.Unknown() },
      'The model asked for a tool.',
    ),
    event(
      'tool_result',
      {
        id: Type.String(),
        name: Type.String(),
        result: Type.String(),
        is_error: Type.Boolean(),
        duration_ms: Type.Integer(),
      },
      'What the tool gave.',
    ),
    event(
      'revision',
      { revision: Type.Integer({ minimum: 1 }), reason: Type.String() },
      'What was shown is replaced from here. Only with allow_revision.',
    ),
    event('complete', completePayload, 'The answer is complete. Exactly one `complete` or `error` comes.'),
    Type.Object(
      {
        id: readerId,
        event: Type.Literal('error'),
        data: Type.Object({
          error: Type.String(),
          error_type: Type.Enum(Object.keys(errorStatus)),
          retryable: Type.Boolean(),
          retry_after: retryAfter,
          request_id: Type.String(),
          run_id: Type.String(),
          timestamp: Timestamp,
        }),
      },
      {
        title: 'error',
        description:
          'The run failed; without an `id`: the credentials of the reader ended, who can resume with new ones. Exactly one ' +
          '`complete` or `error` comes.',
      },
    ),
    Type.Object(
      { id: readerId, event: Type.Literal('done'), data: Type.Literal('[DONE]') },
      { title: 'done', description: 'The last event.' },
    ),
  ],
  {
    $id: 'StreamEvent',
    description:
      'One server-sent event: `id` counts from 1 without gaps, `data` is one line of JSON (for `done` the text [DONE]). ' +
      "A browser's EventSource hands an event named `error` to `onerror` as well; tell them apart by `event.data`.",
  },
);

export const sharedEventSchemas = [Usage, AttemptSchema, EvaluationSchema, Thinking, ChatAnswer, StreamEvent];
