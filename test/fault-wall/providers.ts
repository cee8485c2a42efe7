import { type FakeAnthropic, startFakeAnthropic } from '../../scripts/fake-llm/anthropic.ts';
import { type FakeBedrock, startFakeBedrock } from '../../scripts/fake-llm/bedrock.ts';
import { type FakeLlm, startFakeLlm } from '../../scripts/fake-llm/server.ts';
import { parseModelsFile } from '../../src/llm/catalog.ts';

export type FakeServer = Pick<
  FakeLlm | FakeAnthropic | FakeBedrock,
  'script' | 'verify' | 'close' | 'url' | 'port'
> & {
  readonly requests: readonly { body: unknown }[];
};

/** A protocol on the wall: its fake server and how the service is told of it. */
export type Provider = {
  name: 'openai' | 'anthropic' | 'bedrock';
  /** what its model is continued by */
  takesPrefill: boolean;
  start(): Promise<FakeServer>;
  env(url: string): Record<string, string>;
};

export const providers: Record<Provider['name'], Provider> = {
  openai: {
    name: 'openai',
    takesPrefill: false,
    start: () => startFakeLlm({ requireScript: true }),
    env: (url) => ({ OPENAI_BASE_URL: url, OPENAI_API_KEY: 'sk-wall' }),
  },
  anthropic: {
    name: 'anthropic',
    takesPrefill: false,
    start: () => startFakeAnthropic({ requireScript: true, prefill: false }),
    env: (url) => ({ ANTHROPIC_BASE_URL: url.replace(/\/v1$/, ''), ANTHROPIC_API_KEY: 'sk-wall' }),
  },
  bedrock: {
    name: 'bedrock',
    takesPrefill: true,
    start: () => startFakeBedrock({ requireScript: true }),
    env: (url) => ({
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'AKIAWALL',
      AWS_SECRET_ACCESS_KEY: 'wall-secret',
    }),
  },
};

export const modelOf = ({ name }: Provider) => `wall-${name}`;

/** Models that may be silent no longer than REQUEST_TIMEOUT says. */
export const models = parseModelsFile(
  JSON.stringify({
    providers: Object.fromEntries(
      Object.values(providers).map((provider) => [
        provider.name,
        {
          // one model for all, so that only another provider can be a fallback
          effort: { quick: modelOf(provider), standard: modelOf(provider), determined: modelOf(provider) },
          models: [
            {
              id: modelOf(provider),
              contextWindow: 100_000,
              maxOutput: 4096,
              accepts: { images: true, tools: true, jsonSchema: true, temperature: true, reasoning: false },
              prefill: provider.takesPrefill,
            },
          ],
        },
      ]),
    ),
  }),
  'wall.yaml',
).data;

type WireMessage = { role: string; content: string | { text?: string; type?: string; toolUse?: object }[] };

/** What a request says was answered so far; undefined when the question was asked, or what follows a tool. */
export function continuedFrom(body: unknown): string | undefined {
  const { messages } = body as { messages: WireMessage[] };
  const last = messages.at(-1);
  const isInstructed = last?.role === 'user' && textOf(last.content).startsWith('Continue exactly where');
  const message = isInstructed ? messages.at(-2) : last?.role === 'assistant' ? last : undefined;
  return message && textOf(message.content);
}

function textOf(content: WireMessage['content']): string {
  return typeof content === 'string' ? content : content.map((block) => block.text ?? '').join('');
}
