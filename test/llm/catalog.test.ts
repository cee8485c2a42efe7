import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createCatalog, loadCatalog, parseCatalog } from '../../src/llm/catalog.ts';
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
    const { models, default: standard, effort } = data.providers.openai ?? { models: [] };
    for (const id of [standard, effort?.quick, effort?.standard, effort?.determined]) {
      expect(models.find((model) => model.id === id)?.accepts.tools, id).toBe(true);
    }
  });

  test('is plausible in every number', () => {
    for (const { models } of Object.values(data.providers)) {
      for (const { id, contextWindow, maxOutput, price } of models) {
        expect(maxOutput, id).toBeLessThan(contextWindow);
        expect(price?.cachedInput, id).toBeLessThan(price?.input ?? 0);
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
      /^models\.yaml, line \d+, unlisted\.1\.match: is not a regular expression\nmodels\.yaml, line \d+, unlisted\.1\.match: the last entry must fit every model/,
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
    expect(createCatalog({ ...options, defaultModel: 'no-such' }).defaultModel()?.provider).toBe('openai');
  });
});
