import { beforeAll, describe, expect, test } from 'vitest';
import type { WorkerAgentClient } from '../../src/workers/generated/paf/worker/v1/WorkerAgent.ts';
import { answerOf, runTask, startWorker, taskOf } from './worker-process.ts';

let client: WorkerAgentClient;

beforeAll(async () => {
  const closings: (() => void)[] = [];
  ({ client } = await startWorker({}, undefined, (close) => closings.push(close)));
  return () => {
    for (const close of closings.toReversed()) close();
  };
});

const sales =
  'region,product,amount,units\nNorth,apple,10.5,1\nSouth,pear,20,2\nNorth,pear,,3\nSouth,apple,0.25,4\n';

const amountOfNorth = {
  count: 1,
  sum: 10.5,
  mean: 10.5,
  median: 10.5,
  min: 10.5,
  max: 10.5,
  standard_deviation: null,
};

describe('data_analysis', () => {
  test('tells the columns of a table', async () => {
    expect(
      await answerOf(client, 'data_analysis', { data: sales, format: 'csv', operation: 'schema' }),
    ).toEqual({
      operation: 'schema',
      format: 'csv',
      rows: 4,
      columns: [
        { name: 'region', type: 'text', missing: 0, distinct: 2, examples: ['North', 'South'] },
        { name: 'product', type: 'text', missing: 0, distinct: 2, examples: ['apple', 'pear'] },
        { name: 'amount', type: 'number', missing: 1, distinct: 3, examples: ['10.5', '20', '0.25'] },
        { name: 'units', type: 'number', missing: 0, distinct: 4, examples: ['1', '2', '3'] },
      ],
    });
  });

  test('computes statistics when nothing is asked, of all columns or of one', async () => {
    expect(await answerOf(client, 'data_analysis', { data: sales, column: 'AMOUNT' })).toEqual({
      operation: 'statistics',
      format: 'csv',
      rows: 4,
      columns: [
        {
          name: 'amount',
          type: 'number',
          missing: 1,
          count: 3,
          sum: 30.75,
          mean: 10.25,
          median: 10.5,
          min: 0.25,
          max: 20,
          standard_deviation: Number(Math.sqrt((0.25 ** 2 + 9.75 ** 2 + 10 ** 2) / 2).toPrecision(15)),
        },
      ],
    });
    expect(await answerOf(client, 'data_analysis', { data: sales })).toMatchObject({
      columns: [
        {
          name: 'region',
          count: 4,
          most_frequent: [
            { value: 'North', count: 2 },
            { value: 'South', count: 2 },
          ],
        },
        { name: 'product' },
        { name: 'amount', sum: 30.75, mean: 10.25 },
        { name: 'units', sum: 10, mean: 2.5, median: 2.5 },
      ],
    });
  });

  test('groups with sum and mean of every numeric column', async () => {
    expect(
      await answerOf(client, 'data_analysis', { data: sales, operation: 'group_by', group_by: 'region' }),
    ).toEqual({
      operation: 'group_by',
      format: 'csv',
      rows: 4,
      group_by: 'region',
      group_count: 2,
      groups: [
        {
          group: 'North',
          rows: 2,
          columns: {
            amount: amountOfNorth,
            units: {
              count: 2,
              sum: 4,
              mean: 2,
              median: 2,
              min: 1,
              max: 3,
              standard_deviation: Number(Math.SQRT2.toPrecision(15)),
            },
          },
        },
        {
          group: 'South',
          rows: 2,
          columns: {
            amount: {
              count: 2,
              sum: 20.25,
              mean: 10.125,
              median: 10.125,
              min: 0.25,
              max: 20,
              standard_deviation: 13.9653589284343,
            },
            units: {
              count: 2,
              sum: 6,
              mean: 3,
              median: 3,
              min: 2,
              max: 4,
              standard_deviation: Number(Math.SQRT2.toPrecision(15)),
            },
          },
        },
      ],
    });
  });

  test.each([
    [
      'sum',
      [
        ['South', 20.25],
        ['North', 10.5],
      ],
    ],
    [
      'mean',
      [
        ['North', 10.5],
        ['South', 10.125],
      ],
    ],
    [
      'min',
      [
        ['North', 10.5],
        ['South', 0.25],
      ],
    ],
    [
      'max',
      [
        ['South', 20],
        ['North', 10.5],
      ],
    ],
    [
      'count',
      [
        ['South', 2],
        ['North', 1],
      ],
    ],
  ])('orders groups by their %s', async (aggregate, expected) => {
    const payload = { data: sales, group_by: 'region', column: 'amount', aggregate };
    const answer = (await answerOf(client, 'data_analysis', payload)) as {
      groups: { group: string; value: number }[];
    };
    expect(answer.groups.map(({ group, value }) => [group, value])).toEqual(expected);
  });

  test('gives the top rows and the top groups', async () => {
    expect(
      await answerOf(client, 'data_analysis', { data: sales, operation: 'top_n', column: 'units', n: 2 }),
    ).toEqual({
      operation: 'top_n',
      format: 'csv',
      rows: 4,
      column: 'units',
      n: 2,
      top: [
        { region: 'South', product: 'apple', amount: 0.25, units: 4 },
        { region: 'North', product: 'pear', amount: '', units: 3 },
      ],
    });
    expect(await answerOf(client, 'data_analysis', { data: sales, n: 1, group_by: 'product' })).toMatchObject(
      {
        operation: 'top_n',
        aggregate: 'sum',
        column: 'amount',
        group_count: 2,
        groups: [{ group: 'pear', rows: 2, value: 20 }],
      },
    );
  });

  test.each<[string, string, object]>([
    ['semicolons with decimal commas', 'name;price\na;1.234,50\nb;0,50\n', { sum: 1235, mean: 617.5 }],
    ['tabs', 'name\tprice\na\t3\nb\t4\n', { sum: 7, mean: 3.5 }],
    ['pipes and CRLF', 'name|price\r\na|3\r\nb|4\r\n', { sum: 7, mean: 3.5 }],
    ['a byte order mark', '\uFEFFname,price\na,3\nb,4\n', { sum: 7, mean: 3.5 }],
    ['Excel\u2019s sep line', 'sep=;\nname;price\na;3\nb;4\n', { sum: 7, mean: 3.5 }],
    [
      'quotes with delimiters, breaks and quotes inside',
      'name,price\n"a, ""b""\nc","1,500"\nd,500\n',
      { sum: 2000, mean: 1000 },
    ],
    [
      'gaps',
      'name,price\na,1\nb,\nc,NA\nd,n/a\ne,-\nf,null\ng,2\n',
      { count: 2, missing: 5, sum: 3, mean: 1.5 },
    ],
    ['thousands', 'name,price\na,1 234.5\nb,"2,000,000"\nc,-3\n', { sum: 2_001_231.5 }],
    ['money', 'name,price\na,$1.50\nb,€2\nc,3 €\nd,-$1\n', { sum: 5.5 }],
    ['exponents and signs', 'name,price\na,1e3\nb,+2\nc,-.5\n', { sum: 1001.5 }],
    ['fractions that binary numbers miss', 'name,price\na,0.1\nb,0.2\nc,0.3\n', { sum: 0.6, mean: 0.2 }],
    ['short rows', 'name,price\na,1\nb\nc,2\n', { count: 2, missing: 1, sum: 3 }],
    [
      'a few words between numbers',
      'name,price\na,1\nb,2\nc,3\nd,4\ne,sold\n',
      { count: 4, not_numbers: 1, sum: 10 },
    ],
  ])('reads %s', async (_what, data, expected) => {
    const answer = (await answerOf(client, 'data_analysis', { data, column: 'price' })) as {
      columns: object[];
    };
    expect(answer).toMatchObject({ columns: [{ name: 'price', type: 'number', ...expected }] });
  });

  test.each<[string, string, object]>([
    [
      'a list of objects',
      '[{"a":"x","b":{"c":1}},{"a":"y","b":{"c":2.5}},{"a":"z"}]',
      { name: 'b.c', count: 2, missing: 1, sum: 3.5 },
    ],
    ['a list of rows', '[["a","b"],["x",1],["y",2]]', { name: 'b', count: 2, sum: 3 }],
    ['one object on each line', '{"b":1}\n{"b":2}\n', { name: 'b', count: 2, sum: 3 }],
    ['a wrapped list', '{"total":2,"rows":[{"b":1},{"b":2}]}', { name: 'b', count: 2, sum: 3 }],
    ['a list of numbers', '[1,2,3]', { name: 'value', count: 3, sum: 6 }],
  ])('reads JSON that is %s', async (_what, data, expected) => {
    const answer = (await answerOf(client, 'data_analysis', { data })) as { columns: { name: string }[] };
    expect(answer).toMatchObject({ format: 'json' });
    expect(answer.columns.at(-1)).toMatchObject(expected);
  });

  test('leaves codes, dates and truth values what they are', async () => {
    const data = 'zip,day,ok,gone\n01234,2026-01-31,true,\n99999,2026-02-01,no,NA\n';
    const answer = (await answerOf(client, 'data_analysis', { data, operation: 'schema' })) as {
      columns: { type: string }[];
    };
    expect(answer.columns.map(({ type }) => type)).toEqual(['text', 'date', 'boolean', 'empty']);
  });

  test('names columns that have no name of their own', async () => {
    expect(await answerOf(client, 'data_analysis', { data: '1,2\n3,4\n', operation: 'top_n' })).toMatchObject(
      {
        rows: 2,
        column: 'column_1',
        top: [{ column_1: 3 }, { column_1: 1 }],
      },
    );
    expect(
      await answerOf(client, 'data_analysis', { data: 'a,a,\n1,2,3\n', operation: 'top_n' }),
    ).toMatchObject({
      top: [{ a: 1, a_2: 2, column_3: 3 }],
    });
  });

  test('is exact over 100,000 rows, with progress in order', async () => {
    const rows = Array.from(
      { length: 100_000 },
      (_, index) => `${index},"group ${index % 4}",${index % 10}.5`,
    );
    const request = taskOf('data_analysis', {
      data: `id,group,value\n${rows.join('\n')}\n`,
      group_by: 'group',
      column: 'value',
    });
    const { code, events } = await runTask(client, request);
    expect(code).toBe('OK');
    const kinds = events.map(({ event }) => event);
    expect(kinds[0]).toBe('accepted');
    expect(kinds.at(-1)).toBe('result');
    expect(kinds.filter((kind) => kind === 'accepted' || kind === 'result')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'partialOutput')).toHaveLength(1);
    const fractions = events.flatMap(({ progress }) => progress?.fraction ?? []);
    expect(fractions.length).toBeGreaterThanOrEqual(3);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    expect(fractions.every((fraction) => fraction >= 0 && fraction <= 1)).toBe(true);
    expect(new Set(events.map(({ taskId }) => taskId))).toEqual(new Set([request.taskId]));
    const answer = await answerOf(client, 'data_analysis', {
      data: `id,group,value\n${rows.join('\n')}\n`,
      group_by: 'group',
      column: 'value',
    });
    const summary = (sum: number) => ({
      rows: 25_000,
      columns: { value: { count: 25_000, sum, mean: sum / 25_000 } },
    });
    expect(answer).toMatchObject({
      rows: 100_000,
      group_count: 4,
      groups: [summary(112_500), summary(137_500), summary(112_500), summary(137_500)],
    });
  });

  test.each<[string, object, string]>([
    ['an unknown column', { data: 'a,b\n1,2\n', column: 'c' }, 'There is no column "c"; there are: a, b.'],
    ['an unknown group', { data: 'a,b\n1,2\n', group_by: 'x' }, 'There is no column "x"; there are: a, b.'],
    [
      'a group_by without its column',
      { data: 'a\n1\n', operation: 'group_by' },
      'group_by must name the column to group by.',
    ],
    [
      'nothing to order by',
      { data: 'a\nx\n', operation: 'top_n' },
      'No column of the table holds numbers to order by.',
    ],
    [
      'a sum of words',
      { data: 'a,b\nx,y\n', group_by: 'a', column: 'b', aggregate: 'sum' },
      'Column "b" holds no numbers.',
    ],
    ['an open quote', { data: 'a,b\n"x,2\n' }, 'A quoted field after line 1 of the table is never closed.'],
    ['broken JSON', { data: '[{"a":1]', format: 'json' }, 'The data is not valid JSON.'],
    ['no rows', { data: '[]' }, 'The data holds no rows.'],
    ['JSON that is no table', { data: '7', format: 'json' }, 'The data is JSON, but no list of rows.'],
  ])('says what is wrong with %s', async (_what, payload, reason) => {
    expect(await answerOf(client, 'data_analysis', payload)).toBe(reason);
  });
});

