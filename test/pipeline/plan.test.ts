import { describe, expect, test } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { type CatalogOptions, createCatalog } from '../../src/llm/catalog.ts';
import type { CatalogData, CatalogModel } from '../../src/llm/catalog-schema.ts';
import { countMessagesTokens } from '../../src/llm/tokens.ts';
import type { ChatRequest } from '../../src/pipeline/chat-request.ts';
import { makePlan, type Plan, type PlanDeps } from '../../src/pipeline/plan.ts';
import { understandRequest } from '../../src/pipeline/understanding.ts';
import { toToolDefinition } from '../../src/tools/registry.ts';
import { type Tool, textResult } from '../../src/tools/tool.ts';
import { chatRequest, textFile } from '../helpers/chat-request.ts';

const clock: Tool = {
  name: 'clock',
  description: 'Tells the time. '.repeat(40),
  parameters: { type: 'object' },
  isParallel: true,
  execute: async () => textResult('noon'),
};
const analyst: Tool = {
  ...clock,
  name: 'worker__data_analysis',
  description: 'Works out sum and mean of each numeric column of a table in CSV, per group where asked.',
};
const clockTokens = countMessagesTokens([], [toToolDefinition(clock)]);
const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' } as const;

type Lacking = 'images' | 'tools' | 'jsonSchema';
type Facts = { window?: number; price?: [number, number]; lacks?: Lacking[] };

function model(id: string, { window = 100_000, price, lacks = [] }: Facts = {}): CatalogModel {
  const can = (what: Lacking) => !lacks.includes(what);
  return {
    id,
    name: id,
    description: '',
    contextWindow: window,
    maxOutput: 8192,
    ...(price && { price: { input: price[0], output: price[1] } }),
    accepts: {
      images: can('images'),
      tools: can('tools'),
      jsonSchema: can('jsonSchema'),
      temperature: true,
      reasoning: false,
    },
  };
}

const assumed = { match: '', contextWindow: 32_768, maxOutput: 4096, accepts: model('x').accepts };

/** One provider with a model for each effort and two with long windows, one with a single model, one without prices. */
const catalogue: CatalogData = {
  providers: {
    alpha: {
      effort: { quick: 'small', standard: 'main', determined: 'big' },
      models: [
        model('small', { window: 16_000, price: [0.1, 0.5] }),
        model('main', { window: 64_000, price: [1, 5], lacks: ['images'] }),
        model('big', { window: 64_000, price: [5, 25], lacks: ['images', 'jsonSchema'] }),
        model('dear', { window: 1_000_000, price: [8, 40] }),
        model('long', { window: 1_000_000, price: [2, 10], lacks: ['tools'] }),
      ],
    },
    beta: { models: [model('solo', { window: 128_000, price: [2, 8] })] },
    gamma: { models: [model('local', { window: 8000, lacks: ['tools', 'jsonSchema'] })] },
  },
  unlisted: [assumed],
  notChat: [],
};

type Situation = {
  /** default: alpha and beta */
  providers?: string[];
  down?: string[];
  settings?: Partial<CatalogOptions>;
  deps?: Partial<PlanDeps>;
  data?: CatalogData;
};

function depsOf({ providers = ['alpha', 'beta'], down = [], settings, deps, data }: Situation): PlanDeps {
  return {
    catalog: createCatalog({ providers, data: data ?? catalogue, ...settings }),
    providers,
    isUsable: (provider) => !down.includes(provider),
    llmMaxTokens: undefined,
    runLimits: { maxCostUsd: undefined, maxTokens: undefined },
    limits: { maxTurns: 10, maxToolCalls: 50, toolTimeoutMs: 1000 },
    contextThreshold: 0.75,
    plannerModel: () => undefined,
    ...deps,
  };
}

function plan(parts: Partial<ChatRequest> = {}, situation: Situation = {}): Plan {
  const request = chatRequest(parts);
  return makePlan(depsOf(situation), request, understandRequest(request));
}

