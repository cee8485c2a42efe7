import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { type FakeLlm, type FakeLlmOptions, startFakeLlm } from '../../scripts/fake-llm/server.ts';

/** A fake LLM for one test: closed when the test ends, which fails if a scripted reply was left over. */
export async function useFakeLlm(options: FakeLlmOptions = {}): Promise<FakeLlm> {
  const fake = await startFakeLlm(options);
  onTestFinished(async () => {
    await fake.close();
    fake.verify();
  });
  return fake;
}

/** A base URL where nobody listens. */
export async function refusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/v1`;
}
