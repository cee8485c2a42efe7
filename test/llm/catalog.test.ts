import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  createCatalog,
  type InvalidCatalog,
  loadCatalog,
  parseCatalog,
  parseModelsFile,
} from '../../src/llm/catalog.ts';
import type { Model } from '../../src/llm/provider.ts';

const yaml = readFileSync(new URL('../../src/llm/models.yaml', import.meta.url), 'utf8');
const demo: Model = {
  id: 'demo',
  provider: 'demo',
  name: 'Demo',
  description: 'Answers without a model',
  contextWindow: 128_000,
  maxOutput: 8_192,
  accepts: { images: false, tools: true, jsonSchema: true, temperature: true, reasoning: false },
};

describe('the packaged catalogue', () => {
  const data = loadCatalog();

  test('has a default and a model for every effort, all of which take tools', () => {
    for (const { models, default: standard, effort } of Object.values(data.providers)) {
      for (const id of [standard, effort?.quick, effort?.standard, effort?.determined]) {
        expect(models.find((model) => model.id === id)?.accepts.tools, id).toBe(true);
      }
    }
  });

  test('has the same Claude at Anthropic and at Bedrock, where no schema is enforced', () => {
    const catalog = createCatalog({ providers: ['anthropic', 'bedrock'] });
    expect(catalog.forEffort('anthropic', 'quick')?.id).toBe('claude-haiku-5-5');
    expect(catalog.forEffort('anthropic', 'determined')?.id).toBe('claude-opus-5-5');
    for (const level of ['quick', 'standard', 'determined'] as const) {
      const there = catalog.forEffort('bedrock', level);
      const { id, provider, accepts, ...facts } = catalog.forEffort('anthropic', level) as Model;
      expect({ id, provider }).toEqual({ id: expect.any(String), provider: 'anthropic' });
      expect(there).toEqual({
        ...facts,
        id: `global.anthropic.${id}`,
        provider: 'bedrock',
        accepts: { ...accepts, jsonSchema: false },
      });
    }
  });

  test('knows how each model is made to think, and which takes a begun answer', () => {
    const catalog = createCatalog({ providers: ['anthropic', 'bedrock'] });
    const traits = catalog.models().map(({ id, thinking, prefill = false, accepts }) => {
      return [id, thinking?.on, thinking?.off, prefill, accepts.temperature];
    });
    expect(traits).toEqual([
      ['claude-fable-5-1', 'adaptive', 'never', false, false],
      ['claude-opus-5-5', 'adaptive', 'never', false, false],
      ['claude-sonnet-5-5', 'adaptive', 'between_tools', false, false],
      ['claude-haiku-5-5', 'adaptive', 'disabled', false, false],
      ['claude-opus-5', 'adaptive', 'disabled', false, false],
      ['claude-sonnet-5', 'adaptive', 'disabled', false, false],
      ['claude-sonnet-4-6', 'adaptive', undefined, false, true],
      ['claude-haiku-4-5', 'budget', undefined, true, true],
      ['global.anthropic.claude-fable-5-1', 'adaptive', 'never', false, false],
      ['global.anthropic.claude-opus-5-5', 'adaptive', 'never', false, false],
      ['global.anthropic.claude-sonnet-5-5', 'adaptive', 'between_tools', false, false],
      ['global.anthropic.claude-haiku-5-5', 'adaptive', 'disabled', false, false],
      ['global.amazon.nova-2-lite-v1:0', undefined, undefined, false, true],
    ]);
  });

  test('is plausible in every number', () => {
    for (const { models } of Object.values(data.providers)) {
      for (const { id, contextWindow, maxOutput, price } of models) {
        expect(maxOutput, id).toBeLessThan(contextWindow);
        expect(price?.cachedInput ?? 0, id).toBeLessThan(price?.input ?? 0);
        expect(price?.input, id).toBeLessThan(price?.output ?? 0);
      }
    }
  });

  test.each([
    [
      'maxOutput: 128000',
      'maxOutput: many',
      /^models\.yaml, line \d+, providers\.openai\.models\.0\.maxOutput: must be integer$/,
    ],
    [
      '        name: GPT-6 Astra\n',
      '',
      /^models\.yaml, line \d+, providers\.openai\.models\.0\.name: is missing$/,
    ],
    [
      'default: gpt',
      'defualt: gpt',
      /^models\.yaml, line \d+, providers\.openai\.defualt: is not a known field$/,
    ],
    [
      'default: gpt-6.1-terra',
      'default: gpt-0',
      /^models\.yaml, line \d+, providers\.openai\.default: no model of openai has the id gpt-0$/,
    ],
    [
      'quick: gpt-6-luna',
      'quick: gpt-0',
      /^models\.yaml, line \d+, providers\.openai\.effort\.quick: no model/,
    ],
    [
      'aliases: [gpt-5.6]',
      'aliases: [gpt-6-sol]',
      /^models\.yaml, line \d+, providers\.openai\.models\.\d+\.id: gpt-6-sol is there twice$/,
    ],
    [
      "match: ''",
      "match: '('",
      /^models\.yaml, line \d+, unlisted\.5\.match: is not a regular expression\nmodels\.yaml, line \d+, unlisted\.5\.match: the last entry must fit every model/,
    ],
    [
      'thinking: { on: adaptive, off: never }',
      'thinking: { on: adaptive, off: sometimes }',
      /^models\.yaml, line \d+, providers\.anthropic\.models\.0\.thinking\.off: must be one of disabled, between_tools, never$/,
    ],
    ['    models:\n', '    models: [\n', /^models\.yaml, line \d+: \S.*$/],
  ])('tells file, line and field when %j is %j', (was, is, message) => {
    const broken = yaml.replace(was, is);
    expect(() => parseCatalog(broken, 'models.yaml')).toThrow(message);
  });

  test('names the line where the mistake is', () => {
    const line = yaml.split('\n').findIndex((text) => text.includes('maxOutput: 128000')) + 1;
    const broken = yaml.replace('maxOutput: 128000', 'maxOutput: 0.5');
    expect(() => parseCatalog(broken, 'my.yaml')).toThrow(`my.yaml, line ${line}, `);
  });

  test.each(['', 'hello', '- a', '{}'])('%j is no catalogue', (text) => {
    expect(() => parseCatalog(text, 'my.yaml')).toThrow(/^my\.yaml, line 1, /);
  });
});

