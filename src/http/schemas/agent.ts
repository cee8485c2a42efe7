import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;

const Text = Type.Object({ type: Type.Literal('text'), text: Type.String() });
const Image = Type.Object({
  type: Type.Literal('image'),
  data: Type.String({ minLength: 1, description: 'base64' }),
  mimeType: Type.Enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']),
});
const Thinking = Type.Object({
  type: Type.Literal('thinking'),
  thinking: Type.String(),
  signature: Type.Optional(Type.String()),
  redacted: Type.Optional(Type.String()),
  sealedBy: Type.Optional(Type.String()),
});
const ToolCall = Type.Object({
  type: Type.Literal('toolCall'),
  id: Type.String({ minLength: 1 }),
  name: Type.String({ minLength: 1 }),
  arguments: Type.Record(Type.String(), Type.Unknown()),
});

/** Messages carry what their program keeps with them; what is not named here is passed over. */
const Message = Type.Union([
  Type.Object({
    role: Type.Literal('user'),
    content: Type.Union([Type.String(), Type.Array(Type.Union([Text, Image]))]),
  }),
  Type.Object({
    role: Type.Literal('assistant'),
    content: Type.Array(Type.Union([Text, Thinking, ToolCall])),
  }),
  Type.Object({
    role: Type.Literal('toolResult'),
    toolCallId: Type.String({ minLength: 1 }),
    toolName: Type.String(),
    content: Type.Array(Type.Union([Text, Image])),
    isError: Type.Boolean(),
  }),
]);

const Tool = Type.Object(
  {
    name: Type.String({ pattern: '^[a-zA-Z0-9_-]{1,64}$' }),
    description: Type.String(),
    parameters: Type.Object({ type: Type.Literal('object') }, { description: 'JSON Schema of an object' }),
  },
  closed,
);

export const AgentBody = Type.Object(
  {
    model: Type.Object(
      { provider: Type.String({ minLength: 1 }), id: Type.String({ minLength: 1, maxLength: 200 }) },
      { ...closed, description: 'One of those that GET /api/chat/models lists' },
    ),
    context: Type.Object(
      {
        systemPrompt: Type.Optional(Type.String()),
        messages: Type.Array(Message, { minItems: 1, maxItems: 10_000 }),
        tools: Type.Optional(Type.Array(Tool, { maxItems: 200 })),
      },
      closed,
    ),
    options: Type.Optional(
      Type.Object(
        {
          temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
          maxTokens: Type.Optional(Type.Integer({ minimum: 1 })),
          reasoning: Type.Optional(Type.Enum(['minimal', 'low', 'medium', 'high', 'xhigh'])),
        },
        closed,
      ),
    ),
  },
  {
    ...closed,
    examples: [
      {
        model: { provider: 'demo', id: 'demo' },
        context: { systemPrompt: 'Be brief.', messages: [{ role: 'user', content: 'Say hello.' }] },
      },
      {
        model: { provider: 'demo', id: 'demo' },
        context: { messages: [{ role: 'user', content: [{ type: 'text', text: 'Say hello.' }] }] },
        options: { reasoning: 'low', maxTokens: 500 },
      },
    ],
  },
);
export type AgentBody = Static<typeof AgentBody>;
