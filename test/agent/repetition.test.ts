import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createRepetitionDetector, findRepetition } from '../../src/agent/repetition.ts';

const root = new URL('../../', import.meta.url);
const fileText = (path: string) => readFileSync(new URL(path, root), 'utf8').slice(0, 60_000);
const lines = (count: number, line: (index: number) => string | number) =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');
/** Numbers that look like measurements; the same each time. */
const noise = (index: number) => Math.floor(Math.abs(Math.sin(index + 1)) * 1e6);
const bytes = (count: number) => Buffer.from(Array.from({ length: count }, (_, index) => noise(index) % 256));

/** Of this thread alone: what else the machine does is not counted. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Feeds a text in parts as a model streams them. */
function shownOf(text: string, part: number): number | undefined {
  const detector = createRepetitionDetector();
  for (let start = 0; start < text.length; start += part) {
    const end = detector.push(text.slice(start, start + part));
    if (end !== undefined) return start + end;
  }
  return undefined;
}

describe('the same stretch back to back', () => {
  const stretch = (period: number) =>
    lines(Math.ceil(period / 7), noise)
      .replaceAll('\n', ' ')
      .slice(0, period);

  test.each([1, 2, 3, 7, 31, 32, 33, 100, 255, 256, 257, 400, 571, 699, 700])(
    'of %d characters is noticed',
    (period) => {
      const intro = 'This is how the answer begins, before it goes wrong. ';
      for (const part of [1, 5, 64, 1000, 1_000_000]) {
        const end = shownOf(intro + stretch(period).repeat(Math.ceil(20_000 / period)), part);
        expect(end).toBeGreaterThan(intro.length + 1900);
        expect(end).toBeLessThanOrEqual(intro.length + 2600);
      }
    },
  );

  test('is noticed after a long text, and where it begins in the middle of the stretch', () => {
    const before = fileText('CONTRIBUTING.md');
    const end = shownOf(`${before}and so on and so forth, ${'and so on and so forth, '.repeat(500)}`, 4);
    expect(end).toBeGreaterThan(before.length + 1900);
    expect(end).toBeLessThanOrEqual(before.length + 2600);
  });

  test.each([4, 640, 700])('of %d characters is noticed in time wherever it begins', (period) => {
    const before = fileText('CONTRIBUTING.md');
    for (let start = 3000; start < 3600; start += 29) {
      const end = shownOf(before.slice(0, start) + stretch(period).repeat(Math.ceil(5000 / period)), 5);
      expect(end).toBeGreaterThan(start + 1900);
      expect(end).toBeLessThanOrEqual(start + 2600);
    }
  });

  test('is told with its length', () => {
    expect(findRepetition(`So: ${'abc '.repeat(2000)}`)).toEqual({ stretch: 'abc ', length: 2045 });
    expect(findRepetition('😀'.repeat(2000))?.length).toBe(2048);
  });

  test('may be ten times as long where it was asked for', () => {
    expect(findRepetition('sorry '.repeat(3000), true)).toBeUndefined();
    expect(findRepetition('sorry '.repeat(4000), true)?.length).toBeGreaterThanOrEqual(20_000);
  });

  test('costs close to nothing a token', () => {
    const words = fileText('README.md').match(/\s*\S+/g) ?? [];
    const times = Array.from({ length: 9 }, () => {
      const detector = createRepetitionDetector();
      const started = threadCpuMs();
      for (const word of words) detector.push(word);
      return ((threadCpuMs() - started) * 1000) / words.length;
    });
    expect(Math.min(...times)).toBeLessThan(5);
  });

  test.each(['a', 'ab', '-', ' ', `${'a'.repeat(31)}b`, '\n'])(
    'four times as much of nearly the same takes about four times as long: %j',
    (part) => {
      const costMs = (characters: number) => {
        const text = lines(
          Math.ceil(characters / (part.length * 60)),
          (index) => part.repeat(60) + noise(index),
        );
        const started = threadCpuMs();
        expect(findRepetition(text)).toBeUndefined();
        return threadCpuMs() - started;
      };
      costMs(250_000);
      // sixteen, were it quadratic
      expect(costMs(1_000_000) / Math.max(costMs(250_000), 1)).toBeLessThan(10);
    },
  );
});

const refrain = 'And the sea sings low, and the sea sings high,\nand the sea sings on till the day we die.\n';
const matrix = (size: number) =>
  lines(size, (row) => Array.from({ length: size }, (_, column) => noise(row * size + column) % 2).join(' '));

