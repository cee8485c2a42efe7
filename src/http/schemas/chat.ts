import { type Static, Type } from 'typebox';
import { efforts } from '../../core/message.js';

const closed = { additionalProperties: false } as const;
const Line = Type.Integer({
  minimum: 1,
  description: 'Lines count from 1; of PDF, DOCX, XLSX and HTML those of the extracted text',
});

export const maxMessageBytes = 1024 * 1024;
export const maxMetadataBytes = 16 * 1024;
export const maxInlineFileBytes = 10 * 1024 * 1024;
const imageMimeTypes = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'] as const;

const File = Type.Object(
  {
    file_name: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    path: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, description: 'Older name of `file_name`' }),
    ),
    content: Type.Optional(Type.String({ description: 'The text of the file' })),
    content_base64: Type.Optional(
      Type.String({
        description:
          'The bytes of the file: text in UTF-8, UTF-16 or Windows-1252 (code, Markdown, CSV, JSON, YAML, XML, HTML …), PDF, ' +
          'DOCX, XLSX, or a PNG, JPEG, GIF or WebP image for a model that sees. The bytes decide, not the name or ' +
          '`file_type`. A file that cannot be read is `invalid_file`: an `error` event of the stream, or 422.',
      }),
    ),
    signed_url: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 8192,
        description:
          'Where the file is fetched from, once and without credentials: https on a public host, unless the operator ' +
          'allows other ones. An address that is refused is answered with 400; a file that cannot be fetched is ' +
          '`invalid_file`: an `error` event of the stream, or 422.',
      }),
    ),
    file_type: Type.Optional(Type.String({ maxLength: 255 })),
    file_size: Type.Optional(Type.Integer({ minimum: 0, description: 'Bytes' })),
    line_start: Type.Optional(Line),
    line_end: Type.Optional(Line),
    metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  {
    ...closed,
    description:
      'One file: `file_name` (or `path`) with exactly one of `content`, `content_base64`, `signed_url`',
  },
);

const Image = Type.Object(
  { data: Type.String({ minLength: 1, description: 'base64' }), mime_type: Type.Enum([...imageMimeTypes]) },
  closed,
);

const HistoryItem = Type.Object(
  { role: Type.Enum(['user', 'assistant', 'system']), content: Type.String({ maxLength: maxMessageBytes }) },
  closed,
);

const ResponseFormat = Type.Object(
  {
    type: Type.Enum(['text', 'json_object', 'json_schema']),
    schema: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema 2020-12' })),
  },
  closed,
);

export const ChatBody = Type.Object(
  {
    message: Type.String({
      maxLength: maxMessageBytes,
      pattern: '\\S',
      description: 'What to answer; not blank, at most 1 MiB',
    }),
    show_thinking: Type.Optional(
      Type.Boolean({ default: false, description: 'Stream `thinking` and `reasoning` events too' }),
    ),
    files: Type.Optional(Type.Array(File, { maxItems: 20 })),
    images: Type.Optional(Type.Array(Image, { maxItems: 8, description: 'The model must accept images' })),
    history: Type.Optional(
      Type.Array(HistoryItem, { maxItems: 50, description: 'Earlier messages, oldest first' }),
    ),
    memory_limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 20,
        default: 10,
        description: 'Newest messages of `history` to keep',
      }),
    ),
    session_id: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Not together with `history`' }),
    ),
    model: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Only this model answers' }),
    ),
    provider: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Only this provider answers' }),
    ),
    effort: Type.Optional(Type.Enum([...efforts], { description: 'Default: the setting DEFAULT_EFFORT' })),
    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2, default: 0.7 })),
    max_tokens: Type.Optional(Type.Integer({ minimum: 1, description: 'The most tokens of the answer' })),
    max_cost_usd: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: 'US dollars' })),
    context_window_size: Type.Optional(
      Type.Integer({ minimum: 256, description: 'Lowers the window of the model; tokens' }),
    ),
    tools: Type.Optional(Type.Array(Type.String(), { maxItems: 200, description: 'Names; default: all' })),
    response_format: Type.Optional(ResponseFormat),
    allow_revision: Type.Optional(
      Type.Boolean({ default: false, description: 'Let a stream replace an answer that fails its checks' }),
    ),
    on_disconnect: Type.Optional(Type.Enum(['cancel', 'continue'], { default: 'cancel' })),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'Kept with the run, at most 16 KiB as JSON',
      }),
    ),
  },
  {
    ...closed,
    examples: [
      { message: 'Name three uses of a message queue, as bullet points.' },
      {
        message: 'What does line 2 say?',
        show_thinking: true,
        files: [{ file_name: 'notes.txt', content: 'first\nsecond\nthird', line_start: 2, line_end: 2 }],
        effort: 'quick',
      },
    ],
  },
);
export type ChatBody = Static<typeof ChatBody>;

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: '^[\\x21-\\x7e]*$',
      description: 'Attaches a retry with the same body to the run that the first try started',
    }),
  ),
});
