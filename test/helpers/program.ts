import { onTestFinished, vi } from 'vitest';
import type { FakeLlm, ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { settings } from '../../src/config/settings.ts';
import { useFakeLlm } from './fake-llm.ts';
import { fakeModelEnv } from './service.ts';

/** The environment of a program of a test: these settings and no others. */
export function useEnv(env: Record<string, string>): void {
  for (const { env: name } of Object.values(settings)) vi.stubEnv(name, undefined);
  for (const [name, text] of Object.entries(env)) vi.stubEnv(name, text);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

/** A program whose environment names a fake model, which answers with these replies in order. */
export async function useModel(replies: ScriptedReply[], env: Record<string, string> = {}): Promise<FakeLlm> {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(...replies);
  useEnv({ ...fakeModelEnv(fake.url), LOG_LEVEL: 'silent', ...env });
  return fake;
}

/** All that an iterable gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
