import type { Fake } from '../../scripts/fake-llm/serve.ts';
import { createAnthropicProvider } from '../../src/llm/anthropic.ts';
import { createOpenAiProvider } from '../../src/llm/openai.ts';
import type { LlmProvider, Model } from '../../src/llm/provider.ts';
import { rootOf, useFakeAnthropic } from '../helpers/fake-anthropic.ts';
import { bedrockAt, useFakeBedrock } from '../helpers/fake-bedrock.ts';
import { refusedUrl, useFakeLlm } from '../helpers/fake-llm.ts';

export type FakeEnd = Pick<Fake<unknown>, 'script' | 'requests' | 'waitForRequest' | 'waitForAbort'>;

/** One protocol under the contract. Scripts speak the common names; what has other names on the wire is said here. */
export interface Wire {
  readonly name: string;
  /** a provider and the server that it asks; for one test */
  start(): Promise<{ provider: LlmProvider; model: Model; fake: FakeEnd }>;
  /** a provider whose endpoint refuses connections */
  startRefused(): Promise<LlmProvider>;
  /** a report of 20 tokens of input, 8 of them cached, and 7 of output, 3 of them reasoning */
  readonly usage: Record<string, unknown>;
  /** false: the protocol does not say how many tokens were reasoning */
  readonly countsReasoning?: boolean;
  /** the base64 data of the images in a request, in order */
  imagesIn(body: unknown): string[];
}

export const apiKey = 'sk-contract-secret';

const model: Model = {
  id: 'fake-model',
  provider: 'fake',
  name: 'Fake',
  description: '',
  contextWindow: 32768,
  maxOutput: 4096,
  accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
};

function chatCompletions(name: string, key?: string): Wire {
  return {
    name,
    async start() {
      const fake = await useFakeLlm();
      return { provider: createOpenAiProvider({ name, baseUrl: fake.url, apiKey: key }), model, fake };
    },
    startRefused: async () => createOpenAiProvider({ name, baseUrl: await refusedUrl(), apiKey: key }),
    usage: {
      prompt_tokens: 20,
      completion_tokens: 7,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 3 },
    },
    imagesIn: (body) => stringsAfter(body, /^data:image\/png;base64,(.+)$/),
  };
}

const messages: Wire = {
  name: 'anthropic',
  async start() {
    const fake = await useFakeAnthropic();
    const provider = createAnthropicProvider({ name: 'anthropic', baseUrl: rootOf(fake), apiKey });
    return { provider, model, fake };
  },
  async startRefused() {
    return createAnthropicProvider({ name: 'anthropic', baseUrl: await refusedUrl(), apiKey });
  },
  usage: {
    input_tokens: 10,
    cache_read_input_tokens: 8,
    cache_creation_input_tokens: 2,
    output_tokens: 7,
    output_tokens_details: { thinking_tokens: 3 },
  },
  imagesIn: (body) => stringsAfter(body, /^(iVBOR.+)$/),
};

function converse(name: string, httpVersion: 1 | 2): Wire {
  const options = {
    name,
    httpVersion,
    credentials: { accessKeyId: 'AKIACONTRACT', secretAccessKey: apiKey },
  };
  return {
    name,
    async start() {
      const fake = await useFakeBedrock({ httpVersion });
      return { provider: bedrockAt(fake.url, options), model, fake };
    },
    startRefused: async () => bedrockAt(await refusedUrl(), options),
    usage: {
      inputTokens: 10,
      cacheReadInputTokens: 8,
      cacheWriteInputTokens: 2,
      outputTokens: 7,
    },
    countsReasoning: false,
    imagesIn: (body) => stringsAfter(body, /^(iVBOR.+)$/),
  };
}

export const wires: Wire[] = [
  chatCompletions('openai', apiKey),
  chatCompletions('vllm'),
  messages,
  converse('bedrock', 1),
  converse('bedrock-http2', 2),
];

/** The first group of every string in a value that fits the pattern. */
function stringsAfter(value: unknown, pattern: RegExp): string[] {
  if (typeof value === 'string') return pattern.exec(value)?.slice(1) ?? [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((part) => stringsAfter(part, pattern));
}