describe('text_search', () => {
  const documents = [
    { name: 'animals.txt', text: 'The quick brown fox\njumps over the lazy dog.\n\nFoxes are not dogs.' },
    { name: 'cafe.md', text: 'A café in Paris\r\nThe fox café opens late' },
  ];

  test('ranks lines and says where they are', async () => {
    const answer = (await answerOf(client, 'text_search', { documents, query: 'fox CAFE' })) as {
      matches: { document: string; line: number; text: string; score: number }[];
    };
    expect(answer).toMatchObject({ query: 'fox CAFE', documents: 2, lines: 6, total_matches: 3 });
    expect(answer.matches.map(({ document, line, text }) => [document, line, text])).toEqual([
      ['cafe.md', 2, 'The fox café opens late'],
      ['animals.txt', 1, 'The quick brown fox'],
      ['cafe.md', 1, 'A café in Paris'],
    ]);
    expect(answer.matches.map(({ score }) => score)).toEqual(
      answer.matches.map(({ score }) => score).toSorted((a, b) => b - a),
    );
  });

  test('wants phrases in quotes word by word, and keeps to max_results', async () => {
    expect(await answerOf(client, 'text_search', { documents, query: '"lazy dog"' })).toMatchObject({
      total_matches: 1,
      matches: [{ document: 'animals.txt', line: 2 }],
    });
    expect(await answerOf(client, 'text_search', { documents, query: 'the', max_results: 1 })).toMatchObject({
      total_matches: 3,
      matches: [{}],
    });
    expect(await answerOf(client, 'text_search', { documents, query: 'zebra' })).toMatchObject({
      total_matches: 0,
      matches: [],
    });
  });

  test('cuts a long line around the hit', async () => {
    const text = `${'before '.repeat(500)}needle ${'after '.repeat(500)}`;
    const answer = (await answerOf(client, 'text_search', {
      documents: [{ name: 'x', text }],
      query: 'needle',
    })) as {
      matches: { text: string }[];
    };
    expect(answer.matches[0]?.text).toMatch(/^….*needle.*…$/);
    expect(answer.matches[0]?.text.length).toBe(402);
  });
});