describe('a models file', () => {
  const catalogOf = (text: string, ...providers: string[]) =>
    createCatalog({ providers, data: parseModelsFile(text, 'my.yaml').data });

  test('overrides the given fields of a known model, and nothing else', () => {
    const text = `providers:
  openai:
    effort: { quick: gpt-4o }
    models:
      - id: gpt-4o
        aliases: [cheap]
        price: { input: 1, output: 2 }
        accepts: { images: false }
`;
    const packaged = createCatalog({ providers: ['openai'] });
    const catalog = catalogOf(text, 'openai');
    const known = packaged.find('gpt-4o') as Model;
    const changed = {
      ...known,
      price: { input: 1, output: 2 },
      accepts: { ...known.accepts, images: false },
    };
    expect(catalog.find('cheap')).toEqual(changed);
    expect(catalog.models()).toEqual(
      packaged.models().map((model) => (model.id === 'gpt-4o' ? changed : model)),
    );
    expect(catalog.forEffort('openai', 'quick')?.id).toBe('gpt-4o');
    expect(catalog.forEffort('openai', 'determined')).toEqual(packaged.forEffort('openai', 'determined'));
    expect(catalog.defaultModel()).toEqual(packaged.defaultModel());
  });

  test('adds models, of which the id is enough', () => {
    const text = `providers:
  anthropic: { models: [{ id: claude-next, name: Next, contextWindow: 5000 }] }
  ollama: { default: b, models: [{ id: a }, { id: b, accepts: { tools: false } }] }
`;
    const catalog = catalogOf(text, 'ollama', 'anthropic');
    expect(catalog.find('claude-next')).toEqual({
      id: 'claude-next',
      provider: 'anthropic',
      name: 'Next',
      description: '',
      contextWindow: 5000,
      maxOutput: 5000,
      accepts: { images: true, tools: true, jsonSchema: true, temperature: false, reasoning: true },
      thinking: { on: 'adaptive' },
      firstTokenTimeout: 180,
    });
    expect(catalog.find('b', 'ollama')).toMatchObject({
      contextWindow: 32_768,
      accepts: { images: true, tools: false },
    });
    expect(
      catalog
        .models()
        .slice(0, 2)
        .map(({ id }) => id),
    ).toEqual(['a', 'b']);
    expect(catalog.forEffort('ollama', 'determined')?.id).toBe('b');
    catalog.addDiscovered('ollama', [{ id: 'a', contextWindow: 9 }]);
    expect(catalog.find('a')?.contextWindow).toBe(32_768);
  });

  test('has its rules for unlisted models tried first, and its own list of what does not chat', () => {
    const text = `notChat: [draw]
unlisted:
  - match: '^big-'
    provider: lab
    contextWindow: 1000000
    maxOutput: 9000
    accepts: { images: false, tools: false, jsonSchema: false, temperature: false, reasoning: true }
`;
    const catalog = catalogOf(text, 'lab', 'vllm');
    const listed = ['big-1', 'small', 'big-draw', 'embed'].map((id) => ({ id }));
    catalog.addDiscovered('lab', listed);
    catalog.addDiscovered('vllm', [{ id: 'big-1' }]);
    expect(catalog.models().map(({ id, maxOutput }) => [id, maxOutput])).toEqual([
      ['big-1', 9000],
      ['small', 4096],
      ['embed', 4096],
      ['big-1', 4096],
    ]);
  });

  test('is shown in the README as it works', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, example = ''] = /^```yaml\n(providers:.*?)^```$/ms.exec(readme) ?? [];
    const catalog = catalogOf(example, 'groq', 'openai');
    expect(catalog.forEffort('groq', 'quick')?.id).toBe('llama-3.1-8b-instant');
    expect(catalog.find('llama')).toMatchObject({ id: 'llama-3.3-70b-versatile', contextWindow: 131_072 });
    expect(catalog.forEffort('openai', 'standard')).toMatchObject({ id: 'gpt-4.1', price: { input: 1.5 } });
  });

  test('names endpoints', () => {
    const text = `providers:
  groq: { api: openai, baseUrl: https://groq/v1, apiKeyEnv: GROQ_API_KEY }
  lab: { baseUrl: http://lab }
  openai: { models: [] }
`;
    expect(parseModelsFile(text, 'my.yaml').endpoints).toEqual([
      { name: 'groq', baseUrl: 'https://groq/v1', apiKeyEnv: 'GROQ_API_KEY' },
      { name: 'lab', baseUrl: 'http://lab' },
    ]);
    expect(parseModelsFile('# nothing yet', 'my.yaml')).toMatchObject({ data: loadCatalog(), endpoints: [] });
  });

  test.each([
    ['x: {}', ['providers.x.baseUrl: is missing']],
    ['X: { baseUrl: u }', ['providers.X: must have a name of lower-case letters, digits, dots, - and _']],
    ['demo: {}', ['providers.demo: is built in and cannot be changed']],
    ['vllm: { baseUrl: u }', ['providers.vllm.baseUrl: is not for vllm, which has settings of its own']],
    ['x: { baseUrl: u, api: soap }', ['providers.x.api: must be one of openai']],
    [
      'x: { baseUrl: u, apiKeyEnv: a-b }',
      ['providers.x.apiKeyEnv: must be the name of an environment variable'],
    ],
    [
      'x: { baseUrl: u, apiKeyEnv: A, apiKeyFile: b }',
      ['providers.x.apiKeyFile: must not come together with apiKeyEnv'],
    ],
    ['openai: { default: mine }', ['providers.openai.default: no model of openai has the id mine']],
    [
      'openai: { effort: { quick: mine } }',
      ['providers.openai.effort.quick: no model of openai has the id mine'],
    ],
    [
      'openai: { models: [{ id: gpt-4o, aliases: [gpt-6-sol] }, { id: a }, { id: a }] }',
      [
        'providers.openai.models.0.id: gpt-6-sol is there twice',
        'providers.openai.models.2.id: a is there twice',
      ],
    ],
    [
      'openai: { models: [{ id: a, contextWindow: 0, maxOutput: 1.5 }] }',
      [
        'providers.openai.models.0.contextWindow: must be >= 1',
        'providers.openai.models.0.maxOutput: must be integer',
      ],
    ],
  ])('%s is refused', (text, problems) => {
    const lines = problems.map((problem) => `my.yaml, line 2, ${problem}`).sort();
    expect(problemsOf(`providers:\n  ${text}\n`)).toEqual(lines);
  });

  test('with a broken pattern or too many references is refused', () => {
    const rule = "match: '(', contextWindow: 1, maxOutput: 1, accepts: { images: true, tools: true";
    const rest = 'jsonSchema: true, temperature: true, reasoning: true }';
    expect(problemsOf(`unlisted: [{ ${rule}, ${rest} }]`)).toEqual([
      'my.yaml, line 1, unlisted.0.match: is not a regular expression',
    ]);
    const bomb = Array.from(
      { length: 9 },
      (_, level) => `x${level + 1}: &x${level + 1} [${'*x0, '.replaceAll('0', String(level)).repeat(9)}]`,
    );
    expect(problemsOf(['x0: &x0 [y]', ...bomb].join('\n'))).toEqual([
      expect.stringMatching(/^my\.yaml: .*alias/),
    ]);
  });

  function problemsOf(text: string): string[] {
    try {
      parseModelsFile(text, 'my.yaml');
    } catch (error) {
      return (error as InvalidCatalog).problems.toSorted();
    }
    return [];
  }
});

