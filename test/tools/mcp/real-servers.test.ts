import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ToolProgress } from '../../../src/tools/tool.ts';
import {
  everythingFile,
  filesystemFile,
  stdioServer,
  temporaryDirectory,
  textsOf,
  useMcp,
} from '../../helpers/mcp.ts';

test('server-everything over stdio', async () => {
  const mcp = useMcp([stdioServer('every', [everythingFile], { GREETING: 'hi' })]);
  const { tools, dropped } = await mcp.until('every', 'connected');
  expect(tools).toHaveLength(13);
  expect(dropped).toEqual([]);
  expect(textsOf(await mcp.call('every__echo', { message: 'hi' }))).toEqual(['Echo: hi']);
  expect(textsOf(await mcp.call('every__get-sum', { a: 2, b: 3 }))).toEqual(['The sum of 2 and 3 is 5.']);
  expect(JSON.parse(textsOf(await mcp.call('every__get-env'))[0] ?? '')).toEqual({ GREETING: 'hi' });
  const seen: ToolProgress[] = [];
  const long = { duration: 0.2, steps: 2 };
  const onProgress = (progress: ToolProgress) => seen.push(progress);
  await mcp.call('every__trigger-long-running-operation', long, { onProgress });
  expect(seen.map(({ progress }) => progress)).toEqual([1, 2]);
});

test('server-filesystem, whose refusals are results', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'notes'));
  writeFileSync(join(directory, 'notes', 'a.txt'), 'one\ntwo');
  const mcp = useMcp([stdioServer('files', [filesystemFile, directory])]);
  const { tools, dropped } = await mcp.until('files', 'connected');
  expect(tools).toContain('files__read_text_file');
  expect(dropped).toEqual([]);
  expect(mcp.tool('files__read_text_file').isParallel).toBe(true);
  expect(mcp.tool('files__write_file').isParallel).toBe(false);
  const read = await mcp.call('files__read_text_file', { path: join(directory, 'notes', 'a.txt') });
  expect(textsOf(read)).toEqual(['one\ntwo']);
  const outside = await mcp.call('files__read_text_file', { path: '/etc/passwd' });
  expect(outside.isError).toBe(true);
  expect(textsOf(outside)[0]).toMatch(/^Access denied/);
});

test('several servers have one list, in the order of the configuration, and tools of one name do not meet', async () => {
  const mcp = useMcp([
    stdioServer('b', [everythingFile]),
    stdioServer('a', [everythingFile]),
    stdioServer('dead', ['-e', 'process.exit(1)']),
  ]);
  await mcp.until('a', 'connected');
  await mcp.until('b', 'connected');
  const names = mcp.list().map(({ name }) => name);
  expect(names.indexOf('b__echo')).toBeLessThan(names.indexOf('a__echo'));
  expect(new Set(names).size).toBe(26);
  expect(mcp.status().map(({ name }) => name)).toEqual(['b', 'a', 'dead']);
  expect(textsOf(await mcp.call('a__echo', { message: 'x' }))).toEqual(['Echo: x']);
});
