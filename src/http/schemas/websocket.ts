import { type Static, type TObject, type TSchema, Type } from 'typebox';
import { errorStatus } from '../../core/errors.js';
import { ChatBody, maxMessageBytes } from './chat.js';
import { ref } from './common.js';
import { completePayload, retryAfter, thinkingPayload } from './events.js';

const closed = { additionalProperties: false } as const;

const RunId = Type.String({ minLength: 1, maxLength: 128 });
const SessionId = Type.String({ minLength: 1, maxLength: 128 });

const { message: prompt, session_id: _, ...chatFields } = ChatBody.properties;

/** What a client sends, by its `type`. */
export const requestFrames = {
  query: Type.Object(
    {
      type: Type.Literal('query'),
      prompt,
      sessionId: Type.Optional(SessionId),
      ...chatFields,
    },
    {
      ...closed,
      title: 'query',
      description:
        'Asks: any field of `POST /api/chat/stream`, with `prompt` for `message` and `sessionId` for `session_id`. Without ' +
        'a `sessionId` a session is started; an id that nobody has is made.',
    },
  ),
  cancel: Type.Object(
    { type: Type.Literal('cancel'), runId: Type.Optional(RunId) },
    { ...closed, title: 'cancel', description: "Stops a run; without `runId` the socket's newest live one." },
  ),
  clear: Type.Object(
    { type: Type.Literal('clear'), sessionId: SessionId },
    { ...closed, title: 'clear', description: 'Forgets what was said in a session; its id stays usable.' },
  ),
  resume: Type.Object(
    { type: Type.Literal('resume'), runId: RunId, after: Type.Integer({ minimum: 0 }) },
    { ...closed, title: 'resume', description: 'Sends the frames of a run whose `seq` is above `after`.' },
  ),
  steer: Type.Object(
    {
      type: Type.Literal('steer'),
      runId: RunId,
      content: Type.String({ maxLength: maxMessageBytes, pattern: '\\S' }),
    },
    {
      ...closed,
      title: 'steer',
      description: 'Says something to a run; the model hears it before its next call.',
    },
  ),
};

export type QueryFrame = Static<(typeof requestFrames)['query']>;
export type RequestFrame = {
  [Name in keyof typeof requestFrames]: Static<(typeof requestFrames)[Name]>;
}[keyof typeof requestFrames];

const WebSocketRequest = Type.Union(Object.values<TObject>(requestFrames), {
  $id: 'WebSocketRequest',
  description: 'A text message from a client, as JSON.',
});

const sessionId = Type.Optional(
  Type.String({ description: 'Absent only for a run that was started over HTTP without a session' }),
);

/** A frame that stands for one event of a run's log. */
const runFrame = (type: string, fields: Record<string, TSchema>, description: string) =>
  Type.Object(
    {
      type: Type.Literal(type),
      sessionId,
      runId: Type.String(),
      seq: Type.Integer({ minimum: 1, description: 'Counts from 1 without gaps' }),
      ...fields,
      timestamp: Type.Number({ description: 'Epoch seconds' }),
    },
    { title: type, description },
  );

const failure = {
  error: Type.String(),
  error_type: Type.Enum(Object.keys(errorStatus)),
  retryable: Type.Boolean(),
  retry_after: retryAfter,
  request_id: Type.String(),
};

const { run_id: _runId, session_id: _sessionId, ...complete } = completePayload;

const WebSocketFrame = Type.Union(
  [
    runFrame('thinking', thinkingPayload, 'A phase ended. Only with show_thinking.'),
    runFrame('reasoning', { content: Type.String() }, "The model's own thinking. Only with show_thinking."),
    runFrame(
      'chunk',
      { content: Type.String(), revision: Type.Integer({ minimum: 0 }) },
      'A piece of the answer.',
    ),
    runFrame(
      'tool_call',
      { toolCall: Type.Object({ id: Type.String(), name: Type.String(), arguments: Type.Unknown() }) },
      'The model asked for a tool.',
    ),
    runFrame(
      'tool_progress',
      {
        toolProgress: Type.Object({
          id: Type.String(),
          name: Type.String(),
          progress: Type.Optional(Type.Number()),
          total: Type.Optional(Type.Number()),
          message: Type.String(),
        }),
      },
      'A running tool reports.',
    ),
    runFrame(
      'tool_result',
      {
        toolResult: Type.Object({
          id: Type.String(),
          name: Type.String(),
          result: Type.String(),
          is_error: Type.Boolean(),
          duration_ms: Type.Integer(),
        }),
      },
      'What the tool gave.',
    ),
    runFrame(
      'revision',
      { revision: Type.Integer({ minimum: 1 }), reason: Type.String() },
      'What was shown is replaced from here. Only with allow_revision.',
    ),
    runFrame('complete', complete, 'The answer is complete. The last frame of its run.'),
    runFrame('error', failure, 'The run failed. The last frame of its run.'),
    Type.Object(
      {
        type: Type.Literal('error'),
        sessionId: Type.Optional(Type.String({ description: 'The one that the request named' })),
        runId: Type.Optional(Type.String({ description: 'The one that the request named' })),
        ...failure,
        errors: Type.Optional(
          Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
            description: 'Every problem of the request, at most 20',
          }),
        ),
      },
      {
        title: 'error without seq',
        description:
          'A request was refused; the socket stays open. Or the token has expired: then one comes for each run that is ' +
          'followed, and the socket is closed.',
      },
    ),
    Type.Object(
      { type: Type.Literal('cleared'), sessionId: Type.String() },
      { title: 'cleared', description: 'The session is empty.' },
    ),
  ],
  { $id: 'WebSocketFrame', description: 'A text message from the service, as JSON.' },
);

export const sharedWebSocketSchemas = [WebSocketRequest, WebSocketFrame];

/** By convention the messages of a socket are documented as the body of the response that opens it. */
export const socketMessages = Type.Unsafe({ anyOf: [ref('WebSocketRequest'), ref('WebSocketFrame')] });
