import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { runTools, skipTools } from '../../src/agent/run-tools.ts';
import type { AgentEvent } from '../../src/core/events.ts';
import { type ToolCall, type ToolResultMessage, textOf } from '../../src/core/message.ts';
import { type Tool, type ToolContext, textResult } from '../../src/tools/tool.ts';

type Execute = (args: Record<string, unknown>, context: ToolContext, signal: AbortSignal) => Promise<string>;

const tool = (name: string, execute: Execute, isParallel = true): Tool => ({
  name,
  description: name,
  parameters: { type: 'object' },
  isParallel,
  execute: async (args, context, signal) => textResult(await execute(args, context, signal)),
});

const caller = { tenant: 'default', subject: 'anonymous', roles: [] };

const call = (id: string, name: string): ToolCall => ({ type: 'toolCall', id, name, arguments: {} });

async function run(
  tools: Tool[],
  calls: ToolCall[],
  signal = new AbortController().signal,
  timeoutMs = 5000,
) {
  const events: AgentEvent[] = [];
  const byName = new Map(tools.map((one) => [one.name, one]));
  const steps = runTools({ runId: 'run', caller, tools: byName, timeoutMs }, calls, signal);
  let step = await steps.next();
  while (!step.done) {
    events.push(step.value);
    step = await steps.next();
  }
  return { events, results: step.value };
}

const names = (events: AgentEvent[]) =>
  events.flatMap((event) => ('id' in event ? `${event.type} ${event.id}` : []));
const texts = (results: ToolResultMessage[]) => results.map((result) => textOf(result.content));

test('calls run side by side and their results come in the order of the calls', async () => {
  const gate = Promise.withResolvers<void>();
  const slow = tool('slow', async () => {
    await gate.promise;
    return 'slow';
  });
  const fast = tool('fast', async () => {
    gate.resolve();
    return 'fast';
  });
  const { events, results } = await run([slow, fast], [call('a', 'slow'), call('b', 'fast')]);
  expect(names(events)).toEqual(['tool-start a', 'tool-start b', 'tool-end a', 'tool-end b']);
  expect(texts(results)).toEqual(['slow', 'fast']);
});

test('a tool that must run alone makes the whole turn run one by one', async () => {
  const running = new Set<string>();
  const alone = (name: string) =>
    tool(
      name,
      async () => {
        expect(running.size).toBe(0);
        running.add(name);
        await new Promise((resolve) => setImmediate(resolve));
        running.delete(name);
        return name;
      },
      name !== 'alone',
    );
  const calls = [call('a', 'other'), call('b', 'alone'), call('c', 'other')];
  const { events } = await run([alone('alone'), alone('other')], calls);
  expect(names(events)).toEqual([
    'tool-start a',
    'tool-end a',
    'tool-start b',
    'tool-end b',
    'tool-start c',
    'tool-end c',
  ]);
});

test('progress comes while the tool runs', async () => {
  const seen = Promise.withResolvers<void>();
  const busy = tool('busy', async (_args, context) => {
    context.onProgress({ progress: 1, total: 2, message: 'half' });
    await seen.promise;
    return 'done';
  });
  const steps = runTools(
    { runId: 'run', caller, tools: new Map([['busy', busy]]), timeoutMs: 5000 },
    [call('a', 'busy')],
    new AbortController().signal,
  );
  expect((await steps.next()).value).toMatchObject({ type: 'tool-start' });
  expect((await steps.next()).value).toEqual({
    type: 'tool-progress',
    id: 'a',
    name: 'busy',
    progress: 1,
    total: 2,
    message: 'half',
  });
  seen.resolve();
  expect((await steps.next()).value).toMatchObject({ type: 'tool-end', result: 'done', isError: false });
});

test('a tool that throws, or is too slow, gives an error result', async () => {
  const bad = tool('bad', async () => {
    throw new Error('no such city');
  });
  const stuck = tool('stuck', () => new Promise(() => {}));
  const { results } = await run([bad, stuck], [call('a', 'bad'), call('b', 'stuck')], undefined, 50);
  expect(results.map((result) => result.isError)).toEqual([true, true]);
  expect(texts(results)).toEqual(['no such city', 'The tool did not answer within 0.05 seconds.']);
});

test('an abort ends the turn at once, also when a tool ignores it', async () => {
  const controller = new AbortController();
  const stuck = tool('stuck', () => new Promise(() => {}));
  const running = run([stuck], [call('a', 'stuck'), call('b', 'stuck')], controller.signal);
  controller.abort(new Error('gone'));
  await expect(running).rejects.toThrow('gone');
});

test('a long result keeps its head and its tail and says what is missing', async () => {
  const long = tool('long', async () => `HEAD${'x'.repeat(100_000)}TAIL`);
  const { results } = await run([long], [call('a', 'long')]);
  const [text = ''] = texts(results);
  expect(text.length).toBeLessThan(66_000);
  expect(text.startsWith('HEADxxx')).toBe(true);
  expect(text.endsWith('xxxTAIL')).toBe(true);
  expect(text).toContain(`[… ${100_008 - 65_536} characters left out …]`);
});

test('skipped calls get a result each', () => {
  const steps = skipTools([call('a', 'x'), call('b', 'y')], 'Not run.');
  const events: AgentEvent[] = [];
  let step = steps.next();
  while (!step.done) {
    events.push(step.value);
    step = steps.next();
  }
  expect(names(events)).toEqual(['tool-start a', 'tool-end a', 'tool-start b', 'tool-end b']);
  expect(step.value.map((result) => result.toolCallId)).toEqual(['a', 'b']);
  expect(step.value.every((result) => result.isError)).toBe(true);
});

test('an abort while the reader takes its time over a progress event rejects nothing that nobody waits for', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', onUnhandled);
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled));
  const controller = new AbortController();
  const slow = tool('slow', async (_args, context) => {
    context.onProgress({ message: 'half' });
    return new Promise(() => {});
  });
  const toolRun = { runId: 'run', caller, tools: new Map([['slow', slow]]), timeoutMs: 5000 };
  const steps = runTools(toolRun, [call('c1', 'slow')], controller.signal);
  expect((await steps.next()).value).toMatchObject({ type: 'tool-start' });
  expect((await steps.next()).value).toMatchObject({ type: 'tool-progress' });
  controller.abort(new Error('cancelled'));
  await nextTurn();
  await nextTurn();
  await expect(steps.next()).rejects.toThrow('cancelled');
  expect(unhandled).toEqual([]);
});
