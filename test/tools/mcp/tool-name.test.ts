import { expect, test } from 'vitest';
import { toolNameOf } from '../../../src/tools/mcp/tool-name.ts';

test.each([
  ['files', 'read_file', 'files__read_file'],
  ['k8s', 'get-pods', 'k8s__get-pods'],
  ['s', 'x'.repeat(61), `s__${'x'.repeat(61)}`],
])('%s and %s are %s', (server, tool, name) => {
  expect(toolNameOf(server, tool)).toBe(name);
});

test('other names get a hash, which tells apart what would become the same', () => {
  const names = ['a.b', 'a/b', 'a b', `${'y'.repeat(70)}1`, `${'y'.repeat(70)}2`, 'ü'].map((tool) =>
    toolNameOf('s', tool),
  );
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  expect(names[0]).toMatch(/^s__a_b_[0-9a-f]{8}$/);
  expect(toolNameOf('s', 'a.b')).toBe(names[0]);
});
