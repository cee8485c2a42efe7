import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { jsonPost } from '../helpers/service.ts';
import { spawnService, startProcess } from './service-process.ts';

test('every wrong setting has its line, no secret is shown, and the exit code is 1', async () => {
  const service = spawnService({
    PORT: 'eighty',
    MAX_CONCURRENT_REQUESTS: '0',
    RUN_TIMEOUT: '-5',
    OPENAI_API_KEY: 'sk-secret with a blank',
    DEFAULT_EFFORT: 'maximum',
  });
  expect(await service.exited).toBe(1);
  const lines = service.stderr().trimEnd().split('\n');
  expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual([
    'DEFAULT_EFFORT',
    'MAX_CONCURRENT_REQUESTS',
    'OPENAI_API_KEY',
    'PORT',
    'RUN_TIMEOUT',
  ]);
  for (const line of lines) expect(line).toMatch(/^[A-Z_]+ must /);
  expect(service.stderr() + service.stdout()).not.toMatch(/sk-secret|^\s+at /m);
});

test('a port in use is said in plain words', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => {
    other.close();
  });
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const service = spawnService({ PORT: String(port) });
  expect(await service.exited).toBe(1);
  expect(service.stderr()).toBe(`PORT ${port} is in use; set another one.\n`);
});

test('with no setting at all the demo model answers, the log is JSON, and SIGINT ends the process', async () => {
  const service = await startProcess({ MAX_CONCURENT_REQUESTS: '7' });
  expect((await fetch(`${service.url}/api/health/ready`)).status).toBe(200);
  const body = { message: 'Say hello to me.', effort: 'quick' };
  const response = await fetch(`${service.url}/api/chat`, jsonPost(body));
  expect(await response.json()).toMatchObject({ provider: 'demo', exit_reason: 'completed' });
  service.kill('SIGINT');
  expect(await service.exited).toBe(0);
  const lines = service.stdout().trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const record of records) {
    expect(record).toMatchObject({
      level: expect.any(String),
      time: expect.any(String),
      msg: expect.any(String),
    });
  }
  expect(records.find(({ level }) => level === 'warn')?.msg).toMatch(
    /MAX_CONCURENT_REQUESTS.*MAX_CONCURRENT_REQUESTS/,
  );
  expect(records.find(({ msg }) => msg === 'run completed')).toMatchObject({
    request_id: expect.any(String),
    run_id: expect.stringMatching(/^run_/),
  });
});
