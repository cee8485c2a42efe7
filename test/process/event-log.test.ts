import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { useFolder } from '../helpers/folders.ts';
import { patient } from '../helpers/mcp.ts';
import { jsonPost } from '../helpers/service.ts';
import { eventsIn } from '../observability/events.ts';
import { type ServiceProcess, spawnService, startProcess } from './service-process.ts';

async function ask(service: ServiceProcess): Promise<string> {
  const response = await fetch(`${service.url}/api/chat`, jsonPost({ message: 'Hi.' }));
  return ((await response.json()) as { run_id: string }).run_id;
}

const endsIn = (path: string) =>
  eventsIn(path)
    .filter(({ type }) => type === 'run_end')
    .map(({ run_id }) => run_id);

describe.each(['events.jsonl', 'events.db'])('%s', (name) => {
  test('is whole after SIGTERM, and nothing else is said about it', async () => {
    const path = join(useFolder(), name);
    const service = await startProcess({ EVENT_LOG: path });
    const runId = await ask(service);
    service.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    expect(endsIn(path)).toEqual([runId]);
    expect(service.stderr()).toBe('');
    expect(service.stdout()).not.toMatch(/EVENT_LOG|ExperimentalWarning/);
  });

  test('keeps what was written when the process is killed, and is written on', async () => {
    const path = join(useFolder(), name);
    const first = await startProcess({ EVENT_LOG: path });
    const kept = await ask(first);
    await vi.waitFor(() => expect(endsIn(path)).toEqual([kept]), patient);
    first.kill('SIGKILL');
    await first.exited;
    const second = await startProcess({ EVENT_LOG: path });
    const runId = await ask(second);
    second.kill('SIGTERM');
    await second.exited;
    expect(endsIn(path)).toEqual([kept, runId]);
  });

  test('that cannot be written ends the start, in one line', async () => {
    const path = join(useFolder(), 'nowhere', name);
    const service = spawnService({ EVENT_LOG: path });
    expect(await service.exited).toBe(1);
    expect(service.stderr()).toBe(`EVENT_LOG ${path} cannot be written (ENOENT).\n`);
  });
});
