import { Type } from 'typebox';

const Capability = Type.Object({
  task_type: Type.String(),
  description: Type.String(),
  version: Type.String(),
  tool: Type.Optional(Type.String({ description: 'The name of its tool, as it can be named in a request' })),
  problem: Type.Optional(Type.String({ description: 'Why it cannot be offered as a tool' })),
});

export const WorkersAnswer = Type.Object(
  {
    workers: Type.Array(
      Type.Object({
        endpoint: Type.String({
          description: 'As configured; of a name with several addresses, each of them',
        }),
        status: Type.Enum(['serving', 'not_serving', 'unavailable'], {
          description:
            'not_serving: reached, but it takes no tasks; unavailable workers are tried again and again',
        }),
        error: Type.Optional(
          Type.String({
            description: 'Why it does not serve; absent also before it was reached for the first time',
          }),
        ),
        outstanding: Type.Integer({ description: 'Tasks of this process that it is working on', minimum: 0 }),
        capabilities: Type.Array(Capability, {
          description: 'What it can do; while it does not serve, what it listed last',
        }),
      }),
    ),
  },
  { $id: 'Workers' },
);
