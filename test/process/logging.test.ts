import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { patient } from '../helpers/mcp.ts';
import { jsonPost } from '../helpers/service.ts';
import { type ServiceProcess, spawnBuilt, startProcess } from './service-process.ts';

type Line = Record<string, unknown>;

const linesOf = ({ stdout }: Pick<ServiceProcess, 'stdout'>): Line[] =>
  stdout()
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));

const chat = async ({ url }: ServiceProcess, id: string) => {
  const response = await fetch(`${url}/api/chat`, jsonPost({ message: 'Hi.' }, { 'x-request-id': id }));
  expect(response.status).toBe(200);
};
const probe = ({ url }: ServiceProcess, id: string) =>
  fetch(`${url}/api/health/live`, { headers: { 'x-request-id': id } });

/** Resolves with the level that a signal led to. */
async function signalled(service: Pick<ServiceProcess, 'kill' | 'stdout'>): Promise<unknown> {
  const before = linesOf(service).filter(({ log_level }) => log_level !== undefined).length;
  service.kill('SIGUSR2');
  return vi.waitFor(() => {
    const lines = linesOf(service).filter(({ log_level }) => log_level !== undefined);
    expect(lines).toHaveLength(before + 1);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', msg: expect.stringContaining('SIGUSR2') });
    return lines.at(-1)?.log_level;
  }, patient);
}

test('SIGUSR2 switches the level of all lines to debug and back', async () => {
  const service = await startProcess({ LOG_LEVEL: 'info' });
  await probe(service, 'first-of-this-minute');
  const shown = async (id: string, expected: string[]) => {
    await probe(service, id);
    await chat(service, id);
    await vi.waitFor(() => {
      const lines = linesOf(service).filter(({ request_id: found }) => found === id);
      expect(lines.map(({ level, msg }) => `${level} ${msg}`)).toEqual(expected);
    }, patient);
  };
  const always = ['info llm call', 'info run completed', 'info request'];
  await shown('one', always);
  expect(await signalled(service)).toBe('debug');
  const phases = ['debug phase', 'debug phase'];
  await shown('two', ['debug request', ...phases, 'info llm call', ...phases, ...always.slice(1)]);
  expect(await signalled(service)).toBe('info');
  await shown('three', always);
  service.kill('SIGTERM');
  expect(await service.exited).toBe(0);
  expect(service.stderr()).toBe('');
});

test('SIGUSR2 quiets a service whose own level is debug', async () => {
  const service = await startProcess({ LOG_LEVEL: 'debug' });
  expect(await signalled(service)).toBe('info');
  expect(await signalled(service)).toBe('debug');
});

test('SIGUSR2 changes the level of a worker too', async () => {
  const worker = spawnBuilt('worker-main', { HOST: '127.0.0.1', WORKER_PORT: '0', LOG_LEVEL: 'info' });
  await worker.waitForOutput(/worker ready/);
  expect(await signalled(worker)).toBe('debug');
});

/** The program sends itself the signal while it starts: as it loads what traces need, which is the longest part. */
const signalAtStart = `import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';
if (isMainThread) registerHooks({
  load(url, context, next) {
    if (url.endsWith('/tracing/start.js')) {
      console.log('signal');
      process.kill(process.pid, 'SIGUSR2');
    }
    return next(url, context);
  },
});`;

test.each(['main', 'worker-main'] as const)('SIGUSR2 does not end %s, which still starts', async (name) => {
  const started = spawnBuilt(name, {
    HOST: '127.0.0.1',
    PORT: '0',
    WORKER_PORT: '0',
    ENABLE_TRACING: 'true',
    OTEL_TRACES_EXPORTER: 'none',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(signalAtStart)}`,
  });
  await Promise.race([started.waitForOutput(/ready on/), started.exited]);
  expect(started.stdout()).toMatch(/^signal\n/);
  expect(started.stdout()).toContain('ready on');
  started.kill('SIGTERM');
  expect(await started.exited).toBe(0);
});

test('the metrics say how many bytes were logged', async () => {
  const service = await startProcess({ LOG_LEVEL: 'info' });
  await chat(service, 'req-1');
  await vi.waitFor(
    () => expect(linesOf(service).filter(({ msg }) => msg === 'request')).toHaveLength(1),
    patient,
  );
  const bytes = Buffer.byteLength(service.stdout());
  const text = await (await fetch(`${service.url}/metrics`)).text();
  expect(text).toContain(`\npaf_log_bytes_total ${bytes}\n`);
  expect(text).toContain('\npaf_log_lines_dropped_total 0\n');
});

/** A service whose stdout nobody reads once it is ready. */
async function startUnread(env: Record<string, string>) {
  const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
  const child = spawn(process.execPath, [program], {
    env: { HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8');
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (more: string) => {
      text += more;
      const port = /ready on http:\/\/localhost:(\d+)/.exec(text)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    });
  });
  child.stdout.pause();
  return { child, url };
}

test('a reader of the log who stalls delays no request, and no end', async () => {
  const { child, url } = await startUnread({ LOG_LEVEL: 'debug' });
  const ask = async () => {
    const response = await fetch(`${url}/api/chat/models`, { signal: AbortSignal.timeout(5_000) });
    await response.arrayBuffer();
    return response.status;
  };
  // more than a pipe holds
  const lines = Array.from({ length: 10 }, async () => {
    for (let count = 0; count < 100; count += 1) expect(await ask()).toBe(200);
  });
  await Promise.all(lines);
  const text = await (await fetch(`${url}/metrics`)).text();
  const bytes = Number(/^paf_log_bytes_total (\d+)$/m.exec(text)?.[1]);
  expect(bytes).toBeGreaterThan(150_000);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(5_000) });
  expect(code).toBe(0);
});

test('a reader of the log who leaves ends nothing', async () => {
  const { child, url } = await startUnread({ LOG_LEVEL: 'debug' });
  child.stdout.destroy();
  for (let count = 0; count < 20; count += 1)
    expect((await fetch(`${url}/api/chat/models`)).status).toBe(200);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(5_000) });
  expect(code).toBe(0);
});