const named = (id: string) =>
  createCatalog({ providers: ['alpha', 'beta', 'gamma'], data: catalogue }).find(id);
const idsOf = ({ candidates }: Plan) => candidates.map(({ id }) => id).join(' ');

const complex =
  'Compare three harbours for a small boat step by step: first look at the depth, then at the price, after that at the ' +
  'weather, finally judge in detail which one is best for somebody who sails alone and tell me why you think so.';
const essay = 'Write an essay about rivers.';
const simple = 'What is the capital of France?';
const long = (tokens: number): Message[] => [{ role: 'user', content: 'word '.repeat(tokens) }];
const schema = { type: 'json_schema', schema: { type: 'object' } } as const;

type Row = [
  situation: string,
  request: Partial<ChatRequest>,
  strategy: string,
  models: string,
  reasons: string[],
  given?: Situation,
];

const direct = 'a simple request without files is answered directly';

/** First what is asked, then the strategy, the models in their order, and reasons that are given. */
const rows: Row[] = [
  // effort and complexity
  [
    'writing',
    { message: essay },
    'direct',
    'main solo small',
    [direct, 'main on alpha serves standard effort'],
  ],
  [
    'a simple question',
    { message: simple },
    'direct',
    'small solo main',
    [direct, 'a simple question goes to a small model: small on alpha'],
  ],
  [
    'a simple question, effort named',
    { message: simple, isEffortNamed: true },
    'direct',
    'main solo small',
    ['main on alpha serves standard effort'],
  ],
  [
    'a simple question, determined by default',
    { message: simple, effort: 'determined' },
    'direct',
    'big solo main',
    ['big on alpha serves determined effort'],
  ],
  [
    'a simple question after a long talk',
    { message: simple, history: long(2500) },
    'direct',
    'main solo small',
    ['main on alpha serves standard effort'],
  ],
  [
    'a simple question, tools named',
    { message: simple, tools: [clock], areToolsNamed: true },
    'direct',
    'main solo small',
    ['main on alpha serves standard effort'],
  ],
  [
    'quick effort',
    { message: essay, effort: 'quick' },
    'direct',
    'small solo main',
    ['small on alpha serves quick effort'],
  ],
  [
    'complex',
    { message: complex },
    'stepwise',
    'main solo small',
    ['the request is complex: it is answered step by step'],
  ],
  [
    'complex, quick effort',
    { message: complex, effort: 'quick' },
    'direct',
    'small solo main',
    ['a complex request without files is answered directly'],
  ],
  [
    'complex, determined effort',
    { message: complex, effort: 'determined' },
    'stepwise',
    'big solo main',
    ['big on alpha serves determined effort'],
  ],
  [
    'complex, determined, a planner',
    { message: complex, effort: 'determined' },
    'stepwise',
    'big solo main',
    ['the request is complex and has determined effort: solo writes the steps'],
    { deps: { plannerModel: () => named('solo') } },
  ],
  [
    'complex, standard, a planner',
    { message: complex },
    'stepwise',
    'main solo small',
    ['the request is complex: it is answered step by step'],
    { deps: { plannerModel: () => named('solo') } },
  ],
  [
    'complex, a planner of another provider than the named one',
    { message: complex, effort: 'determined', provider: 'alpha' },
    'stepwise',
    'big main',
    ['the request is complex: it is answered step by step'],
    { deps: { plannerModel: () => named('solo') } },
  ],
  [
    'complex with a file, a planner',
    { message: complex, effort: 'determined', files: [textFile('12 m')] },
    'stepwise',
    'big solo main',
    ['the request is complex and has determined effort: solo writes the steps'],
    { deps: { plannerModel: () => named('solo') } },
  ],
  // files and tools
  [
    'a file',
    { message: simple, files: [textFile('Paris')] },
    'grounded',
    'main solo small',
    ['1 file(s) given: the answer is grounded in them'],
  ],
  [
    'a complex question about two files',
    { message: complex, files: [textFile('a'), textFile('b', 'b.txt')] },
    'grounded',
    'main solo small',
    ['2 file(s) given: the answer is grounded in them'],
  ],
  [
    'something to compute',
    { message: 'What is 6*7?', tools: [clock] },
    'tools',
    'small solo main',
    ['something is to be computed and tools are offered', '1 tool(s) offered'],
  ],
  [
    'something to compute without tools',
    { message: 'What is 6*7?' },
    'direct',
    'small solo main',
    [direct, 'no tools are offered'],
  ],
  [
    'something to compute, models without tools',
    { message: 'What is 6*7?', tools: [clock] },
    'tools',
    'local',
    [
      'no model takes tools: it is answered without them',
      'no tools are offered: none of the models takes any',
    ],
    { providers: ['gamma'] },
  ],
  [
    'something to compute, the preferred provider without tools',
    { message: 'What is 6*7?', tools: [clock] },
    'tools',
    'solo local',
    ['local does not take tools', 'solo on beta serves standard effort'],
    { providers: ['gamma', 'beta'] },
  ],
  [
    'tools named, the preferred provider without them',
    { message: essay, tools: [clock], areToolsNamed: true },
    'direct',
    'solo local',
    ['local does not take tools', 'solo on beta serves standard effort'],
    { providers: ['gamma', 'beta'] },
  ],
  [
    'tools offered, the preferred provider without them',
    { message: essay, tools: [clock] },
    'direct',
    'local solo',
    ['local on gamma serves standard effort', '1 tool(s) offered'],
    { providers: ['gamma', 'beta'] },
  ],
  // workers
  [
    'work that a worker on offer is named for',
    { message: 'Analyse this data: city,people', tools: [clock, analyst] },
    'delegate',
    'main solo small',
    ['a worker on offer does such work: worker__data_analysis', '2 tool(s) offered'],
  ],
  [
    'work that the description of a worker names',
    { message: 'Give me the sum and the mean of every numeric column here.', tools: [analyst] },
    'delegate',
    'main solo small',
    ['a worker on offer does such work: worker__data_analysis'],
  ],
  [
    'work for a worker, with a file',
    { message: 'Do a data analysis of this.', tools: [analyst], files: [textFile('a,b\n1,2', 'a.csv')] },
    'delegate',
    'main solo small',
    ['a worker on offer does such work: worker__data_analysis'],
  ],
  [
    'work for a worker, the preferred provider without tools',
    { message: 'Analyse this data: city,people', tools: [analyst] },
    'delegate',
    'solo local',
    ['local does not take tools', 'solo on beta serves standard effort'],
    { providers: ['gamma', 'beta'] },
  ],
  [
    'work that is asked for after much data',
    { message: `${'a,1\n'.repeat(20_000)}Please analyse this data.`, tools: [analyst] },
    'delegate',
    'dear solo',
    ['a worker on offer does such work: worker__data_analysis'],
  ],
  [
    'a question that only mentions data',
    { message: 'Where is my data kept?', tools: [analyst] },
    'direct',
    'small solo main',
    [direct, '1 tool(s) offered'],
  ],
  [
    'work for a worker that is not on offer',
    { message: 'Analyse this data: city,people', tools: [clock] },
    'direct',
    'main solo small',
    ['1 tool(s) offered'],
  ],
  // images and schemas
  [
    'an image',
    { message: essay, images: [image] },
    'direct',
    'small solo',
    ['main does not take images: small on alpha is asked instead'],
  ],
  [
    'an image in a long context',
    { message: essay, images: [image], history: long(20_000) },
    'direct',
    'long solo',
    ['main does not take images: long on alpha is asked instead'],
  ],
  [
    'an image, a pinned model that does not see',
    { message: essay, images: [image] },
    'direct',
    'solo',
    ['main does not take images', 'solo on beta serves standard effort'],
    { settings: { defaultModel: 'main' } },
  ],
  [
    'a response schema',
    { message: essay, effort: 'determined', responseFormat: schema },
    'direct',
    'small solo main',
    ['big does not enforce a response schema: small on alpha is asked instead'],
  ],
  [
    'a response schema, the preferred provider without it',
    { message: essay, responseFormat: schema },
    'direct',
    'solo local',
    ['local does not enforce a response schema', 'solo on beta serves standard effort'],
    { providers: ['gamma', 'beta'] },
  ],
  [
    'a response schema that nobody enforces',
    { message: essay, responseFormat: schema },
    'direct',
    'local',
    ['no model enforces a response schema: it is asked for in words and checked'],
    { providers: ['gamma'] },
  ],
  // context
  [
    'a context too long for the small model',
    { message: simple, effort: 'quick', history: long(20_000) },
    'direct',
    'main solo',
    [
      expect.stringMatching(
        /^small has no room for 20\d\d\d tokens: main on alpha is asked instead$/,
      ) as never,
    ],
  ],
  [
    'a context too long for the main model',
    { message: essay, history: long(90_000) },
    'direct',
    'long solo',
    [
      expect.stringMatching(
        /^main has no room for 90\d\d\d tokens: long on alpha is asked instead$/,
      ) as never,
    ],
  ],
  [
    'a long context and named tools',
    { message: essay, history: long(90_000), tools: [clock], areToolsNamed: true },
    'direct',
    'dear solo',
    [
      expect.stringMatching(
        /^main has no room for 90\d\d\d tokens: dear on alpha is asked instead$/,
      ) as never,
    ],
  ],
  [
    'a context that only another provider holds',
    { message: essay, history: long(20_000) },
    'direct',
    'solo',
    [
      expect.stringMatching(/^local has no room for 20\d\d\d tokens$/) as never,
      'solo on beta serves standard effort',
    ],
    { providers: ['gamma', 'beta'] },
  ],
  [
    'a context that no model holds',
    { message: essay, history: long(20_000) },
    'direct',
    'local',
    ['no model has room for everything: local gets what fits'],
    { providers: ['gamma'] },
  ],
  [
    'a long context for a pinned model',
    { message: essay, history: long(90_000) },
    'direct',
    'solo',
    [expect.stringMatching(/^main has no room/) as never, 'solo on beta serves standard effort'],
    { settings: { defaultModel: 'main' } },
  ],
  [
    'a long context, cut by the caller',
    { message: essay, history: long(90_000), contextWindow: 8000 },
    'direct',
    'main solo small',
    [
      'main on alpha serves standard effort',
      'left out to fit 8000 tokens: the middle of 1 long message of the history',
    ],
  ],
  // prices
  [
    'a budget that is large enough',
    { message: essay, maxCostUsd: 0.1 },
    'direct',
    'main small',
    ['main on alpha serves standard effort'],
  ],
  [
    'a budget too small for the main model',
    { message: essay, maxCostUsd: 0.001 },
    'direct',
    'small',
    ['main costs too much for 0.001 dollars: small on alpha is asked instead'],
  ],
  [
    "the operator's budget too small for it",
    { message: essay },
    'direct',
    'small',
    ['main costs too much for 0.001 dollars: small on alpha is asked instead'],
    { deps: { runLimits: { maxCostUsd: 0.001, maxTokens: undefined } } },
  ],
  [
    'a small budget for a small answer',
    { message: essay, maxCostUsd: 0.001, maxTokens: 100 },
    'direct',
    'main small',
    ['main on alpha serves standard effort'],
  ],
  [
    'a budget too small for any',
    { message: essay, maxCostUsd: 0.00001 },
    'direct',
    'small',
    ['0.00001 dollars hardly pay for an answer: it will be short'],
  ],
  [
    'a small budget where a model has no price',
    { message: essay, maxCostUsd: 0.00001 },
    'direct',
    'local',
    ['local on gamma serves standard effort'],
    { providers: ['alpha', 'gamma'] },
  ],
  // providers
  [
    'the preferred provider is down',
    { message: essay },
    'direct',
    'solo main',
    ['alpha does not answer now and is asked last', 'solo on beta serves standard effort'],
    { down: ['alpha'] },
  ],
  [
    'all providers are down',
    { message: essay },
    'direct',
    'main solo',
    ['alpha does not answer now and is asked last', 'beta does not answer now and is asked last'],
    { down: ['alpha', 'beta'] },
  ],
  [
    'a down provider that alone could see',
    { message: essay, images: [image] },
    'direct',
    'solo',
    ['beta does not answer now and is asked last'],
    {
      providers: ['beta', 'blind'],
      down: ['beta'],
      data: {
        ...catalogue,
        providers: { ...catalogue.providers, blind: { models: [model('blind', { lacks: ['images'] })] } },
      },
    },
  ],
  [
    'a named model',
    { message: simple, model: named('big') },
    'direct',
    'big',
    ['the caller named big', 'no other model may answer'],
  ],
  [
    'a named model without a schema',
    { message: simple, model: named('big'), responseFormat: schema },
    'direct',
    'big',
    ['the caller named big', 'no model enforces a response schema: it is asked for in words and checked'],
  ],
  [
    'a named provider',
    { message: essay, provider: 'beta' },
    'direct',
    'solo',
    ['solo on beta serves standard effort', 'no other provider may answer'],
  ],
  [
    'a named provider with several models',
    { message: essay, provider: 'alpha' },
    'direct',
    'main small',
    ['main on alpha serves standard effort', 'when it fails, small'],
  ],
  [
    'a model set for all',
    { message: simple },
    'direct',
    'big solo',
    ['big on alpha serves standard effort'],
    { settings: { defaultModel: 'big' } },
  ],
];

