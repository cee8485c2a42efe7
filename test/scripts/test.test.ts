import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProject, type Project } from './project.ts';

let project: Project;
beforeEach(() => {
  project = createProject();
  // nothing is to be installed on the machine by a test
  for (const server of servers) project.write(`tools/${server}`, '#!/bin/sh\n', 0o755);
  for (const tool of ['biome', 'buf', 'tsc', 'knip'])
    project.write(`stand-ins/bin/${tool}`, passingTool, 0o755);
  vitestReports({ numTotalTests: 12, numPassedTests: 12, numFailedTests: 0, numFailedTestSuites: 0 }, 0);
});
afterEach(() => project.close());

const servers = ['redis-server', 'prometheus'];

const passingTool = '#!/bin/sh\necho "$(basename "$0") $*" >>"$PROJECT/tool-calls"\n';

function failingTool(name: string): void {
  project.write(`stand-ins/bin/${name}`, `${passingTool}echo "${name} complains"\nexit 3\n`, 0o755);
}

function vitestReports(results: Record<string, number>, status: number): void {
  const body = `for each; do case $each in --outputFile.json=*) out=\${each#*=} ;; esac; done
cat >"$out" <<'END'
${JSON.stringify({ ...results, startTime: 1, testResults: [{ name: 'numPassedTests', duration: 7 }] })}
END
exit ${status}
`;
  project.write('stand-ins/bin/vitest', passingTool + body, 0o755);
}

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);
const headings = (text: string) => [...text.matchAll(/^== (.*)$/gm)].map(([, heading]) => heading);

test('runs every check and ends with the numbers of the tests', async () => {
  const { code, stdout } = await project.run('test.sh').ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 0, last: '12 passed, 0 failed' });
  expect(headings(stdout)).toEqual([
    'Packages',
    'Format and lint',
    'Protocol',
    'Types',
    'Unused code',
    'Build',
    'Tests',
  ]);
  expect(stdout.match(/^ {3}\d+ s$/gm)).toHaveLength(7);
  expect(project.read('tool-calls')).toMatch(
    /^biome ci --error-on-warnings --colors=off\nbuf lint\ntsc -p tsconfig.check.json\nknip \nvitest run --reporter=default --reporter=json --outputFile.json=.cache\/test-results.\d+.json\n$/,
  );
  expect(project.has('dist/main.js')).toBe(true);
});

test('installs and builds only once', async () => {
  await project.run('test.sh').ended;
  await project.run('test.sh').ended;
  expect([project.npmCalls().length, project.tscCalls().length]).toEqual([1, 1]);
});

test.each([
  ['biome', 'Format and lint', 2],
  ['buf', 'Protocol', 3],
  ['tsc', 'Types', 4],
  ['knip', 'Unused code', 5],
])('when %s fails, the last line says so and nothing more is run', async (tool, step, count) => {
  failingTool(tool);
  const { code, stdout } = await project.run('test.sh').ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 3, last: `FAILED: ${step}` });
  expect(stdout).toContain(`${tool} complains\n`);
  expect(headings(stdout)).toHaveLength(count);
});

