import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
});

test('a pattern names each group once, because Node 22 takes no name twice', async () => {
  const twice: string[] = [];
  const Native = RegExp;
  class Watched extends Native {
    constructor(source: string | RegExp, flags?: string) {
      super(source, flags);
      const names = [...this.source.matchAll(/\(\?<(?<name>[a-z]\w*)>/gi)].map((match) => match.groups?.name);
      if (new Set(names).size < names.length) twice.push(names.join(' '));
    }
  }
  vi.stubGlobal('RegExp', Watched);
  vi.resetModules();
  await import('../../src/pipeline/understand.js');
  expect(twice).toEqual([]);
});
