import { expect, test } from 'vitest';
import { everyRole } from '../../src/core/caller.ts';
import { createToolRegistry } from '../../src/tools/registry.ts';
import { type Tool, textResult } from '../../src/tools/tool.ts';
import { startService } from '../helpers/service.ts';

const callerWith = (...roles: string[]) => ({ tenant: 't', subject: 's', roles });

function tool(name: string, more: Partial<Tool> = {}): Tool {
  return {
    name,
    description: '',
    parameters: { type: 'object' },
    isParallel: true,
    execute: async () => textResult(name),
    ...more,
  };
}

const namesFor = (registry: ReturnType<typeof createToolRegistry>, ...roles: string[]) =>
  registry.list(callerWith(...roles)).map(({ name }) => name);

test('a caller gets the tools for everybody and those for one of their roles, in the order of names', () => {
  const tools = [
    tool('write', { roles: ['manager', 'owner'] }),
    tool('read'),
    tool('clean', { roles: ['cleaner'] }),
    tool('locked', { roles: [] }),
  ];
  const registry = createToolRegistry([{ list: () => tools }]);
  expect(namesFor(registry)).toEqual(['read']);
  expect(namesFor(registry, 'cleaner')).toEqual(['clean', 'read']);
  expect(namesFor(registry, 'owner')).toEqual(['read', 'write']);
  expect(namesFor(registry, everyRole)).toEqual(['clean', 'locked', 'read', 'write']);
  expect(registry.find('write', callerWith('cleaner'))).toBeUndefined();
  expect(registry.find('write', callerWith('manager'))?.name).toBe('write');
});

test('a source may change its tools; of two with one name that of the earlier source counts', () => {
  const own = tool('a');
  const changing: Tool[] = [tool('a'), tool('c')];
  const registry = createToolRegistry([{ list: () => [own] }, { list: () => changing }]);
  expect(namesFor(registry)).toEqual(['a', 'c']);
  changing.push(tool('b'));
  expect(namesFor(registry)).toEqual(['a', 'b', 'c']);
  expect(registry.find('a', callerWith())).toBe(own);
});

test('without authentication everybody may use everything', async () => {
  const service = await startService();
  const status = async () =>
    (await (await fetch(`${service.url}/api/chat/status`)).json()) as { features: { tools: string[] } };
  expect((await status()).features.tools).toEqual(expect.arrayContaining(['calculator', 'current_time']));
});
