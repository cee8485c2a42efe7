import { afterAll, expect, test } from 'vitest';
import { faults, type WallFault } from './fault-wall/faults.ts';
import { type Cell, type Outcome, planOf } from './fault-wall/plan.ts';
import { type Provider, providers } from './fault-wall/providers.ts';
import { expected, runCell, type Seen, startWorld } from './fault-wall/run-cell.ts';

/**
 * Every fault × provider × (before the first token, after some) × (another provider there, or not) × (once, lasting),
 * through the whole service and real sockets. What each cell must come to follows from the rules in plan.ts.
 */
const cellsAtOnce = 16;
const silentCellsAtOnce = 12;

const isSilent = ({ fault }: Cell) => fault.outcome === 'timeout';

/** Faults of which there is nothing more to learn when they last, or that cannot but last. */
const isOnceOnly = ({ class: kind }: WallFault) => ['harmless', 'hopeless', 'refused'].includes(kind);

function cellsOf(provider: Provider): Cell[] {
  return faults.flatMap((fault) =>
    (['before', 'after'] as const).flatMap((position) =>
      [false, true].flatMap((hasFallback) =>
        (isOnceOnly(fault) ? [true] : [false, true]).map((isLasting) => ({
          fault,
          provider,
          position,
          hasFallback,
          isLasting,
        })),
      ),
    ),
  );
}

const nameOf = ({ fault, provider, position, hasFallback, isLasting }: Cell) =>
  `${fault.name} | ${provider.name} | ${position} | ${hasFallback ? 'fallback' : 'alone'} | ${isLasting ? 'lasting' : 'once'}`;

const results = new Map<string, Seen['outcome']>();

/** Runs all cells, some at a time; each pair is what was seen and what must be. */
async function runAll(cells: Cell[], atOnce: number, env: Record<string, string> = {}) {
  const seen: Record<string, Seen | string> = {};
  const wanted: Record<string, Seen> = {};
  const waiting = [...cells];
  async function work(): Promise<void> {
    for (let cell = waiting.shift(); cell; cell = waiting.shift()) {
      const plan = planOf(cell);
      const name = nameOf(cell);
      const world = await startWorld(cell, plan, env);
      wanted[name] = expected(cell, plan);
      try {
        const result = await runCell(cell, world);
        seen[name] = result;
        results.set(name, result.outcome);
      } catch (error) {
        seen[name] = String(error);
      } finally {
        await world.close();
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work));
  return { seen, wanted };
}

test.each(Object.values(providers))('$name', { timeout: 60_000 }, async (provider) => {
  const { seen, wanted } = await runAll(
    cellsOf(provider).filter((cell) => !isSilent(cell)),
    cellsAtOnce,
  );
  expect(seen).toEqual(wanted);
});

test('a provider that falls silent', { timeout: 60_000 }, async () => {
  const cells = Object.values(providers).flatMap(cellsOf).filter(isSilent);
  const { seen, wanted } = await runAll(cells, silentCellsAtOnce, { REQUEST_TIMEOUT: '1' });
  expect(seen).toEqual(wanted);
});

const letters: Record<Seen['outcome'], string> = {
  answered: 'A',
  fallback: 'F',
  continued: 'C',
  error: 'E',
  truncated: 'TRUNCATED',
  hang: 'HANG',
} satisfies Record<Outcome | 'truncated' | 'hang', string>;

afterAll(() => {
  const columns = Object.values(providers).flatMap((provider) =>
    (['before', 'after'] as const).flatMap((position) =>
      [false, true].map((hasFallback) => ({ provider, position, hasFallback })),
    ),
  );
  const lines = faults.map((fault) => {
    const marks = columns.map((column) =>
      [false, true]
        .map((isLasting) => results.get(nameOf({ ...column, fault, isLasting })))
        .flatMap((outcome) => (outcome ? letters[outcome] : []))
        .join('')
        .padEnd(5),
    );
    return fault.name.padEnd(28) + marks.join('');
  });
  const heads = Object.keys(providers).map((name) => name.padEnd(20));
  const places = heads.map(() => 'before    after     ');
  const others = heads.map(() => '-    +    -    +    ');
  const head = [heads, places, others].map((line) => ' '.repeat(28) + line.join(''));
  const legend =
    'A answered, F by the fallback, C continued, E honest error; the first time it fails once, the second time for good; - alone, + with a fallback';
  console.log(['', ...head, ...lines, legend].join('\n'));
});