/** Regular texts that are none the less worth reading. */
const samples: Record<string, string> = {
  'a Markdown table': lines(
    200,
    (index) => `| ${index} | item ${noise(index) % 50} | ${(noise(index) / 100).toFixed(2)} |`,
  ),
  'a table of equal words': lines(300, (index) => `| ${String(index).padStart(3)} | yes | yes | no | yes |`),
  'a table with wide rules': lines(40, (index) => `| ${'-'.repeat(60)} |\n| ${`row ${index}`.padEnd(60)} |`),
  'a table padded with spaces': lines(80, (index) => `| ${`${noise(index)}`.padEnd(200)} | ok |`),
  'an access log': lines(
    400,
    (index) =>
      `10.0.0.${noise(index) % 255} - - [21/Nov/2026:03:${String(index % 60).padStart(2, '0')}:07] "GET /api/health HTTP/1.1" 200 17`,
  ),
  'an application log': lines(
    300,
    (index) =>
      `2026-11-21T03:00:${String(index % 60).padStart(2, '0')}.${String(index).padStart(3, '0')}Z INFO worker ready`,
  ),
  'a stack trace': lines(
    120,
    (index) => `    at handler${index} (/srv/app/node_modules/lib/index.js:${noise(index) % 900}:13)`,
  ),
  'a numbered list': lines(300, (index) => `${index + 1}. Open the next file and read it.`),
  'a task list': lines(200, (index) => `- [ ] Review chapter ${index + 1}`),
  'a countdown': lines(500, (index) => `${500 - index} bottles of beer on the wall`),
  'a song of verses': lines(
    60,
    (index) =>
      `${99 - index} bottles of beer on the wall, ${99 - index} bottles of beer.\nTake one down and pass it around.`,
  ),
  'a poem with a refrain': lines(
    20,
    (index) => `Verse ${index}: the wind ${noise(index)} goes by the shore tonight.\n${refrain}`,
  ),
  'a refrain sung six times': `The ship went out.\n${refrain.repeat(6)}The end.`,
  'CSV data': lines(500, (index) => `${index},${noise(index)},EUR,paid`),
  'CSV data with empty fields': lines(400, (index) => `${index},,,,,,,,,`),
  'sparse CSV data': lines(200, (index) => `0,0,0,0,0,0,0,0,0,${noise(index)}`),
  'a matrix of bits': matrix(80),
  'a JSON array of numbers': JSON.stringify(Array.from({ length: 2000 }, (_, index) => noise(index))),
  'a JSON array of records': JSON.stringify(
    Array.from({ length: 200 }, (_, id) => ({ id, isActive: true, tags: [], owner: null })),
    null,
    2,
  ),
  'a JSON array of small numbers': JSON.stringify(
    Array.from({ length: 3000 }, (_, index) => noise(index) % 3),
  ),
  base64: bytes(6000).toString('base64'),
  'a hexadecimal dump': lines(
    300,
    (index) => `${(index * 16).toString(16).padStart(8, '0')}  ${bytes(16).toString('hex')} ${noise(index)}`,
  ),
  'digits of a number': lines(600, noise).replaceAll('\n', ''),
  'SQL inserts': lines(
    200,
    (index) => `INSERT INTO users (id, name, active) VALUES (${index}, 'user${index}', TRUE);`,
  ),
  'a DNA sequence': Array.from({ length: 6000 }, (_, index) => 'ACGT'[noise(index) % 4]).join(''),
  'ASCII art': lines(60, (index) => `${' '.repeat(60 - index)}${'*'.repeat(2 * index + 1)}`),
  'a chess board': lines(8, (row) => (row % 2 ? '# . # . # . # . ' : '. # . # . # . # ')).repeat(8),
  'long rules between headings': lines(
    30,
    (index) => `${'='.repeat(120)}\nCHAPTER ${index + 1}\n${'='.repeat(120)}`,
  ),
  'a long dashed line': `Cut here:\n${'-'.repeat(1500)}\nand keep the rest.`,
  'a progress bar': lines(100, (index) => `[${'#'.repeat(index)}${' '.repeat(100 - index)}] ${index}%`),
  'a directory tree': lines(300, (index) => `│   ├── module-${index}\n│   │   └── index.ts`),
  'a test report': lines(
    300,
    (index) => ` ✓ test/unit/case-${index}.test.ts (${noise(index) % 9} tests) ${noise(index) % 99}ms`,
  ),
  'a unit test of cases': lines(150, (index) => `  expect(add(${index}, 1)).toBe(${index + 1});`),
  'TypeScript code': fileText('src/llm/router.ts'),
  'YAML data': fileText('src/llm/models.yaml'),
  'licence text': fileText('test/fixtures/ifeval/LICENSE'),
  'a lock file': fileText('package-lock.json'),
  'minified code': fileText('src/llm/anthropic-events.ts').replace(/\s+/g, ' '),
  'HTML lists': lines(300, (index) => `<li class="item"><a href="/p/${index}">Product ${index}</a></li>`),
  'SVG path data': lines(500, (index) => `L ${noise(index) % 400} ${noise(index + 7) % 400}`).replaceAll(
    '\n',
    ' ',
  ),
  'a Chinese text of short sentences': lines(200, (index) => `第${index}天，我们去公园散步，天气很好。`),
  'few words in changing order': Array.from(
    { length: 3000 },
    (_, index) => ['yes', 'no', 'maybe'][noise(index) % 3],
  ).join(' '),
  'a dialogue of short answers': lines(200, (index) => `A: ${noise(index) % 7}?\nB: Yes.`),
  'a multiplication table': lines(40, (row) =>
    Array.from({ length: 12 }, (_, column) => `${row * column}`.padStart(4)).join(' '),
  ),
};

describe('is never seen in', () => {
  test.each(Object.entries(samples))('%s', (_, text) => {
    expect(text.length).toBeGreaterThan(500);
    for (const part of [1, 6, 4096]) expect(shownOf(text, part)).toBeUndefined();
  });
});