describe('decisions', () => {
  test.each(rows)('%s', (_, request, strategy, models, reasons, given) => {
    const decided = plan(request, given);
    expect({ strategy: decided.strategy, models: idsOf(decided) }).toEqual({ strategy, models });
    for (const reason of reasons) expect(decided.reasons).toContainEqual(reason);
  });

  test('every decision has its reason, in one order', () => {
    expect(plan({ message: essay, tools: [clock] }).reasons).toEqual([
      direct,
      'main on alpha serves standard effort',
      'when it fails, solo, then small',
      '1 tool(s) offered',
      expect.stringMatching(/^everything fits: \d+ of 64000 tokens$/),
      'the answer may have 8192 tokens',
    ]);
  });
});

const fallbacksOf = (decided: Plan) => idsOf(decided).split(' ').slice(1);
/** Two providers with a model each; the second one's has these facts. */
function two(facts: Facts): Situation {
  const providers = { a: { models: [model('first')] }, b: { models: [model('second', facts)] } };
  return { providers: ['a', 'b'], data: { ...catalogue, providers } };
}

test('a fallback has room for system prompt, tools, message and a short answer', () => {
  const request = { message: 'word '.repeat(5000), tools: [clock] };
  const { inputTokens } = plan(request, two({}));
  const given = (window: number, lacks: Lacking[] = []) => fallbacksOf(plan(request, two({ window, lacks })));
  expect(given(inputTokens + 256)).toEqual(['second']);
  expect(given(inputTokens + 255)).toEqual([]);
  expect(given(inputTokens + 256 - clockTokens, ['tools'])).toEqual(['second']);
  expect(given(inputTokens + 255 - clockTokens, ['tools'])).toEqual([]);
});

