import { type Static, type TObject, Type } from 'typebox';
import { ref } from './common.js';

const closed = { additionalProperties: false } as const;
const EpochSeconds = Type.Number({ description: 'Epoch seconds' });
const maxTitleLength = 200;

const session = {
  id: Type.String(),
  title: Type.String({ description: 'From the first message, unless given; empty until then' }),
  created_at: EpochSeconds,
  updated_at: EpochSeconds,
};

const SessionAnswer = Type.Object(session, { $id: 'Session' });

const SessionMessage = Type.Object(
  {
    id: Type.String({ description: 'What a fork names' }),
    role: Type.String({
      description: 'user, assistant, tool or system; or one of an application of its own',
    }),
    content: Type.String({ description: 'The text' }),
    created_at: EpochSeconds,
    interrupted: Type.Optional(
      Type.Literal(true, { description: 'The run ended before the answer was complete' }),
    ),
    tool_calls: Type.Optional(
      Type.Array(Type.Object({ id: Type.String(), name: Type.String(), arguments: Type.Unknown() })),
    ),
    tool_call_id: Type.Optional(Type.String({ description: 'The call that this is the result of' })),
    name: Type.Optional(Type.String({ description: 'The tool' })),
    is_error: Type.Optional(Type.Boolean()),
    images: Type.Optional(Type.Array(Type.Object({ mime_type: Type.String() }))),
    data: Type.Optional(
      Type.Unknown({ description: "A message of an application's own role, as it is kept" }),
    ),
  },
  { $id: 'SessionMessage' },
);

const SessionDetail = Type.Object(
  {
    ...session,
    messages: Type.Array(ref('SessionMessage'), { description: 'Oldest first' }),
    status: Type.Object({
      mcp_connected: Type.Boolean({ description: 'There are MCP servers, and all are connected' }),
      agent_ready: Type.Boolean({ description: 'The service takes messages and a model is available' }),
      is_processing: Type.Boolean({ description: 'A run is under way in this session, or waits' }),
    }),
  },
  { $id: 'SessionDetail' },
);

const SessionList = Type.Object(
  {
    sessions: Type.Array(ref('Session'), { description: 'Those changed last come first' }),
    next_cursor: Type.Optional(Type.String({ description: 'Absent on the last page' })),
  },
  { $id: 'SessionList' },
);

const SessionFork = Type.Object({ id: Type.String() }, { $id: 'SessionFork' });

export const sharedSessionSchemas = [SessionAnswer, SessionMessage, SessionDetail, SessionList, SessionFork];

export const SessionParams = Type.Object({ id: Type.String({ description: 'The id of the session' }) });

export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'The next_cursor of the page before' })),
});

const Title = Type.String({
  maxLength: maxTitleLength,
  pattern: '\\S',
  description: 'Not blank; control characters are taken out',
});

/** A body that may be left out. */
function optionalBody<Schema extends TObject>(schema: Schema) {
  return Type.Unsafe<Static<Schema> | null>({ ...schema, type: ['object', 'null'] });
}

export const CreateBody = optionalBody(
  Type.Object({ title: Type.Optional(Title) }, { ...closed, examples: [{ title: 'Holiday plans' }] }),
);
export const ForkBody = optionalBody(
  Type.Object(
    {
      message_id: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 128,
          description: 'The last message that is taken along; unless given, all are',
        }),
      ),
    },
    closed,
  ),
);
export const RenameBody = Type.Object(
  { title: Title },
  { ...closed, examples: [{ title: 'Holiday plans' }] },
);

export type SessionMessage = Static<typeof SessionMessage>;
