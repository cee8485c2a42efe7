import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProject, type Project, service } from './project.ts';

let project: Project;
beforeEach(() => {
  project = createProject();
});
afterEach(() => project.close());

const installing = 'Installing packages (npm ci).\n';
const building = 'Building (tsc).\n';
const starting = 'Starting the service.\n';

/** Starts the service, ends it with SIGTERM and returns what the script said on the way. */
async function startAndStop(env: Record<string, string | undefined> = {}): Promise<string> {
  const running = project.run('start.sh', env);
  await running.said;
  running.kill('SIGTERM');
  const { code, signal, stderr } = await running.ended;
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  return stderr;
}

test('installs, builds and becomes the service, which gets the environment, the arguments and SIGTERM', async () => {
  const running = project.run('start.sh', { PORT: '8123' }, ['--one', 'two words']);
  expect(await running.said).toEqual({
    pid: running.pid,
    port: '8123',
    home: project.home,
    directory: project.root,
    arguments: ['--one', 'two words'],
  });
  running.kill('SIGTERM');
  expect(await running.ended).toMatchObject({
    code: 0,
    signal: null,
    stderr: installing + building + starting,
  });
  expect(project.read('dist/main.js')).toBe(service);
  expect(project.read('dist/llm/models.yaml')).toBe('models: []\n');
  expect(project.npmCalls()).toHaveLength(1);
  expect(project.npmCalls()[0]).toContain('ci --include=dev --ignore-scripts=false');
  expect(project.has('.cache/setup.lock')).toBe(false);
});

test('does nothing twice', async () => {
  await startAndStop();
  expect(await startAndStop()).toBe(starting);
  expect([project.npmCalls().length, project.tscCalls().length]).toEqual([1, 1]);
});

test.each([
  ['src/main.ts', `${service}//`, building],
  ['src/llm/models.yaml', 'models: [x]\n', building],
  ['src/new.ts', '', building],
  ['tsconfig.json', '{ }', building],
  ['package-lock.json', '{ "version": 2 }', installing + building],
  ['package.json', '{ "scripts": {} }', ''],
])('a change of %s', async (path, text, said) => {
  await startAndStop();
  project.write(path, text);
  expect(await startAndStop()).toBe(said + starting);
});

test('builds again without a removed file', async () => {
  project.write('src/old.yaml', '');
  await startAndStop();
  expect(project.has('dist/old.yaml')).toBe(true);
  rmSync(join(project.root, 'src/old.yaml'));
  expect(await startAndStop()).toBe(building + starting);
  expect(project.has('dist/old.yaml')).toBe(false);
});

test('a failed build leaves what was built before, and is tried again', async () => {
  await startAndStop();
  project.write('src/main.ts', 'broken');
  const failed = await project.run('start.sh').ended;
  expect(failed).toEqual({
    code: 1,
    signal: null,
    stdout: '',
    stderr: `${building}src/main.ts(1,1): error TS1\nThe build failed; what was built before is untouched.\n`,
  });
  expect(project.read('dist/main.js')).toBe(service);
  expect((await project.run('start.sh').ended).code).toBe(1);
});

test('npm ci is tried twice', async () => {
  const stderr = await startAndStop({ NPM_FAILURES: '1' });
  expect(stderr).toContain('npm error: no network\nnpm ci failed; trying once more.\n');
  expect(project.npmCalls()).toHaveLength(2);
});

test('when npm ci fails twice, the packages from before stay', async () => {
  await startAndStop();
  project.write('package-lock.json', '{ "version": 2 }');
  const { code, stderr } = await project.run('start.sh', { NPM_FAILURES: '9' }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/\nInstalling failed: npm ci failed twice, see its message above\.\n$/);
  expect(project.has('node_modules/typescript/bin/tsc')).toBe(true);
});

