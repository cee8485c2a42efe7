import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ServiceProcess, spawnService, startProcess } from './service-process.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'paf-sessions-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const env = () => ({ MEMORY_BACKEND: 'filesystem', MEMORY_FILESYSTEM_PATH: folder });

const post = (service: ServiceProcess, path: string, body: object) =>
  fetch(service.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

test('what was acknowledged is there after the process was killed', async () => {
  const first = await startProcess(env());
  const { id } = (await (await post(first, '/api/sessions', {})).json()) as { id: string };
  for (let count = 0; count < 5; count += 1) {
    const answer = await post(first, '/api/chat', { message: `My number is ${count}.`, session_id: id });
    expect(answer.status).toBe(200);
    await answer.text();
  }
  // one that is under way when it happens
  void post(first, '/api/chat', { message: 'Lost.', session_id: id }).catch(() => {});
  first.kill('SIGKILL');
  await first.exited;

  const second = await startProcess(env());
  const response = await fetch(`${second.url}/api/sessions/${id}`);
  const { messages } = (await response.json()) as { messages: { role: string; content: string }[] };
  const asked = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  expect(asked.slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((count) => `My number is ${count}.`));
  expect((await post(second, '/api/chat', { message: 'Hi.', session_id: id })).status).toBe(200);
});

test('a second process on the same folder does not start, and says why', async () => {
  const first = await startProcess(env());
  const second = spawnService(env());
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toBe(
    `The session folder ${folder} is in use by process ${first.pid} on ${hostname()}; ` +
      'give each process a folder of its own, or share sessions through Redis.\n',
  );
  first.kill('SIGTERM');
  expect(await first.exited).toBe(0);
  const third = await startProcess(env());
  third.kill('SIGTERM');
  await third.exited;
});