describe('models', () => {
  test('are those of configured providers, in their order', () => {
    const catalog = createCatalog({ providers: ['demo', 'openai'], builtIn: [demo] });
    expect(catalog.models()[0]).toEqual(demo);
    expect(new Set(catalog.models().map((model) => model.provider))).toEqual(new Set(['demo', 'openai']));
    expect(createCatalog({ providers: ['vllm'], builtIn: [demo] }).models()).toEqual([]);
  });

  test('are found by id, by alias, and within a provider', () => {
    const catalog = createCatalog({
      providers: ['openai', 'vllm'],
      extraModels: [{ provider: 'vllm', id: 'gpt-4o' }],
    });
    expect(catalog.find('gpt-5.6')?.id).toBe('gpt-5.6-sol');
    expect(catalog.find('gpt-4o')?.provider).toBe('openai');
    expect(catalog.find('gpt-4o', 'vllm')?.provider).toBe('vllm');
    expect(catalog.find('gpt-5.6', 'vllm')).toBeUndefined();
    expect(catalog.find('gpt-4o', 'nobody')).toBeUndefined();
    expect(catalog.find('no-such-model')).toBeUndefined();
    expect(catalog.find('__proto__')).toBeUndefined();
    const preferring = createCatalog({
      providers: ['openai', 'vllm'],
      preferredProvider: 'vllm',
      extraModels: [{ provider: 'vllm', id: 'gpt-4o' }],
    });
    expect(preferring.find('gpt-4o')?.provider).toBe('vllm');
  });

  test('have lower windows under MAX_CONTEXT_TOKENS', () => {
    const catalog = createCatalog({ providers: ['openai', 'demo'], builtIn: [demo], maxContextTokens: 1000 });
    catalog.addDiscovered('openai', [{ id: 'mine', contextWindow: 4096 }]);
    for (const model of catalog.models()) {
      expect(model).toMatchObject({ contextWindow: 1000, maxOutput: 1000 });
    }
    expect(
      createCatalog({ providers: ['openai'], maxContextTokens: 5_000_000 }).find('gpt-4o'),
    ).toMatchObject({
      contextWindow: 128_000,
      maxOutput: 16_384,
    });
  });
});