describe('servers that tests need and the machine lacks', () => {
  const policy = '/usr/sbin/policy-rc.d';
  const isRoot = process.getuid?.() === 0;

  /** Programs of the machine without its servers, and stand-ins for who asks and for apt-get. */
  function bareMachine({ user, aptGet }: { user: number; aptGet: string }): Record<string, string> {
    for (const name of servers) project.remove(`tools/${name}`);
    for (const name of programs) project.link(`tools/${name}`);
    project.write('tools/id', `#!/bin/sh\necho ${user}\n`, 0o755);
    project.write('tools/apt-get', `#!/bin/sh\n${aptGet}`, 0o755);
    return { PATH: join(project.root, 'tools') };
  }

  const notes = 'echo "$DEBIAN_FRONTEND $*" >>"$PROJECT/apt-calls"\n';
  const installs = `${notes}[ -x ${policy} ] && echo kept >>"$PROJECT/policy"
for name in ${servers.join(' ')}; do printf '#!/bin/sh\\n' >"$PROJECT/tools/$name"; chmod +x "$PROJECT/tools/$name"; done\n`;
  const left = (name: string) => `${name} is not installed: the tests that need it are left out.\n`;

  test('root gets them in one call, and none of them is started', async () => {
    const hadPolicy = existsSync(policy);
    const { code, stderr } = await project.run('test.sh', bareMachine({ user: 0, aptGet: installs })).ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('Installing redis-server prometheus for the tests.\n');
    expect(stderr).not.toContain('left out');
    expect(project.read('apt-calls')).toMatch(
      /^noninteractive -qq -y .* install --no-install-recommends redis-server prometheus\n$/,
    );
    if (isRoot || hadPolicy) expect(project.read('policy')).toBe('kept\n');
    expect(existsSync(policy)).toBe(hadPolicy);
  });

  test('only what is missing is installed', async () => {
    const env = bareMachine({ user: 0, aptGet: installs });
    project.write('tools/redis-server', '#!/bin/sh\n', 0o755);
    await project.run('test.sh', env).ended;
    expect(project.read('apt-calls')).toMatch(/ prometheus\n$/);
    expect(project.read('apt-calls')).not.toContain('redis-server');
  });

  test('where installing fails, the package lists are fetched and it is tried once more; then the tests are left out', async () => {
    const env = bareMachine({ user: 0, aptGet: `${notes}[ "$*" = '-qq update' ]\n` });
    const hadPolicy = existsSync(policy);
    const { code, stderr } = await project.run('test.sh', env).ended;
    expect(code).toBe(0);
    expect(stderr).toContain(left('redis-server') + left('prometheus'));
    expect(project.read('apt-calls').match(/ install |update$/gm)).toEqual([
      ' install ',
      'update',
      ' install ',
    ]);
    expect(existsSync(policy)).toBe(hadPolicy);
  });

  test('who is not root is only told', async () => {
    const { code, stderr } = await project.run('test.sh', bareMachine({ user: 1000, aptGet: notes })).ended;
    expect(code).toBe(0);
    expect(stderr).toContain(left('redis-server') + left('prometheus'));
    expect(project.has('apt-calls')).toBe(false);
  });
});

/** What the scripts call. */
const programs =
  'basename bash cat chmod cksum cp dirname env find head ln mkdir mv ps readlink rm sed sh sleep sort uname wc'.split(
    ' ',
  );

test('when the build fails', async () => {
  project.write('src/main.ts', 'broken');
  const { code, stdout } = await project.run('test.sh').ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 1, last: 'FAILED: Build' });
});

test('when installing fails', async () => {
  const { code, stdout } = await project.run('test.sh', { NPM_FAILURES: '9' }).ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 1, last: 'FAILED: Packages' });
});

test('when tests fail', async () => {
  vitestReports({ numTotalTests: 12, numPassedTests: 10, numFailedTests: 2, numFailedTestSuites: 5 }, 1);
  const { code, stdout } = await project.run('test.sh').ended;
  expect(code).toBe(1);
  expect(stdout).toMatch(/\nFAILED: Tests\n10 passed, 2 failed\n$/);
});

test('when a test file does not load', async () => {
  vitestReports({ numTotalTests: 10, numPassedTests: 10, numFailedTests: 0, numFailedTestSuites: 1 }, 1);
  const { code, stdout } = await project.run('test.sh').ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 1, last: '10 passed, 1 failed' });
});

test('when vitest itself fails', async () => {
  failingTool('vitest');
  const { code, stdout } = await project.run('test.sh').ended;
  expect({ code, last: lastLine(stdout) }).toEqual({ code: 3, last: 'FAILED: Tests' });
});
