import { Type } from 'typebox';
import { expect, test } from 'vitest';
import { defineTool } from '../../src/tools/define-tool.ts';
import type { ToolProgress } from '../../src/tools/tool.ts';

const signal = new AbortController().signal;
const caller = { tenant: 't', subject: 's', roles: ['manager'] };

test('has safe defaults, and takes the settings of a tool', () => {
  const work = { name: 'a', description: 'A', parameters: { type: 'object' }, execute: () => '' };
  expect(defineTool(work)).toEqual({
    name: 'a',
    label: 'a',
    description: 'A',
    parameters: { type: 'object' },
    isParallel: false,
    execute: expect.any(Function),
  });
  const settings = { isParallel: true, roles: ['manager'], timeoutMs: 5 };
  expect(defineTool({ ...work, label: 'Ah', ...settings })).toMatchObject({ label: 'Ah', ...settings });
});

test('gives the work its call, its arguments, its signal, its updates and its caller', async () => {
  const seen: unknown[] = [];
  const progress: ToolProgress[] = [];
  const tool = defineTool({
    name: 'rename',
    description: 'Renames a room',
    parameters: Type.Object({ room: Type.Integer() }),
    async execute(toolCallId, { room }, given, onUpdate, context) {
      seen.push(toolCallId, room + 1, given, context.caller.roles, context.runId);
      onUpdate({ content: [{ type: 'text', text: 'reading\nhalf way\n' }], details: { percent: 50 } });
      return { content: [{ type: 'text', text: 'done' }], details: { room } };
    },
  });
  const context = {
    runId: 'r',
    callId: 'c',
    caller,
    onProgress: (each: ToolProgress) => progress.push(each),
  };
  expect(await tool.execute({ room: 6 }, context, signal)).toEqual({
    content: [{ type: 'text', text: 'done' }],
    details: { room: 6 },
  });
  expect(seen).toEqual(['c', 7, signal, ['manager'], 'r']);
  expect(progress).toEqual([
    {
      message: 'half way',
      partialResult: { content: [{ type: 'text', text: 'reading\nhalf way\n' }], details: { percent: 50 } },
    },
  ]);
});

test('takes a text for a result', async () => {
  const tool = defineTool({
    name: 'hi',
    description: '',
    parameters: { type: 'object' },
    execute: () => 'Hello.',
  });
  const context = { runId: 'r', callId: 'c', caller, onProgress() {} };
  expect(await tool.execute({}, context, signal)).toEqual({
    content: [{ type: 'text', text: 'Hello.' }],
    isError: false,
  });
});