describe('models that endpoints list', () => {
  test('are added once, with cautious facts and the window that was told', () => {
    const catalog = createCatalog({ providers: ['vllm'] });
    const listed = [{ id: 'qwen', contextWindow: 8192 }, { id: 'llama' }];
    catalog.addDiscovered('vllm', listed);
    catalog.addDiscovered('vllm', listed);
    catalog.addDiscovered('nobody', listed);
    expect(catalog.models()).toEqual([
      {
        id: 'qwen',
        provider: 'vllm',
        name: 'qwen',
        description: 'Not in the catalogue; its limits are assumed',
        contextWindow: 8192,
        maxOutput: 4096,
        accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
      },
      expect.objectContaining({ id: 'llama', contextWindow: 32_768 }),
    ]);
  });

  test('correct the window that was assumed, but never a fact of the catalogue', () => {
    const catalog = createCatalog({
      providers: ['openai'],
      extraModels: [{ provider: 'openai', id: 'mine' }],
    });
    expect(catalog.find('mine')?.contextWindow).toBe(32_768);
    catalog.addDiscovered('openai', [
      { id: 'mine', contextWindow: 65_536 },
      { id: 'gpt-4o', contextWindow: 1 },
    ]);
    catalog.addDiscovered('openai', [{ id: 'mine' }]);
    expect(catalog.find('mine')?.contextWindow).toBe(65_536);
    expect(catalog.find('gpt-4o')?.contextWindow).toBe(128_000);
  });

  test('are at most 500 a provider', () => {
    const catalog = createCatalog({ providers: ['vllm'] });
    catalog.addDiscovered(
      'vllm',
      Array.from({ length: 800 }, (_, id) => ({ id: `m${id}` })),
    );
    catalog.addDiscovered('vllm', [{ id: 'x'.repeat(201) }, { id: '' }, { id: 'm0' }]);
    expect(catalog.models()).toHaveLength(500);
  });

  test('that do not chat are left out', () => {
    const catalog = createCatalog({ providers: ['ollama', 'openai'] });
    const before = catalog.models().length;
    catalog.addDiscovered('ollama', [{ id: 'nomic-embed-text' }]);
    const others = [
      'text-embedding-3-small',
      'whisper-1',
      'tts-1',
      'gpt-image-2',
      'gpt-realtime',
      'gpt-5.1-codex',
    ];
    catalog.addDiscovered(
      'openai',
      others.map((id) => ({ id })),
    );
    expect(catalog.models()).toHaveLength(before);
  });

  test('have the facts of their model when they are its snapshot, or of their family', () => {
    const catalog = createCatalog({ providers: ['openai', 'vllm'] });
    catalog.addDiscovered('openai', [
      { id: 'gpt-5.4-mini-2026-03-17' },
      { id: 'gpt-9' },
      { id: 'gpt-5.3-chat-latest' },
    ]);
    catalog.addDiscovered('vllm', [{ id: 'gpt-9' }]);
    const claude = createCatalog({ providers: ['anthropic', 'bedrock'] });
    claude.addDiscovered('anthropic', [{ id: 'claude-opus-5-5-20261001' }, { id: 'claude-x' }]);
    claude.addDiscovered('bedrock', [{ id: 'eu.anthropic.claude-sonnet-5-5' }]);
    expect(claude.find('claude-opus-5-5-20261001')).toEqual({
      ...claude.find('claude-opus-5-5'),
      id: 'claude-opus-5-5-20261001',
      name: 'Claude Opus 5.5 (20261001)',
    });
    expect(claude.find('claude-x')).toMatchObject({ maxOutput: 64_000, thinking: { on: 'adaptive' } });
    expect(claude.find('eu.anthropic.claude-sonnet-5-5')).toMatchObject({
      contextWindow: 200_000,
      maxOutput: 8192,
      accepts: { temperature: false, jsonSchema: false },
    });
    const mini = catalog.find('gpt-5.4-mini');
    expect(catalog.find('gpt-5.4-mini-2026-03-17')).toEqual({
      ...mini,
      id: 'gpt-5.4-mini-2026-03-17',
      name: 'GPT-5.4 mini (2026-03-17)',
    });
    expect(catalog.find('gpt-9', 'openai')?.accepts).toMatchObject({ temperature: false, reasoning: true });
    expect(catalog.find('gpt-9', 'vllm')?.accepts).toMatchObject({ temperature: true, reasoning: false });
    expect(catalog.find('gpt-5.3-chat-latest')?.accepts).toMatchObject({
      temperature: true,
      reasoning: false,
    });
  });
});

