import { onTestFinished } from 'vitest';
import {
  type FakeAnthropic,
  type FakeAnthropicOptions,
  startFakeAnthropic,
} from '../../scripts/fake-llm/anthropic.ts';

/** A fake Anthropic for one test: closed when the test ends, which fails if a scripted reply was left over. */
export async function useFakeAnthropic(options: FakeAnthropicOptions = {}): Promise<FakeAnthropic> {
  const fake = await startFakeAnthropic(options);
  onTestFinished(async () => {
    await fake.close();
    fake.verify();
  });
  return fake;
}

/** The base URL that the SDK wants, which adds /v1 itself. */
export function rootOf(fake: { url: string }): string {
  return fake.url.replace(/\/v1$/, '');
}
