import { type Static, Type } from 'typebox';
import type { TaskType } from './task.js';

const closed = { additionalProperties: false };

const analysisSchema = Type.Object(
  {
    data: Type.String({ minLength: 1, description: 'The table itself: CSV with a head line, or JSON rows.' }),
    format: Type.Optional(
      Type.Enum(['csv', 'json'], { description: 'Found out from the data unless given.' }),
    ),
    operation: Type.Optional(
      Type.Enum(['schema', 'statistics', 'group_by', 'top_n'], {
        description:
          'schema: columns and their types. statistics: sum, mean, median, min, max of every numeric column. group_by: the ' +
          'same for each value of a column. top_n: the rows, or the groups, with the highest values. Default: what the other ' +
          'fields suggest, else statistics.',
      }),
    ),
    group_by: Type.Optional(
      Type.String({ minLength: 1, description: 'The column whose values make the groups.' }),
    ),
    column: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'The only column to look at; for top_n the one to order by.',
      }),
    ),
    aggregate: Type.Optional(
      Type.Enum(['sum', 'mean', 'min', 'max', 'count'], {
        description:
          'What groups are ordered by, given as value of each; top_n with groups takes sum unless given.',
      }),
    ),
    n: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'How many for top_n; default 10.' }),
    ),
  },
  closed,
);

const documentSchema = Type.Object({ name: Type.String({ minLength: 1 }), text: Type.String() }, closed);

const searchSchema = Type.Object(
  {
    documents: Type.Array(documentSchema, { minItems: 1, maxItems: 10_000 }),
    query: Type.String({
      minLength: 1,
      maxLength: 1000,
      pattern: '[\\p{L}\\p{N}]',
      description: 'Words to look for; "words in quotes" must stand side by side.',
    }),
    max_results: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Default 10.' })),
  },
  closed,
);

const sourceSchema = Type.Object({ name: Type.String({ minLength: 1 }), content: Type.String() }, closed);

const metricsSchema = Type.Object(
  {
    files: Type.Optional(
      Type.Array(sourceSchema, {
        minItems: 1,
        maxItems: 10_000,
        description: 'The language follows from the name.',
      }),
    ),
    code: Type.Optional(Type.String({ description: 'One piece of code, in place of files.' })),
    language: Type.Optional(
      Type.String({ minLength: 1, maxLength: 40, description: 'Of code, such as python.' }),
    ),
  },
  {
    ...closed,
    oneOf: [{ required: ['files'], properties: { language: false } }, { required: ['code'] }],
  },
);

export type AnalysisPayload = Static<typeof analysisSchema>;
export type SearchPayload = Static<typeof searchSchema>;
export type MetricsPayload = Static<typeof metricsSchema>;

/** Everything that this worker can do. */
export const taskTypes = [
  {
    name: 'data_analysis',
    version: '1',
    description:
      'Computes exact figures from a table given as CSV or JSON text: columns and types, sums, means and other statistics, ' +
      'the same for each group, or the top rows. Use it for arithmetic over more than a few rows.',
    schema: analysisSchema,
  },
  {
    name: 'text_search',
    version: '1',
    description:
      'Searches given documents for words or quoted phrases and returns the best matching lines with their line numbers, ' +
      'ranked by relevance.',
    schema: searchSchema,
  },
  {
    name: 'code_metrics',
    version: '1',
    description:
      'Measures source code: lines of code, comments and blanks, functions with length and branches, the longest function ' +
      'and the deepest nesting, for each file and in total.',
    schema: metricsSchema,
  },
] as const satisfies TaskType[];

export type TaskName = (typeof taskTypes)[number]['name'];