test('the size counts history, names of files and images', () => {
  const request: Partial<ChatRequest> = {
    files: [textFile('text '.repeat(100), 'a-long-name-'.repeat(20))],
    history: Array.from({ length: 5 }, () => ({ role: 'user', content: 'hello there' })),
    images: [image],
  };
  const { inputTokens } = plan(request, two({}));
  const given = (window: number) => fallbacksOf(plan(request, two({ window })));
  // joined texts have a few tokens less than their parts
  expect(given(inputTokens + 264)).toEqual(['second']);
  expect(given(inputTokens + 255)).toEqual([]);
});

test('a request that the caller wants cut to a small window keeps its fallbacks', () => {
  const files = [textFile('some words\n'.repeat(60_000))];
  const small = two({ window: 8192 });
  expect(fallbacksOf(plan({ files }, small))).toEqual([]);
  expect(fallbacksOf(plan({ files, contextWindow: 8192 }, small))).toEqual(['second']);
});

test('tools and temperature are for all candidates, whatever the first one takes', () => {
  const request = { tools: [clock], temperature: 0.1 };
  const both = plan(request, { providers: ['gamma', 'beta'] });
  expect(both).toMatchObject({ tools: [clock], temperature: 0.1 });
  expect(plan(request, { providers: ['gamma'] })).toMatchObject({ tools: [], temperature: 0.1 });
  const small = plan({ ...request, contextWindow: 256 }, { providers: ['gamma', 'beta'] });
  expect(small).toMatchObject({ tools: [clock], leftOut: [] });
});

