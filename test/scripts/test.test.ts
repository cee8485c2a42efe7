import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProject, type Project } from './project.ts';

let project: Project;
beforeEach(() => {
  project = createProject();
  // nothing is to be installed on the machine by a test
  project.write('tools/redis-server', '#!/bin/sh\n', 0o755);
  for (const tool of ['biome', 'buf', 'tsc', 'knip'])
    project.write(`stand-ins/bin/${tool}`, passingTool, 0o755);
  vitestReports({ numTotalTests: 12, numPassedTests: 12, numFailedTests: 0, numFailedTestSuites: 0 }, 0);
});
afterEach(() => project.close());

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