const typescriptCode = `// A comment with function fake() {
import { x } from 'y';

/* two
   lines */
export async function load(url: string, { retries = 3 }: { retries?: number } = {}): Promise<string> {
  for (let i = 0; i < retries; i++) {
    if (await ping(url) && i > 1) {
      return \`\${url} { not a block\`;
    }
  }
  return /[{"]/.test(url) ? 'a' : "}"; // trailing
}

const double = (value: number) => value * 2;
const later = async (): Promise<void> => {
  await load('x');
};

class Box {
  constructor(private readonly size: number) {}

  get area(): number {
    return this.size ** 2;
  }
}
`;

describe('code_metrics', () => {
  test('measures TypeScript', async () => {
    const answer = await answerOf(client, 'code_metrics', {
      files: [{ name: 'src/a.ts', content: typescriptCode }],
    });
    expect(answer).toEqual({
      total: {
        files: 1,
        lines: 26,
        code_lines: 19,
        comment_lines: 3,
        blank_lines: 4,
        functions: 5,
        max_nesting: 3,
        longest_function: { name: 'load', line: 6, lines: 8, complexity: 5, nesting: 2, file: 'src/a.ts' },
      },
      files: [
        {
          name: 'src/a.ts',
          language: 'typescript',
          lines: 26,
          code_lines: 19,
          comment_lines: 3,
          blank_lines: 4,
          function_count: 5,
          max_nesting: 3,
          longest_function: { name: 'load', line: 6, lines: 8, complexity: 5, nesting: 2 },
          functions: [
            { name: 'load', line: 6, lines: 8, complexity: 5, nesting: 2 },
            { name: 'double', line: 15, lines: 1, complexity: 1, nesting: 0 },
            { name: 'later', line: 16, lines: 3, complexity: 1, nesting: 0 },
            { name: 'constructor', line: 21, lines: 1, complexity: 1, nesting: 0 },
            { name: 'area', line: 23, lines: 3, complexity: 1, nesting: 0 },
          ],
        },
      ],
    });
  });

  test.each<[string, string, { language: string; functions: [string, number, number][]; counts: number[] }]>([
    [
      'app.py',
      '#!/usr/bin/env python\n"""Module."""\n\ndef outer(a,\n          b):\n    # note\n    def inner():\n        return {"x": 1}\n    if a:\n        return inner()\n\n    return b\n\nclass A:\n    async def go(self): pass\n',
      {
        language: 'python',
        functions: [
          ['outer', 4, 9],
          ['inner', 7, 2],
          ['go', 15, 1],
        ],
        counts: [15, 9, 3, 3],
      },
    ],
    [
      'main.go',
      'package main\n\nimport "fmt"\n\n// Add adds.\nfunc Add(a, b int) int {\n\treturn a + b\n}\n\nfunc (s *Server) Run(n int) (int, error) {\n\tfor i := 0; i < n; i++ {\n\t\tfmt.Println("{")\n\t}\n\treturn n, nil\n}\n',
      {
        language: 'go',
        functions: [
          ['Add', 6, 3],
          ['Run', 10, 6],
        ],
        counts: [15, 11, 1, 3],
      },
    ],
    [
      'A.java',
      'public class A {\n  private int n;\n\n  public A(int n) { this.n = n; }\n\n  /** Doc. */\n  static <T> List<T> of(T a) throws IOException {\n    if (a == null) {\n      throw new IllegalStateException("x");\n    } else {\n      return List.of(a);\n    }\n  }\n}\n',
      {
        language: 'java',
        functions: [
          ['A', 4, 1],
          ['of', 7, 7],
        ],
        counts: [14, 11, 1, 2],
      },
    ],
    [
      'lib.rs',
      "pub fn longest<'a>(x: &'a str, y: &'a str) -> &'a str {\n    match x.len() {\n        0 => y,\n        _ => { x }\n    }\n}\n",
      { language: 'rust', functions: [['longest', 1, 6]], counts: [6, 6, 0, 0] },
    ],
    [
      'a.c',
      '#include <x.h>\nint main(int argc, char **argv)\n{\n  while (argc) { argc--; }\n  return 0;\n}\n',
      { language: 'c', functions: [['main', 2, 5]], counts: [6, 6, 0, 0] },
    ],
    ['q.sql', '-- all\nselect 1 /* one */;\n\n', { language: 'sql', functions: [], counts: [3, 1, 1, 1] }],
    [
      'run.sh',
      '# start\ngo() {\n  echo "$# # no comment"\n}\n\ngo\n',
      { language: 'shell', functions: [['go', 2, 3]], counts: [6, 4, 1, 1] },
    ],
    ['notes.txt', 'plain {\n\nwords', { language: 'text', functions: [], counts: [3, 2, 0, 1] }],
    ['empty.js', '', { language: 'javascript', functions: [], counts: [0, 0, 0, 0] }],
  ])('measures %s', async (name, content, { language, functions, counts }) => {
    const answer = (await answerOf(client, 'code_metrics', { files: [{ name, content }] })) as {
      files: Record<string, unknown>[];
    };
    const [file = {}] = answer.files;
    const found = file.functions as { name: string; line: number; lines: number }[];
    expect(file.language).toBe(language);
    expect(found.map((each) => [each.name, each.line, each.lines])).toEqual(functions);
    expect([file.lines, file.code_lines, file.comment_lines, file.blank_lines]).toEqual(counts);
  });

  test('takes one piece of code, whose language it is told or guesses, and sums files up', async () => {
    const python = 'def f():\n    return 1\n';
    expect(await answerOf(client, 'code_metrics', { code: python })).toMatchObject({
      files: [{ language: 'python' }],
    });
    expect(await answerOf(client, 'code_metrics', { code: 'x = 1 -- y\n', language: 'SQL' })).toMatchObject({
      files: [{ language: 'sql', code_lines: 1 }],
    });
    const files = [
      { name: 'a.py', content: python },
      { name: 'b.js', content: 'function g() {\n  return {\n    a: 1,\n  };\n}\n' },
    ];
    expect(await answerOf(client, 'code_metrics', { files })).toMatchObject({
      total: {
        files: 2,
        lines: 7,
        functions: 2,
        max_nesting: 2,
        longest_function: { name: 'g', file: 'b.js', lines: 5 },
      },
    });
  });
});
