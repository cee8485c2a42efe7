import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ask } from '../../examples/browser.ts';
import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import { startChat } from '../helpers/chat.ts';
import { useFakeLlm } from '../helpers/fake-llm.ts';
import { fakeModelEnv } from '../helpers/service.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Runs an example as a program of its own, which finds the model in its environment. */
async function runExample(name: string, replies: ScriptedReply[], env: Record<string, string> = {}) {
  const fake = await useFakeLlm({ requireScript: true });
  fake.script(...replies);
  const args = ['--import', 'tsx', `examples/${name}.ts`];
  const model = fakeModelEnv(fake.url);
  const all = { PATH: process.env.PATH, TSX_TSCONFIG_PATH: 'tsconfig.check.json', ...model, ...env };
  const child = spawn(process.execPath, args, { cwd: root, env: all });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  expect({ errors, code }).toEqual({ errors: '', code: 0 });
  return { output, requests: fake.requests.map(({ body }) => body) };
}

const toolCall = (name: string, args: object) => ({ id: 'c1', name, arguments: JSON.stringify(args) });

test('quick-start', async () => {
  const { output } = await runExample('quick-start', [{ text: 'Hello to you.' }]);
  expect(output).toBe('Hello to you.\n');
});

test('tools', async () => {
  const { output, requests } = await runExample('tools', [
    { toolCalls: [toolCall('room_status', { room: 102 })] },
    { text: 'No.' },
  ]);
  expect(output).toContain(
    "room_status {\"room\":102}\nresult: [ { type: 'text', text: 'Room 102 is dirty.' } ]",
  );
  expect(output).toContain("assistant: [ { type: 'text', text: 'No.' } ]");
  expect(requests[1]?.messages.at(-1)).toEqual({ role: 'user', content: 'Be very brief.' });
});

test('custom-messages', async () => {
  const { output, requests } = await runExample('custom-messages', [{ text: 'Message queues.' }]);
  expect(output).toBe('bookmark user assistant\n');
  expect(requests[0]?.messages[0]?.content).toBe('[Bookmark: Message queues] https://example.com/queues');
});

test('low-level', async () => {
  const { output, requests } = await runExample('low-level', [
    { toolCalls: [toolCall('shout', { text: 'hello' })] },
    { text: 'HELLO' },
  ]);
  expect(output).toMatch(/^agent_start\nturn_start\n[\s\S]+\nagent_end\n4 messages\n$/);
  expect(requests[1]?.messages.at(-1)).toEqual({ role: 'tool', tool_call_id: 'c1', content: 'HELLO' });
});

test('browser', async () => {
  const { service, fake } = await startChat([
    { toolCalls: [toolCall('page_language', {})] },
    { text: 'English.' },
  ]);
  const rendered: string[] = [];
  const model = { provider: 'openai', id: 'fake-model' };
  const page = { service: service.url, token: 'any', model, render: (shown: string) => rendered.push(shown) };
  expect(await ask(page, 'Which language is this?')).toBeUndefined();
  expect(rendered.at(-1)).toBe('English.');
  expect(fake.requests[1]?.body.messages.at(-1)?.content).toBe(navigator.language);
});

test('agent-runtime', async () => {
  const { output, requests } = await runExample('agent-runtime', [
    { toolCalls: [toolCall('room_status', { room: 102 })] },
    { text: 'It is.' },
    { text: 'Any time.' },
  ]);
  expect(output).toBe('[Room 102 is clean.]\nIt is.\nfront-desk: Any time.\ntrue\n');
  expect(requests[2]?.messages.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'tool',
    'assistant',
    'user',
  ]);
});

test('agent-server', async () => {
  const { output } = await runExample('agent-server', [{ text: 'Hello to you.' }], { LOG_LEVEL: 'silent' });
  expect(output).toBe('Hello to you.\n');
});

test('every example is run here', () => {
  const names = readdirSync(`${root}examples`).toSorted();
  expect(names).toEqual([
    'agent-runtime.ts',
    'agent-server.ts',
    'browser.ts',
    'custom-messages.ts',
    'low-level.ts',
    'quick-start.ts',
    'tools.ts',
  ]);
});