test('tools that do not fit are left out, and the plan says so', () => {
  const { tools, leftOut, reasons, budgets, inputTokens, strategy } = plan({
    message: 'What is 6*7?',
    tools: [clock],
    contextWindow: 256,
  });
  expect({ tools, leftOut, strategy }).toEqual({
    tools: [],
    leftOut: ['the tools clock'],
    strategy: 'direct',
  });
  expect(reasons).toContain('left out to fit 256 tokens: the tools clock');
  expect(budgets.maxTokens).toBe(256 - inputTokens);
  expect(budgets.maxTokens).toBeGreaterThanOrEqual(64);
});

test.each([
  ['quick effort', { effort: 'quick' }, 4096],
  ["the model's own limit", {}, 8192],
  ["the caller's", { maxTokens: 100 }, 100],
  ["the operator's", {}, 2000, { deps: { llmMaxTokens: 2000 } }],
] as [string, Partial<ChatRequest>, number, Situation?][])(
  'the output is limited by %s',
  (_, parts, most, given) => {
    expect(plan(parts, given).budgets).toMatchObject({ maxTokens: most });
  },
);

test('budgets are those of the operator and the caller, whichever is lower', () => {
  const deps = { runLimits: { maxCostUsd: 0.5, maxTokens: 9000 } };
  expect(plan({ maxCostUsd: 2 }, { deps }).budgets).toMatchObject({
    maxCostUsd: 0.5,
    maxRunTokens: 9000,
    maxTurns: 10,
    maxToolCalls: 50,
    window: 64_000,
  });
  expect(plan({ maxCostUsd: 0.25 }, { deps }).budgets).toMatchObject({ maxCostUsd: 0.25 });
});

test('no provider, no model: the fault says so; nobody who sees: it names the images', () => {
  expect(() => plan({}, { providers: [] })).toThrow('No model is available now: no provider lists one.');
  const blind = { ...catalogue, providers: { a: { models: [model('blind', { lacks: ['images'] })] } } };
  expect(() => plan({ images: [image] }, { providers: ['a'], data: blind })).toThrow(
    'The model blind does not accept images.',
  );
  expect(() => plan({ images: [image], model: named('big') })).toThrow(
    'The model big does not accept images.',
  );
});

test('files whose names fill the window are refused, never asked with no output', () => {
  const files = Array.from({ length: 20 }, () => textFile('text', '漢字x'.repeat(300)));
  expect(() => plan({ files }, { providers: ['gamma'] })).toThrow(
    expect.objectContaining({ type: 'invalid_request' }),
  );
});