test('a machine without npm', async () => {
  for (const tool of ['bash', 'cat', 'cksum', 'dirname', 'env', 'readlink', 'uname']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' });
    symlinkSync(stdout.trim(), join(project.root, 'tools', tool));
  }
  rmSync(join(project.root, 'tools/npm'));
  expect(await project.run('start.sh', { PATH: join(project.root, 'tools') }).ended).toEqual({
    code: 1,
    signal: null,
    stdout: '',
    stderr: 'npm is needed: install it together with Node.js from https://nodejs.org.\n',
  });
});

test.each([
  ['exit 127', 'Node.js is needed: install version 20 or later from https://nodejs.org.\n'],
  ['echo v18.20.4', 'Node.js 20 or later is needed; this is 18.20.4.\n'],
])('a machine whose node does: %s', async (body, message) => {
  project.write('tools/node', `#!/bin/sh\n${body}\n`, 0o755);
  expect(await project.run('start.sh').ended).toEqual({ code: 1, signal: null, stdout: '', stderr: message });
});

test.each([
  ['an empty HOME', ''],
  ['no HOME', undefined],
  ['a HOME that does not exist', '/nonexistent'],
])('%s: npm gets one inside the project, the service keeps its own', async (_, home) => {
  const running = project.run('start.sh', { HOME: home });
  expect((await running.said).home).toBe(home ?? null);
  running.kill('SIGTERM');
  await running.ended;
  expect(project.npmCalls()[0]).toContain(`home=${project.root}/.cache/home cache=`);
});

test('a HOME without a place for the cache: the cache moves into the project', async () => {
  writeFileSync(join(project.home, '.npm'), 'a file, so that no folder can be made here');
  await startAndStop();
  expect(project.npmCalls()[0]?.split('home=')[1]).toBe(`${project.home} cache=${project.root}/.cache/npm`);
});

test('several at once install and build once', async () => {
  const running = [1, 2, 3].map(() => project.run('start.sh', { NPM_SLEEP: '0.3' }));
  const said = await Promise.all(running.map((each) => each.said));
  expect(said.map((each) => each.pid)).toEqual(running.map((each) => each.pid));
  for (const each of running) each.kill('SIGTERM');
  for (const each of running) expect((await each.ended).code).toBe(0);
  expect([project.npmCalls().length, project.tscCalls().length]).toEqual([1, 1]);
});

test('a lock whose owner is dead is taken over', async () => {
  const { pid } = spawnSync('true');
  mkdirSync(join(project.root, '.cache'));
  symlinkSync(String(pid), join(project.root, '.cache/setup.lock'));
  const running = [1, 2, 3].map(() => project.run('start.sh', { NPM_SLEEP: '0.3' }));
  await Promise.all(running.map((each) => each.said));
  expect([project.npmCalls().length, project.tscCalls().length]).toEqual([1, 1]);
  expect(readdirSync(join(project.root, '.cache'))).toEqual([]);
});

test('a lock that is held is waited for', async () => {
  await startAndStop();
  project.write('src/main.ts', `${service}//`);
  const lock = join(project.root, '.cache/setup.lock');
  symlinkSync(String(process.pid), lock);
  const running = project.run('start.sh');
  await expect.poll(running.stderr, { timeout: 5000 }).toContain('Waiting');
  expect(project.tscCalls()).toHaveLength(1);
  rmSync(lock);
  await running.said;
  running.kill('SIGTERM');
  expect((await running.ended).stderr).toBe(
    `Waiting for process ${process.pid}, which is installing or building.\n${building}${starting}`,
  );
});

test('SIGTERM while installing ends it at once and releases the lock', async () => {
  const running = project.run('start.sh', { NPM_HANGS: 'yes' });
  await expect.poll(() => project.npmCalls().length, { timeout: 5000 }).toBe(1);
  running.kill('SIGTERM');
  expect(await running.ended).toMatchObject({ code: 143, signal: null });
  expect(project.has('.cache/setup.lock')).toBe(false);
}, 5000);