describe('the choice of a model', () => {
  test('follows effort and the default of the catalogue', () => {
    const catalog = createCatalog({ providers: ['openai'] });
    const { effort, default: standard } = loadCatalog().providers.openai ?? {};
    expect(catalog.defaultModel()?.id).toBe(standard);
    for (const level of ['quick', 'standard', 'determined'] as const) {
      expect(catalog.forEffort('openai', level)?.id).toBe(effort?.[level]);
    }
  });

  test('falls to the first that was discovered where the catalogue has none', () => {
    const catalog = createCatalog({ providers: ['vllm', 'openai'] });
    expect(catalog.forEffort('vllm', 'quick')).toBeUndefined();
    expect(catalog.defaultModel()?.provider).toBe('openai');
    catalog.addDiscovered('vllm', [{ id: 'qwen' }, { id: 'llama' }]);
    expect(catalog.forEffort('vllm', 'determined')?.id).toBe('qwen');
    expect(catalog.defaultModel()?.id).toBe('qwen');
    expect(createCatalog({ providers: [] }).defaultModel()).toBeUndefined();
  });

  test('prefers the preferred provider', () => {
    const catalog = createCatalog({
      providers: ['demo', 'openai'],
      builtIn: [demo],
      preferredProvider: 'openai',
    });
    expect(catalog.defaultModel()?.provider).toBe('openai');
    expect(
      createCatalog({ providers: ['demo'], builtIn: [demo], preferredProvider: 'openai' }).defaultModel(),
    ).toEqual(demo);
  });

  test('LLM_MODEL serves every effort of its provider', () => {
    const catalog = createCatalog({
      providers: ['openai', 'vllm'],
      preferredProvider: 'vllm',
      llmModel: 'qwen',
    });
    expect(catalog.find('qwen')?.provider).toBe('vllm');
    expect(catalog.defaultModel()?.id).toBe('qwen');
    expect(catalog.forEffort('vllm', 'determined')?.id).toBe('qwen');
    expect(catalog.forEffort('openai', 'quick')?.id).toBe(loadCatalog().providers.openai?.effort?.quick);
    const first = createCatalog({ providers: ['demo', 'openai'], builtIn: [demo], llmModel: 'gpt-5.6' });
    expect(first.forEffort('openai', 'quick')?.id).toBe('gpt-5.6-sol');
    expect(first.find('gpt-5.6', 'demo')).toBeUndefined();
  });

  test('DEFAULT_MODEL is the default, also beside LLM_MODEL', () => {
    const options = { providers: ['openai', 'vllm'], extraModels: [{ provider: 'vllm', id: 'llama' }] };
    expect(createCatalog({ ...options, defaultModel: 'llama' }).defaultModel()?.id).toBe('llama');
    const both = createCatalog({ ...options, defaultModel: 'llama', llmModel: 'gpt-4o' });
    expect(both.defaultModel()?.id).toBe('llama');
    expect(both.forEffort('openai', 'quick')?.id).toBe('gpt-4o');
    const named = createCatalog({
      ...options,
      defaultModel: 'llama',
      llmModel: 'qwen',
      preferredProvider: 'vllm',
    });
    expect(named.forEffort('vllm', 'quick')?.id).toBe('llama');
    expect(createCatalog({ ...options, defaultModel: 'no-such' }).defaultModel()?.provider).toBe('openai');
  });
});
