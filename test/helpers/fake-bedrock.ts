import { onTestFinished } from 'vitest';
import {
  type FakeBedrock,
  type FakeBedrockOptions,
  startFakeBedrock,
} from '../../scripts/fake-llm/bedrock.ts';
import { type BedrockProviderOptions, createBedrockProvider } from '../../src/llm/bedrock.ts';

/** A fake Bedrock for one test: closed when the test ends, which fails if a scripted reply was left over. */
export async function useFakeBedrock(options: FakeBedrockOptions = {}): Promise<FakeBedrock> {
  const fake = await startFakeBedrock(options);
  onTestFinished(async () => {
    await fake.close();
    fake.verify();
  });
  return fake;
}

export function bedrockAt(endpoint: string, options: Partial<BedrockProviderOptions> = {}) {
  return createBedrockProvider({
    name: 'bedrock',
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'fake-secret' },
    ...options,
  });
}
