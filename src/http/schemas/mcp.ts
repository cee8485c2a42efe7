import { Type } from 'typebox';

const Names = (description: string) => Type.Array(Type.String(), { description });

export const McpServersAnswer = Type.Object(
  {
    servers: Type.Array(
      Type.Object({
        name: Type.String(),
        transport: Type.Enum(['stdio', 'http', 'sse']),
        status: Type.Enum(['connected', 'connecting', 'unavailable'], {
          description: 'connecting: for the first time; unavailable servers are tried again and again',
        }),
        error: Type.Optional(Type.String({ description: 'Why it is unavailable' })),
        tools: Names('As they can be named in a request; those last listed while it is unavailable'),
        dropped: Type.Array(Type.Object({ name: Type.String(), reason: Type.String() }), {
          description: 'Tools that cannot be offered, by the names that the server gives them',
        }),
        resources: Names('URIs'),
        prompts: Names('As the server names them'),
      }),
    ),
  },
  { $id: 'McpServers' },
);
